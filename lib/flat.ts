// Stage: submit, run and settle. Thread: any.
// Small values as numbers (flat-format.ts): written and read by code that the engine optimizes for their shapes, without a
// serializer, and moved between threads as memory. What does not fit is left to codec.ts.
//
// F1. A property is read once, in order, as the structured clone does; once more where the platform is asked about a value
//     (instances.ts), and with the first value that is within itself. Getters that change the object or the array that they are
//     in while it is read are seen at work: what is read later is as they left it.
// F2. What cannot be told exactly is not written: then -1 is returned, and the value goes another way, which reads it anew.
//
// What it does not see in arrays of more than FEW_ELEMENTS: elements that were made not enumerable, which a clone leaves out;
// and that an element is not there, where a prototype has one in its place that is not enumerable. Nor errors whose prototype is
// that of plain objects; objects of other classes that were given that prototype and properties, or that or none and of which
// no clone is made (`WeakRef`, `Intl`); nor, for the properties after it, what a getter adds to a prototype, or deletes of an
// object that inherits the same. What Node 20's clone does otherwise: it reads the stack of an error after what is in its cause,
// and cannot read an error that is within itself.

import { builtins } from './builtins'
import { copyWords, placeIn } from './collections'
import {
  ASCII,
  CYCLIC,
  DATA_VIEW,
  ERROR,
  FLAGS,
  HAS_CAUSE,
  HAS_MESSAGE,
  KINDS,
  MOST_NAMED,
  OTHERS_SHIFT,
  PART,
  SHARING,
  SIXES,
  TRACKED,
  UTF16,
  WHOLE,
} from './flat-format'
import { forgetIfFull, INHERITED, numberOfText, type Shape, shapes } from './flat-names'
import { isCloneable, isKnown, isUnmarked } from './instances'
import { mayClone } from './moves'
import { native } from './native-values'
import { classOf, isMovable, isOfPool, memoryOf } from './views'

const { ARRAY, BIGINT, BYTES, CHARS, CONSTANT, DATE, INTEGER, MAP, NUMBER, NUMBERS, OBJECT, REGEXP, SAME, SET, TEXT } =
  KINDS
const [UNDEFINED, NULL, FALSE, TRUE] = [0, 1, 2, 3].map((index) => index * 16 + CONSTANT) as [
  number,
  number,
  number,
  number,
]

/** Longest value, in words. */
export const MOST_WORDS = 16384
/** The longest that goes with others; a longer one goes alone. */
export const MOST_TOGETHER = 512
/** Elements of an array, entries of a map. */
const MOST_MEMBERS = MOST_WORDS
/** Arrays with more elements are not asked for the name of each, but the engine for other names; elsewhere they are not written. */
const FEW_ELEMENTS = 64
/** So many numbers in an array need no item each. */
const MANY_NUMBERS = 8
const MOST_DEPTH = 16
/** Integers from here on are numbers: the items are to be small integers to the engine. */
const MOST_INTEGER = 2 ** 26
/** Longest string that is taken apart, in UTF-16 units. */
const MOST_CHARS = 256
/** Those of more units than the first number are copied as they are in memory, up to the second. */
const [FEW_CHARS, MOST_COPIED] = [20, 8192]
/** The longest that may be shared: of one that is longer V8 may keep the string alive that it is a part of. */
const MOST_TEXT = 12
/**
 * Text is what the engine's serializer is quicker with, and all else what it is slower with, in nanoseconds
 * (docs/design/js-lane.md): for each unit, or for each text that is copied, and its words; for its call, each word that is no text,
 * and the name of a string.
 */
const [UNIT_COSTS, COPY_COSTS, WORD_COSTS, CALL_PAYS, WORD_PAYS, NAME_PAYS] = [5, 100, 1.5, 600, 40, 20]
/** What may still be made good by what follows. */
const CREDIT = 2000
/** Of more strings each one costs something, too, and only objects pay. */
const FEW_STRINGS = 64
const [STRING_COSTS, OBJECT_PAYS] = [50, 200]
/** Memory up to the first length, in bytes, is taken apart, and up to the second it may be; the engine is quicker with more than the last. */
const [FEW_BYTES, MOST_SIXES, MOST_BYTES] = [32, 320, 2048]
/** So many objects of a value are compared one by one; the places of others are kept. */
const FEW_OBJECTS = 16
const MOST_OBJECTS = 4096
/** Each piece of memory is compared with so many before it at most. */
const MOST_MEMORIES = 64

const { arrayPrototype, datePrototype, mapPrototype, memoryPrototype, objectPrototype, regExpPrototype, setPrototype } =
  builtins
const { ceil, errorNames, errorPrototypes, getOwnPropertyDescriptor, isInChain, isNativeError, isNan, latin1Slice } =
  builtins
const { max, typedSet, ucs2Slice, ucs2Write, utf8Write } = builtins
const {
  charCodeAt,
  entries,
  getPrototypeOf,
  getTime,
  hasOwn,
  isArray,
  isView,
  keys,
  lengthOf,
  lengthOfView,
  offsetOfView,
} = builtins
const { mapForEach, mapSize, min, regExpProperties, setForEach, setSize, Map: PlainMap, Uint8Array: Bytes } = builtins
const { halves, integer, signedHalves, unsignedInteger } = builtins
const { dataViewPrototype, lengthOfDataView, offsetOfDataView } = builtins
const { isArgumentsObject, isArrayBuffer, isBoxedPrimitive, isDataView, isDate, isMap, isProxy, isRegExp, isSet } =
  builtins
const { isExtensible } = builtins
const sourceOf = regExpProperties.source?.get as (this: unknown) => string

/** A map whose methods nobody else can reach. */
class Places extends PlainMap<object, number> {}
builtins.defineProperty(Places.prototype, 'get', { value: builtins.mapGet })
builtins.defineProperty(Places.prototype, 'set', { value: builtins.mapSet })

// --- writing ---

/** Where values are written: the last one that was, until the next. */
export const written = new builtins.Float64Array(MOST_WORDS + 4)
/** The same memory. */
const bytes = new Bytes(builtins.bufferOf.call(written))
let at = 0
let isBusy = false
const objects: (object | undefined)[] = []
let objectCount = 0
/** Their places, from FEW_OBJECTS on. */
let places: Places | undefined
/** What each of them is counted as: -1 while it is not complete. */
const numbers: number[] = []
let numberCount = 0
/** Strings that are not shared, what they cost, in nanoseconds, and the words of their text. */
let stringCount = 0
let textCosts = 0
let textWords = 0
let isTracked = false
/** Whether some memory is there twice. */
let isSharing = false
/** Whether they are counted in the order of their starts. */
let isCyclic = false
/** So many values more are counted so, for after one that was within itself others like it will come. */
let cyclesExpected = 0
const MOST_EXPECTED = 16
/** Instances that are in no other, and the first of them; where the platform has to be asked about them. */
let instanceCount = 0
let firstInstance: object | undefined
/** Whether what is written is in an instance. */
let isWithin = false
/** How much memory there is so far, each piece of which is counted once. */
let memoryCount = 0
/** That which may come again: buffers, or views that had none when they were written; and what it is counted as. */
const memories: (object | undefined)[] = []
const memoryNumbers: number[] = []
let comparedCount = 0
/** The instance of a class that is not known at which writing has ended; kept no longer than it takes to ask for it. */
let stranger: object | undefined

/** Gives that instance, once. */
export function takeStranger(): object | undefined {
  const taken = stranger
  stranger = undefined
  return taken
}

/** Values since the last one that could be written. */
let misses = 0
/** After that many it is tried with one value of 16 only. */
const MOST_MISSES = 32

/** Longest text that is written alone, in words: of a longer one the addon makes fewer copies. */
const MOST_ALONE = 130

/**
 * Writes a value; how many words it takes, -1 when it cannot be written.
 * @throws what a getter of the value throws
 */
export function write(value: object | string): number {
  stranger = undefined
  // A getter may submit something.
  if (isBusy) return -1
  if (typeof value === 'string') return writeAlone(value)
  // Memory alone is copied as it is.
  if (isView(value)) return -1
  if (misses > MOST_MISSES && (misses++ & 15) !== 0) return -1
  // They would be taken for properties of every object.
  for (const _ in objectPrototype) return -1
  isBusy = true
  try {
    forgetIfFull()
    isCyclic = cyclesExpected > 0
    let isWritten = writeRoot(value)
    if (!isWritten && !isCyclic && cyclesExpected > 0) {
      forgetObjects()
      isCyclic = true
      isWritten = writeRoot(value)
    }
    if (!isWritten) {
      misses++
      return -1
    }
    misses = 0
    if (isCyclic) cyclesExpected = isTracked ? MOST_EXPECTED : cyclesExpected - 1
    written[0] = at
    if (isTracked) written[1] = (written[1] as number) + (isCyclic ? CYCLIC : TRACKED)
    if (isSharing) written[1] = (written[1] as number) + SHARING
    return at
  } finally {
    isBusy = false
    forgetObjects()
  }
}

function writeRoot(value: object): boolean {
  at = 1
  objectCount = 0
  numberCount = 0
  stringCount = 0
  textCosts = 0
  textWords = 0
  isTracked = false
  isSharing = false
  instanceCount = 0
  isWithin = false
  memoryCount = 0
  comparedCount = 0
  otherCount = 0
  if (!writeObject(value, MOST_DEPTH) || (stringCount > 0 && isForEngine(0))) return false
  return instanceCount === 0 || areCloneable(value)
}

function forgetObjects(): void {
  firstInstance = undefined
  places = undefined
  for (let i = 0; i < objectCount; i++) objects[i] = undefined
  for (let i = 0; i < comparedCount; i++) memories[i] = undefined
  // To say so takes as long as to write a property.
  if (others.length > 0) others.length = 0
}

/** Whether a text is expected to be short enough. */
export function mayWrite({ length }: string): boolean {
  if (length <= 4 * MOST_ALONE) return true
  if (length > 8 * MOST_ALONE) return false
  if (othersExpected === 0) return true
  othersExpected--
  return false
}

function writeAlone(text: string): number {
  if (!mayWrite(text)) return -1
  at = 1
  objectCount = 0
  stringCount = 0
  textCosts = 0
  textWords = 0
  // It is not shared: there may be ever new ones, which shapes of objects would have no room beside.
  if (!putText(text) || at > MOST_ALONE) return -1
  written[0] = at
  return at
}

function writeValue(value: unknown, depth: number): boolean {
  // A bigint takes three.
  if (at > MOST_WORDS - 3) return false
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
  const known = placeOf(object)
  if (known >= 0) return writeSame(known)
  if (isProxy(object) || objectCount === MOST_OBJECTS) return false
  const index = note(object)
  if (isCyclic) numbers[index] = numberCount++
  if (!writeNew(object, depth)) return false
  if (!isCyclic) numbers[index] = numberCount++
  return true
}

/** The place of an object that is there already, or -1. */
function placeOf(object: object): number {
  const count = min(objectCount, FEW_OBJECTS)
  for (let i = 0; i < count; i++) if (objects[i] === object) return i
  return places === undefined ? -1 : (places.get(object) ?? -1)
}

/** Notes that an object is there from now on; its place. */
function note(object: object): number {
  const index = objectCount++
  objects[index] = object
  numbers[index] = -1
  if (index >= FEW_OBJECTS) {
    places ??= new Places()
    places.set(object, index)
  }
  return index
}

function writeSame(index: number): boolean {
  const number = numbers[index] as number
  if (number < 0) {
    // It would have to be there before its members: the next ones will.
    if (!isCyclic) cyclesExpected = MOST_EXPECTED
    return false
  }
  isTracked = true
  written[at++] = number * 16 + SAME
  return true
}

function writeNew(object: object, depth: number): boolean {
  const prototype = getPrototypeOf(object)
  if (prototype === objectPrototype) return writePlain(object, depth)
  if (isArray(object)) return prototype === arrayPrototype && writeArray(object, depth)
  if (prototype === datePrototype) {
    if (!isDate(object)) return false
    written[at] = DATE
    written[at + 1] = getTime.call(object)
    at += 2
    return true
  }
  if (prototype === mapPrototype) return isMap(object) && writeMap(object, depth)
  if (prototype === setPrototype) return isSet(object) && writeSet(object, depth)
  if (isView(object)) return writeBytes(object)
  if (prototype === memoryPrototype) return isArrayBuffer(object) && writeBuffer(object)
  if (prototype === regExpPrototype) return isRegExp(object) && writeRegExp(object)
  if (prototype === null || !isKnown(prototype)) {
    if (isNativeError(object)) return writeError(object, prototype, depth)
    // A clone of what has no prototype is a plain object, unless the language has made it (modules, raw JSON, structs of
    // WebAssembly): they never get other properties.
    if (prototype === null) return isExtensible(object) && isPlain(object) && writePlain(object, depth, true)
    stranger = object
    return false
  }
  const isFree = isUnmarked(object)
  if (isFree !== undefined) return isFree && writePlain(object, depth, true)
  if (isWithin) return writePlain(object, depth, true)
  if (instanceCount++ === 0) firstInstance = object
  isWithin = true
  const isWritten = writePlain(object, depth, true)
  isWithin = false
  return isWritten
}

/** Whether the platform would clone the instances in `value`. It takes its time for each value, and for all that is in it. */
function areCloneable(value: object): boolean {
  return isCloneable(instanceCount === 1 ? firstInstance : value)
}

/** Names of properties that no shape tells, of all objects that are being written. */
const others: string[] = []
let otherCount = 0

/** `isDoubtful`: what it inherits may be anything. */
function writePlain(object: object, depth: number, isDoubtful = false): boolean {
  // Arrays, too, may have been given that prototype.
  if (isArray(object)) return false
  const head = at++
  let shape = shapes.empty
  // Those that the shape does not tell.
  let count = 0
  for (const name in object) {
    // A prototype may have some, too.
    if (isDoubtful && !hasOwn(object, name)) continue
    const next = count === 0 ? shape.with(name) : undefined
    if (next === undefined) {
      others[otherCount++] = name
      count++
    } else shape = next
    if (!writeValue((object as Record<string, unknown>)[name], depth)) return false
  }
  if (hasOwn(object, 'callee') && isArgumentsObject(object)) return false
  if (count > 0 || shape.id < 0 || shape.isOdd) return writeOthers(object, head, shape, count)
  written[head] = shape.id * 32 + OBJECT
  return true
}

/** Ends an object with so many properties that `shape` does not tell, or with one whose shape is odd or has no number. */
function writeOthers(object: object, head: number, shape: Shape, count: number): boolean {
  const firstOther = otherCount - count
  const first = shape.names.length > 0 ? shape.names[0] : others[firstOther]
  // Objects of other classes may have been given that prototype: they have no properties, or indices.
  if (first === undefined ? !isPlain(object) : first === '0' && isIndexed(object)) return false
  const { numbered } = shape
  const told = numbered.names.length
  const all = shape.names.length - told + count
  if (all > MOST_NAMED) return false
  // They are not shared: there may be ever new ones, which would be kept for ever.
  let isInherited = placeIn(shape.names, INHERITED) >= 0
  for (let i = told; i < shape.names.length; i++) if (!putText(shape.names[i] as string)) return false
  for (let i = firstOther; i < otherCount; i++) {
    const name = others[i] as string
    if (name === INHERITED) isInherited = true
    if (!putText(name)) return false
  }
  // A getter may have deleted its own, and the other one was read in its place.
  if (isInherited && !hasOwn(object, INHERITED)) return false
  written[head] = (all * 2 ** OTHERS_SHIFT + numbered.id * 2 + (all > 0 ? 1 : 0)) * 16 + OBJECT
  otherCount = firstOther
  return true
}

/** Whether an object without properties is no other one, whatever its prototype. */
function isPlain(object: object): boolean {
  return mayClone() && native.isPlain(object)
}

/** Whether it is no plain object, whatever its prototype. */
function isIndexed(object: object): boolean {
  return isArgumentsObject(object) || isBoxedPrimitive(object) || isView(object)
}

/** An index of its own for each element, and no other property. */
function writeArray(array: readonly unknown[], depth: number): boolean {
  const { length } = array
  // Where the engine says that no other names are there, each element is looked at for itself: a hole is no element, unless all
  // arrays have been given one.
  const isAsked = length > FEW_ELEMENTS && arrayPrototype.length === 0 && mayClone()
  if (length > (isAsked ? MOST_MEMBERS : FEW_ELEMENTS)) return false
  if (isAsked ? native.hasNames(array) : !hasAllIndices(array, length)) return false
  const head = at++
  let next = 0
  if (length >= MANY_NUMBERS) {
    const first = array[0]
    if (typeof first === 'number') {
      if (head + 1 + length > MOST_WORDS) return false
      next = countNumbers(head, array, length, first)
      if (next === length) return true
      // The next one, which is no number, has been read.
      const other = firstOther
      firstOther = undefined
      if (!writeItems(head, next) || !writeElement(array, next, other, depth)) return false
      next++
    } else {
      next = 1
      if (!writeElement(array, 0, first, depth)) return false
    }
  }
  written[head] = length * 16 + ARRAY
  for (; next < length; next++) if (!writeElement(array, next, array[next], depth)) return false
  return true
}

/** What `countNumbers` has ended at. */
let firstOther: unknown

/** Writes the numbers that an array begins with, side by side; how many. The array is complete if that is all of it. */
function countNumbers(head: number, array: readonly unknown[], length: number, first: number): number {
  let areIntegers = true
  let value: unknown = first
  for (let i = 0; i < length; ) {
    if (typeof value !== 'number') {
      firstOther = value
      return i
    }
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) areIntegers = false
    written[head + 1 + i] = value
    value = ++i < length ? array[i] : undefined
  }
  written[head] = (length * 2 + (areIntegers ? 1 : 0)) * 16 + NUMBERS
  at = head + 1 + length
  return length
}

/** Writes the numbers that lie there as items. */
function writeItems(head: number, count: number): boolean {
  const found = copyWords(written, head + 1, count)
  for (let i = 0; i < count; i++) if (!writeValue(found[i], 0)) return false
  return true
}

function writeElement(array: readonly unknown[], index: number, element: unknown, depth: number): boolean {
  if (element === undefined && !hasOwn(array, index)) return false
  return writeValue(element, depth)
}

function hasAllIndices(array: readonly unknown[], length: number): boolean {
  const names = keys(array)
  // Indices come first: when the last name is one, all are.
  return names.length === length && (length === 0 || names[length - 1] === `${length - 1}`)
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

function writeBytes(view: ArrayBufferView): boolean {
  const index = classOf(view)
  if (index < 0) return getPrototypeOf(view) === dataViewPrototype && isDataView(view) && writeDataView(view)
  const size = lengthOfView.call(view)
  // Asked for its buffer, the engine would have to make one.
  if (index === 0 && mayClone() && native.isInHeap(view)) return putBytes(view as Uint8Array, size, index, view)
  const buffer = memoryOf(view)
  if (!isMovable(buffer)) return false
  const offset = offsetOfView.call(view)
  // Of Node's pool only what is its own, which nobody else has then.
  if (index === 0 && isOfPool(view, buffer)) return putBytes(new Bytes(buffer, offset, size), size, index, undefined)
  return writeView(buffer, offset, size, index)
}

/** Where it is and how long it is can be asked only while its memory is there. */
function writeDataView(view: DataView): boolean {
  const buffer = memoryOf(view)
  return isMovable(buffer) && writeView(buffer, offsetOfDataView.call(view), lengthOfDataView.call(view), DATA_VIEW)
}

function writeView(buffer: ArrayBuffer, offset: number, size: number, index: number): boolean {
  const number = numberOfMemory(buffer)
  if (number >= 0) return writeKnown(number, offset, size, index)
  const whole = lengthOf.call(buffer)
  if (whole === size) return putBytes(new Bytes(buffer), size, index, buffer)
  // Before them, so that who reads them need not look beyond.
  if (!putBytes(new Bytes(buffer), whole, PART, buffer, 2)) return false
  written[partAt] = offset
  written[partAt + 1] = size * 16 + index
  return true
}

function writeBuffer(buffer: ArrayBuffer): boolean {
  if (!isMovable(buffer)) return false
  const number = numberOfMemory(buffer)
  return number >= 0
    ? writeKnown(number, 0, 0, WHOLE)
    : putBytes(new Bytes(buffer), lengthOf.call(buffer), WHOLE, buffer)
}

/** What memory that is there already is counted as, or -1. */
function numberOfMemory(buffer: ArrayBuffer): number {
  for (let i = 0; i < comparedCount; i++) if (memories[i] === buffer) return memoryNumbers[i] as number
  for (let i = 0; i < comparedCount; i++) {
    const other = memories[i] as object
    // A getter may have asked for the buffer that there was none of.
    if (isView(other) && !native.isInHeap(other) && memoryOf(other) === buffer) return memoryNumbers[i] as number
  }
  return -1
}

function writeKnown(number: number, offset: number, size: number, index: number): boolean {
  isSharing = true
  written[at] = PART * 16 + BYTES
  written[at + 1] = number
  written[at + 2] = offset
  written[at + 3] = size * 16 + index
  at += 4
  return true
}

/** Where the words lie that `putBytes` has left out. */
let partAt = 0

/**
 * Copies bytes as they are in memory, or else six to a word. Leaves out so many words before them. `memory`: what they are found
 * again by.
 */
function putBytes(from: Uint8Array, length: number, index: number, memory: object | undefined, before = 0): boolean {
  if (length > MOST_BYTES || at + length / 6 + 3 + before > MOST_WORDS) return false
  if (memory !== undefined && comparedCount < MOST_MEMORIES) {
    memories[comparedCount] = memory
    memoryNumbers[comparedCount++] = memoryCount
    // Only other memory may turn out to be that of a view that had none.
  } else if (memory !== undefined && !isView(memory)) return false
  memoryCount++
  const head = at
  partAt = at + 1
  at = partAt + before
  const isCopied = length > FEW_BYTES && copyBytes(from, length)
  if (!isCopied) {
    if (length > MOST_SIXES) return false
    putSixes(from, length)
  }
  written[head] = (length * 32 + (isCopied ? index : SIXES + index)) * 16 + BYTES
  return true
}

/** Whether it could: each word has to be a number. */
function copyBytes(from: Uint8Array, length: number): boolean {
  const end = at + ceil(length / 8)
  written[end - 1] = 0
  typedSet.call(bytes, from, at * 8)
  if (!areNumbers(at, end)) return false
  at = end
  return true
}

/** Whether these words are numbers: any other may become another one where it is copied. */
function areNumbers(start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (isNan(written[i])) return false
  return true
}

function putSixes(from: Uint8Array, length: number): void {
  for (let i = 0; i < length; i += 6) {
    const low = byteAt(from, i, length) | (byteAt(from, i + 1, length) << 8) | (byteAt(from, i + 2, length) << 16)
    const high = byteAt(from, i + 3, length) | (byteAt(from, i + 4, length) << 8) | (byteAt(from, i + 5, length) << 16)
    written[at++] = high * 2 ** 24 + low
  }
}

/** 0 beyond the end. */
function byteAt(bytes: Uint8Array, index: number, length: number): number {
  return index < length ? (bytes[index] as number) : 0
}

/** In the order of flat-format.ts. */
const flagGetters = FLAGS.map(([name]) => regExpProperties[name]?.get)
/** A flag that is not known here would be lost. */
const knowsFlags = entries(regExpProperties).every(
  ([name, { get }]) =>
    get === undefined || name === 'flags' || name === 'source' || FLAGS.some(([flag]) => flag === name),
)

function writeRegExp(pattern: RegExp): boolean {
  if (!knowsFlags) return false
  let flags = 0
  for (let i = 0; i < flagGetters.length; i++) if (flagGetters[i]?.call(pattern)) flags |= 1 << i
  written[at++] = flags * 16 + REGEXP
  return writeText(sourceOf.call(pattern))
}

const exceptionPrototype = builtins.DOMException?.prototype

/** A clone of an error has a class by its name, message, stack and cause, and nothing else of it. */
function writeError(error: Error, prototype: object | null, depth: number): boolean {
  // Before a getter may change them.
  const message = getOwnPropertyDescriptor(error, 'message')
  const cause = hasOwn(error, 'cause') ? getOwnPropertyDescriptor(error, 'cause') : undefined
  const { name } = error
  let index = placeIn(errorPrototypes, prototype)
  // Those of the platform may be clones of their own kind.
  if (index < 0 && exceptionPrototype !== undefined && isInChain.call(exceptionPrototype, error)) return false
  if (isUnmarked(error) !== true || typeof name !== 'string') return false
  if (name !== errorNames[index]) index = max(placeIn(errorNames, name), 0)
  const { stack } = error as { readonly stack?: unknown }
  if (typeof stack !== 'string') return false
  // Of what a getter gives a clone has nothing.
  if (message !== undefined && !(hasOwn(message, 'value') && typeof message.value === 'string')) return false
  if (cause !== undefined && !hasOwn(cause, 'value')) return false
  const has = (message === undefined ? 0 : HAS_MESSAGE) + (cause === undefined ? 0 : HAS_CAUSE)
  written[at++] = (ERROR + index * 4 + has) * 16 + CONSTANT
  if (message !== undefined && !writeText(message.value as string)) return false
  return writeText(stack) && (cause === undefined || writeValue(cause.value, depth))
}

function writeBigint(value: bigint): boolean {
  // Arithmetic with bigints makes objects.
  integer[0] = value
  const isSigned = integer[0] === value
  if (!isSigned && unsignedInteger[0] !== value) return false
  written[at] = BIGINT
  written[at + 1] = halves[0] as number
  written[at + 2] = (isSigned ? signedHalves[1] : halves[1]) as number
  at += 3
  return true
}

function writeText(text: string): boolean {
  const { length } = text
  if (length <= MOST_TEXT) {
    // One of many is seldom seen again.
    const shared = numberOfText(text, stringCount < FEW_STRINGS)
    if (shared >= 0) {
      written[at++] = shared * 16 + TEXT
      return true
    }
  }
  return putText(text)
}

function putText(text: string): boolean {
  const { length } = text
  if (length > FEW_CHARS && copyText(text)) return !isForEngine(CREDIT)
  if (length > MOST_CHARS || at + length / 3 + 2 > MOST_WORDS) return false
  textCosts += UNIT_COSTS * length
  textWords += length / 3
  stringCount++
  if (isForEngine(CREDIT)) return false
  written[at++] = length * 64 + CHARS
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

/** Other runtimes may lack what it takes to copy text. */
const mayRead = latin1Slice !== undefined && ucs2Slice !== undefined
const mayCopy = mayRead && ucs2Write !== undefined && utf8Write !== undefined
/** So many texts are not expected to be ASCII, after one that was not. */
let othersExpected = 0
const MOST_OTHERS = 32

/** Copies a text as it is in memory; whether it could. */
function copyText(text: string): boolean {
  const { length } = text
  if (!mayCopy || length > MOST_COPIED || at + length / 4 + 3 > MOST_WORDS) return false
  if (othersExpected === 0) {
    if (copyAscii(text)) return true
    othersExpected = MOST_OTHERS
  }
  othersExpected--
  return copyUnits(text)
}

/** The same for ASCII: as UTF-8 any other text is longer. */
function copyAscii(text: string): boolean {
  const { length } = text
  const count = ceil(length / 8)
  written[at + count] = 0
  // With room for one character more, which is four bytes at most, what is longer is seen to be.
  if (utf8Write?.call(bytes, text, (at + 1) * 8, length + 4) !== length) return false
  copied(length, ASCII, count)
  return true
}

/** The same for any text, unless a word is no number then. */
function copyUnits(text: string): boolean {
  const { length } = text
  const count = ceil(length / 4)
  written[at + count] = 0
  ucs2Write?.call(bytes, text, (at + 1) * 8, length * 2)
  if (!areNumbers(at + 1, at + 1 + count)) return false
  copied(length, UTF16, count)
  return true
}

/** So many words hold a text. */
function copied(length: number, how: number, count: number): void {
  written[at] = (length * 4 + how) * 16 + CHARS
  at += 1 + count
  textCosts += COPY_COSTS + WORD_COSTS * count
  textWords += count
  stringCount++
}

/** Whether there is so much text that the engine's serializer is quicker with what is there so far. */
function isForEngine(credit: number): boolean {
  if (stringCount > FEW_STRINGS) return STRING_COSTS * stringCount + textCosts > OBJECT_PAYS * objectCount
  const others = at - stringCount - textWords
  return textCosts > CALL_PAYS + WORD_PAYS * others + NAME_PAYS * stringCount + credit && mayClone()
}
