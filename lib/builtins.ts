// Stage: all. Thread: any.
// What the language gives, as it was before the modules of the user ran: they patch prototypes and replace globals (polyfills,
// fake timers), and what values are taken apart and made with is loaded after them, with the first value that needs it.

type TypedArrayClass = { readonly prototype: object; readonly name: string; new (memory: ArrayBuffer): ArrayBufferView }

const { isArray, prototype: arrayPrototype } = Array
const { isView } = ArrayBuffer
const { asUintN } = BigInt
const { prototype: datePrototype } = Date
const { prototype: mapPrototype } = Map
const { ceil, floor, min } = Math
const {
  defineProperty,
  getOwnPropertyDescriptor,
  getOwnPropertyDescriptors,
  getOwnPropertySymbols,
  getPrototypeOf,
  hasOwn,
  keys,
  prototype: objectPrototype,
  setPrototypeOf,
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

/** See the head of this file. Functions of prototypes have no `this` of their own. */
export const builtins = {
  arrayPrototype,
  asUintN,
  ceil,
  charCodeAt,
  clone: structuredClone,
  Date,
  datePrototype,
  defineProperty,
  DOMException,
  Error,
  floor,
  fromCharCode,
  getOwnPropertyDescriptor,
  getOwnPropertyDescriptors,
  getOwnPropertySymbols,
  getPrototypeOf,
  getTime: datePrototype.getTime,
  hasOwn,
  isArray,
  isInChain: objectPrototype.isPrototypeOf,
  isView,
  isWellFormed,
  keys,
  Map,
  mapForEach: mapPrototype.forEach,
  mapGet: mapPrototype.get,
  mapPrototype,
  mapSet: mapPrototype.set,
  mapSize: getter<number>(mapPrototype, 'size'),
  min,
  objectPrototype,
  parse,
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
  sourceOfFunction: Function.prototype.toString,
  stringify,
  /** 16 at most; the same on all threads. */
  typedArrays: half === undefined ? classes : [...classes, half],
  typedPrototype,
  Uint8Array,
  /** Name of a typed array's class, whatever its subclass; `undefined` for a DataView. */
  classNameOf: getter<string | undefined>(typedPrototype, Symbol.toStringTag),
  bufferOf: getter<ArrayBufferLike>(typedPrototype, 'buffer'),
  bufferOfDataView: getter<ArrayBufferLike>(DataView.prototype, 'buffer'),
  /** Bytes of a typed array. */
  lengthOfView: getter<number>(typedPrototype, 'byteLength'),
  /** Bytes of an ArrayBuffer. */
  lengthOf: getter<number>(ArrayBuffer.prototype, 'byteLength'),
  isResizable: getter<boolean>(ArrayBuffer.prototype, 'resizable'),
}
