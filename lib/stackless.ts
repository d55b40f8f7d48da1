// Stage: submit, run and settle. Thread: any.
// Errors that are given another stack: to walk that of this thread and to format it is most of what one costs.

import { builtins } from './builtins'

const { Error: BaseError, hasOwn } = builtins

/** Makes an error, if it can be without a stack of this thread. */
export function withoutStack<T>(make: () => T): T {
  let limit: unknown
  try {
    limit = BaseError.stackTraceLimit
    // Without a number the engine looks for no stack.
    if (typeof limit !== 'number' || !hasOwn(BaseError, 'stackTraceLimit')) return make()
    BaseError.stackTraceLimit = undefined as unknown as number
  } catch {
    // It is frozen, or has a setter.
    return make()
  }
  try {
    return make()
  } finally {
    try {
      BaseError.stackTraceLimit = limit
    } catch {}
  }
}
