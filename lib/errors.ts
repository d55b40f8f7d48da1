// Stage: all. Thread: owner env.
// The error class, the table of its names, and the one builder for errors about arguments.

import { inspect } from 'node:util'
import type { ErrorCode } from '..'
import { builtins } from './builtins'

const { assign, defineProperty } = builtins

/** Names that differ from the class name, as the web platform uses them. */
const NAMES: Partial<Record<ErrorCode, string>> = {
  ERR_THREADMILL_CANCELLED: 'AbortError',
  ERR_THREADMILL_TIMEOUT: 'TimeoutError',
}

/** Any error of threadmill that is not about an argument. */
export class ThreadmillError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    const name = NAMES[code]
    if (name !== undefined) defineProperty(this, 'name', { value: name, configurable: true, writable: true })
  }
}

// On the prototype, so that stacks begin with it.
defineProperty(ThreadmillError.prototype, 'name', {
  value: 'ThreadmillError',
  configurable: true,
  writable: true,
})

/** Whether it is an instance of `Class`; `false` also where a proxy of the user's throws instead of saying so. */
export function isInstance<T>(value: unknown, Class: new (...args: never[]) => T): value is T {
  try {
    return value instanceof Class
  } catch {
    return false
  }
}

type ArgumentCode =
  | 'ERR_THREADMILL_INVALID_ARG_TYPE'
  | 'ERR_THREADMILL_INVALID_ARG_VALUE'
  | 'ERR_THREADMILL_OUT_OF_RANGE'

const SHORT = { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 3, maxStringLength: 60 }

/** Whether messages tell of values what they are only. */
let hidesValues = false

/** Runs `check`, whose messages show no value: it may be a password. */
export function hidingValues<T>(check: () => T): T {
  const before = hidesValues
  hidesValues = true
  try {
    return check()
  } finally {
    hidesValues = before
  }
}

/** A value as it appears in messages: short, on one line. Never throws. */
export function describe(value: unknown): string {
  if (hidesValues && value !== undefined && value !== null) return `a value of type ${typeof value}`
  try {
    const text = typeof value === 'function' ? `function ${value.name || '(anonymous)'}` : inspect(value, SHORT)
    return text.length > 100 ? `${text.slice(0, 100)}...` : text
  } catch {
    // Its getters or traps throw.
    return `[${typeof value}]`
  }
}

function argumentError(
  base: typeof TypeError | typeof RangeError,
  code: ArgumentCode,
  name: string,
  expectation: string,
  value: unknown,
): TypeError | RangeError {
  const error = new base(`${name} must be ${expectation}; got ${describe(value)}`)
  return assign(error, { code })
}

/** The value has the wrong type. */
export function wrongType(name: string, expectation: string, value: unknown): TypeError {
  return argumentError(TypeError, 'ERR_THREADMILL_INVALID_ARG_TYPE', name, expectation, value)
}

/** The value has the right type and an unusable meaning. */
export function wrongValue(name: string, expectation: string, value: unknown): TypeError {
  return argumentError(TypeError, 'ERR_THREADMILL_INVALID_ARG_VALUE', name, expectation, value)
}

/** The number is outside its range. */
export function outOfRange(name: string, expectation: string, value: unknown): RangeError {
  return argumentError(RangeError, 'ERR_THREADMILL_OUT_OF_RANGE', name, expectation, value)
}
