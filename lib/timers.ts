// Stage: all. Thread: any.
// Timers, ticks, and the async context, as they were when the package was loaded: who tests with fake timers
// replaces those of the module, too. Those that were fakes even then are done without.

import { AsyncResource } from 'node:async_hooks'
import process from 'node:process'
import timers from 'node:timers'
import { resolved } from './promise'

/**
 * Whether a function has been replaced by one of a clock of somebody's: that of fake-timers, of which it is a property, or of
 * `node:test`, which binds private methods. What others have wrapped goes on to Node's.
 */
export function isFake(found: object & { readonly name: string }): boolean {
  return 'clock' in found || found.name.startsWith('bound #')
}

const source = [timers.setTimeout, timers.setInterval, timers.setImmediate].some(isFake)
  ? ((require('./late-timers') as typeof import('./late-timers')).lateTimers as unknown as typeof timers)
  : timers

export const { clearInterval, clearTimeout, setImmediate } = source
const { setInterval: startInterval, setTimeout: startTimeout } = source

const settled = resolved()
const ownNextTick = isFake(process.nextTick) ? undefined : process.nextTick.bind(process)

/** As that of `process`. */
export const nextTick: (callback: () => void) => void = ownNextTick ?? ((callback) => soon(() => soon(callback)))

/** Makes an error an uncaught exception of this async context; one of `queueMicrotask` would be of none. */
function throwOutside(error: unknown): void {
  if (ownNextTick === undefined) (require('./late-timers') as typeof import('./late-timers')).throwOutside(error)
  else {
    ownNextTick(() => {
      throw error
    })
  }
}

/** Calls a function in a microtask of its own. */
export function soon(callback: () => void): void {
  settled.then(() => {
    try {
      callback()
    } catch (error) {
      throwOutside(error)
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
