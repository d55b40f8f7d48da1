// Stage: submit and settle. Thread: owner env.
// What a task belongs to and who hears of it, for the two ends in port.ts and drain.ts.

import type { ThreadmillError } from './errors'

/** What a pool tells and is told about its tasks. */
export interface Owner {
  readonly handle: number
  /** Tasks that are not settled. */
  readonly pending?: number
  /** Smoothed run time of the entry function, ms. */
  runTime?: number | undefined
  /** `value`: the output or the reason; `observer`: the handle of the task, if it has one; `isAdmitted`: not if it is false. */
  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isAdmitted?: boolean): void
  message(type: string, contents: unknown, worker: number): void
  closed(): void
  /** Tasks that a JS worker submitted: how many came, succeeded and failed; and more of them when somebody listens. */
  discovered?(worker: number, counts: readonly number[], codec: number, details: unknown): void
  /** A message of a JS worker, and who watches the task that it is about. */
  mail?(type: string, codec: number, data: unknown, worker: number, observer: Observer | undefined): void
  /** A JS worker wants the input with this key. */
  wanted?(worker: number, key: number): void
  /** What a worker gave or threw is kept under `key`, where `codec` says. */
  collect?(codec: number, key: number, worker: number, end: End): void
  /** A task was given up that a JS worker still runs, which has `grace` ms to end it; NaN for the pool's. */
  gaveUp?(worker: number, idIndex: number, idGeneration: number, grace: number): void
  /** A JS worker that takes no more tasks has ended its last one. */
  retired?(worker: number): void
  /** Tasks that had been set aside wait for a JS worker. */
  resumed?(): void
  /** A run of the task has failed for that reason, and it runs again, for the `count`th time. */
  retried?(observer: Observer | undefined, count: number, reason: unknown): void
  /** Adds to an error of the scheduler what is known on this side. */
  explain?(error: ThreadmillError, worker: number): ThreadmillError
}

/** Is told how a task ended: its output or its reason. */
export type End = (succeeded: boolean, value: unknown) => void

/** What a Task handle is told. Times in ms. */
export interface Observer {
  ended(worker: number, runTime: number, overhead: number): void
  progress(done: number, total: number): void
  message(type: string, contents: unknown): void
  /** A run of the task on that worker has failed, and it is run again. `runTime`: of that run, ms. */
  retried(count: number, worker: number, runTime: number): void
}

/** What to record of a submission besides its input. */
export interface Ticket {
  readonly owner: Owner
  readonly kernel: number
  readonly priority: number
  readonly affinity: number
  readonly timeout: number
  /** `[affinityKey, costKey, kernelOptions, estimate, workerCosts, policy]`, or the number of an export, if there are any. */
  readonly extra: readonly unknown[] | number | undefined
}
