// Stage: all. Thread: any env.
// The typed view of the binding, of what is there from the start: a worker that only runs tasks needs no more, and each function
// takes time and memory in every thread. The only module that loads it. More is in native-values.ts and native-owner.ts.

import { loadAddon } from './addon'

/** Numbers per submitted record; see src/submit.rs for their meaning. */
export const SUBMIT_STRIDE = 12
/** Numbers per drained record; see src/settle.rs. */
export const DRAIN_STRIDE = 6
/** Numbers per answer and per task of an exchange; see src/js/mod.rs. */
export const ANSWER_STRIDE = 9
export const TASK_STRIDE = 7
/** What the tag of a task has more for each time that it has been run before. */
export const ATTEMPT = 16
/** Stands for the entry function of the pool's module where a kernel's number is asked for. */
export const ENTRY = 255
/** The same, to be called on the thread that owns the pool. */
export const MAIN_ENTRY = 254
/** Number of the thread that owns the pool, where that of a worker is told. */
export const MAIN_WORKER = 2 ** 32 - 2

/** What the addon puts on its exports. */
export interface Native {
  /** Version of the package that the library was built for. */
  version(): string
  /** Puts on `exports` what values are written with and read. */
  addForValues(exports: object): void
  /** Puts on `exports` what it takes to own pools, and to submit to them. */
  addForOwners(exports: object): void
  /** Makes the doorbell of this env. */
  connect(drain: () => void, resource: object): void
  /** Gives it back when nothing of this env can ring it; whether there is none now. */
  disconnect(): boolean
  /** Whether the doorbell keeps the event loop. */
  isHeld(): boolean
  /** Whether a task that this worker runs has not been given up. */
  isWanted(idIndex: number, idGeneration: number): boolean
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
  /** Tells the owner of tasks that this worker submitted: how many came, succeeded and failed, and more of them. */
  reportTasks(added: number, completed: number, errored: number, codec: number, details: unknown): void
  /** Whether a task that this worker runs waits for others. */
  setBlocked(idIndex: number, idGeneration: number, blocked: boolean): void
  /** This worker is busy with something of its own for a moment: tasks go to others that are idle. Whether it has nothing to do. */
  stepBack(): boolean
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
  /** The text with that number; all threads use the same memory. */
  heldText(number: number): string
  /** In a JS worker of Node 20 or 22: whether it may be terminated while it links a required module; see src/termination.rs. */
  surviveTermination(): boolean
  /** Collects the garbage of this thread and gives its pages back; whether the engine offers that. See src/garbage.rs. */
  collectGarbage(): boolean
  /** Has the C library give freed memory of the process back. */
  giveBackMemory(): void
  /** The value that the memory with that key came from, on this thread. Once. */
  openMemory(key: number): unknown
  /** In its place: nobody opens it. */
  dropMemory(key: number): void
  /** This worker has begun a task whose input the owner keeps. */
  wantInput(key: number): void
  /** That input has come. */
  gotInput(idIndex: number, idGeneration: number): void
  /**
   * A monotonic clock, ms: that of the tasks' times. Fake timers of test frameworks do not reach it, and the module of
   * Node's own takes a while to load.
   */
  now(this: void): number
}

export const native = loadAddon() as Native
