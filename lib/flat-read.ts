// Stage: submit, run and settle. Thread: any.
// Reads what flat.ts has written.

import { builtins } from './builtins'
import {
  ASCII,
  CONSTANTS,
  CYCLIC,
  DATA_VIEW,
  EMPTY,
  ERROR,
  FLAGS,
  HAS_CAUSE,
  HAS_MESSAGE,
  KINDS,
  MOST_ID,
  OTHERS_SHIFT,
  PART,
  SHARING,
  SIXES,
  TRACKED,
  UTF16,
  WHOLE,
} from './flat-format'
import { native } from './native-values'
import { withoutStack } from './stackless'

const { ARRAY, BIGINT, BYTES, CHARS, DATE, INTEGER, MAP, NUMBER, NUMBERS, OBJECT, REGEXP, SAME, SET, TEXT } = KINDS
const { Date: PlainDate, Map: PlainMap, Set: PlainSet, RegExp: PlainRegExp, Uint8Array: Bytes } = builtins
const { DataView: View, halves, integer, unsignedInteger } = builtins
const { ceil, errorClasses, latin1Slice, offsetOfView, typedSet, ucs2Slice } = builtins
const { bufferOf, create, defineProperty, floor, fromCharCode, mapSet, objectPrototype, parse, setAdd } = builtins
const { setPrototypeOf, stringify, typedArrays } = builtins

type ViewClass = (typeof typedArrays)[number]

let words: Float64Array = new builtins.Float64Array(0)
let from = 0
const shared: string[] = []
const makers: (() => object)[] = []
const fillers: (() => object)[] = []
const flagTexts: string[] = []

/** Reads what `write` has written, from `memory` at `offset`. */
export function read(memory: Float64Array, offset: number): unknown {
  words = memory
  from = offset + 2
  const item = words[offset + 1] as number
  return item < TRACKED ? readItem(item) : readCounting(item)
}

function readCounting(first: number): unknown {
  let item = first
  if (item >= SHARING) {
    memories = []
    item -= SHARING
  }
  isCyclic = item >= CYCLIC
  if (item >= TRACKED) {
    counted = []
    item -= isCyclic ? CYCLIC : TRACKED
  }
  try {
    return readItem(item)
  } finally {
    counted = undefined
    memories = undefined
    isCyclic = false
  }
}

/** The objects so far, where they are counted. */
let counted: object[] | undefined
/** The memory so far, likewise: views of all of it. */
let memories: Uint8Array[] | undefined
/** Whether they are counted, and so made, before what is in them. */
let isCyclic = false

function readValue(): unknown {
  return readItem(words[from++] as number)
}

function begun<T extends object>(object: T): T {
  if (isCyclic && counted !== undefined) counted[counted.length] = object
  return object
}

function ended<T extends object>(object: T): T {
  if (!isCyclic && counted !== undefined) counted[counted.length] = object
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
      return readText(number >>> 2, number & 3)
    case OBJECT:
      if ((number & 1) === 1) return ended(readOpen(number >>> OTHERS_SHIFT, (number >>> 1) & MOST_ID))
      if (isCyclic) return (fillers[number >>> 1] ?? learnFiller(number >>> 1))()
      return ended((makers[number >>> 1] ?? learnShape(number >>> 1))())
    case ARRAY: {
      const array: unknown[] = begun([])
      for (let i = 0; i < number; i++) array[i] = readValue()
      return ended(array)
    }
    case NUMBERS:
      return ended(readNumbers(begun([]), number >>> 1, (number & 1) === 1))
    case SAME:
      return counted?.[number]
    case DATE:
      return ended(begun(new PlainDate(words[from++] as number)))
    case MAP: {
      const map = begun(new PlainMap())
      for (let i = 0; i < number; i++) mapSet.call(map, readValue(), readValue())
      return ended(map)
    }
    case SET: {
      const set = begun(new PlainSet())
      for (let i = 0; i < number; i++) setAdd.call(set, readValue())
      return ended(set)
    }
    case BYTES:
      return ended(begun(readBytes(number >>> 5, number & 15, (number & SIXES) !== 0)))
    case REGEXP:
      return ended(begun(new PlainRegExp(readValue() as string, flagTexts[number] ?? learnFlags(number))))
    case BIGINT:
      halves[0] = words[from] as number
      halves[1] = words[from + 1] as number
      from += 2
      return (words[from - 1] as number) > MOST_SIGNED_HALF ? unsignedInteger[0] : integer[0]
    default:
      return number < ERROR ? CONSTANTS[number] : readError(number - ERROR)
  }
}

/** What is above is the half of an unsigned integer. */
const MOST_SIGNED_HALF = 2 ** 31 - 1

function readNumbers(array: number[], length: number, areIntegers: boolean): number[] {
  const start = from
  from += length
  // As integers they are small integers to the engine, as they were.
  if (areIntegers) for (let i = 0; i < length; i++) array[i] = (words[start + i] as number) | 0
  else for (let i = 0; i < length; i++) array[i] = words[start + i] as number
  return array
}

/** An object that has more properties than the shape with that number tells. */
function readOpen(others: number, id: number): object {
  let object: object
  // With keys of its own only the engine would make a class for each of them, which takes twice as long.
  if (id === EMPTY) object = begun(setPrototypeOf(create(null), objectPrototype) as object)
  else object = isCyclic ? (fillers[id] ?? learnFiller(id))() : (makers[id] ?? learnShape(id))()
  const values: unknown[] = []
  for (let i = 0; i < others; i++) values[i] = readValue()
  for (let i = 0; i < others; i++) {
    const name = readValue() as string
    // What it inherits may be a setter.
    if (name in object) defineMember(object, name, values[i])
    else (object as Record<string, unknown>)[name] = values[i]
  }
  return object
}

/** Others may have added what a property is described by to the prototype of objects. */
function defineMember(object: object, name: string, value: unknown): void {
  defineProperty(object, name, {
    __proto__: null,
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  } as PropertyDescriptor)
}

function readBytes(length: number, index: number, areSixes: boolean): object {
  const isPart = index === PART
  if (isPart && length === 0) return readKnown()
  if (isPart) from += 2
  const start = from
  const bytes = new Bytes(length)
  if (areSixes) readSixes(bytes, length)
  else {
    from += ceil(length / 8)
    typedSet.call(bytes, new Bytes(bufferOf.call(words), offsetOfView.call(words) + start * 8, length))
  }
  if (memories !== undefined) memories[memories.length] = bytes
  if (index === 0) return bytes
  const buffer = bufferOf.call(bytes)
  if (index === WHOLE) return buffer
  if (!isPart) return index === DATA_VIEW ? new View(buffer) : new (typedArrays[index] as ViewClass)(buffer)
  return readPart(buffer, words[start - 2] as number, words[start - 1] as number)
}

/** Memory that is there already, or a view of it. */
function readKnown(): object {
  const [number, offset, part] = [words[from] as number, words[from + 1] as number, words[from + 2] as number]
  from += 3
  const buffer = bufferOf.call(memories?.[number] as Uint8Array)
  return (part & 15) === WHOLE ? buffer : readPart(buffer, offset, part)
}

function readPart(buffer: ArrayBufferLike, offset: number, part: number): object {
  const size = part >>> 4
  if ((part & 15) === DATA_VIEW) return new View(buffer, offset, size)
  const Class = typedArrays[part & 15] as ViewClass
  return new Class(buffer, offset, size / Class.BYTES_PER_ELEMENT)
}

function readSixes(bytes: Uint8Array, length: number): void {
  for (let i = 0; i < length; i += 6) {
    const word = words[from++] as number
    const high = floor(word / 2 ** 24)
    const low = word - high * 2 ** 24
    bytes[i] = low
    bytes[i + 1] = low >>> 8
    bytes[i + 2] = low >>> 16
    bytes[i + 3] = high
    bytes[i + 4] = high >>> 8
    bytes[i + 5] = high >>> 16
  }
}

function readText(length: number, how: number): string {
  if (how !== ASCII && how !== UTF16) return readChars(length)
  const start = from * 8
  from += ceil((length * how) / 8)
  // Of one byte, and of two.
  const slice = how === ASCII ? latin1Slice : ucs2Slice
  return slice?.call(words, start, start + length * how) as string
}

function readError(number: number): Error {
  const message = number & HAS_MESSAGE ? (readValue() as string) : undefined
  const Class = errorClasses[number >>> 2] as ErrorConstructor
  const error = begun(withoutStack(() => (message === undefined ? new Class() : new Class(message))))
  error.stack = readValue() as string
  // As the engine defines it.
  if (number & HAS_CAUSE) {
    defineProperty(error, 'cause', { value: readValue(), writable: true, enumerable: false, configurable: true })
  }
  return ended(error)
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

function learnFlags(bits: number): string {
  let text = ''
  for (let index = 0; index < FLAGS.length; index++) if ((bits >> index) & 1) text += FLAGS[index]?.[1]
  flagTexts[bits] = text
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

function learnFiller(id: number): () => object {
  const filler = fillerOf(parse(native.sharedText(id)) as string[])
  fillers[id] = filler
  return filler
}

/** What makes objects with these properties out of the values that follow. */
function makerOf(names: readonly string[]): () => object {
  // Computed, it is a property like any other.
  let members = ''
  for (const name of names) members += `${name === '__proto__' ? '["__proto__"]' : stringify(name)}: value(), `
  try {
    // The names are strings of the code, so nothing of them is run.
    return new Function('value', `return () => ({ ${members} })`)(readValue) as () => object
  } catch {
    // Code may not be made of strings here (--disallow-code-generation-from-strings).
    return () => define({}, names)
  }
}

function define(object: object, names: readonly string[]): object {
  for (const name of names) defineMember(object, name, readValue())
  return object
}

/** The same, but the object is there, and counted, before its properties. */
function fillerOf(names: readonly string[]): () => object {
  // Fields are defined, not assigned, on what the base class returns.
  let fields = ''
  for (const name of names) fields += `${name === 'constructor' ? '["constructor"]' : stringify(name)} = value(); `
  const text = `function Base() { return begun({}) }
    class Filled extends Base { ${fields} }
    return () => new Filled()`
  try {
    return new Function('value', 'begun', text)(readValue, begun) as () => object
  } catch {
    return () => define(begun({}), names)
  }
}
