// Stage: submit and settle. Thread: owner env.
// The handle of one task: promise-like, with what is known of it.

import type { IWorker, RunOptions, Task } from '..'
import { Listeners } from './callbacks'
import { wrongValue } from './errors'
import type { Observer } from './owner'
import { cancel, runningOn } from './port'
import { BuiltinPromise } from './promise'
import { observe } from './slots'
import { unmarked } from './transfer'

/** A worker as users see it. */
export class NativeWorker implements IWorker {
  readonly id: number
  readonly lane = 'native'
  readonly threadId = undefined
  readonly stdout = null
  readonly stderr = null

  constructor(id: number) {
    this.id = id
  }

  /** Kernels hear no messages. */
  postMessageToWorker(): this {
    return this
  }

  toString(): string {
    return `${this.id}`
  }
}

/** What the pool gives a handle. */
export interface TaskParts {
  readonly id: number
  readonly argument: unknown
  readonly options: Readonly<Partial<RunOptions>>
  /** The name of the kernel; `undefined` for an entry function. */
  readonly kernel: string | undefined
  /** Expected run time, ms. */
  readonly expected: number
  /** The worker with a number, in the lane of the task. */
  readonly worker: (index: number) => IWorker | undefined
}

/** See `Task` in index.d.ts. */
export class TaskHandle<T = unknown, U = unknown> implements Task<T, U>, Observer {
  readonly id: number
  readonly argument: T
  readonly options: Readonly<Partial<RunOptions>>
  readonly timestamp = Date.now()
  readonly kernel: string | undefined
  /** When channels were told of it, as the addon's clock says. */
  watchedSince: number | undefined
  readonly #workerAt: (index: number) => IWorker | undefined
  /** Made with the first one. */
  #listeners: Listeners | undefined
  #promise: Promise<U> | undefined
  /** Settles that one, where somebody has asked for it before the task was given its own. */
  #settleEarly: ((promise: Promise<unknown>) => void) | undefined
  /** -1 once the task has ended. */
  #slot = -1
  /** The one that ran it last, while none runs it. */
  #worker: IWorker | undefined
  /** The one that ran it when somebody asked. */
  #seen: { readonly index: number; readonly worker: IWorker | undefined } | undefined
  #cost: number
  #overhead = 0
  #ranFor = 0
  #ranOn = -1
  #retries = 0

  constructor(parts: TaskParts) {
    this.id = parts.id
    this.argument = unmarked(parts.argument) as T
    this.options = parts.options
    this.kernel = parts.kernel
    this.#cost = parts.expected
    this.#workerAt = parts.worker
  }

  /** The task has been given a slot and a promise. */
  attach(slot: number, promise: Promise<unknown>): void {
    this.#slot = slot
    this.#settleEarly?.(promise)
    this.#settleEarly = undefined
    this.#promise ??= promise as Promise<U>
    if (slot >= 0) observe(slot, this)
  }

  get arg(): T {
    return this.argument
  }

  get worker(): IWorker | undefined {
    if (this.#slot < 0) return this.#worker
    const index = runningOn(this.#slot)
    // It may have been given back since somebody asked.
    if (index === -1) this.#seen = undefined
    if (index < 0) return this.#seen === undefined ? this.#worker : this.#seen.worker
    if (index !== this.#seen?.index) this.#seen = { index, worker: this.#workerAt(index) }
    return this.#seen.worker
  }

  get taskCost(): number {
    return this.#cost
  }

  get pretaskCost(): number {
    return this.#overhead
  }

  /** Milliseconds in which it has run, runs that failed included. */
  get ranFor(): number {
    return this.#ranFor
  }

  get retries(): number {
    return this.#retries
  }

  /** Where the task is among those that are unsettled; -1 once it has ended. */
  get slot(): number {
    return this.#slot
  }

  /** The number of the worker that ran it, -1 for none. */
  get ranOn(): number {
    return this.#ranOn
  }

  /** Says what the task is expected to take, ms. */
  expect(cost: number): void {
    this.#cost = cost
  }

  // biome-ignore lint/suspicious/noThenProperty: a task is promise-like by contract
  then<A = U, B = never>(
    onFulfilled?: ((value: U) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#outcome().then(onFulfilled, onRejected)
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<U | B> {
    return this.#outcome().catch(onRejected)
  }

  finally(onFinally?: (() => void) | null): Promise<U> {
    return this.#outcome().finally(onFinally)
  }

  /** Estimators are given the task before it has a promise. */
  #outcome(): Promise<U> {
    this.#promise ??= new BuiltinPromise<U>((resolve) => {
      this.#settleEarly = resolve as (promise: Promise<unknown>) => void
    })
    return this.#promise
  }

  cancel(reason?: unknown): boolean {
    return this.#slot >= 0 && cancel(this.#slot, reason === undefined ? undefined : { reason })
  }

  on(event: 'progress' | 'message', listener: (...args: never[]) => void): this {
    checkEvent(event)
    this.#listeners ??= new Listeners()
    this.#listeners.add(event, listener)
    return this
  }

  off(event: 'progress' | 'message', listener: (...args: never[]) => void): this {
    const name = checkEvent(event)
    this.#listeners?.remove(name, listener)
    return this
  }

  ended(worker: number, runTime: number, overhead: number): void {
    this.#slot = -1
    if (worker >= 0) {
      this.#ranOn = worker
      this.#worker = this.#seen?.index === worker ? this.#seen.worker : this.#workerAt(worker)
      this.#cost = runTime
      this.#ranFor += runTime
      this.#overhead = overhead
    }
  }

  retried(count: number, worker: number, runTime: number): void {
    this.#retries = count
    this.#seen = undefined
    this.#worker = this.#workerAt(worker)
    this.#cost = runTime
    this.#ranFor += runTime
  }

  progress(done: number, total: number): void {
    const all = Math.min(done, total)
    this.#listeners?.call('progress', { done: all, total, fraction: total > 0 ? all / total : 0 })
  }

  message(type: string, contents: unknown): void {
    this.#listeners?.call('message', type, contents)
  }
}

function checkEvent(event: unknown): string {
  if (event !== 'progress' && event !== 'message') throw wrongValue('event', `'progress' or 'message'`, event)
  return event
}
