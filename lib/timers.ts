// Stage: all. Thread: any.
// Timers, ticks, and the async context, as they were when the package was loaded: who tests with fake timers
// replaces those of the module, too. Those that were fakes even then are done without.

import { AsyncResource } from 'node:async_hooks'
import process from 'node:process'
import timers from 'node:timers'
import { promisify } from 'node:util'
import { resolved } from './promise'

/** What is known of Node's own functions need not hold for others that do as Node does. */
const IS_NODE = !('bun' in process.versions || 'deno' in process.versions)

/** Whether Node's timers are not its own: these say how they are promisified by a getter. */
function areFakes(): boolean {
  if (!IS_NODE) return false
  const { setImmediate: immediate, setInterval: interval, setTimeout: timeout } = timers
  const isOwn = (timer: object): boolean => Object.getOwnPropertyDescriptor(timer, promisify.custom)?.get !== undefined
  return !isOwn(timeout) || !isOwn(immediate) || isFake(interval, 'setInterval')
}

/** Whether a function of Node's has been replaced by one that a clock of somebody's calls. */
function isFake(found: object & { readonly name: string }, name: string): boolean {
  return IS_NODE && (found.name !== name || 'clock' in found)
}

const source = areFakes()
  ? ((require('./late-timers') as typeof import('./late-timers')).lateTimers as unknown as typeof timers)
  : timers

export const { clearInterval, clearTimeout, setImmediate } = source
const { setInterval: startInterval, setTimeout: startTimeout } = source

const settled = resolved()
const ownNextTick = isFake(process.nextTick, 'nextTick') ? undefined : process.nextTick.bind(process)

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
