// Stage: settle. Thread: owner env.
// Calls listeners of the user: in the async context of their registration, and so that one that throws harms nobody.

import { AsyncResource } from 'node:async_hooks'
import process from 'node:process'
import { OwnMap } from './collections'
import { isInstance, wrongType } from './errors'
import { checkName } from './own'
import { soon } from './timers'

type Listener = (...args: never[]) => void
type AnyListener = (...args: unknown[]) => void

interface Entry {
  readonly listener: Listener
  readonly bound: Listener
  readonly once: boolean
  /** Whether one that is called once has been: a listener before it may have made what it listens to happen again. */
  hasBeenCalled: boolean
}

/** Listeners by name. Names are arbitrary strings. */
export class Listeners {
  readonly #byName = new OwnMap<string, Entry[]>()

  /** Whether nobody listens to anything. */
  get isEmpty(): boolean {
    return this.#byName.size === 0
  }

  /** Whether anybody listens. */
  has(name: string): boolean {
    return this.#byName.has(name)
  }

  add(name: string, listener: unknown, once = false): void {
    if (typeof listener !== 'function') throw wrongType('listener', 'a function', listener)
    const bound = AsyncResource.bind(listener as AnyListener)
    const entry = { listener: listener as Listener, bound, once, hasBeenCalled: false }
    const list = this.#byName.get(name)
    // A new list each time: one that is being called stays as it is.
    this.#byName.set(name, list === undefined ? [entry] : [...list, entry])
  }

  remove(name: string, listener: unknown): void {
    this.#removeLast(name, (entry) => entry.listener === listener)
  }

  #removeLast(name: string, isMeant: (entry: Entry) => boolean): void {
    const list = this.#byName.get(name)
    const at = list?.findLastIndex(isMeant) ?? -1
    if (list === undefined || at < 0) return
    if (list.length === 1) this.#byName.delete(name)
    else this.#byName.set(name, list.toSpliced(at, 1))
  }

  call(name: string, ...args: unknown[]): void {
    for (const entry of this.#byName.get(name) ?? []) {
      if (entry.once) {
        if (entry.hasBeenCalled) continue
        entry.hasBeenCalled = true
        // Not another one with that function.
        this.#removeLast(name, (other) => other === entry)
      }
      try {
        ;(entry.bound as AnyListener)(...args)
      } catch (error) {
        rethrow(error)
      }
    }
  }
}

/** Makes an exception of a listener an uncaught one, outside the code that called the listener. */
export function rethrow(error: unknown): void {
  soon(() => {
    throw error
  })
}

/** The type of a message, checked. */
export function checkType(type: unknown): string {
  return checkName('type', type)
}

/** A message is lost because this thread cannot read it: whoever has sent it was not told. */
export function warnUnreadable(what: string, error: unknown): void {
  warnLost(`${what} cannot be read`, error)
}

/** It is lost because it cannot be sent any more. */
export function warnUnsent(what: string, error: unknown): void {
  warnLost(`${what} cannot be sent`, error)
}

function warnLost(what: string, error: unknown): void {
  const why = isInstance(error, Error) ? error.message : ''
  process.emitWarning(`${what}: ${why}`, 'ThreadmillWarning')
}
