// Stage: all. Thread: owner env.
// What the binding has for threads that own pools, or submit to them.

import { native as base, type Native } from './native'

/** Words, rings, names, seats, time and id of the pool; see src/trace.rs. */
export type RawRecording = readonly [
  words: Uint32Array,
  rings: readonly number[],
  names: readonly string[],
  seats: readonly number[],
  now: number,
  pool: number,
]

/** What the addon adds for them. */
export interface NativeForOwners extends Native {
  /** Hands `count` records to the scheduler. */
  flush(header: Float64Array, count: number, values: unknown[], arena: Uint8Array, held: unknown[]): void
  /** Whether a worker of the pool has nothing to do, and would start at once or is about to come by. */
  hasFree(pool: number, kernel: number): boolean
  /** Fills `header` and `values` with events; returns how many. */
  drain(header: Float64Array, values: unknown[], held: unknown[], words: Float64Array): number
  /**
   * Waits a moment for an outcome that is to be drained, longer for one of a worker that sleeps; whether there is one. `null` when it has not waited, as
   * others need the CPU; `undefined` in a JS worker.
   */
  lookOut(isLong: boolean): boolean | null | undefined
  /** The names of all kernels, in the order of their numbers. */
  kernels(): readonly string[]
  /** JSON of the description of a kernel. */
  kernel(number: number): string
  /** A handle, how many native workers there may be now, and how many at most. */
  createPool(options: object): [handle: number, threads: number, mostThreads: number]
  /** 0 finishes everything, 1 rejects what waits, 2 rejects everything. */
  closePool(pool: number, mode: 0 | 1 | 2, first: boolean): void
  /** Forgets a closed pool. */
  releasePool(pool: number): void
  /** Begins to record, so many records for each thread, a power of two. */
  traceStart(pool: number, capacity: number): void
  /** The time on the clock of the records, ns. */
  traceNow(): number
  /** Ends it and forgets what was recorded. */
  traceStop(pool: number): void
  traceRead(pool: number): RawRecording
  /** Adds a part to the file of the process, which all threads share; whether there was room. */
  keepTrace(text: string): boolean
  /** A part that was kept; `undefined` after the last. */
  keptTrace(index: number): string | undefined
  /** Whether this call ended the task in the slot. */
  cancel(pool: number, slot: number): boolean
  /** The native worker that runs the task in the slot, or -1. */
  inspect(pool: number, slot: number): number
  /** The id under which workers attach to the pool. */
  shareWorkers(pool: number, most: number): number
  /** There are at most that many JS workers from now on. */
  setWorkerLimit(pool: number, most: number): void
  /** A JS worker is being launched. */
  joinWorker(pool: number, index: number): boolean
  /** Each JS worker that is there gets one of the next tasks. */
  serveEach(pool: number): void
  /**
   * A JS worker has gone: 0 it crashed, 1 the pool is closed, 3 it was ended for a task that was given up. Returns how many
   * tasks of the lane wait, and how many of its own run again.
   */
  leaveWorker(
    pool: number,
    index: number,
    parting: 0 | 1 | 3 | 4,
    reason: string,
  ): [waiting: number, repeated: number, failed: number]
  /** Lets a JS worker take no more tasks: 0 any, 1 only one that runs nothing, 2 only one that has begun a task. Whether it does. */
  retireWorker(pool: number, index: number, which: 0 | 1 | 2): boolean
  /** Index, and time without a task in ms, of each JS worker that runs nothing, one after the other. */
  idleWorkers(pool: number): number[]
  /** How many JS workers run something. */
  busyWorkers(pool: number): number
  /** Numbers that no JS worker has, and which tasks wait for. */
  missingWorkers(pool: number): number[]
  /** Whether a JS worker still runs that task. */
  runsTask(pool: number, index: number, idIndex: number, idGeneration: number): boolean
  /** Whether the thread of a JS worker may be ended now for the sake of a task that was given up; asks it to come by if not. */
  mayEvict(pool: number, index: number): boolean
  /** Rejects what waits in the JS lane; codes as above, or 2 the entry module cannot be used. */
  rejectWaiting(pool: number, code: 0 | 1 | 2 | 4, reason: string): void
  /** Whether there is such a JS worker. */
  postToWorker(pool: number, index: number, type: string, codec: number, contents: unknown, isKept: boolean): boolean
  /** Nobody will report these tasks of a worker any more. */
  forgetTasks(count: number): void
  /** Keeps a text of one byte for each character for ever; gives its number. */
  holdText(text: Uint8Array): number
  /** Whether `functionCode` can be asked here. */
  keepsFunctionCode(): boolean
  /** The code that the engine has made of a function by `compileFunction`; of another function, the process ends. */
  functionCode(compiled: object): ArrayBuffer
  /** A JS worker that would begin a task at once, or -1. */
  idleWorker(pool: number): number
  /** How many tasks of the JS lane wait or run, without those that were given up. */
  unfinishedTasks(pool: number): number
  /** How many JS workers run nothing but tasks that were given up. */
  stuckWorkers(pool: number): number
  /** This thread, which owns the pool, runs tasks of it from now on. */
  joinMain(pool: number): boolean
  /** As `exchange`, for the thread that owns the pool. */
  exchangeMain(
    pool: number,
    answers: Float64Array,
    count: number,
    answerValues: unknown[],
    tasks: Float64Array,
    taskValues: unknown[],
  ): number
  /** As `isWanted`, for the thread that owns the pool. */
  mainIsWanted(pool: number, idIndex: number, idGeneration: number): boolean
  /** As `setBlocked`, for the thread that owns the pool. */
  blockMain(pool: number, idIndex: number, idGeneration: number, blocked: boolean): void
  /** Sets the number of native workers, at most `mostThreads` of the figures. */
  resizeThreads(pool: number, threads: number): void
  /** JSON of how many threads the system grants this process now, and why. */
  parallelism(): string
  /** JSON of the CPUs that the cgroups grant this process now, or of null. */
  cpuQuota(): string
  /** JSON of the machine's physical cores, logical CPUs and memory. */
  machine(): string
  /** Busy share in percent of every logical CPU since the call before, or since it began `anew`; empty if not known. */
  cpuShares(anew: boolean): number[]
  /** JSON of the times of the pool's tasks by key. */
  keyFigures(pool: number): string
  /** JSON of what tasks take by key, `[[key, ms, runs], ...]`, least recently used first. */
  learnedCosts(pool: number): string
  /** What tasks of that key take, ms; -1 when that is not known. */
  learnedCost(pool: number, key: string): number
  /** Takes over what was learned elsewhere: ms and runs of each key. */
  learnCosts(pool: number, keys: readonly string[], figures: Float64Array): void
  /** JSON of the pool's figures. */
  figures(pool: number): string
  /** Runs a kernel on this thread. For benchmarks and tests. */
  runSync(kernel: string, input: unknown, options?: unknown): unknown
  /** Address of a typed array's memory. For tests. */
  addressOf(view: ArrayBufferView): number
}

base.addForOwners(base)
export const native = base as NativeForOwners
