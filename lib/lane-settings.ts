// Stage: run. Thread: owner env.
// What a JS lane is told when it is made, and what it needs of its pool. Types only.

import type { Worker } from 'node:worker_threads'
import type { IWorker, WorkerExitReason } from '..'
import type { ThreadmillError } from './errors'
import type { Observer } from './owner'
import type { Details, EndedTask } from './registry'

/** What a pool with a module is told about its JS workers. */
export interface LaneSettings {
  readonly minWorkers: number
  readonly maxWorkers: number
  /** Whether nobody chose that. */
  readonly followsQuota: boolean
  /** ms without a task after which a worker beyond `minWorkers` ends; `Infinity` for never. */
  readonly idleTimeout: number
  /** Loads above which the lane grows, and below which it shrinks. */
  readonly autoScale: { readonly grow: number; readonly shrink: number } | undefined
  /** ms that a worker has to end a task that was given up; `Infinity` for no end. */
  readonly cancelGrace: number
  /** Crashes in a row, without a task that succeeded, after which what waits is rejected; `Infinity` for never. */
  readonly crashLimit: number
  /** Heap of a worker from which on it is replaced, bytes; and how often what it had after its first task. `Infinity` for never. */
  readonly heapBytes: number
  readonly heapGrowth: number
  /** Whether workers give memory back while they have nothing to do. */
  readonly trimWhenIdle: boolean
  readonly taskPerWorker: number
  readonly workerConcurrency: number
  /** ms that a worker has for `onWorkerExit`. */
  readonly disposeTimeout: number
  /** Options for `new Worker`. */
  readonly workerOptions: Readonly<Record<string, unknown>>
  readonly workerData: unknown
  /** Whether what workers write can be read from them, instead of going where this thread writes. */
  readonly stdout: boolean
  readonly stderr: boolean
  readonly inherentCost: Estimator | undefined
  readonly workerCost: Estimator | undefined
  /** What starts the threads; by default the lane's own script in Node's class. */
  readonly launcher?: Launcher | undefined
}

/** A script that ends with the bootstrap of workers, and the class of the threads that run it. */
export interface Launcher {
  readonly script: string | URL
  readonly Worker: typeof Worker
}

/** What says what a task costs. */
export type Estimator = (...args: unknown[]) => unknown

/** What the lane needs of its pool. */
export interface LaneHost {
  readonly handle: number
  readonly name: string
  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isCounted?: boolean): void
  launched(worker: IWorker): void
  /** A worker has loaded the module, and takes tasks. */
  online(worker: IWorker): void
  exited(worker: IWorker, exitCode: number, error: unknown, reason: WorkerExitReason): void
  /** A worker has ended with an error, and no task has told of that. */
  unheard(worker: IWorker, exitCode: number, error: unknown): void
  /** What waits has been rejected, because workers do nothing but fail. */
  broken(error: unknown): void
  message(type: string, contents: unknown, origin: IWorker): void
  retried(observer: Observer | undefined, count: number, reason: unknown): void
  /** Heap of a worker that is to be told, and how often at most. */
  readonly memory: { readonly limit: number; readonly interval: number } | undefined
  /** A worker's heap exceeds that. */
  highMemory(worker: IWorker, heapUsed: number): void
  /** A worker submits a task to this very thread. */
  startMain(): void
  /** What a task rejects with instead of an error of the scheduler. */
  readonly explain: ((error: ThreadmillError) => ThreadmillError) | undefined
  /** Registers tasks that a worker submitted; gives those that have ended. */
  told(details: Details, worker: number): EndedTask[]
  /** What so many of these wanted to be told has been, see `Shared`. */
  heard(count: number): void
  /** Whether the pool is to end when its tasks have. */
  isEnding(): boolean
  /** Whether nobody is interested in what becomes of tasks any more. */
  isDestroyed(): boolean
  /** A worker has ended: gives its tasks that have not, as failed. */
  forgotten(worker: number): EndedTask[]
}
