// Stage: run. Thread: a JS worker, or the owner env for its own tasks.
// How an entry function is called.

import { builtins } from './builtins'
import type { EntryFunction } from './entry-module'
import { outOfRange, ThreadmillError, wrongType } from './errors'
import { native } from './native'
import { isPromise, resolved } from './promise'

const { AbortController: Controller } = builtins

/** The function with its hooks. */
export type EntryWithHooks = EntryFunction & {
  readonly onWorkerStart?: (client: unknown) => unknown
  readonly onWorkerExit?: (client: unknown) => unknown
  readonly preTask?: (input: unknown, client: unknown) => unknown
}

/** Shortest time between two reports of progress, ms. */
const REPORT_INTERVAL = 50
const { now } = native

/** Calls a function that has a `preTask` after that; `spend` is told how long it took, ms. */
export function callPrepared(
  fn: EntryWithHooks,
  input: unknown,
  client: unknown,
  spend: (overhead: number) => void,
): unknown {
  const start = now()
  let prepared: unknown
  try {
    prepared = settledLater(fn.preTask?.(input, client))
  } finally {
    spend(now() - start)
  }
  if (!isPromise(prepared)) return fn(input, client)
  return prepared.finally(() => spend(now() - start)).then(() => fn(input, client))
}

/** A promise for whatever is promise-like; anything else as it is. */
export function settledLater(value: unknown): unknown {
  return isThenable(value) ? resolved(value) : value
}

/** May throw: its getters are the user's. */
function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}

/** Keeps reports of progress apart: not too many, and the last one always. */
export class Pace {
  #reported = Number.NEGATIVE_INFINITY

  /** Whether a report is to be sent now. */
  isDue(done: number, total: number): boolean {
    const time = now()
    if (done < total && time - this.#reported < REPORT_INTERVAL) return false
    this.#reported = time
    return true
  }
}

/** Checks a report of progress. @throws TypeError, RangeError */
export function checkProgress(done: unknown, total: unknown): void {
  const expectation = 'a finite number from 0 on'
  for (const [name, value] of [['done', done] as const, ['total', total] as const]) {
    if (typeof value !== 'number') throw wrongType(name, expectation, value)
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) throw outOfRange(name, expectation, value)
  }
}

/** What tells a task that it was given up. The signal is made when somebody asks for it. */
export class Abort {
  #controller: AbortController | undefined
  #reason: ThreadmillError | undefined

  get signal(): AbortSignal {
    this.#controller ??= new Controller()
    if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  /** Whoever submitted the task does not wait for it any more. */
  giveUp(expired: boolean): void {
    this.#reason = expired
      ? new ThreadmillError('ERR_THREADMILL_TIMEOUT', 'Task timeout')
      : new ThreadmillError('ERR_THREADMILL_CANCELLED', 'the task was cancelled')
    this.#controller?.abort(this.#reason)
  }
}
