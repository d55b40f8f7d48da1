// Stage: submit, run and settle. Thread: any.
// Small objects and arrays, dates, maps and sets as numbers: written and read by code that the engine optimizes for their shapes, without a
// serializer, and moved between threads as memory. What does not fit is left to codec.ts.
//
// F1. A property is read once, in order, as the structured clone does. Getters that change the object or the array that they
//     are in while it is read are seen at work: what is read later is as they left it.
// F2. What cannot be told exactly is not written: then -1 is returned, and the value goes another way, which reads it anew.
//
// A value is its length in words of 64 bits, that word included, and then one item after the other. The lower four bits of an
// item say what it is, the others are a number:
//
// | kind | number | what follows |
// |---|---|---|
// | UNDEFINED, NULL, FALSE, TRUE | | |
// | INTEGER | the value itself | |
// | NUMBER | | the value |
// | TEXT | of a text that all threads share | |
// | CHARS | length | the UTF-16 units, three to a word |
// | ARRAY | length | the elements |
// | OBJECT | of the text with its property names as JSON | the values of its properties |
// | SAME | of an object that is complete, counted from 0 in the order of their ends | |
// | DATE | | the time |
// | MAP | size | the keys and values in turns |
// | SET | size | the members |
// | BIGINT | | the lower 32 bits, and what is above them |
// | RAW | length | bytes of V8's serializer; see codec.ts |
//
// TRACKED is added to the first item when there is a SAME: else objects need not be counted.

import { types } from 'node:util'
import { native } from './native'

const UNDEFINED = 0
const NULL = 1
const FALSE = 2
const TRUE = 3
const INTEGER = 4
const NUMBER = 5
const TEXT = 6
const CHARS = 7
const ARRAY = 8
const OBJECT = 9
const SAME = 10
const DATE = 11
const MAP = 12
const SET = 13
const BIGINT = 14
export const RAW = 15
/** Above all that is added to a kind. */
const TRACKED = 2 ** 30

/** Longest value, in words. */
export const MOST_WORDS = 512
/** Elements of an array, properties of an object, entries of a map. */
const MOST_MEMBERS = 64
const MOST_DEPTH = 16
/** Integers from here on are numbers: the items are to be small integers to the engine. */
const MOST_INTEGER = 2 ** 26
/** Longest string, in UTF-16 units. */
const MOST_CHARS = 256
/** The longest that may be shared: of one that is longer V8 may keep the string alive that it is a part of. */
const MOST_TEXT = 12
/** Most objects in one value: each is compared with all before it. */
const MOST_OBJECTS = 64
/** Most shapes and texts that are remembered before all are forgotten. */
const MOST_SHAPES = 2048
const MOST_TEXTS = 4096

const { isArray, prototype: arrayPrototype } = Array
const { getPrototypeOf, keys, prototype: objectPrototype } = Object
const { isView } = ArrayBuffer
const { isArgumentsObject, isBoxedPrimitive, isDate, isMap, isProxy, isSet } = types
const [PlainDate, PlainMap, PlainSet] = [Date, Map, Set]
const { getTime } = Date.prototype
const { forEach: mapForEach, set: mapSet } = Map.prototype
const { add: setAdd, forEach: setForEach } = Set.prototype
const mapSize = sizeGetter(Map.prototype)
const setSize = sizeGetter(Set.prototype)
const { asUintN } = BigInt
const { stringify, parse } = JSON
const charCodeAt = String.prototype.charCodeAt
const { fromCharCode } = String
const isWellFormed = (String.prototype as unknown as { isWellFormed(): boolean }).isWellFormed
const { floor } = Math

// --- writing ---

/** Where values are written: the last one that was, until the next. */
export const written = new Float64Array(MOST_WORDS + 4)
let at = 0
let isBusy = false
const objects: (object | undefined)[] = []
let objectCount = 0
/** What each of them is counted as; -1 while it is not complete. */
const ends: number[] = []
let endCount = 0
let isTracked = false
/** Values since the last one that could be written. */
let misses = 0
/** After that many it is tried with one value of 16 only. */
const MOST_MISSES = 32

/** The properties of an object so far, in order. */
class Shape {
  readonly names: readonly string[]
  /** Of the text that describes it; -1 before it is asked for, -2 when there is no room for it. */
  id = -1
  #lastName = ''
  #last: Shape | undefined
  #next: Map<string, Shape> | undefined

  constructor(names: readonly string[]) {
    this.names = names
  }

  /** The shape with one more property. */
  with(name: string): Shape | undefined {
    if (name === this.#lastName && this.#last !== undefined) return this.#last
    this.#next ??= new Map()
    let next = this.#next.get(name)
    if (next === undefined) {
      if (shapeCount === MOST_SHAPES || this.names.length === MOST_MEMBERS) return undefined
      shapeCount++
      next = new Shape([...this.names, name])
      this.#next.set(name, next)
    }
    this.#lastName = name
    this.#last = next
    return next
  }
}

let noProperties = new Shape([])
let shapeCount = 0
/** Numbers of shared texts; -1 for one that was seen once. */
let texts = new Map<string, number>()

/**
 * Writes a value; how many words it takes, -1 when it cannot be written.
 * @throws what a getter of the value throws
 */
export function write(value: object): number {
  // A getter may submit something.
  if (isBusy) return -1
  if (misses > MOST_MISSES && (misses++ & 15) !== 0) return -1
  // They would be taken for properties of every object.
  for (const _ in objectPrototype) return -1
  isBusy = true
  at = 1
  objectCount = 0
  endCount = 0
  isTracked = false
  try {
    if (!writeObject(value, MOST_DEPTH)) {
      misses++
      return -1
    }
    misses = 0
    written[0] = at
    if (isTracked) written[1] = (written[1] as number) + TRACKED
    return at
  } finally {
    isBusy = false
    for (let i = 0; i < objectCount; i++) objects[i] = undefined
  }
}

function writeValue(value: unknown, depth: number): boolean {
  if (at >= MOST_WORDS) return false
  switch (typeof value) {
    case 'number':
      if (value >>> 0 === value && value < MOST_INTEGER && (value !== 0 || 1 / value > 0)) {
        written[at++] = value * 16 + INTEGER
        return true
      }
      written[at] = NUMBER
      written[at + 1] = value
      at += 2
      return true
    case 'string':
      return writeText(value)
    case 'boolean':
      written[at++] = value ? TRUE : FALSE
      return true
    case 'undefined':
      written[at++] = UNDEFINED
      return true
    case 'object':
      if (value !== null) return depth > 0 && writeObject(value, depth - 1)
      written[at++] = NULL
      return true
    case 'bigint':
      return writeBigint(value)
    default:
      return false
  }
}

function writeObject(object: object, depth: number): boolean {
  // What is there twice has to be so on the other side.
  for (let i = 0; i < objectCount; i++) if (objects[i] === object) return writeSame(i)
  if (isProxy(object) || objectCount === MOST_OBJECTS) return false
  const index = objectCount++
  objects[index] = object
  ends[index] = -1
  if (!writeNew(object, depth)) return false
  ends[index] = endCount++
  return true
}

function writeSame(index: number): boolean {
  // What is within itself would have to be there before its members.
  const end = ends[index] as number
  if (end < 0) return false
  isTracked = true
  written[at++] = end * 16 + SAME
  return true
}

function writeNew(object: object, depth: number): boolean {
  const prototype = getPrototypeOf(object)
  if (prototype === objectPrototype) return writePlain(object, depth)
  if (isArray(object)) return prototype === arrayPrototype && writeArray(object, depth)
  if (prototype === PlainDate.prototype) {
    if (!isDate(object)) return false
    written[at] = DATE
    written[at + 1] = getTime.call(object)
    at += 2
    return true
  }
  if (prototype === PlainMap.prototype) return isMap(object) && writeMap(object, depth)
  if (prototype === PlainSet.prototype) return isSet(object) && writeSet(object, depth)
  return false
}

function writePlain(object: object, depth: number): boolean {
  // Arrays, too, may have been given that prototype.
  if (isArray(object)) return false
  const head = at++
  let shape = noProperties
  for (const name in object) {
    const next = shape.with(name)
    if (next === undefined) {
      if (shapeCount === MOST_SHAPES) forgetShapes()
      return false
    }
    shape = next
    if (!writeValue((object as Record<string, unknown>)[name], depth)) return false
  }
  // Objects of other classes may have been given that prototype: they have no properties, or indices.
  if (shape === noProperties || (shape.names[0] === '0' && isIndexed(object))) return false
  const id = shape.id === -1 ? nameShape(shape) : shape.id
  if (id < 0) return false
  written[head] = id * 16 + OBJECT
  return true
}

/** Whether it is no plain object, whatever its prototype. */
function isIndexed(object: object): boolean {
  return isArgumentsObject(object) || isBoxedPrimitive(object) || isView(object)
}

/** An index of its own for each element, and no other property. */
function writeArray(array: readonly unknown[], depth: number): boolean {
  const { length } = array
  if (length > MOST_MEMBERS) return false
  const names = keys(array)
  // Indices come first: when the last name is one, all are.
  if (names.length !== length || (length > 0 && names[length - 1] !== `${length - 1}`)) return false
  written[at++] = length * 16 + ARRAY
  for (let i = 0; i < length; i++) if (!writeValue(array[i], depth)) return false
  return true
}

function writeMap(map: Map<unknown, unknown>, depth: number): boolean {
  const size = mapSize.call(map)
  if (size > MOST_MEMBERS) return false
  const parts: unknown[] = []
  // All of them before any is read: a getter may change the map.
  mapForEach.call(map, (value, key) => {
    parts[parts.length] = key
    parts[parts.length] = value
  })
  return writeParts(size * 16 + MAP, parts, depth)
}

function writeSet(set: Set<unknown>, depth: number): boolean {
  const size = setSize.call(set)
  if (size > MOST_MEMBERS) return false
  const parts: unknown[] = []
  setForEach.call(set, (member) => {
    parts[parts.length] = member
  })
  return writeParts(size * 16 + SET, parts, depth)
}

function writeParts(item: number, parts: readonly unknown[], depth: number): boolean {
  written[at++] = item
  for (let i = 0; i < parts.length; i++) if (!writeValue(parts[i], depth)) return false
  return true
}

function writeBigint(value: bigint): boolean {
  if (value >= PAST_64_BITS || value < -HALF_OF_64_BITS) return false
  written[at] = BIGINT
  written[at + 1] = Number(asUintN(32, value))
  written[at + 2] = Number(value >> 32n)
  at += 3
  return true
}

const PAST_64_BITS = 1n << 64n
const HALF_OF_64_BITS = 1n << 63n

/** The size of a map or a set, whatever properties it has. */
function sizeGetter(prototype: object): (this: unknown) => number {
  return Object.getOwnPropertyDescriptor(prototype, 'size')?.get as (this: unknown) => number
}

function nameShape(shape: Shape): number {
  const text = stringify(shape.names)
  shape.id = isWellFormed.call(shape.names.join('')) ? native.shareText(text) : -2
  if (shape.id < 0) shape.id = -2
  return shape.id
}

function forgetShapes(): void {
  noProperties = new Shape([])
  shapeCount = 0
}

function writeText(text: string): boolean {
  const { length } = text
  if (length <= MOST_TEXT) {
    const id = texts.get(text)
    if (id === undefined) {
      if (texts.size === MOST_TEXTS) texts = new Map()
      texts.set(text, -1)
    } else {
      // One that comes again will come more often.
      const shared = id === -1 ? shareText(text) : id
      if (shared >= 0) {
        written[at++] = shared * 16 + TEXT
        return true
      }
    }
  }
  if (length > MOST_CHARS || at + length / 3 + 2 > MOST_WORDS) return false
  written[at++] = length * 16 + CHARS
  let i = 0
  for (; i + 2 < length; i += 3) {
    const high = charCodeAt.call(text, i + 2) * 2 ** 32
    written[at++] = high + charCodeAt.call(text, i + 1) * 65536 + charCodeAt.call(text, i)
  }
  if (i < length) {
    const second = i + 1 < length ? charCodeAt.call(text, i + 1) * 65536 : 0
    written[at++] = second + charCodeAt.call(text, i)
  }
  return true
}

function shareText(text: string): number {
  const id = isWellFormed.call(text) ? native.shareText(text) : -1
  // Without room it is not asked for again.
  texts.set(text, id < 0 ? -2 : id)
  return id
}

// --- reading ---

let words: Float64Array = written
let from = 0
const shared: string[] = []
const makers: (() => object)[] = []

/** Reads what `write` has written, from `memory` at `offset`. */
export function read(memory: Float64Array, offset: number): unknown {
  words = memory
  from = offset + 2
  const item = words[offset + 1] as number
  if (item < TRACKED) return readItem(item)
  made = []
  try {
    return readItem(item - TRACKED)
  } finally {
    made = undefined
  }
}

/** The objects that are complete, where they are counted. */
let made: unknown[] | undefined

function readValue(): unknown {
  return readItem(words[from++] as number)
}

function count<T>(object: T): T {
  made?.push(object)
  return object
}

function readItem(item: number): unknown {
  const number = item >>> 4
  switch (item & 15) {
    case INTEGER:
      return number
    case NUMBER:
      return words[from++]
    case TEXT:
      return shared[number] ?? learnText(number)
    case CHARS:
      return readChars(number)
    case OBJECT:
      return count((makers[number] ?? learnShape(number))())
    case ARRAY: {
      const array: unknown[] = []
      for (let i = 0; i < number; i++) array[i] = readValue()
      return count(array)
    }
    case SAME:
      return made?.[number]
    case DATE:
      return count(new PlainDate(words[from++] as number))
    case MAP: {
      const map = new PlainMap()
      for (let i = 0; i < number; i++) mapSet.call(map, readValue(), readValue())
      return count(map)
    }
    case SET: {
      const set = new PlainSet()
      for (let i = 0; i < number; i++) setAdd.call(set, readValue())
      return count(set)
    }
    case BIGINT:
      from += 2
      return (BigInt(words[from - 1] as number) << 32n) + BigInt(words[from - 2] as number)
    case TRUE:
      return true
    case FALSE:
      return false
    case NULL:
      return null
    default:
      return undefined
  }
}

function readChars(length: number): string {
  let text = ''
  for (let i = 0; i < length; i += 3) {
    const word = words[from++] as number
    const high = floor(word / 2 ** 32)
    const low = word - high * 2 ** 32
    const rest = length - i
    if (rest > 2) text += fromCharCode(low & 65535, low >>> 16, high)
    else text += rest === 2 ? fromCharCode(low & 65535, low >>> 16) : fromCharCode(low)
  }
  return text
}

function learnText(id: number): string {
  const text = native.sharedText(id)
  shared[id] = text
  return text
}

function learnShape(id: number): () => object {
  const maker = makerOf(parse(native.sharedText(id)) as string[])
  makers[id] = maker
  return maker
}

/** What makes objects with these properties out of the values that follow. */
function makerOf(names: readonly string[]): () => object {
  // Computed, it is a property like any other.
  const members = names.map((name) => `${name === '__proto__' ? '["__proto__"]' : stringify(name)}: value()`)
  try {
    // The names are strings of the code, so nothing of them is run.
    return new Function('value', `return () => ({ ${members.join(', ')} })`)(readValue) as () => object
  } catch {
    // Code may not be made of strings here (--disallow-code-generation-from-strings).
    return () => {
      const object = {}
      for (const name of names) {
        const property = { value: readValue(), writable: true, enumerable: true, configurable: true }
        Object.defineProperty(object, name, property)
      }
      return object
    }
  }
}
