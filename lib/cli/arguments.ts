// Stage: before submit. Thread: main.
// The command line of the duplicate finder.

import { parseArgs } from 'node:util'

/** What the user asked for. */
export interface Arguments {
  /** The folder to search; `undefined` for the default. */
  readonly folder: string | undefined
  readonly json: boolean
  readonly help: boolean
  readonly progress: boolean
  /** Whether to look into text files. */
  readonly text: boolean
  /** Native workers; `undefined` for the pool's own choice. */
  readonly threads: number | undefined
  /** Groups to list. */
  readonly top: number
}

/** A command line that makes no sense; its message says why. */
export class UsageError extends Error {}

/** What `--help` prints. */
export const HELP = `Finds files of equal contents below a folder, by hashing every regular file on native threads.
Meanwhile JavaScript workers of the same pool read the text files: lines, words, names, and how well they compress.

Usage: threadmill dupes [options] [folder]
       npm start [-- options] [folder]

Without a folder, it searches the working directory; as \`npm start\`, this package itself, with its node_modules.

Options:
  --json          print the whole result as one line of JSON
  --top <n>       list the n groups with the most redundant bytes (10)
  --threads <n>   native threads (as many as the system grants this process)
  --no-text       look for duplicates only
  --no-progress   show no progress
  -h, --help      print this

Symbolic links are not followed. Hard links count as one file. Pipes, sockets and devices are skipped.
Text files are those with a known extension, without a zero byte and up to 1 MB. Names are counted wherever they stand,
comments included, but for keywords; the column zstd is size by compressed size.
Progress goes to standard error: a bar on a terminal, else a line a second at most.

Exit code: 0 everything readable was read, 2 something was skipped because of an error, 1 the folder cannot be used,
130 interrupted.
`

/**
 * Reads the command line.
 * @throws UsageError
 */
export function parse(args: readonly string[]): Arguments {
  const { values, positionals } = parseOrThrow(args)
  if (positionals.length > 1) throw new UsageError(`one folder at most, got ${positionals.length}`)
  return {
    folder: positionals[0],
    json: values.json === true,
    help: values.help === true,
    progress: values['no-progress'] !== true,
    text: values['no-text'] !== true,
    threads: wholeNumber('--threads', values.threads, 1, 1024),
    top: wholeNumber('--top', values.top, 0, Number.MAX_SAFE_INTEGER) ?? 10,
  }
}

function parseOrThrow(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        'no-progress': { type: 'boolean' },
        'no-text': { type: 'boolean' },
        threads: { type: 'string' },
        top: { type: 'string' },
      },
    })
  } catch (error) {
    // Only the first sentence: the rest explains how to pass such an argument on.
    throw new UsageError((error as Error).message.split('. ')[0] ?? 'unknown arguments')
  }
}

function wholeNumber(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new UsageError(`${name} must be a whole number from ${min}${max < 1e6 ? ` to ${max}` : ''}`)
  }
  return value
}
