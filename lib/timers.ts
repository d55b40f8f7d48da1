// Stage: all. Thread: any.
// Timers, what queues microtasks, and the async context, as they were when the package was loaded: who tests with fake timers
// replaces those of the module, too.

import { AsyncResource } from 'node:async_hooks'
import timers from 'node:timers'
import { resolved } from './promise'

export const { clearInterval, clearTimeout, setImmediate } = timers
const { setInterval: startInterval, setTimeout: startTimeout } = timers

const queue = queueMicrotask
const settled = resolved()

/** Calls a function in a microtask of its own. Not by `queueMicrotask`, which may have been a fake before the package was loaded. */
export function soon(callback: () => void): void {
  settled.then(() => {
    try {
      callback()
    } catch (error) {
      queue(() => {
        throw error
      })
    }
  })
}

/** It keeps no process alive, which tools that look for what does ask. */
class Context extends AsyncResource {
  hasRef(): boolean {
    return false
  }
}

/** The async context in which the package was loaded: for what is not of the context of whoever asked for it. */
export const root = new Context('threadmill')

// Some go on as long as a worker does, and would keep the context of the call that they began in.

/** As that of Node, in the root context. */
export const setTimeout = ((...args: Parameters<typeof startTimeout>) =>
  root.runInAsyncScope(startTimeout, undefined, ...args)) as typeof startTimeout

/** As that of Node, in the root context. */
export const setInterval = ((...args: Parameters<typeof startInterval>) =>
  root.runInAsyncScope(startInterval, undefined, ...args)) as typeof startInterval
