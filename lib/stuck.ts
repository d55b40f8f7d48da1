// Stage: run. Thread: owner env.
// JS workers that still run tasks that were given up: those that do not end them in time are ended themselves.

import type { LaneThread } from './lane-thread'
import { native } from './native-owner'
import { setTimeout } from './timers'

/** How often is looked whether a worker may be ended, ms. */
const INTERVAL = 20

/** The lane, as seen from here. */
export interface StuckHost {
  readonly handle: number
  /** ms that a worker has to end such a task; `Infinity` for no end. */
  readonly cancelGrace: number
  readonly threads: readonly (LaneThread | undefined)[]
  /** The thread takes no more tasks. */
  leaving(thread: LaneThread): void
  /** The thread is to be ended. */
  evict(index: number, thread: LaneThread): void
}

/** See the head of this file. */
export class StuckWorkers {
  readonly #host: StuckHost
  /** Whether there may be some. */
  #areLikely = false

  constructor(host: StuckHost) {
    this.#host = host
  }

  /** A task that this worker runs was given up; it has `given` ms to end it, NaN for those of the pool. */
  gaveUp(index: number, idIndex: number, idGeneration: number, given: number): void {
    this.#areLikely = true
    const { handle, cancelGrace, threads } = this.#host
    const thread = threads[index]
    const grace = Number.isNaN(given) ? cancelGrace : given
    const isStuck = (): boolean =>
      thread !== undefined &&
      !thread.evicted &&
      threads[index] === thread &&
      native.runsTask(handle, index, idIndex, idGeneration)
    const evict = (): void => {
      if (thread === undefined || !isStuck()) return
      native.retireWorker(handle, index, 0)
      this.#host.leaving(thread)
      // It may have ended that task and begun another one before it was told to take no more.
      end(thread)
    }
    // A task that has begun anew for such a reason is not to begin again and again.
    const end = (ending: LaneThread): void => {
      if (!isStuck()) return
      if (native.mayEvict(handle, index)) this.#host.evict(index, ending)
      else setTimeout(() => end(ending), INTERVAL).unref()
    }
    if (thread !== undefined && grace === 0) evict()
    else if (thread !== undefined && grace !== Number.POSITIVE_INFINITY) setTimeout(evict, grace).unref()
  }

  /** Workers that run nothing but tasks that were given up. */
  count(): number {
    if (!this.#areLikely) return 0
    const stuck = native.stuckWorkers(this.#host.handle)
    this.#areLikely = stuck > 0
    return stuck
  }
}
