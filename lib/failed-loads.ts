// Stage: run. Thread: owner env.
// Workers of a pool that could not load the entry module, which includes `onWorkerStart`, or have ended before they had: whether
// the module cannot be used at all, what tasks are told of it, and when others may be launched.

import { endedUnloaded, unusableEntry } from './entry-module'
import type { ThreadmillError } from './errors'
import { clearTimeout, setTimeout } from './timers'

/** Shortest and longest time without another launch while other workers can run what waits, ms. */
const LEAST = 250
const MOST = 30_000

/** See the head of this file. */
export class FailedLoads {
  /** Makes the error that tells why the last one failed. */
  #last: (() => ThreadmillError) | undefined
  #hasLoaded = false
  #pause: ReturnType<typeof setTimeout> | undefined
  /** Of the next pause, ms. */
  #length = LEAST
  /** Whether somebody knows of those since a worker last loaded it. */
  isTold = false

  /** Whether no worker has ever loaded the module, and one has failed to: nothing is launched again. */
  get areFinal(): boolean {
    return this.#last !== undefined && !this.#hasLoaded
  }

  /** Whether another launch is of use only where nobody else is there. */
  get isPaused(): boolean {
    return this.#pause !== undefined
  }

  /** A worker has reported that it could not load the module. */
  add(reason: unknown): void {
    this.#last = () => unusableEntry(reason)
  }

  /** A worker has ended before it could report anything. */
  addEnd(exitCode: number, thrown: { readonly cause: unknown } | undefined): void {
    this.#last = () => endedUnloaded(exitCode, thrown)
  }

  /** What a task is told that cannot run because of them; `undefined` when there were none. */
  get error(): ThreadmillError | undefined {
    return this.#last?.()
  }

  /** Calls `goOn` after a pause, each time a longer one. One for all that fail meanwhile. */
  pause(goOn: () => void): void {
    if (this.#pause !== undefined) return
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      goOn()
    }, this.#length)
    this.#pause.unref()
    this.#length = Math.min(MOST, 2 * this.#length)
  }

  /** A worker has loaded the module. Whether that ends a pause. */
  succeeded(): boolean {
    const wasPaused = this.isPaused
    this.stop()
    this.#hasLoaded = true
    this.isTold = false
    this.#length = LEAST
    return wasPaused
  }

  /** Nothing is launched any more. */
  stop(): void {
    clearTimeout(this.#pause)
    this.#pause = undefined
  }
}
