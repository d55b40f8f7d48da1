// Stage: settle. Thread: any env, the owner and its JS workers alike.
// How the reason of a rejection crosses between JavaScript threads: an error arrives as itself, anything else as a value.
// R1. `encodeReason` never throws. R2. What of an error cannot be cloned is left out, property by property.
// R3. An error of which the engine's serializer loses nothing is written by it, in a fraction of the time.

import { builtins } from './builtins'
import { decode, encode, holdPlain } from './codec'
import { type Encoded, PLAIN } from './codecs'
import { OwnMap, placeIn } from './collections'
import { describe, ThreadmillError } from './errors'
import { withoutStack } from './stackless'

const { clone, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, isArray, isInChain, keys } = builtins
const { getOwnPropertyNames, hasOwn, setPrototypeOf, DOMException: BaseException, Error: BaseError } = builtins
const { errorClasses, errorNames, errorPrototypes, isNativeError, isProxy } = builtins

/** A part of an error: another error by its place in the list, or a value. */
type Part = { readonly error: number } | { readonly value: unknown }

/** An error, taken apart. Members that are absent were absent. */
interface Fault {
  /** Names of its class and of those above it, nearest first. */
  readonly classes: readonly string[]
  name?: string
  message?: string
  stack?: string
  cause?: Part
  errors?: readonly Part[]
  /** Its other properties. */
  readonly own: (readonly [name: string, part: Part, enumerable: boolean])[]
  /** Which of name, message, stack, cause and errors are enumerable. */
  readonly shown: readonly string[]
}

/** What is encoded for all that is not a simple value: an ordinary error itself (R3); of faults the first one is the reason. */
type Parcel = Error | { readonly faults: readonly Fault[] } | { readonly value: unknown }

const TEXTS = ['name', 'message', 'stack'] as const
const SPECIAL: readonly string[] = [...TEXTS, 'cause', 'errors']
/** Kept also when they are not enumerable; the last two are those of a SuppressedError. */
const HIDDEN = ['code', 'error', 'suppressed']
/** What the codes of errors begin with that threadmill reports. */
const OUR_CODES = 'ERR_THREADMILL_'

/** More errors than any chain of causes has: getters can go on forever. */
const MOST_FAULTS = 100_000
const MOST_CLASSES = 16

/** Encodes the reason of a rejection or a thrown value. */
export function encodeReason(reason: unknown): Encoded {
  return packReason(reason, pack)
}

/** The same; or so many bytes that the addon holds for `putHeld`. */
export function holdReason(reason: unknown): Encoded | number {
  if (isOrdinary(reason)) {
    const length = holdPlain(reason)
    if (length >= 0) return length
  }
  return packReason(reason, (parcel) => {
    const length = holdPlain(parcel)
    return length < 0 ? pack(parcel) : length
  })
}

function packReason<T>(reason: unknown, pack: (parcel: Parcel) => T): T | Encoded {
  try {
    if (isFault(reason)) return pack({ faults: takeApart(reason) })
    if (typeof reason !== 'object' || reason === null) {
      const encoded = encode(reason)
      if (encoded.codec === PLAIN) return encoded
    }
    return pack({ value: reason })
  } catch {
    return pack({
      faults: takeApart(new BaseError(`the task failed with a value that cannot be cloned: ${describe(reason)}`)),
    })
  }
}

/** Reads what `encodeReason` has made. */
export function decodeReason(codec: number, data: unknown): unknown {
  if (codec === PLAIN) return data
  let parcel: Parcel
  try {
    parcel = decode(codec, data) as Parcel
  } catch (cause) {
    // Too deep for this thread's stack; in Node 20 also an error within a value that leads back to itself.
    return new BaseError('the task failed with a value that cannot be read in this thread', { cause })
  }
  if (isNativeError(parcel)) return ofThisRealm(parcel)
  return hasOwn(parcel, 'faults')
    ? putTogether((parcel as { faults: readonly Fault[] }).faults)
    : (parcel as { value: unknown }).value
}

/** @throws DataCloneError, or what a getter throws */
function pack(parcel: Parcel): Encoded {
  const encoded = encode(parcel)
  // Not even a clone: something in it would have to be moved, and nothing is moved with a reason.
  if (encoded.data === parcel) throw new TypeError('something in it would have to be moved')
  return encoded
}

function isFault(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || isProxy(value)) return false
  // The last one for errors without a stack: Object.create(Error.prototype).
  return isNativeError(value) || isInChain.call(BaseError.prototype, value)
}

/** Whether it has a class that the engine's serializer knows, a stack, a message and nothing else that `fault` would find. */
function isOrdinary(value: unknown): value is Error {
  if (!isNativeError(value)) return false
  const at = placeIn(errorPrototypes, getPrototypeOf(value))
  if (at < 0 || read(value, 'name') !== errorNames[at] || typeof read(value, 'stack') !== 'string') return false
  const names = getOwnPropertyNames(value)
  for (let i = 0; i < names.length; i++) if (names[i] !== 'stack' && names[i] !== 'message') return false
  if (keys(value).length > 0) return false
  // A getter would not be asked.
  const message: unknown = getOwnPropertyDescriptor(value, 'message')?.value
  if (typeof message !== 'string' && (names.length > 1 || read(value, 'message') !== '')) return false
  // All errors may have been given some.
  return !('cause' in value || 'errors' in value || 'code' in value || 'error' in value || 'suppressed' in value)
}

/** What the engine has made of an ordinary error, as an instance of the class of that name that is known here. */
function ofThisRealm(error: Error): Error {
  const prototype = getPrototypeOf(error) as object
  const name = errorNames[placeIn(errorPrototypes, prototype)] ?? error.name
  const [, Class] = nearestClass([name], false)
  if (prototype === Class.prototype) return error
  const { message, stack } = error
  return create({ classes: [name], name, message, own: [], shown: [], ...(stack !== undefined && { stack }) })
}

/** The property, or `undefined` when reading it fails. */
function read(object: object, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

function takeApart(root: object): Fault[] {
  const found: object[] = [root]
  const places = new OwnMap<object, number>()
  places.set(root, 0)
  const faults: Fault[] = []

  /** `undefined` for what cannot be cloned. */
  const part = (value: unknown): Part | undefined => {
    try {
      if (!isFault(value)) {
        // A clone: what a getter in it gives may not be the same a second time, and then fail all.
        return { value: typeof value === 'object' || typeof value === 'function' ? clone(value) : checked(value) }
      }
      let place = places.get(value)
      if (place === undefined) {
        if (found.length === MOST_FAULTS) return undefined
        place = found.length
        places.set(value, place)
        found[place] = value
      }
      return { error: place }
    } catch {
      return undefined
    }
  }

  for (let i = 0; i < found.length; i++) faults[i] = fault(found[i] as object, part)
  return faults
}

function has(names: readonly string[], name: string): boolean {
  for (let i = 0; i < names.length; i++) if (names[i] === name) return true
  return false
}

function specialOf(names: readonly string[]): string[] {
  const special: string[] = []
  for (const name of names) if (has(SPECIAL, name)) special[special.length] = name
  return special
}

function checked(value: unknown): unknown {
  if (typeof value === 'symbol') throw new TypeError('symbols cannot be cloned')
  return value
}

function fault(error: object, part: (value: unknown) => Part | undefined): Fault {
  const own: Fault['own'] = []
  const shown = keys(error)
  const result: Fault = { classes: classesOf(error), own, shown: specialOf(shown) }
  for (const name of TEXTS) {
    const value = textOf(read(error, name), name)
    if (value !== undefined) result[name] = value
  }
  const cause = 'cause' in error ? part(read(error, 'cause')) : undefined
  if (cause !== undefined) result.cause = cause
  const errors = 'errors' in error ? read(error, 'errors') : undefined
  const list = isArray(errors) && !isProxy(errors)
  if (list) result.errors = partsOf(errors, part)
  for (const name of shown) {
    if (has(SPECIAL, name) && (name !== 'errors' || list)) continue
    const value = part(read(error, name))
    if (value !== undefined) own[own.length] = [name, value, true]
  }
  // The code of a DOMException follows from its name.
  if (isInChain.call(BaseException.prototype, error)) return result
  for (const name of HIDDEN) {
    if (!(name in error) || has(shown, name)) continue
    const value = part(read(error, name))
    if (value !== undefined) own[own.length] = [name, value, false]
  }
  return result
}

/** What a clone makes of a property. One that is no text makes a message all the same. */
function textOf(value: unknown, name: (typeof TEXTS)[number]): string | undefined {
  if (typeof value === 'string') return value
  if (name !== 'message' || value === undefined) return undefined
  try {
    return `${value}`
  } catch {
    return undefined
  }
}

function partsOf(list: readonly unknown[], part: (value: unknown) => Part | undefined): Part[] {
  const parts: Part[] = []
  for (let i = 0; i < list.length && i < MOST_FAULTS; i++) {
    const item = part(list[i])
    if (item !== undefined) parts[parts.length] = item
  }
  return parts
}

function classesOf(error: object): string[] {
  const names: string[] = []
  let prototype = getPrototypeOf(error)
  for (let i = 0; i < MOST_CLASSES && prototype !== null && !isProxy(prototype); i++) {
    const Class: unknown = getOwnPropertyDescriptor(prototype, 'constructor')?.value ?? builtinOf(prototype)
    const name = typeof Class === 'function' ? getOwnPropertyDescriptor(Class, 'name')?.value : undefined
    if (typeof name === 'string' && name !== '' && name !== 'Object') names[names.length] = name
    prototype = getPrototypeOf(prototype)
  }
  return names
}

/** Where built-ins are frozen (--frozen-intrinsics), prototypes have an accessor for that. */
function builtinOf(prototype: object): unknown {
  for (let i = 0; i < BUILT_IN.length; i++) if (BUILT_IN[i]?.prototype === prototype) return BUILT_IN[i]
  return undefined
}

const BUILT_IN: readonly ErrorConstructor[] = [...errorClasses, AggregateError as unknown as ErrorConstructor]

function putTogether(faults: readonly Fault[]): unknown {
  const errors: Error[] = []
  for (let i = 0; i < faults.length; i++) errors[i] = create(faults[i] as Fault)
  const value = (part: Part) =>
    hasOwn(part, 'error') ? errors[(part as { error: number }).error] : (part as { value: unknown }).value
  for (let i = 0; i < faults.length; i++) {
    const error = errors[i] as Error
    const { cause, errors: list, own, shown } = faults[i] as Fault
    if (cause !== undefined) define(error, 'cause', value(cause), has(shown, 'cause'))
    if (list !== undefined) {
      const values: unknown[] = []
      for (let at = 0; at < list.length; at++) values[at] = value(list[at] as Part)
      define(error, 'errors', values, has(shown, 'errors'))
    }
    for (const [name, part, enumerable] of own) define(error, name, value(part), enumerable)
  }
  return errors[0]
}

function define(error: Error, name: string, value: unknown, enumerable: boolean): void {
  defineProperty(error, name, { value, enumerable, configurable: true, writable: true })
}

/** The error itself, without what may lead to others. */
function create({ classes, name, message, stack, shown, own }: Fault): Error {
  const [className, Class] = nearestClass(classes, hasOurCode(own))
  const exception = Class === BaseException || isInChain.call(BaseException.prototype, Class.prototype as object)
  const error = withoutStack(() => (exception ? new BaseException(message ?? '', name ?? 'Error') : new BaseError()))
  if (getPrototypeOf(error) !== Class.prototype) setPrototypeOf(error, Class.prototype as object)
  if (message !== undefined && error.message !== message) define(error, 'message', message, has(shown, 'message'))
  // A class that is not known here lives on in the name, unless the error has a name of its own.
  const isShown = has(shown, 'name')
  const wanted = name === undefined || (name === className && !isShown) ? (classes[0] ?? className) : name
  if (error.name !== wanted || isShown) define(error, 'name', wanted, isShown)
  define(error, 'stack', stack ?? `${error.name}: ${error.message}`, has(shown, 'stack'))
  return error
}

type ErrorClass = typeof Error | typeof DOMException

function isOurCode([name, part]: Fault['own'][number]): boolean {
  if (name !== 'code' || !hasOwn(part, 'value')) return false
  const { value } = part as { readonly value: unknown }
  return typeof value === 'string' && value.startsWith(OUR_CODES)
}

function hasOurCode(own: Fault['own']): boolean {
  for (let i = 0; i < own.length; i++) if (isOurCode(own[i] as Fault['own'][number])) return true
  return false
}

/** The first of the classes that is a global one here, or ours. */
function nearestClass(names: readonly string[], isOurs: boolean): [string, ErrorClass] {
  for (const name of names) {
    if (isOurs && name === ThreadmillError.name) return [name, ThreadmillError as unknown as ErrorClass]
    const Class = read(globalThis, name) as ErrorClass | undefined
    if (typeof Class !== 'function' || isProxy(Class)) continue
    const prototype = read(Class, 'prototype') as object
    const isError = Class === BaseError || isInChain.call(BaseError.prototype, prototype)
    // One whose message is not a text on its own would make reading the error throw.
    const isPlain = prototype === BaseException.prototype || isInChain.call(BaseException.prototype, prototype)
    if (isError && (isPlain || typeof read(prototype, 'message') === 'string')) return [name, Class]
  }
  return ['Error', BaseError]
}
