// Stage: submit. Thread: any that submits.
// What a task asks for beyond one run: to be run again when it fails, and time to end when it is given up.

import { builtins } from './builtins'
import { outOfRange, wrongType, wrongValue } from './errors'
import { isObject, ownOr } from './own'

const { isInteger, isNan } = builtins

/** When and how often a task is run again, checked. Times in ms. */
export interface Retries {
  readonly limit: number
  readonly delay: number
  readonly backoff: number
  readonly on: 'crash' | 'error' | 'both'
}

export const NO_RETRIES: Retries = { limit: 0, delay: 1000, backoff: 1, on: 'crash' }

const MAX_LIMIT = 2 ** 31 - 1
const MAX_TIME = 2 ** 31 - 1
/** As the binding reads them: bit 0 after a crash, bit 1 after an error. */
const WHEN = { crash: 1, error: 2, both: 3 }

function numberFrom(name: string, value: unknown, expectation: string, fits: (value: number) => boolean): number {
  if (typeof value !== 'number') throw wrongType(name, expectation, value)
  if (!fits(value)) throw outOfRange(name, expectation, value)
  return value
}

function checkLimit(name: string, value: unknown): number {
  const fits = (limit: number) => isInteger(limit) && limit >= 0 && limit <= MAX_LIMIT
  return numberFrom(name, value, `a whole number from 0 to ${MAX_LIMIT}`, fits)
}

/** The option `retries`: a number, or an object whose members default to those of `otherwise`. @throws TypeError, RangeError */
export function checkRetries(value: unknown, otherwise: Retries): Retries {
  if (typeof value === 'number') return { ...otherwise, limit: checkLimit('options.retries', value) }
  if (!isObject(value)) throw wrongType('options.retries', 'a number or an object', value)
  const member = (name: keyof Retries): unknown => ownOr(value, name, otherwise[name])
  const on = member('on')
  if (typeof on !== 'string') throw wrongType('options.retries.on', `'crash', 'error' or 'both'`, on)
  if (on !== 'crash' && on !== 'error' && on !== 'both') {
    throw wrongValue('options.retries.on', `'crash', 'error' or 'both'`, on)
  }
  const time = `a number of milliseconds from 0 to ${MAX_TIME}`
  return {
    limit: checkLimit('options.retries.limit', member('limit')),
    delay: numberFrom('options.retries.delay', member('delay'), time, (delay) => delay >= 0 && delay <= MAX_TIME),
    backoff: numberFrom(
      'options.retries.backoff',
      member('backoff'),
      'a number from 1 to 1000',
      (factor) => factor >= 1 && factor <= 1000,
    ),
    on,
  }
}

/** The option `crashLimit`. @throws TypeError, RangeError */
export function checkCrashLimit(value: unknown): number {
  const expectation = `a whole number from 1 to ${MAX_TIME}, or Infinity`
  const fits = (limit: number) =>
    limit === Number.POSITIVE_INFINITY || (isInteger(limit) && limit >= 1 && limit <= MAX_TIME)
  return numberFrom('options.crashLimit', value, expectation, fits)
}

/** The grace in what `policyOf` has given; NaN for that of the pool. */
export function graceOf(policy: Float64Array | undefined): number {
  return policy?.[4] ?? Number.NaN
}

/** The option `cancelGrace`, ms. @throws TypeError, RangeError */
export function checkGrace(value: unknown): number {
  const expectation = `a number of milliseconds from 0 to ${MAX_TIME}, or Infinity`
  const fits = (grace: number) => grace === Number.POSITIVE_INFINITY || (grace >= 0 && grace <= MAX_TIME)
  return numberFrom('options.cancelGrace', value, expectation, fits)
}

/**
 * Both in the binding's terms; see src/submit.rs. `undefined` for one run and the grace of the pool, unless the task is timed
 * from its start: every run is, also one that is repeated for the sake of another task.
 */
export function policyOf(
  { limit, delay, backoff, on }: Retries,
  grace: number,
  isTimedFromStart: boolean,
): Float64Array | undefined {
  if (limit === 0 && isNan(grace) && !isTimedFromStart) return undefined
  return Float64Array.of(limit, delay, backoff, WHEN[on], grace)
}

/** Whether a task may be run again. */
export function repeats(policy: Float64Array | undefined): policy is Float64Array {
  return policy !== undefined && policy[0] !== 0
}
