// Stage: all. Thread: any.
// What the language gives, as it was before the modules of the user ran: they patch prototypes and replace globals (polyfills,
// fake timers), and what values are taken apart and made with is loaded after them, with the first value that needs it.

import process from 'node:process'
import { types } from 'node:util'
import type { Transferable } from 'node:worker_threads'

interface TypedArrayClass {
  readonly prototype: object
  readonly name: string
  readonly BYTES_PER_ELEMENT: number
  new (memory: ArrayBufferLike, offset?: number, length?: number): ArrayBufferView
}

const { from: arrayFrom, isArray, prototype: arrayPrototype } = Array
const { isView } = ArrayBuffer
/** An integer of 64 bits, and its memory seen in other ways. */
const integer = new BigInt64Array(1)
const unsignedInteger = new BigUint64Array(integer.buffer)
const halves = new Uint32Array(integer.buffer)
const signedHalves = new Int32Array(integer.buffer)
const { prototype: datePrototype } = Date
const { prototype: mapPrototype } = Map
const { ceil, floor, max, min } = Math
const { isFinite: isFiniteNumber, isInteger, isNaN: isNan } = Number
const { add: atomicAdd, load: atomicLoad, store: atomicStore } = Atomics
const {
  assign,
  create,
  defineProperty,
  entries,
  freeze,
  getOwnPropertyDescriptor,
  getOwnPropertyDescriptors,
  getOwnPropertyNames,
  getOwnPropertySymbols,
  getPrototypeOf,
  hasOwn,
  isExtensible,
  keys,
  prototype: objectPrototype,
  setPrototypeOf,
  values,
} = Object
const { prototype: regExpPrototype } = RegExp
const { prototype: setPrototype } = Set
const { charCodeAt, isWellFormed } = String.prototype as string & { isWellFormed(): boolean }
const { fromCharCode } = String
const { parse, stringify } = JSON
const typedPrototype = getPrototypeOf(Uint8Array.prototype) as object

/** The getter `name` of `prototype`, safe from what a subclass or an own property says. */
function getter<T>(prototype: object, name: PropertyKey): (this: unknown) => T {
  return getOwnPropertyDescriptor(prototype, name)?.get as (this: unknown) => T
}

/** Contexts of their own may lack some; who only calls kernels needs none of them. */
const { Buffer: NodeBuffer, DOMException: BaseException, structuredClone: foundClone } = globalThis
/** Not in the documentation of Node, but of all of them. */
const bufferMethods = NodeBuffer?.prototype as
  | {
      latin1Slice(this: ArrayBufferView, start: number, end: number): string
      ucs2Slice(this: ArrayBufferView, start: number, end: number): string
      ucs2Write(this: ArrayBufferView, text: string, offset: number, length: number): number
      utf8Write(this: ArrayBufferView, text: string, offset: number, length: number): number
    }
  | undefined
const {
  isAnyArrayBuffer,
  isArgumentsObject,
  isArrayBuffer,
  isBoxedPrimitive,
  isDataView,
  isDate,
  isMap,
  isNativeError,
} = types
const { isModuleNamespaceObject, isPromise, isProxy, isRegExp, isSet, isSharedArrayBuffer, isWeakMap, isWeakSet } =
  types
/** Not imported as a namespace, which looks at each export: some load half a megabyte in each worker. */
const threads = require('node:worker_threads') as typeof import('node:worker_threads')
const { MessageChannel, receiveMessageOnPort } = threads
/** Not in Node 20, the second not before 22.10. */
const { isMarkedAsUntransferable, markAsUncloneable } = threads as {
  readonly isMarkedAsUntransferable?: (buffer: object) => boolean
  readonly markAsUncloneable?: (object: object) => void
}
/** Not in Node 20 and 22, and not what a polyfill may have made of it in one thread only. */
const half = (globalThis as { Float16Array?: TypedArrayClass }).Float16Array
const classes: readonly TypedArrayClass[] = [
  Uint8Array,
  Float64Array,
  Float32Array,
  Int32Array,
  Uint32Array,
  Uint16Array,
  Int16Array,
  Int8Array,
  Uint8ClampedArray,
  BigInt64Array,
  BigUint64Array,
]

const errorClasses = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError] as const

const { toString: sourceOfFunction } = Function.prototype
const { includes } = String.prototype
const PlainBuffer = ArrayBuffer
const lengthOf = getter<number>(ArrayBuffer.prototype, 'byteLength')

type Clone = typeof structuredClone

let engineClone: Clone | undefined

/** `structuredClone` of the engine. It is looked for with the first value: that takes its time. */
function clone<T>(value: T, options?: Parameters<Clone>[1]): T {
  engineClone ??= isOfEngine(foundClone) ? foundClone : cloneThroughPort()
  return engineClone(value, options)
}

/** A polyfill may neither move anything nor refuse what the engine does. */
function isOfEngine(found: Clone | undefined): found is Clone {
  if (found === undefined) return false
  // Its own is no native function.
  if ('deno' in process.versions) return true
  const source = sourceOfFunction.call(found)
  // Node's own, from 22 on; on Node 20 it is a native function.
  if (includes.call(source, 'nativeStructuredClone(')) return true
  if (!includes.call(source, '[native code]')) return false
  // Functions that are bound look native.
  const memory = new PlainBuffer(1)
  try {
    return lengthOf.call(found(memory, { transfer: [memory] })) === 1 && lengthOf.call(memory) === 0
  } catch {
    return false
  }
}

function cloneThroughPort(): Clone {
  const { port1, port2 } = new MessageChannel()
  // They hold no event loop: nothing listens.
  return (value, options) => {
    port1.postMessage(value, options?.transfer as readonly Transferable[] | undefined)
    return (receiveMessageOnPort(port2) as { message: typeof value }).message
  }
}

/** See the head of this file. Functions of prototypes have no `this` of their own. */
export const builtins = {
  // The engine makes it in a tenth of the time then: for any other it makes a class of objects for each property more.
  __proto__: null,
  AbortController,
  allocUnsafe: NodeBuffer?.allocUnsafe,
  arrayFrom,
  arrayPrototype,
  assign,
  atomicAdd,
  atomicLoad,
  atomicStore,
  BigInt64Array,
  bufferPrototype: NodeBuffer?.prototype,
  ceil,
  charCodeAt,
  clone,
  create,
  Date,
  datePrototype,
  defineProperty,
  DOMException: BaseException,
  entries,
  Error,
  /** Those that a clone tells apart, by their names. */
  errorClasses,
  errorNames: ['Error', 'TypeError', 'RangeError', 'SyntaxError', 'ReferenceError', 'EvalError', 'URIError'] as const,
  errorPrototypes: errorClasses.map(({ prototype }): object => prototype),
  Float64Array,
  floor,
  freeze,
  fromCharCode,
  getBuiltinModule: process.getBuiltinModule,
  getOwnPropertyDescriptor,
  getOwnPropertyNames,
  getOwnPropertySymbols,
  getPrototypeOf,
  getTime: datePrototype.getTime,
  halves,
  hasOwn,
  Int32Array,
  integer,
  isAnyArrayBuffer,
  isArgumentsObject,
  isArray,
  isArrayBuffer,
  isBoxedPrimitive,
  isDataView,
  isDate,
  isExtensible,
  isFiniteNumber,
  isInChain: objectPrototype.isPrototypeOf,
  isInteger,
  isMap,
  isMarkedAsUntransferable,
  isModuleNamespaceObject,
  isNan,
  isNativeError,
  isNode22: process.version.startsWith('v22.'),
  isPromise,
  isProxy,
  isRegExp,
  isSet,
  isSharedArrayBuffer,
  isView,
  isWeakMap,
  isWeakSet,
  isWellFormed,
  keys,
  Map,
  mapForEach: mapPrototype.forEach,
  mapGet: mapPrototype.get,
  mapPrototype,
  mapSet: mapPrototype.set,
  mapSize: getter<number>(mapPrototype, 'size'),
  markAsUncloneable,
  max,
  MessageChannel,
  min,
  objectPrototype,
  parse,
  process,
  RegExp,
  /** Getters of its flags and its source. */
  regExpProperties: getOwnPropertyDescriptors(regExpPrototype) as { readonly [name: string]: PropertyDescriptor },
  regExpPrototype,
  Set,
  setAdd: setPrototype.add,
  setForEach: setPrototype.forEach,
  setHas: setPrototype.has,
  setPrototype,
  setPrototypeOf,
  setSize: getter<number>(setPrototype, 'size'),
  SharedArrayBuffer,
  signedHalves,
  sourceOfFunction,
  stringify,
  /** 14 at most; the same on all threads. */
  typedArrays: half === undefined ? classes : [...classes, half],
  typedPrototype,
  typedSet: (typedPrototype as Uint8Array).set,
  typedSubarray: (typedPrototype as Float64Array).subarray,
  Uint8Array,
  ucs2Slice: bufferMethods?.ucs2Slice,
  ucs2Write: bufferMethods?.ucs2Write,
  unsignedInteger,
  /** Writes text into a view; how many bytes. */
  utf8Write: bufferMethods?.utf8Write,
  values,
  WeakMap,
  WeakSet,
  /** Name of a typed array's class, whatever its subclass; `undefined` for a DataView. */
  classNameOf: getter<string | undefined>(typedPrototype, Symbol.toStringTag),
  bufferOf: getter<ArrayBufferLike>(typedPrototype, 'buffer'),
  DataView,
  dataViewPrototype: DataView.prototype,
  lengthOfDataView: getter<number>(DataView.prototype, 'byteLength'),
  offsetOfDataView: getter<number>(DataView.prototype, 'byteOffset'),
  bufferOfDataView: getter<ArrayBufferLike>(DataView.prototype, 'buffer'),
  /** Bytes of a typed array. */
  lengthOfView: getter<number>(typedPrototype, 'byteLength'),
  /** Where a typed array begins, in bytes. */
  offsetOfView: getter<number>(typedPrototype, 'byteOffset'),
  /** Text of one byte for each unit. */
  latin1Slice: bufferMethods?.latin1Slice,
  /** Of every ArrayBuffer. */
  memoryPrototype: ArrayBuffer.prototype,
  /** Bytes of an ArrayBuffer. */
  lengthOf,
  isResizable: getter<boolean>(ArrayBuffer.prototype, 'resizable'),
}
