// Stage: submit. Thread: owner env.
// The pool as tasks on the thread that owns it submit to it: as SeatPool (seat.ts) is for tasks of workers.
//
// J16. What tasks submit is theirs: a pool that closes admits it as long as a task is unfinished, and room is not asked for,
//      because they would wait for themselves.

import type { Kernels } from '..'
import type { PoolCore } from './core'
import { executor, last } from './deferred'
import { kernelMethods } from './kernel-methods'
import { type Kernel, kernelOf } from './kernels'
import { type EntrySettings, type PoolSettings, poolClosed } from './options'
import type { Observer, Ticket } from './owner'
import { BuiltinPromise } from './promise'
import { type EntryHost, type EntryLane, type GivenOptions, startEntry, startKernel, UNCROSSED } from './submit'
import type { TaskHandle } from './task'
import type { TaskTracer } from './trace'

/** See the head of this file. */
export class MainSeat implements EntryHost {
  readonly handle: number
  readonly settings: PoolSettings
  /** Not those of the pool: kernels' tickets name their owner. */
  readonly tickets: Ticket[] = []
  readonly #pool: PoolCore
  #kernels: Kernels | undefined

  constructor(pool: PoolCore) {
    this.handle = pool.handle
    this.settings = pool.settings
    this.#pool = pool
  }

  get threads(): number {
    return this.#pool.threads
  }

  get tracer(): TaskTracer | undefined {
    return this.#pool.tracer
  }

  get plain(): EntrySettings {
    return this.#pool.plain
  }

  get kernels(): Kernels {
    this.#kernels ??= kernelMethods(() => this)
    return this.#kernels
  }

  /** As `pool.addTask`. */
  addTask(input: unknown, options: object | undefined): TaskHandle<never, never> {
    const pool = this.#pool
    const kernel = pool.isForEntry(options) ? undefined : kernelOf(options)
    const task =
      kernel === undefined ? pool.entryTask(input, options) : pool.task(kernel, input, options as GivenOptions)
    try {
      if (kernel === undefined) this.#startEntry(input, options, task)
      else this.submit(kernel, input, options, task)
    } catch (error) {
      pool.refuse(task, error, false)
    }
    // As in the pool, the contract's overloads say what the output is.
    return task as TaskHandle<never, never>
  }

  #startEntry(input: unknown, options: object | undefined, task: TaskHandle<unknown>): void {
    const promise = new BuiltinPromise(executor)
    const settlement = { resolve: last.resolve, reject: last.reject, task, promise }
    const slot = startEntry(this, input, options, settlement)
    if (slot >= 0) this.#pool.added(task)
    else if (slot === UNCROSSED) this.#pool.toldRejected(task)
  }

  /** Checks and submits a task for a kernel; throws before anything is queued or moved. */
  submit(kernel: Kernel, input: unknown, options: object | undefined, given?: TaskHandle<unknown>): Promise<unknown> {
    const pool = this.#pool
    const promise = new BuiltinPromise(executor)
    const { resolve, reject } = last
    const task = given ?? (pool.isWatched() ? pool.task(kernel, input, (options ?? {}) as GivenOptions) : undefined)
    startKernel(this, kernel, input, options, { resolve, reject, task, promise })
    pool.added(task)
    return promise
  }

  submitPlain(kernel: Kernel, input: number): Promise<unknown> {
    return this.submit(kernel, input, undefined)
  }

  checkOpen(): void {
    const { ending, pending } = this.#pool
    if (ending > 0 || (ending === 0 && pending === 0)) throw poolClosed(this.settings.name)
  }

  checkRoom(): void {}

  costOf(key: string): number {
    return this.#pool.costOf(key)
  }

  began(): void {
    this.#pool.began()
  }

  checkEntry(options: object): EntrySettings {
    return this.#pool.checkEntry(options)
  }

  laneOf(settings: EntrySettings): EntryLane {
    return this.#pool.laneOf(settings)
  }

  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isAdmitted?: boolean): void {
    this.#pool.settled(succeeded, value, observer, isAdmitted)
  }

  retried(observer: Observer | undefined, count: number, reason: unknown): void {
    this.#pool.retried(observer, count, reason)
  }

  message(type: string, contents: unknown, worker: number): void {
    this.#pool.message(type, contents, worker)
  }

  closed(): void {}
}
