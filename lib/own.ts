// Stage: submit. Thread: any.
// Reads options: only own properties count; `undefined` means the default.

import { builtins } from './builtins'
import { wrongType, wrongValue } from './errors'

const { hasOwn, isArray: isPlainArray, isWellFormed } = builtins

/** Whether it is an object that can be read, which a revoked proxy cannot. */
export function isObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  try {
    // Runs no code of the user's, and throws for nothing else.
    isPlainArray(value)
    return true
  } catch {
    return false
  }
}

/** Whether it is an array that can be read. */
export function isArray(value: unknown): value is readonly unknown[] {
  return isObject(value) && isPlainArray(value)
}

/** The own property `name`, or `undefined`. */
export function own(options: object, name: string): unknown {
  return hasOwn(options, name) ? (options as Record<string, unknown>)[name] : undefined
}

/** The own property `name`, or `otherwise` when it is missing or undefined. */
export function ownOr(options: object, name: string, otherwise: unknown): unknown {
  const value = own(options, name)
  return value === undefined ? otherwise : value
}

/** The options object of a call, or an empty one. */
export function optionsObject(options: unknown, name = 'options'): object {
  if (options === undefined) return {}
  if (!isObject(options) || isPlainArray(options)) throw wrongType(name, 'an object', options)
  return options
}

/** A name that other threads are told: they get UTF-8, in which all lone surrogates would be the same. */
export function checkName(name: string, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value)
  if (!isWellFormed.call(value)) throw wrongValue(name, 'a string without lone surrogates', value)
  return value
}
