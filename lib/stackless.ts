// Stage: submit, run and settle. Thread: any.
// Errors that are given another stack: to walk that of this thread and to format it is most of what one costs.

import { builtins } from './builtins'

const { Error: BaseError, getOwnPropertyDescriptor } = builtins

/** Makes an error, if it can be without a stack of this thread. */
export function withoutStack<T>(make: () => T): T {
  const limit = getOwnPropertyDescriptor(BaseError, 'stackTraceLimit')
  // It may be gone, frozen, or have a setter of the user's.
  if (limit === undefined || limit.writable !== true || typeof limit.value !== 'number') return make()
  // Without a number the engine looks for no stack.
  BaseError.stackTraceLimit = undefined as unknown as number
  try {
    return make()
  } finally {
    BaseError.stackTraceLimit = limit.value
  }
}
