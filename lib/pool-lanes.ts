// Stage: all. Thread: owner env.
// The lanes of a pool that run JavaScript: that of its workers, and that of the thread that owns it. Each is made with its first
// use, and told what it needs of the pool.

import type { IWorker } from '..'
import type { PoolCore } from './core'
import type { EntryFunction, EntryPlace } from './entry-module'
import type { ThreadmillError } from './errors'
import type { JsLane } from './lane'
import type { LaneSettings } from './lane-settings'
import { LazyLane, type LazyLaneHost } from './lazy-lane'
import { highMemory, mainLane } from './lazy-owner'
import type { MainLane } from './main'
import { MAIN_WORKER } from './native'
import type { ShellSettings } from './shell-options'
import type { EntryLane } from './submit'

/** The module of a pool. */
export interface PoolEntry {
  readonly place: EntryPlace
  readonly settings: LaneSettings
  /** The function itself, for the thread that owns the pool. */
  readonly entryPoint: EntryFunction | undefined
  /** Whether this thread is a worker with that entry module. */
  readonly isOwn: boolean
  /** What its tasks reject with instead of an error of the scheduler. */
  readonly explain?: (error: ThreadmillError) => ThreadmillError
}

/** See the head of this file. */
export class PoolLanes {
  readonly #pool: PoolCore
  readonly #shell: ShellSettings
  readonly #entry: PoolEntry | undefined
  /** That of the workers; none without an entry module. */
  js: LazyLane | undefined
  /** That of this thread, if there has been a task for it. */
  knownMain: MainLane | undefined

  constructor(pool: PoolCore, shell: ShellSettings, entry: PoolEntry | undefined) {
    this.#pool = pool
    this.#shell = shell
    this.#entry = entry
  }

  /** Lets there be workers, so many at most. @throws what the addon throws */
  open({ place, settings }: PoolEntry): void {
    const pool = this.#pool
    const host: LazyLaneHost = {
      lane: this.#laneHost(),
      seat: { settings: pool.settings, threads: pool.threads },
      workerAt: (index, kernel) => (kernel === undefined ? this.workerAt(index) : pool.nativeWorker(index)),
      added: pool.added.bind(pool),
    }
    this.js = new LazyLane(host, place, settings)
  }

  #laneHost(): LazyLaneHost['lane'] {
    const pool = this.#pool
    return {
      ...this.#shared(),
      name: pool.settings.name,
      launched: (worker) => pool.events.workerLaunched(worker),
      online: (worker) => pool.events.workerIsOnline(worker),
      exited: (worker, code, error, reason) => pool.events.workerExited(worker, code, error, reason),
      unheard: (worker, code, error) => pool.events.workerFailed(worker, code, error),
      broken: (error) => pool.events.call('broken', error),
      explain: this.#entry?.explain,
      memory: this.#shell.memory,
      highMemory: (worker, heapUsed) => {
        const { memory } = this.#shell
        if (memory !== undefined) highMemory()(pool, memory, heapUsed, worker)
      },
      startMain: () => this.main.admit(),
      isEnding: () => pool.ending >= 0,
      isDestroyed: () => pool.ending === 2,
    }
  }

  /** What both of them are told. */
  #shared(): Pick<LazyLaneHost['lane'], 'handle' | 'settled' | 'message' | 'retried'> {
    const pool = this.#pool
    return {
      handle: pool.handle,
      settled: pool.settled.bind(pool),
      message: (type, contents, origin) => pool.listeners.call(type, contents, origin),
      retried: pool.retried.bind(pool),
    }
  }

  /** The lane that a task with these settings is for. @throws ThreadmillError when the entry module cannot be used */
  of(isForMain: boolean): EntryLane {
    if (isForMain) return this.main
    const js = this.js as LazyLane
    const lane = js.known ?? js.launching()
    lane.check()
    return lane
  }

  /** The executor on this thread, made with the first task for it. */
  get main(): MainLane {
    if (this.knownMain === undefined) {
      const { settings } = this.#pool
      this.knownMain = new (mainLane())({
        ...this.#shared(),
        concurrency: settings.workerConcurrency,
        cancelGrace: this.#entry?.settings.cancelGrace ?? 0,
        disposeTimeout: this.#shell.disposeTimeout,
        place: this.#entry?.place,
        entryPoint: this.#entry?.entryPoint,
        lane: () => this.known,
        pool: this.#pool,
      })
    }
    return this.knownMain
  }

  /** That of the workers, if it has been used. */
  get known(): JsLane | undefined {
    return this.js?.used
  }

  /** The worker with this number, which may be this thread. */
  workerAt(index: number): IWorker | undefined {
    return index === MAIN_WORKER ? this.knownMain?.worker : this.known?.worker(index)
  }
}
