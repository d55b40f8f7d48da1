// Stage: all. Thread: main.
// What commands share about the streams that they write to, and about being interrupted.

import os from 'node:os'
import process from 'node:process'
import { EXIT_UNUSABLE, explain } from './failure'

/** How headings look on standard output: bold on a terminal with colours (`NO_COLOR` takes them away), else plain. */
export function headings(output: NodeJS.WriteStream = process.stdout): (text: string) => string {
  const colour = output.isTTY === true && output.hasColors()
  return (text) => (colour ? `\u001b[1m${text}\u001b[22m` : text)
}

/** Ends the process when output cannot be written. A reader that has seen enough, such as `head`, is no reason to complain. */
export function endWithoutOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // Messages that nobody reads are no reason to end before the results are there.
      if (error.code === 'EPIPE' && stream === process.stderr) return
      if (error.code === 'EPIPE') process.exit()
      if (stream === process.stdout) process.stderr.write(`threadmill: standard output: ${explain(error)}\n`)
      process.exit(EXIT_UNUSABLE)
    })
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Told with the exit code that shells expect. A signal that follows ends the process at once. Returns how to stop listening. */
export function onInterrupt(listener: (exitCode: number) => void): () => void {
  let heard = false
  const listeners = SIGNALS.map((signal) => {
    const onSignal = () => {
      const exitCode = 128 + os.constants.signals[signal]
      if (heard) process.exit(exitCode)
      heard = true
      listener(exitCode)
    }
    process.on(signal, onSignal)
    return [signal, onSignal] as const
  })
  return () => {
    for (const [signal, onSignal] of listeners) process.off(signal, onSignal)
  }
}
