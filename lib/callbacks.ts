// Stage: settle. Thread: owner env.
// Calls listeners of the user: in the async context of their registration, and so that one that throws harms nobody.

import { AsyncResource } from 'node:async_hooks'
import process from 'node:process'
import { OwnMap, OwnWeakSet } from './collections'
import { describe, isInstance, wrongType } from './errors'
import { checkName } from './own'
import { soon } from './timers'

type Listener = (...args: unknown[]) => void

interface Entry {
  readonly listener: unknown
  /** Calls it; never throws. */
  readonly call: Listener
  readonly once: boolean
  /** Whether one that is called once has been: a listener before it may have made what it listens to happen again. */
  hasBeenCalled: boolean
}

interface List {
  readonly entries: Entry[]
  /** How many calls go through it now: meanwhile it stays as it is. */
  calls: number
}

/** Listeners by name. Names are arbitrary strings. */
export class Listeners {
  readonly #byName = new OwnMap<string, List>()

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
    const given = listener as Listener
    const call = AsyncResource.bind((...args: unknown[]) => {
      try {
        given(...args)
      } catch (error) {
        // Here, so that it is an exception of the same async context.
        rethrow(error)
      }
    })
    const entries = this.#changeable(name)
    entries[entries.length] = { listener, call, once, hasBeenCalled: false }
  }

  remove(name: string, listener: unknown): void {
    const entries = this.#byName.get(name)?.entries ?? []
    let at = entries.length - 1
    while (at >= 0 && entries[at]?.listener !== listener) at--
    this.#removeAt(name, at)
  }

  // In plain loops: who replaces methods of arrays is told of messages, too.

  #removeEntry(name: string, entry: Entry): void {
    const entries = this.#byName.get(name)?.entries ?? []
    let at = 0
    while (at < entries.length && entries[at] !== entry) at++
    if (at < entries.length) this.#removeAt(name, at)
  }

  #removeAt(name: string, at: number): void {
    if (at < 0) return
    const entries = this.#changeable(name)
    if (entries.length === 1) {
      this.#byName.delete(name)
      return
    }
    for (let i = at + 1; i < entries.length; i++) entries[i - 1] = entries[i] as Entry
    entries.length--
  }

  /** Those of that name, to be changed: a copy while they are being called. */
  #changeable(name: string): Entry[] {
    const list = this.#byName.get(name)
    if (list?.calls === 0) return list.entries
    const entries: Entry[] = []
    const known = list?.entries ?? []
    for (let i = 0; i < known.length; i++) entries[i] = known[i] as Entry
    this.#byName.set(name, { entries, calls: 0 })
    return entries
  }

  call(name: string, ...args: unknown[]): void {
    const list = this.#byName.get(name)
    if (list === undefined) return
    const { entries } = list
    list.calls++
    // Nobody changes them meanwhile.
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry
      if (entry.once) {
        if (entry.hasBeenCalled) continue
        entry.hasBeenCalled = true
        // Not another one with that function.
        this.#removeEntry(name, entry)
      }
      const { call } = entry
      call(...args)
    }
    list.calls--
  }
}

/** Makes an exception of a listener an uncaught one, outside the code that called the listener. */
export function rethrow(error: unknown): void {
  soon(() => {
    throw error
  })
}

/** Whether somebody was warned of it. */
const warned = new OwnWeakSet<object>()

/** What `reporter` throws harms nobody: a warning tells of the first time. */
export function quietly<T>(reporter: object, what: string, call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (warned.has(reporter)) return undefined
    warned.add(reporter)
    const { message, stack } = isInstance(error, Error) ? error : { message: describe(error), stack: undefined }
    const detail = stack === undefined ? {} : { detail: stack }
    process.emitWarning(`${what} has failed: ${message}`, { type: 'ThreadmillWarning', ...detail })
    return undefined
  }
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
  const why = isInstance(error, Error) && error.message !== '' ? `: ${error.message}` : ''
  process.emitWarning(`${what}${why}`, 'ThreadmillWarning')
}
