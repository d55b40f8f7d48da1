// Stage: submit and settle. Thread: any env.
// Which classes a clone takes for plain objects, so that their instances need not be cloned to be rid of them.
// I1. A class is known when an instance of it was cloned as the plain object that its own properties make. JavaScript
//     cannot tell otherwise: a Blob and a class of the user look alike.
// I2. The platform is asked about each value with such instances, for single ones may be marked as not to be cloned; from
//     Node 22.10 on, which brought that.
//
// What it does not see: objects of the platform whose prototype has been replaced by that of a class that is known.

const { getPrototypeOf, keys, prototype: objectPrototype } = Object
const { isArray } = Array
const clone = structuredClone

/** Prototypes of the classes that are known. */
const known = new WeakSet<object>()
/** How often one of the others was met. */
const strangers = new WeakMap<object, number>()
/** So often it is tried to know a class: its first instances may hold what keeps it from being told. */
const MOST_TRIES = 16

/** Whether objects with that prototype are cloned as plain ones, unless they are marked. */
export function isKnown(prototype: object): boolean {
  return known.has(prototype)
}

/** Whether it is still worth trying to know that class. Counts as a try. */
export function isWorthLearning(prototype: object): boolean {
  const tries = strangers.get(prototype) ?? 0
  if (tries === MOST_TRIES || !canAsk()) return false
  strangers.set(prototype, tries + 1)
  return true
}

/** Knows the class of `object` when a clone says so. The platform has just cloned it, and no getter is in it. */
export function learn(object: object): void {
  const copy = clone(object)
  const names = keys(copy)
  // Without properties there is nothing to compare.
  if (names.length === 0 || getPrototypeOf(copy) !== objectPrototype || isArray(copy)) return
  if (names.join() === keys(object).join()) known.add(getPrototypeOf(object) as object)
}

/** Whether the platform would clone the value. */
export function isCloneable(value: unknown): boolean {
  try {
    ask?.(value)
    return ask !== undefined
  } catch {
    return false
  }
}

/** Throws for what cannot be cloned. `undefined` before the first question, and where nobody can be asked. */
let ask: ((value: unknown) => void) | undefined
let wasSought = false

function canAsk(): boolean {
  if (!wasSought) {
    wasSought = true
    const { HAS_SERIALIZER } = require('./serializer') as typeof import('./serializer')
    ask = HAS_SERIALIZER ? seek() : undefined
  }
  return ask !== undefined
}

/** What is posted to a port that was closed is serialized, as the standard demands, and then dropped. */
function seek(): ((value: unknown) => void) | undefined {
  const threads = require('node:worker_threads') as typeof import('node:worker_threads')
  const { port1 } = new threads.MessageChannel()
  port1.close()
  const post = port1.postMessage.bind(port1)
  const marked = {}
  const mark = (threads as { markAsUncloneable?: (object: object) => void }).markAsUncloneable
  mark?.(marked)
  // Other runtimes may see it differently.
  const refused: unknown[] = mark === undefined ? [() => {}] : [() => {}, marked]
  const isTrusted = refused.every((value) => {
    try {
      post([value])
      return false
    } catch {
      return true
    }
  })
  if (!isTrusted) return undefined
  return mark === undefined ? () => {} : post
}
