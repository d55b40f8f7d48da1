// Stage: submit. Thread: any.
// Reads options: only own properties count; `undefined` means the default.

import { wrongType } from './errors'

/** The own property `name`, or `undefined`. */
export function own(options: object, name: string): unknown {
  return Object.hasOwn(options, name) ? (options as Record<string, unknown>)[name] : undefined
}

/** The own property `name`, or `otherwise` when it is missing or undefined. */
export function ownOr(options: object, name: string, otherwise: unknown): unknown {
  const value = own(options, name)
  return value === undefined ? otherwise : value
}

/** The options object of a call, or an empty one. */
export function optionsObject(options: unknown, name = 'options'): object {
  if (options === undefined) return {}
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw wrongType(name, 'an object', options)
  }
  return options
}
