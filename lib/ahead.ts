// Stage: submit. Thread: owner env.
// Inputs that are posted to workers before these ask for them. Whoever waits for work gets one at once; and while the
// entry function is measured to be short, those that work get a few ahead, so that they do not wait for each.
//
// J12. Ahead of what it runs a worker has at most AHEAD inputs, WORK ms of expected work, and only while no worker waits
//     for some and that one has ended such a task within STALE ms. A task is bound to the worker that has its input, and
//     comes in its turn among those that may run anywhere.

import type { Transferable } from 'node:worker_threads'
import { native } from './native'
import { isMemoryOf } from './parcel'
import type { Order } from './protocol'
import type { Pushed } from './submit'

const AHEAD = 8
const WORK = 0.4
const STALE = 2

/** The way to a worker. */
export interface InputWay {
  /** Posts an input; `false` when the worker would not see it any more. @throws DataCloneError */
  postInput(order: Order, list: readonly Transferable[]): boolean
}

/** The lane, as seen from here. */
export interface AheadHost {
  /** A worker that waits for work, when all is handed over that was submitted before; or -1. */
  idleWorker(): number
  /** Smoothed run time of the entry function, ms. */
  readonly runTime: number | undefined
  /** Numbers of workers are below it. */
  readonly mostWorkers: number
  /** The way to a worker that takes tasks. */
  taking(worker: number): InputWay | undefined
  /** Whether a worker has begun to take tasks. */
  isReady(worker: number): boolean
  newKey(): number
}

/** What a worker has got ahead. */
interface Share {
  count: number
  /** When it ended the last one, or got the first. */
  since: number
}

/** See the head of this file. */
export class Ahead {
  readonly #host: AheadHost
  readonly #now: () => number
  /** The worker, by key. */
  readonly #workers = new Map<number, number>()
  readonly #shares: Share[] = []

  constructor(host: AheadHost, now = native.now) {
    this.#host = host
    this.#now = now
  }

  /** Posts an input to the worker that is to run its task; `undefined` when it had better wait. @throws DataCloneError */
  push(value: unknown, list: readonly object[]): Pushed | undefined {
    const worker = this.#choose()
    const way = worker < 0 ? undefined : this.#host.taking(worker)
    if (way === undefined) return undefined
    const key = this.#host.newKey()
    const order: Order = isMemoryOf(value, list)
      ? [key, value]
      : { type: 'input', key, value, list: list as Transferable[] }
    if (!way.postInput(order, list as Transferable[])) return undefined
    this.#workers.set(key, worker)
    const share = this.#shareOf(worker)
    if (share.count++ === 0) share.since = this.#now()
    return { key, worker }
  }

  /** Whether the task with this input is unsettled. */
  has(key: number): boolean {
    return this.#workers.has(key)
  }

  /** How many unsettled tasks have their inputs with that worker. */
  countOf(worker: number): number {
    return this.#shares[worker]?.count ?? 0
  }

  /** That task is settled. Where the input was posted to, if it was. */
  end(key: number): number | undefined {
    const worker = this.#workers.get(key)
    if (worker === undefined) return undefined
    this.#workers.delete(key)
    const share = this.#shareOf(worker)
    share.count--
    share.since = this.#now()
    return worker
  }

  #choose(): number {
    const { mostWorkers, runTime } = this.#host
    let isSomebodyFree = false
    for (let worker = 0; worker < mostWorkers && !isSomebodyFree; worker++) {
      isSomebodyFree = this.countOf(worker) === 0 && this.#host.taking(worker) !== undefined
    }
    if (isSomebodyFree) {
      const idle = this.#host.idleWorker()
      if (idle >= 0) return idle
    }
    const most = runTime === undefined ? 0 : Math.min(AHEAD, Math.floor(WORK / runTime))
    let [best, least] = [-1, most]
    for (let worker = 0; worker < mostWorkers; worker++) {
      const { count, since } = this.#shareOf(worker)
      if (count >= least || this.#host.taking(worker) === undefined || !this.#host.isReady(worker)) continue
      if (count > 0 && this.#now() - since > STALE) continue
      ;[best, least] = [worker, count]
    }
    return best
  }

  #shareOf(worker: number): Share {
    this.#shares[worker] ??= { count: 0, since: 0 }
    return this.#shares[worker]
  }
}
