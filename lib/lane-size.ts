// Stage: run. Thread: owner env.
// How many JS workers a lane has: says when one is missing, and lets those end that are too many, after what they run.

import type { LaneSettings } from './lane-settings'
import type { LaneThread } from './lane-thread'
import { native } from './native-owner'
import { IdleSweep, idleWorkers } from './retire'

/** The lane, as seen from here. */
export interface SizeHost {
  readonly handle: number
  readonly threads: readonly (LaneThread | undefined)[]
  /** Whether the pool ends. */
  readonly isClosing: boolean
  /** Whether no worker is launched any more: the pool ends, or the module cannot be used. */
  readonly isOver: boolean
  /** Launches a worker, which calls `joined`, unless that is of no use now. */
  launch(index: number): void
  /** Workers that run nothing but tasks that were given up. */
  countStuck(): number
}

/** See the head of this file. */
export class LaneSize {
  readonly handle: number
  readonly #host: SizeHost
  readonly #settings: LaneSettings
  readonly #sweep: IdleSweep
  #min: number
  #max: number
  #launched = 0
  /** Of these, those that take no more tasks. */
  #leaving = 0
  /** Whether there are more than there may be, because tasks are forced to them. */
  #isBeyond = false

  constructor(host: SizeHost, settings: LaneSettings) {
    this.handle = host.handle
    this.#host = host
    this.#settings = settings
    ;[this.#min, this.#max] = [settings.minWorkers, settings.maxWorkers]
    this.#sweep = new IdleSweep(this, settings.idleTimeout)
  }

  /** Workers whose threads have not ended. */
  get launched(): number {
    return this.#launched
  }

  /** Of these, those that take tasks. */
  get serving(): number {
    return this.#launched - this.#leaving
  }

  /** Workers more than the least that are kept. */
  get surplus(): number {
    return this.serving - this.#min
  }

  /** The bounds of the number of workers. */
  get bounds(): { readonly min: number; readonly max: number } {
    return { min: this.#min, max: this.#max }
  }

  /** Busy workers / workers; 0 when there are none. */
  get #load(): number {
    return this.serving === 0 ? 0 : Math.min(1, native.busyWorkers(this.handle) / this.serving)
  }

  /** Whether idle workers may end. */
  get mayShrink(): boolean {
    const { autoScale } = this.#settings
    return autoScale === undefined || this.#load < autoScale.shrink
  }

  /** Whether there is a worker with that number which takes tasks. */
  has(index: number): boolean {
    return this.#host.threads[index]?.leaving === false
  }

  /** A worker has been launched. */
  joined(): void {
    this.#launched++
    this.#sweep.watch()
  }

  /** A worker takes no more tasks. */
  markLeaving(thread: LaneThread): void {
    if (thread.leaving) return
    thread.leaving = true
    this.#leaving++
  }

  /** The thread of a worker has ended. */
  left(thread: LaneThread): void {
    this.#launched--
    if (thread.leaving) this.#leaving--
  }

  /** Sets the bounds, launches what is missing, and lets those end that are too many. */
  resize(min: number, max: number): void {
    ;[this.#min, this.#max] = [min, max]
    native.setWorkerLimit(this.handle, max)
    if (this.#host.isOver) return
    // Those that still load first, for one that is ready takes what the others leave; then those that run nothing, then the
    // highest numbers.
    const { threads } = this.#host
    const idle = idleWorkers(this.handle).map(({ index }) => index)
    this.#isBeyond = false
    const numbers = [...threads.keys()].reverse()
    const loading = numbers.filter((index) => threads[index]?.ready === false)
    for (const index of new Set([...loading, ...idle, ...numbers])) {
      if (this.serving <= max) break
      this.recycle(index, 0)
    }
    this.fill()
    this.launchFor(native.unfinishedTasks(this.handle))
    this.#sweep.watch()
  }

  /** Launches workers until `workers`, or the most there may be, exist. */
  resizeUpTo(workers: number): void {
    const most = Math.min(workers, this.#max)
    while (this.serving < most && this.#launched < this.#max && !this.#host.isOver) {
      if (!this.#launchNext()) return
    }
  }

  /** Launches the least that there are to be. */
  fill(): void {
    this.resizeUpTo(this.#min)
  }

  /** Launches the worker with that number and those before it, as long as there are not too many; beyond that the one alone. */
  launchWanted(wanted: number, isForced: boolean): void {
    for (let index = 0; index <= wanted; index++) {
      const isAllowed = this.#launched < this.#max || (isForced && index === wanted)
      if (isAllowed && this.#host.threads[index] === undefined) this.#host.launch(index)
    }
    this.#isBeyond ||= this.serving > this.#max
  }

  /** Launches what so many tasks take. */
  launchFor(unfinished: number): void {
    const { taskPerWorker, autoScale } = this.#settings
    const able = (): number => this.serving - this.#host.countStuck()
    while (this.#launched < this.#max && unfinished > able() * taskPerWorker) {
      if (!this.#launchNext()) return
    }
    if (autoScale !== undefined && this.#launched < this.#max && this.#load > autoScale.grow) this.#launchNext()
  }

  /** Launches those that tasks are forced to, with those before them, and as many as the tasks take that wait or run. */
  launchMissing(): void {
    for (const index of native.missingWorkers(this.handle)) this.launchWanted(index, true)
    this.launchFor(native.unfinishedTasks(this.handle))
  }

  /** Launches one with the lowest number that is free; whether it has: a pool that is finished takes no workers. */
  #launchNext(): boolean {
    const { threads } = this.#host
    const before = this.#launched
    // One that was never there is a hole, which `indexOf` does not see.
    let free = 0
    while (threads[free] !== undefined) free++
    this.#host.launch(free)
    return this.#launched > before
  }

  /** A task has ended: those end that were launched for tasks that were forced to them, although there were as many as there may be. */
  shrink(): void {
    if (!this.#isBeyond) return
    for (const { index } of idleWorkers(this.handle).reverse()) {
      if (this.serving <= this.#max) break
      this.recycle(index, 1)
    }
    this.#isBeyond = this.serving > this.#max
  }

  /** Ends a worker after the tasks that it runs, by default one that has begun some; a new one takes its number when that is needed. */
  recycle(index: number, which: 0 | 1 | 2 = 2): void {
    const thread = this.#host.threads[index]
    if (thread === undefined || thread.leaving || this.#host.isClosing) return
    if (!native.retireWorker(this.handle, index, which)) return
    thread.hasHeir = which === 2
    this.markLeaving(thread)
  }

  /** The same for all of them. */
  recycleAll(): void {
    for (const index of this.#host.threads.keys()) this.recycle(index)
  }

  /** The pool ends. */
  stop(): void {
    this.#sweep.stop()
  }
}
