// Stage: submit. Thread: main.
// `threadmill run`: the function of a module for every line of JSON.
//
// R1. Result lines come in the order of the input, and only whole ones are written.
// R2. Memory does not depend on the number of lines.

import { isUtf8 } from 'node:buffer'
import os from 'node:os'
import process from 'node:process'
import { WorkerPool } from '../index'
import { CliError, EXIT_FAILED } from './failure'
import { display } from './file-path'
import { formatCount, formatNoun } from './format'
import { inOrder } from './in-order'
import { LineInput } from './line-input'
import { FileOutput, type LineOutput, standardOutput } from './line-output'
import { createLineProgress, type LineProgress, silent } from './line-progress'
import { isBlank, type Line, linesOf } from './lines'
import { errorLine, failureOf, valueLine } from './result-line'
import { type Done, skipDone } from './resume'
import { onInterrupt } from './terminal'

/** As commander gives them. */
export interface RunOptions {
  readonly input: string
  readonly output: string
  readonly concurrency?: number
  readonly export?: string
  readonly continueOnError?: boolean
  readonly resume?: boolean
  readonly progress: boolean
}

/** Lines in progress for each core, so that workers find the next one at once. */
const LINES_PER_CORE = 16
/** Results that wait for the one of an earlier line, for each line in progress. */
const KEPT = 4
/** Characters that are written together. */
const WRITTEN = 65_536

/** What became of a line. */
interface Outcome {
  readonly line: Line
  /** The result line. */
  readonly text: string
  readonly failure?: { readonly thrown: unknown }
}

/** Runs the command; gives its exit code. */
export async function run(entry: string, options: RunOptions): Promise<number> {
  if (options.resume && options.output === '-') throw new CliError('--resume needs an --output file')
  const pool = createPool(entry, options)
  const input = await LineInput.open(options.input)
  try {
    const output = options.output === '-' ? standardOutput : await openOutput(options.output, input)
    return await new Run(pool, input, output, options).run()
  } finally {
    input.close()
    await pool.destroy()
  }
}

function createPool(entry: string, { concurrency, continueOnError, export: symbol }: RunOptions): WorkerPool {
  const cores = os.availableParallelism()
  const maxWorkers = Math.min(cores, concurrency ?? cores, 1024)
  // More than workers can only be meant for functions that wait.
  const workerConcurrency = concurrency === undefined ? 1 : Math.min(1024, Math.ceil(concurrency / maxWorkers))
  let pool: WorkerPool
  try {
    pool = new WorkerPool(entry, {
      name: 'run',
      maxWorkers,
      workerConcurrency,
      entrypointSymbol: symbol,
      stdout: true,
      // Each line that crashes its worker is a failure of its own.
      ...(continueOnError ? { crashLimit: Number.POSITIVE_INFINITY } : {}),
    })
  } catch (error) {
    throw new CliError((error as Error).message)
  }
  const heard = new Set<unknown>()
  // Standard output is for results.
  pool.on('worker-launched', (worker: { readonly stdout: NodeJS.ReadableStream | null }) => {
    if (!heard.has(worker.stdout)) worker.stdout?.on('data', (chunk) => process.stderr.write(chunk))
    heard.add(worker.stdout)
  })
  return pool
}

async function openOutput(path: string, input: LineInput): Promise<FileOutput> {
  const output = await FileOutput.open(path)
  if (!(await output.isSameAs(input.fd))) return output
  await output.close(false)
  throw new CliError(`${path}: input and output are the same file`)
}

class Run {
  readonly #pool: WorkerPool
  readonly #input: LineInput
  readonly #output: LineOutput
  readonly #options: RunOptions
  readonly #progress: LineProgress
  #done: Done = { results: 0, failed: 0, offset: 0 }
  /** Exit code, after a signal. */
  #interrupted: number | undefined

  constructor(pool: WorkerPool, input: LineInput, output: LineOutput, options: RunOptions) {
    this.#pool = pool
    this.#input = input
    this.#output = output
    this.#options = options
    // Bar and results would overwrite each other.
    const isHidden = !options.progress || (output === standardOutput && process.stdout.isTTY === true)
    this.#progress = isHidden ? silent : createLineProgress(process.stderr, input.size)
  }

  async run(): Promise<number> {
    const stopListening = onInterrupt((exitCode) => {
      this.#interrupted = exitCode
      // Both end what is waited for.
      this.#input.close()
      this.#pool.destroy()
    })
    let isComplete = false
    try {
      const lines = fullLines(this.#input)
      if (this.#options.resume && this.#output instanceof FileOutput) this.#done = await skipDone(lines, this.#output)
      const stoppedAt = await this.#writeAll(lines)
      if (this.#interrupted === undefined) {
        isComplete = true
        if (stoppedAt === undefined) await this.#pool.close()
        this.#progress.stop()
        this.#complain(stoppedAt)
      }
    } catch (error) {
      // What was waited for has been ended.
      if (this.#interrupted === undefined) throw error
    } finally {
      this.#progress.stop()
      stopListening()
      await this.#output.close(isComplete)
    }
    return this.#interrupted ?? (this.#done.failed > 0 ? EXIT_FAILED : 0)
  }

  /** Gives the failure at which it stopped, if it did. */
  async #writeAll(lines: AsyncIterable<Line>): Promise<Outcome | undefined> {
    const { concurrency = LINES_PER_CORE * os.availableParallelism(), continueOnError } = this.#options
    const limits = { running: concurrency, kept: concurrency * KEPT }
    for await (const outcomes of inOrder(lines, (line) => outcomeOf(this.#pool, line), limits)) {
      let text = ''
      for (const outcome of outcomes) {
        if (this.#interrupted !== undefined) break
        const reason = unusable(outcome)
        const isFatal = reason !== undefined || (outcome.failure !== undefined && !continueOnError)
        if (!isFatal) text += outcome.text
        if (isFatal || text.length > WRITTEN) {
          await this.#output.write(text)
          text = ''
        }
        if (reason !== undefined) throw new CliError(reason)
        this.#count(outcome)
        if (isFatal) return outcome
      }
      if (text !== '') await this.#output.write(text)
      const { results, failed, offset } = this.#done
      this.#progress.show(results, failed, offset)
    }
    return undefined
  }

  #count({ line, failure }: Outcome): void {
    const { results, failed } = this.#done
    this.#done = { results: results + 1, failed: failure === undefined ? failed : failed + 1, offset: line.offset }
  }

  #complain(stoppedAt: Outcome | undefined): void {
    const { results, failed } = this.#done
    if (stoppedAt !== undefined) {
      const { name, message } = failureOf(stoppedAt.failure?.thrown)
      process.stderr.write(`threadmill: line ${stoppedAt.line.number}: ${display(`${name}: ${message}`)}\n`)
    } else if (failed > 0) {
      process.stderr.write(`threadmill: ${formatCount(failed)} of ${formatNoun(results, 'line')} failed\n`)
    }
  }
}

/** The lines that are not blank. */
async function* fullLines(input: LineInput): AsyncGenerator<Line, undefined> {
  for await (const line of linesOf(input.chunks())) if (!isBlank(line)) yield line
}

/** Never rejects. */
async function outcomeOf(pool: WorkerPool, line: Line): Promise<Outcome> {
  try {
    return { line, text: valueLine(line.number, await pool.run(parse(line))) }
  } catch (thrown) {
    return { line, text: errorLine(line.number, failureOf(thrown)), failure: { thrown } }
  }
}

const BYTE_ORDER_MARK = '\ufeff'

function parse({ number, bytes }: Line): unknown {
  if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8')
  const text = bytes.toString()
  try {
    return JSON.parse(number === 1 && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text)
  } catch (error) {
    throw new SyntaxError(`not JSON: ${(error as Error).message}`)
  }
}

/** The message, when the module has no such function or does not load: then no line can be done. */
function unusable({ failure }: Outcome): string | undefined {
  const { code, message } = (failure?.thrown ?? {}) as { readonly code?: unknown; readonly message?: string }
  return code === 'ERR_THREADMILL_ENTRY' ? message : undefined
}
