// Stage: all. Thread: owner env.
// The typed view of the binding. The only module that loads it.

import { loadAddon } from './addon'

/** Numbers per submitted record; see src/submit.rs for their meaning. */
export const SUBMIT_STRIDE = 12
/** Numbers per drained record; see src/settle.rs. */
export const DRAIN_STRIDE = 6
/** Numbers per answer and per task of an exchange; see src/js/mod.rs. */
export const ANSWER_STRIDE = 9
export const TASK_STRIDE = 7
/** Stands for the entry function of the pool's module where a kernel's number is asked for. */
export const ENTRY = 255
/** The same, to be called on the thread that owns the pool. */
export const MAIN_ENTRY = 254
/** Number of the thread that owns the pool, where that of a worker is told. */
export const MAIN_WORKER = 2 ** 32 - 2

/** Words, rings, names, seats, time and id of the pool; see src/trace.rs. */
export type RawRecording = readonly [
  words: Uint32Array,
  rings: readonly number[],
  names: readonly string[],
  seats: readonly number[],
  now: number,
  pool: number,
]

/** What the addon puts on its exports. */
export interface Native {
  /** Version of the package that the library was built for. */
  version(): string
  /** Makes the doorbell of this env. */
  connect(drain: () => void): void
  /** Hands `count` records to the scheduler. */
  flush(header: Float64Array, count: number, values: unknown[], arena: Uint8Array, held: unknown[]): void
  /** Whether a native worker of the pool would start at once. */
  hasIdle(pool: number, kernel: number): boolean
  /** Fills `header` and `values` with events; returns how many. */
  drain(header: Float64Array, values: unknown[], held: unknown[], words: Float64Array): number
  /** Waits a moment for an outcome that is to be drained; whether there is one. `undefined` in a JS worker. */
  lookOut(): boolean | undefined
  /** Rings the doorbell for what is left. */
  ring(): void
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
  keptTraces(): string[]
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
  /**
   * A JS worker has gone: 0 it crashed, 1 the pool is closed, 3 it was ended for a task that was given up. Returns how many
   * tasks of the lane wait, and how many of its own run again.
   */
  leaveWorker(pool: number, index: number, parting: 0 | 1 | 3, reason: string): [waiting: number, repeated: number]
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
  /** Whether a task that this worker runs has not been given up. */
  isWanted(idIndex: number, idGeneration: number): boolean
  /** Rejects what waits in the JS lane; codes as above, or 2 the entry module cannot be used. */
  rejectWaiting(pool: number, code: 0 | 1 | 2, reason: string): void
  /** Whether there is such a JS worker. */
  postToWorker(pool: number, index: number, type: string, codec: number, contents: unknown): boolean
  /**
   * This env is a JS worker of that pool from now on, if there still is such a pool. Gives the memory of its board, see
   * crates/core/src/pool/js/ahead.rs, where the engine takes memory of others.
   */
  attachWorker(poolId: number, index: number): ArrayBuffer | boolean
  /** A message of this JS worker, about a task that it runs unless `idIndex` is below 0. */
  postToPool(type: string, codec: number, contents: unknown, idIndex: number, idGeneration: number): void
  /** How far a task is that this worker runs. */
  reportProgress(idIndex: number, idGeneration: number, done: number, total: number): void
  /** A handle of this env for the pool that it is a worker of. */
  openSeat(): number
  /** Nobody will report these tasks of a worker any more. */
  forgetTasks(count: number): void
  /** Tells the owner of tasks that this worker submitted: how many came, succeeded and failed, and more of them. */
  reportTasks(added: number, completed: number, errored: number, codec: number, details: unknown): void
  /** Whether a task that this worker runs waits for others. */
  setBlocked(idIndex: number, idGeneration: number, blocked: boolean): void
  /** Hands answers over, and brings what `visit` is for; see src/js/worker.rs. */
  exchange(
    answers: Float64Array,
    count: number,
    answerValues: unknown[],
    tasks: Float64Array,
    taskValues: unknown[],
    visit: 0 | 1 | 2 | 3,
    answerWords: Float64Array,
    taskWords: Float64Array,
  ): number
  /** The number of a well-formed text that all threads share; -1 when there is no room for another one. */
  shareText(text: string): number
  sharedText(number: number): string
  /** Keeps a text of one byte for each character for ever; gives its number. */
  holdText(text: Uint8Array): number
  /** The text with that number; all threads use the same memory. */
  heldText(number: number): string
  /** Whether memory can go from thread to thread as it is; see src/moves.rs. */
  canMove(): boolean
  /** Whether a typed array has no buffer before it is asked for; only where `canMove()` says so. */
  isInHeap(view: ArrayBufferView): boolean
  /** Whether an array has enumerable properties whose names are no indices; only where `canClone()` says so. */
  hasNames(array: readonly unknown[]): boolean
  /** In a JS worker of Node 20 or 22: whether it may be terminated while it links a required module; see src/termination.rs. */
  surviveTermination(): boolean
  /** Takes the memory of a typed array over `buffer`, or of that itself, which is detached then; its key, or -1. */
  takeMemory(value: ArrayBufferView | ArrayBuffer, buffer: ArrayBufferLike): number
  /** Moves the memory of these buffers with the value that they are part of; its key, -1 when that cannot be. */
  takeGroup(value: unknown, buffers: readonly ArrayBuffer[]): number
  /** Whether the engine's serializer is called. */
  canClone(): boolean
  /** Whether shared memory goes from thread to thread with its value; see src/shared.rs. `buffer`: some, to try it with. */
  canShare(buffer: SharedArrayBuffer): boolean
  /** Writes a value with nothing of the platform in it: its length in bytes, or -1. Then `takeSerialized` is to follow. */
  serialize(value: unknown): number
  /**
   * Writes a value that goes by itself: its length in bytes, -1 when the engine alone cannot, -2 when it has an object in it
   * with none of these prototypes. Where it has instances of classes, whose are those from the third one on, `ask` is called
   * with the only one or with all of it, and may throw: -1. Without prototypes nothing in it is of the platform. May run
   * getters. One of the next three is to follow; after -3 the last, for there is shared memory in it.
   */
  serializeAlone(value: unknown, ask?: (value: unknown) => void, ...prototypes: readonly unknown[]): number
  /** Puts it there. */
  putSerialized(room: Uint8Array, offset: number): void
  takeSerialized(): ArrayBuffer
  /** Its key for `openMemory`. */
  keepSerialized(): number
  /** @throws RangeError for what is too deep for this thread */
  deserialize(view: ArrayBufferView, offset: number, length: number): unknown
  /** The value that the memory with that key came from, on this thread. Once. */
  openMemory(key: number): unknown
  /** In its place: nobody opens it. */
  dropMemory(key: number): void
  /** A JS worker that would begin a task at once, or -1. */
  idleWorker(pool: number): number
  /** This worker has begun a task whose input the owner keeps. */
  wantInput(key: number): void
  /** That input has come. */
  gotInput(idIndex: number, idGeneration: number): void
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
  /**
   * A monotonic clock, ms: that of the tasks' times. Fake timers of test frameworks do not reach it, and the module of
   * Node's own takes a while to load.
   */
  now(this: void): number
  /** JSON of how many threads the system grants this process now, and why. */
  parallelism(): string
  /** JSON of the machine's physical cores, logical CPUs and memory. */
  machine(): string
  /** Busy share in percent of every logical CPU since the call before, or since it began `anew`; empty if not known. */
  cpuShares(anew: boolean): number[]
  /** JSON of the times of the pool's tasks by key. */
  keyFigures(pool: number): string
  /** JSON of what tasks take by key, `[[key, ms, runs], ...]`, least recently used first. */
  learnedCosts(pool: number): string
  /** Takes over what was learned elsewhere: ms and runs of each key. */
  learnCosts(pool: number, keys: readonly string[], figures: Float64Array): void
  /** JSON of the pool's figures. */
  figures(pool: number): string
  /** Runs a kernel on this thread. For benchmarks and tests. */
  runSync(kernel: string, input: unknown, options?: unknown): unknown
  /** Address of a typed array's memory. For tests. */
  addressOf(view: ArrayBufferView): number
}

export const native = loadAddon() as Native
