// Stage: all. Thread: owner env.
// What belongs to the end of a pool besides its tasks and workers: the time that `close` may take, and the callbacks of
// `onShutdown`.
//
// E1. Callbacks run once, one after the other in the order of registration, after the last task has ended and, unless the
//     pool is destroyed, before its JS workers end.
// E2. No callback is awaited longer than `patience`; when the pool is destroyed, all of them together are not, counted
//     from then.

import { AsyncResource } from 'node:async_hooks'
import process from 'node:process'
import { describe, isInstance } from './errors'
import { native } from './native'
import { BuiltinPromise } from './promise'
import { clearTimeout, setTimeout } from './timers'

/** Not thrown: it would end the process before the rest is done. */
function warn(error: unknown): void {
  const isError = isInstance(error, Error)
  const text = `a callback of onShutdown has failed: ${isError ? error.message : describe(error)}`
  process.emitWarning(text, { type: 'ThreadmillWarning', ...(isError && { detail: String(error.stack) }) })
}

type Callback = () => unknown
type Timer = ReturnType<typeof setTimeout>

/** See the head of this file. */
export class Shutdown {
  readonly #patience: number
  readonly #destroy: () => void
  readonly #callbacks: Callback[] = []
  #deadline = Number.POSITIVE_INFINITY
  #limitTimer: Timer | undefined
  #done: Promise<void> | undefined
  /** Ends the wait for the callback that runs. */
  #goOn: (() => void) | undefined
  /** Whether all of them have had their time. */
  #isLate = false
  #hurryTimer: Timer | undefined

  /** `patience`: ms that a callback has; `destroy` is called when the time is over. */
  constructor(patience: number, destroy: () => void) {
    this.#patience = patience
    this.#destroy = destroy
  }

  /** Destroys the pool when it has not ended `ms` from now; a later end than one asked for before changes nothing. */
  limit(ms: number): void {
    const deadline = native.now() + ms
    if (deadline >= this.#deadline) return
    this.#deadline = deadline
    clearTimeout(this.#limitTimer)
    this.#limitTimer = setTimeout(this.#destroy, ms)
    // What is unfinished keeps the process alive; without that there is nothing to cut off.
    this.#limitTimer.unref()
  }

  add(callback: Callback): void {
    this.#callbacks.push(AsyncResource.bind(callback))
  }

  /** Calls the callbacks; resolves when that is done, or they have taken too long. */
  run(): Promise<void> {
    this.#done ??= this.#runAll()
    return this.#done
  }

  /** The pool is being destroyed. */
  hurry(): void {
    this.#hurryTimer ??= setTimeout(() => {
      this.#isLate = true
      this.#goOn?.()
    }, this.#patience)
  }

  /** The pool has ended. */
  ended(): void {
    clearTimeout(this.#limitTimer)
    clearTimeout(this.#hurryTimer)
  }

  async #runAll(): Promise<void> {
    // Whoever awaits the last task hears of it first.
    await undefined
    // One of them may register others.
    for (let callback = this.#callbacks.shift(); callback !== undefined; callback = this.#callbacks.shift()) {
      const called = this.#call(callback)
      if (!this.#isLate) await called
    }
  }

  #call(callback: Callback): Promise<void> {
    return new BuiltinPromise((resolve) => {
      const timer = setTimeout(resolve, this.#patience)
      this.#goOn = () => {
        clearTimeout(timer)
        resolve()
      }
      const run = async (): Promise<unknown> => callback()
      run().catch(warn).then(this.#goOn)
      if (this.#isLate) this.#goOn()
    })
  }
}
