// Stage: all. Thread: main.
// The bar that commands show on a terminal.

import { SingleBar } from 'cli-progress'

/** A stream as bars need it: `process.stderr`, or a stand-in. */
export type Output = NodeJS.WritableStream & {
  readonly isTTY?: boolean
  readonly columns?: number
  hasColors?(): boolean
}

/** Milliseconds between two pictures of a bar. */
export const BAR_INTERVAL = 80

/** Columns of the terminal. */
export function columnsOf(output: Output): number {
  // A terminal that does not know its size says 0.
  return output.columns || 80
}

/** A bar that takes what its figures leave free, and is gone when it is stopped. */
export function createBar(output: Output, format: string): SingleBar {
  const columns = columnsOf(output)
  const colour = output.hasColors?.() === true
  return new SingleBar({
    stream: output,
    format: colour ? format.replace('{bar}', '\u001b[36m{bar}\u001b[39m') : format,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: Math.max(8, Math.min(30, columns < 60 ? columns - 8 : columns - 66)),
    fps: 1000 / BAR_INTERVAL,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
    // Signals are handled in one place, with the exit codes that shells expect.
    gracefulExit: false,
    etaBuffer: 50,
  })
}
