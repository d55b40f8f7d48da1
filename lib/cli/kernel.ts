// Stage: submit. Thread: main.
// `threadmill kernel`: runs a kernel on files or on standard input.

import { Buffer } from 'node:buffer'
import { readFile, writeFile } from 'node:fs/promises'
import os from 'node:os'
import process from 'node:process'
import type { KernelInfo } from '../..'
import { kernelInfo, WorkerPool } from '../index'
import { kernelNumbers } from '../kernels'
import { CliError, EXIT_FAILED, EXIT_UNUSABLE, explain } from './failure'
import { display } from './file-path'
import { inOrder } from './in-order'
import { createInput, type GivenOptions, isWholeInput, readOptions, takesPath } from './kernel-input'
import { bytesOf, givesBytes, outputLine } from './kernel-output'
import { onInterrupt } from './terminal'

/** As commander gives them. */
export interface KernelCommandOptions {
  readonly option?: ReadonlyMap<string, string>
  readonly output: string
}

/** What became of a file. */
interface Outcome {
  readonly file: string | undefined
  readonly output?: unknown
  readonly error?: unknown
}

/** Files in memory for each thread. */
const FILES_PER_THREAD = 2

/** Runs the command; gives its exit code. */
export async function runKernel(
  name: string,
  files: readonly string[],
  options: KernelCommandOptions,
): Promise<number> {
  const info = kernelInfo(name)
  if (info === undefined) {
    throw new CliError(`no kernel is called '${name}'; there are ${[...kernelNumbers().keys()].join(', ')}`)
  }
  const given = readOptions(info, options.option ?? new Map())
  const giveBytes = givesBytes(info) || given.options.encoding === 'buffer'
  if (giveBytes && files.length > 1) throw new CliError(`${name} gives bytes: one file at a time`)
  if (giveBytes && options.output === '-' && process.stdout.isTTY) {
    throw new CliError(`${name} gives bytes, which are not for a terminal: use --output or a pipe`)
  }
  const pool = new WorkerPool({ name: 'kernel' })
  let exitCode = 0
  const stopListening = onInterrupt((code) => process.exit(code))
  try {
    const names = files.length > 0 ? files : [isWholeInput(info, given) ? undefined : '-']
    const running = FILES_PER_THREAD * os.availableParallelism()
    const calls = inOrder(names, (file) => outcomeOf(pool, info, given, file), { running, kept: running })
    const written: (Buffer | string)[] = []
    for await (const outcomes of calls) {
      for (const { file, output, error } of outcomes) {
        if (error !== undefined) {
          exitCode = Math.max(exitCode, complain(file, error, given))
          continue
        }
        const text = bytesOf(output) ?? outputLine(info, output, files.length > 1 ? file : undefined)
        if (options.output === '-') process.stdout.write(text)
        else written.push(text)
      }
    }
    if (options.output !== '-' && exitCode === 0) await save(options.output, written)
  } finally {
    stopListening()
    await pool.close()
  }
  return exitCode
}

async function save(file: string, parts: readonly (Buffer | string)[]): Promise<void> {
  try {
    await writeFile(file, Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))))
  } catch (error) {
    throw new CliError(`${display(file)}: ${explain(error)}`)
  }
}

/** Never rejects. */
async function outcomeOf(
  pool: WorkerPool,
  info: KernelInfo,
  given: GivenOptions,
  file: string | undefined,
): Promise<Outcome> {
  try {
    const input = file === undefined ? given.fields : createInput(info, given, await contentsOf(info, file))
    return { file, output: await pool.run(input, { ...given.options, kernel: info.name }) }
  } catch (error) {
    return { file, error }
  }
}

async function contentsOf(info: KernelInfo, file: string): Promise<Buffer | string> {
  if (file !== '-') return takesPath(info) ? file : readFile(file)
  if (takesPath(info)) throw new TypeError('standard input has no path; name a file')
  const parts: Buffer[] = []
  for await (const part of process.stdin) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** Says what went wrong; gives the exit code for it. */
function complain(file: string | undefined, error: unknown, { fields }: GivenOptions): number {
  const where = file === undefined ? '' : `${file === '-' ? 'standard input' : display(file)}: `
  const cause = (error as { cause?: unknown } | undefined)?.cause
  process.stderr.write(`threadmill: ${where}${display(explain(cause ?? error))}\n`)
  // What was given as an option is wrong for every file.
  const names = ['options.', ...Object.keys(fields).map((name) => `input.${name} `)]
  const isRefused = error instanceof TypeError || error instanceof RangeError
  return isRefused && names.some((name) => error.message.startsWith(name)) ? EXIT_UNUSABLE : EXIT_FAILED
}
