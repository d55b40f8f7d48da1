// Stage: all. Thread: main.
// `threadmill bench`: kernels and tasks of a pool against plain workers and `postMessage`, on this machine.
//
// B1. Contenders take turns, round by round, so that whatever else the machine does hits all of them alike.
// B2. All have as many threads, as many calls in flight, and the same work: SHA-256 of the same input.

import { createHash } from 'node:crypto'
import os from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { WorkerPool } from '../index'
import { CliError, EXIT_FAILED } from './failure'
import { formatCount } from './format'
import { headings, onInterrupt } from './terminal'
import { version } from './version'

/** As commander gives them. */
export interface BenchOptions {
  readonly seconds: number
  readonly threads?: number
  readonly json?: boolean
}

type Input = string | Uint8Array
type Call = (input: Input) => Promise<unknown>

interface Contender {
  readonly name: string
  readonly call: Call
}

interface Measured {
  readonly name: string
  /** Calls per second: of the round in the middle, the slowest and the fastest. */
  readonly median: number
  readonly min: number
  readonly max: number
  /** Median of the ratios to the plain workers, round by round. */
  readonly ratio: number
}

interface Result {
  readonly work: string
  readonly contenders: readonly Measured[]
}

const TASK = path.join(__dirname, 'bench-task.js')
const PLAIN = 'plain workers'
/** Calls in flight for each thread. */
const IN_FLIGHT = 32
/** Most rounds; a round has a turn for each contender and input. */
const ROUNDS = 9
/** Turns that are shorter say little. */
const SHORTEST_TURN = 50

const WORKS = [
  { work: 'SHA-256 of 64 characters', input: 'threadmill bench'.repeat(4) },
  { work: 'SHA-256 of 64 KiB', input: new Uint8Array(65_536).fill(7) },
] as const

/** Runs the command; gives its exit code. */
export async function bench({ seconds, threads = os.availableParallelism(), json }: BenchOptions): Promise<number> {
  const kernels = new WorkerPool({ name: 'bench', threads })
  const tasks = new WorkerPool(TASK, threads)
  const plain = new PlainWorkers(threads)
  const contenders: Contender[] = [
    { name: 'kernels', call: (input) => kernels.kernels.sha256(input) },
    { name: 'tasks', call: (input) => tasks.run(input) as Promise<unknown> },
    { name: PLAIN, call: (input) => plain.run(input) },
  ]
  const stopListening = onInterrupt((code) => process.exit(code))
  try {
    await check(contenders)
    const results = await measure(contenders, seconds * 1000, threads * IN_FLIGHT)
    const facts = machine(threads)
    if (json) process.stdout.write(`${JSON.stringify({ ...facts, inFlight: threads * IN_FLIGHT, results })}\n`)
    else process.stdout.write(toText(facts, results, headings()))
    return 0
  } finally {
    stopListening()
    await Promise.all([kernels.close(), tasks.close(), plain.close()])
  }
}

/** All give what they should; warms them up too. */
async function check(contenders: readonly Contender[]): Promise<void> {
  for (const { input } of WORKS) {
    const expected = createHash('sha256').update(input).digest('hex')
    for (const { name, call } of contenders) {
      if ((await call(input)) !== expected) throw new CliError(`${name} gave a wrong digest`, EXIT_FAILED)
    }
  }
}

async function measure(contenders: readonly Contender[], time: number, inFlight: number): Promise<Result[]> {
  const turns = contenders.length * WORKS.length
  const rounds = Math.max(1, Math.min(ROUNDS, Math.floor(time / turns / SHORTEST_TURN)))
  const turn = time / turns / rounds
  const rates = new Map<string, number[]>()
  const keyOf = (work: string, name: string) => `${work}/${name}`
  for (let round = 0; round < rounds; round++) {
    for (const { work, input } of WORKS) {
      for (const { name, call } of contenders) {
        const key = keyOf(work, name)
        rates.set(key, [...(rates.get(key) ?? []), await rateOf(() => call(input), turn, inFlight)])
      }
    }
  }
  return WORKS.map(({ work }) => {
    const ratesOf = (name: string) => rates.get(keyOf(work, name)) ?? []
    return { work, contenders: contenders.map(({ name }) => measured(name, ratesOf(name), ratesOf(PLAIN))) }
  })
}

/** Calls per second, with always as many in flight. */
async function rateOf(call: () => Promise<unknown>, time: number, inFlight: number): Promise<number> {
  const start = performance.now()
  const end = start + time
  let calls = 0
  const lane = async () => {
    while (performance.now() < end) {
      await call()
      calls++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  return (calls / (performance.now() - start)) * 1000
}

function measured(name: string, rates: readonly number[], plain: readonly number[]): Measured {
  return {
    name,
    median: median(rates),
    min: Math.min(...rates),
    max: Math.max(...rates),
    ratio: median(rates.map((rate, round) => rate / (plain[round] as number))),
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[half] as number)
    : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
}

function machine(threads: number) {
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown CPU',
    cpus: cpus.length,
    threads,
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    v8: process.versions.v8,
    threadmill: version(),
  }
}

function toText(
  facts: ReturnType<typeof machine>,
  results: readonly Result[],
  heading: (text: string) => string,
): string {
  const { cpu, cpus, threads, platform, node, threadmill } = facts
  const lines = [
    `threadmill ${threadmill}, Node ${node}, ${platform}, ${cpus} CPUs (${cpu})`,
    `${threads} threads each, ${threads * IN_FLIGHT} calls in flight, medians of interleaved rounds`,
  ]
  for (const { work, contenders } of results) {
    lines.push('', heading(work))
    for (const { name, median: middle, min, max, ratio } of contenders) {
      const rate = `${formatCount(middle)}/s`.padStart(14)
      const times = name === PLAIN ? '' : `  ${ratio.toFixed(1)} times ${PLAIN}`
      lines.push(`  ${name.padEnd(14)}${rate}  (${formatCount(min)} to ${formatCount(max)})${times}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** What one writes without a pool: workers in turn, and a map of who waits for which answer. */
class PlainWorkers {
  readonly #workers: Worker[]
  readonly #waiting = new Map<number, (output: unknown) => void>()
  #next = 0

  constructor(threads: number) {
    this.#workers = Array.from({ length: threads }, () => {
      const worker = new Worker(TASK, { workerData: 'threadmill bench: plain worker' })
      worker.on('message', ({ id, output }: { readonly id: number; readonly output: unknown }) => {
        const resolve = this.#waiting.get(id)
        this.#waiting.delete(id)
        resolve?.(output)
      })
      return worker
    })
  }

  run(input: Input): Promise<unknown> {
    const id = this.#next++
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#workers[id % this.#workers.length]?.postMessage({ id, input })
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }
}
