// Stage: submit and settle. Thread: any env.
// Which classes a clone takes for plain objects, so that their instances need not be cloned to be rid of them.
// I1. A class is known when an instance of it was cloned as the plain object that its own properties make, and neither it
//     nor what it extends is of the language or the platform: their objects are more than their properties.
// I2. Single instances may be marked as not to be cloned, from Node 22.10 on. Where the addon cannot tell of one whether it is
//     (src/marks.rs), the platform is asked about each value with such instances.
//
// What it does not see: objects of the language or the platform whose prototype has been replaced by that of a class that
// is known, and proxies that were put behind the prototype of such a class afterwards.

import { builtins } from './builtins'
import { OwnWeakMap, OwnWeakSet } from './collections'
import { mayClone } from './moves'
import { native } from './native-values'
import { hasSerializer } from './serializer'

const { clone, getOwnPropertyDescriptor, getOwnPropertySymbols, getPrototypeOf, isArray, keys } = builtins
const { isProxy, objectPrototype, sourceOfFunction: sourceOf } = builtins

/** Prototypes of the classes that are known. */
const known = new OwnWeakSet<object>()
/** Those of them that were met last, which V8's serializer is told; no more than the addon takes. */
const recent: object[] = []
const MOST_RECENT = 4
let nextRecent = 0
/** How often one of the others was met. */
const strangers = new OwnWeakMap<object, number>()
/** So often it is tried to know a class: its first instances may hold what keeps it from being told. */
const MOST_TRIES = 16

/** Whether objects with that prototype are cloned as plain ones, unless they are marked. */
export function isKnown(prototype: object): boolean {
  return known.has(prototype)
}

/**
 * Whether an object of a class that is known is not marked; `undefined` where `isCloneable` has to be asked about the value that
 * it is in.
 */
export function isUnmarked(object: object): boolean | undefined {
  if (!canAsk() || marks === 'asked about') return undefined
  return marks === 'none' || !native.isMarked(object)
}

/** As `serializeAlone` of the addon; what it takes for plain objects is what the platform does. */
export function serializeChecked(value: object): number {
  const question = recent.length > 0 && canAsk() && marks === 'asked about' ? ask : undefined
  return native.serializeAlone(value, question, objectPrototype, null, recent[0], recent[1], recent[2], recent[3])
}

/** That prototype, of a class that is known, was met. */
export function meet(prototype: object): void {
  for (let at = 0; at < recent.length; at++) if (recent[at] === prototype) return
  recent[nextRecent] = prototype
  nextRecent = (nextRecent + 1) % MOST_RECENT
}

/** Whether it is still worth trying to know the class of `object`. */
export function mayBeLearned(object: object): boolean {
  const prototype = getPrototypeOf(object) as object
  const tries = strangers.get(prototype)
  if (tries !== undefined) return tries < MOST_TRIES
  if (!canAsk()) return false
  const isPossible = isOfUser(prototype)
  strangers.set(prototype, isPossible ? 0 : MOST_TRIES)
  return isPossible
}

/** The same. Counts as a try. */
export function isWorthLearning(object: object): boolean {
  if (!mayBeLearned(object)) return false
  const prototype = getPrototypeOf(object) as object
  strangers.set(prototype, (strangers.get(prototype) as number) + 1)
  return true
}

/** Whether no class up to `Object` is of the language, or one of which Node says itself how it is cloned. */
function isOfUser(from: object): boolean {
  let prototype: object | null = from
  while (prototype !== objectPrototype) {
    if (prototype === null || isProxy(prototype)) return false
    const maker: unknown = getOwnPropertyDescriptor(prototype, 'constructor')?.value
    if (typeof maker === 'function' && sourceOf.call(maker).endsWith('[native code] }')) return false
    const symbols = getOwnPropertySymbols(prototype)
    for (let at = 0; at < symbols.length; at++) if (isOfMessaging(symbols[at] as symbol)) return false
    prototype = getPrototypeOf(prototype)
  }
  return true
}

function isOfMessaging({ description }: symbol): boolean {
  return description?.startsWith('messaging_') === true
}

/** Knows the class of `object` when a clone says so. No getter is in it. */
export function learn(object: object): void {
  let copy: object
  try {
    copy = clone(object)
  } catch {
    // What it was in was cloned, but Node 20 leaves out what is behind an error.
    return
  }
  const names = keys(copy)
  if (getPrototypeOf(copy) !== objectPrototype || isArray(copy)) return
  // Without properties there is nothing to compare; to write it takes the engine's word anyhow.
  if (names.length === 0 && !mayClone()) return
  if (names.join() === keys(object).join()) known.add(getPrototypeOf(object) as object)
}

/** Whether the platform would clone the value. */
export function isCloneable(value: unknown): boolean {
  if (!canAsk()) return false
  try {
    ask?.(value)
    return true
  } catch {
    return false
  }
}

/** How it is told which objects are marked; nobody is where nobody can be. */
let marks: 'none' | 'seen' | 'asked about' = 'asked about'
/** Throws for what cannot be cloned. `undefined` before the first question, and where nobody can be asked. */
let ask: ((value: unknown) => void) | undefined
let wasSought = false

function canAsk(): boolean {
  if (!wasSought) {
    wasSought = true
    ask = hasSerializer() ? seek() : undefined
  }
  return ask !== undefined
}

/** What is posted to a port that was closed is serialized, as the standard demands, and then dropped. */
function seek(): ((value: unknown) => void) | undefined {
  const { port1 } = new builtins.MessageChannel()
  port1.close()
  const post = port1.postMessage.bind(port1)
  const marked = {}
  const { markAsUncloneable: mark } = builtins
  mark?.(marked)
  // Other runtimes may see it differently.
  const refused: unknown[] = mark === undefined ? [() => {}] : [() => {}, marked]
  for (let i = 0; i < refused.length; i++) {
    try {
      post([refused[i]])
      return undefined
    } catch {}
  }
  if (mark === undefined) {
    marks = 'none'
    return () => {}
  }
  // Another one: the platform has changed what the engine makes of the first.
  const untouched = {}
  mark(untouched)
  if (mayClone() && native.findMark(untouched, {})) marks = 'seen'
  return post
}
