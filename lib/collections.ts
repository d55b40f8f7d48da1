// Stage: all. Thread: any.
// Collections whose methods nobody else can reach: modules of users replace those of the language, and what workers do for their
// tasks goes on. The same for lists. There are no iterators, whose methods all collections share: `forEach` takes their place.

import { builtins } from './builtins'

const { bufferOf, defineProperty, Float64Array: Floats, getOwnPropertyDescriptor, offsetOfView, typedSet } = builtins

/** Gives the prototype of a class its own ones of these properties. */
function own(prototype: object, from: object, names: readonly string[]): void {
  for (const name of names) {
    defineProperty(prototype, name, getOwnPropertyDescriptor(from, name) as PropertyDescriptor)
  }
}

/** A map with methods of its own. */
export class OwnMap<K, V> extends builtins.Map<K, V> {}

/** A set with methods of its own. */
export class OwnSet<T> extends builtins.Set<T> {
  /** What is in it, if there is nothing else. */
  get only(): T | undefined {
    if (this.size !== 1) return undefined
    let found: T | undefined
    this.forEach((item) => {
      found = item
    })
    return found
  }
}

/** A weak set with methods of its own. */
export class OwnWeakSet<T extends object> extends builtins.WeakSet<T> {}

/** A weak map with methods of its own. */
export class OwnWeakMap<K extends object, V> extends builtins.WeakMap<K, V> {}

own(OwnMap.prototype, builtins.mapPrototype, ['clear', 'delete', 'forEach', 'get', 'has', 'set', 'size'])
own(OwnSet.prototype, builtins.setPrototype, ['add', 'clear', 'delete', 'forEach', 'has', 'size'])
own(OwnWeakSet.prototype, builtins.WeakSet.prototype, ['add', 'delete', 'has'])
own(OwnWeakMap.prototype, builtins.WeakMap.prototype, ['delete', 'get', 'has', 'set'])

/** A list that is used as a stack, with methods of its own. */
export function ownStack<T>(): T[] {
  const stack: T[] = []
  own(stack, builtins.arrayPrototype, ['pop', 'push'])
  return stack
}

/** A copy of so many words, by no method of theirs. */
export function copyWords(words: Float64Array, start: number, count: number): Float64Array {
  const copy = new Floats(count)
  typedSet.call(copy, new Floats(bufferOf.call(words), offsetOfView.call(words) + start * 8, count))
  return copy
}

/** The place of an item, -1 for none; by no method of arrays, which users replace. */
export function placeIn(items: readonly unknown[], item: unknown): number {
  for (let at = 0; at < items.length; at++) if (items[at] === item) return at
  return -1
}

/** The items from there on, by no method of arrays. */
export function listFrom<T>(items: readonly T[], start: number): T[] {
  const rest: T[] = []
  for (let at = start; at < items.length; at++) rest[rest.length] = items[at] as T
  return rest
}
