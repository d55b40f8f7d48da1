// Stage: run and settle. Thread: owner env.
// How the JS workers of a pool have crashed: what their tasks are told of it, and when launching others is of no use.

import { ThreadmillError } from './errors'

/** How a worker ended without being asked to. */
export interface Crash {
  /** Its number. */
  readonly worker: number
  readonly exitCode: number
  /** With what was thrown, if anything was. */
  readonly options: ErrorOptions
}

/** See the head of this file. */
export class Crashes {
  /** The last of each number. */
  readonly #byWorker: (Crash | undefined)[] = []
  readonly #counts: number[] = []
  readonly #withTasks: number[] = []
  readonly #limit: number
  #last: Crash | undefined
  #inARow = 0

  /** @param limit so many in a row are too many */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** How often the worker with that number has crashed. */
  of(index: number): number {
    return this.#counts[index] ?? 0
  }

  /** How often it has without failing a task, whose failure tells of it. */
  alone(index: number): number {
    return this.of(index) - (this.#withTasks[index] ?? 0)
  }

  /** Tasks have failed with the last crash of that worker. */
  hasFailed(index: number): void {
    this.#withTasks[index] = (this.#withTasks[index] ?? 0) + 1
  }

  /** How often workers have crashed. */
  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0)
  }

  /** A worker has ended without being asked to; not every end is one of those that are counted. */
  add(crash: Crash, isCounted: boolean): void {
    const { worker } = crash
    this.#last = crash
    this.#byWorker[worker] = crash
    if (isCounted) this.#counts[worker] = this.of(worker) + 1
  }

  /** A worker was ended on purpose. */
  forget(index: number): void {
    this.#byWorker[index] = undefined
  }

  /**
   * Another one in the row that is to end.
   * @param isRepeated the task that it ran runs again, and has a limit of its own
   * @param hasSucceeded whether a task has, since the one before
   */
  follow(isRepeated: boolean, hasSucceeded: boolean): void {
    if (hasSucceeded) this.#inARow = 0
    if (!isRepeated) this.#inARow++
  }

  /** Whether there have been too many in a row. */
  get isEndless(): boolean {
    return this.#inARow >= this.#limit
  }

  /** What waited has been rejected: the next ones begin another row. */
  startAnew(): void {
    this.#inARow = 0
  }

  /** Adds to an error of the scheduler how the worker ended; `index` is below 0 when it is not one alone. */
  explain(error: ThreadmillError, index: number): ThreadmillError {
    if (error.code !== 'ERR_THREADMILL_WORKER_CRASHED') return error
    const crash = index < 0 ? this.#last : this.#byWorker[index]
    // One that was ended on purpose.
    if (crash === undefined) return index < 0 ? error : Object.assign(error, { worker: index })
    const { exitCode, options, worker } = crash
    return Object.assign(new ThreadmillError(error.code, error.message, options), { exitCode, worker })
  }
}
