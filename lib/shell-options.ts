// Stage: submit. Thread: owner env.
// Checks the options of what a pool does besides its tasks: its end, signals, memory. Nothing of this goes to its workers.

import type { JsPoolOptions } from '..'
import { outOfRange, wrongType } from './errors'
import { MAX_TIMEOUT, optionsObject, ownOr, wholeNumber } from './options'

/** Options of a pool's shell after their check. */
export interface ShellSettings {
  /** ms that a callback of `onShutdown` and a worker's `onWorkerExit` have. */
  readonly disposeTimeout: number
}

/**
 * Checks the options of a pool that are not about tasks and workers.
 * @throws TypeError, RangeError
 */
export function checkShellOptions(value: unknown): ShellSettings {
  const options = optionsObject(value)
  const option = (key: keyof JsPoolOptions, otherwise?: unknown) => ownOr(options, key, otherwise)
  return {
    disposeTimeout: wholeNumber('options.disposeTimeout', option('disposeTimeout', 5000), 0, MAX_TIMEOUT),
  }
}

/**
 * The time that `close` has, ms.
 * @throws TypeError, RangeError
 */
export function checkCloseOptions(options: unknown): number {
  const expectation = `a number of milliseconds from 0 to ${MAX_TIMEOUT}, or Infinity`
  const timeout = ownOr(optionsObject(options), 'timeout', Number.POSITIVE_INFINITY)
  if (typeof timeout !== 'number') throw wrongType('options.timeout', expectation, timeout)
  const isInRange = timeout === Number.POSITIVE_INFINITY || (timeout >= 0 && timeout <= MAX_TIMEOUT)
  if (!isInRange) throw outOfRange('options.timeout', expectation, timeout)
  return timeout
}
