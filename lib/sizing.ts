// Stage: all. Thread: owner env.
// How many workers a pool may have: what users ask for or, where nobody does, what the system grants.

import type { IWorker } from '..'
import { outOfRange } from './errors'
import type { JsLane } from './lane'
import { native } from './native-owner'
import { checkBounds, optionsObject, own, ownOr } from './options'
import { flush } from './port'
import { followQuota } from './quota'
import { NativeWorker } from './task'

/** The pool, as seen from here. */
export interface SizedHost {
  readonly handle: number
  readonly lane: JsLane | undefined
  /** Native workers. */
  threads: number
  /** How far its end has been asked for; below 0: not at all. */
  readonly ending: number
  /** @throws ThreadmillError when the pool admits nothing more */
  checkOpen(): void
  /** There are that many JS workers at most from now on. */
  bounded(most: number): void
}

/** See the head of this file. */
export class Sizing {
  readonly #host: SizedHost
  readonly #mostThreads: number
  /** Most JS workers. */
  jsWorkers: number
  nativeWorkers: readonly IWorker[] = []
  #unfollow: (() => void) | undefined

  /** `mostThreads`: most native workers that there may be. */
  constructor(host: SizedHost, mostThreads: number, jsWorkers: number) {
    this.#host = host
    this.#mostThreads = mostThreads
    this.jsWorkers = jsWorkers
    this.#listThreads()
  }

  /** Follows what the system grants from now on; `now`: what it does. */
  follow(now: number): void {
    this.#unfollow = followQuota((granted) => this.#granted(granted), now)
  }

  unfollow(): void {
    this.#unfollow?.()
  }

  /** Sets the bounds of the number of workers. @throws TypeError, RangeError */
  resize(given: unknown): void {
    const { lane, threads } = this.#host
    const bounds = optionsObject(given, 'bounds')
    const { min, max } = lane?.size.bounds ?? { min: 0, max: threads }
    const [least, most] = checkBounds(
      ['bounds.min', 'bounds.max'],
      ownOr(bounds, 'min', min),
      // Told as what was given, which is that alone.
      own(bounds, 'min') === undefined ? atLeast(min, ownOr(bounds, 'max', max)) : ownOr(bounds, 'max', max),
    )
    if (lane === undefined && most > this.#mostThreads) {
      throw outOfRange('bounds.max', `at most ${this.#mostThreads}, the CPUs or the option threads`, most)
    }
    this.#host.checkOpen()
    // From now on somebody has chosen.
    this.unfollow()
    this.#set(least, most)
  }

  #set(min: number, max: number): void {
    const { handle, lane } = this.#host
    flush()
    if (lane !== undefined) {
      this.jsWorkers = max
      this.#host.bounded(max)
      lane.size.resize(min, max)
      return
    }
    native.resizeThreads(handle, max)
    this.#host.threads = max
    this.#listThreads()
  }

  #listThreads(): void {
    const known = this.nativeWorkers
    const { threads } = this.#host
    this.nativeWorkers = Array.from({ length: threads }, (_, at) => known[at] ?? Object.freeze(new NativeWorker(at)))
  }

  #granted(granted: number): void {
    const { ending, lane } = this.#host
    if (ending >= 0) return
    if (lane === undefined) this.#set(0, Math.min(granted, this.#mostThreads))
    else this.#set(Math.min(lane.size.bounds.min, granted), granted)
  }
}

/** The most workers that `resize` is given without the least. @throws RangeError for fewer than these */
function atLeast(min: number, most: unknown): unknown {
  if (typeof most === 'number' && most >= 1 && most < min) {
    throw outOfRange('bounds.max', `at least the fewest workers, ${min}, where bounds.min is not given`, most)
  }
  return most
}
