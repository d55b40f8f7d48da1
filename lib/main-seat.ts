// Stage: submit. Thread: owner env.
// The pool as tasks on the thread that owns it submit to it: as SeatPool (seat.ts) is for tasks of workers.
//
// J16. What tasks submit is theirs: a pool that closes admits it as long as a task is unfinished, and room is not asked for,
//      because they would wait for themselves.

import type { Kernels } from '..'
import type { PoolCore } from './core'
import { kernelMethods } from './kernel-methods'
import type { Kernel } from './kernels'
import { type EntrySettings, type PoolSettings, poolClosed } from './options'
import type { Observer, Ticket } from './owner'
import type { EntryHost, EntryLane } from './submit'
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
    return this.#pool.addTask(input, options, this, false)
  }

  /** Checks and submits a task for a kernel; throws before anything is queued or moved. */
  submit(kernel: Kernel, input: unknown, options: object | undefined): Promise<unknown> {
    return this.#pool.submit(kernel, input, options, undefined, this)
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
