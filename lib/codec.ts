// Stage: submit and settle. Thread: any env, the owner and its JS workers alike.
// How a value crosses between JavaScript threads when it does not go through postMessage.
// C1. What `decode` gives for what `encode` gave equals `structuredClone(value)`.
// C2. `encode` throws for what `structuredClone` refuses, and with the error that it throws.
// C3. A getter of the user runs once in `encode`, and only inside `structuredClone`. It may have run before, where the value was
//     tried in a way that it did not fit: flat.ts, `encodeAlone`.
// The rare inputs for which C1 to C3 do not hold are listed at `survey` and `plainView`, in flat.ts and json-text.ts. What is
// too deep for the stack of the thread that reads throws in `decode`.

import { builtins } from './builtins'
import { type Encoded, FLAT, JSON_TEXT, MOVED, PLAIN, POSTED, V8 } from './codecs'
import { takeStranger } from './flat'
import { KINDS } from './flat-format'
import { read } from './flat-read'
import { isCloneable, isKnown, isWorthLearning, learn, mayBeLearned, meet, serializeChecked } from './instances'
import { fitOf, LOST, WITH_INSTANCES } from './json-text'
import { mayClone, mayMove, mayShare } from './moves'
import { native } from './native-values'
import { UNLISTED } from './parcel'
import { deserialize, hasSerializer, serialize, takeSerialized } from './serializer'
import { memoryOf, plainView } from './views'

const { ceil, clone, getOwnPropertyDescriptor, getPrototypeOf, hasOwn, isArray, isInChain, isView } = builtins
const { isWellFormed, keys, lengthOf, mapForEach, objectPrototype, parse, setForEach, stringify } = builtins
const { isAnyArrayBuffer, isBoxedPrimitive, isDate, isMap, isNativeError, isProxy, isRegExp, isSet } = builtins
const { isSharedArrayBuffer, typedSet } = builtins
const domException = builtins.DOMException.prototype
const { RAW } = KINDS

const PAST_64_BITS = 1n << 64n
const HALF_OF_64_BITS = 1n << 63n

/** A set whose methods nobody else can reach. */
class Seen extends builtins.Set<object> {}
builtins.defineProperty(Seen.prototype, 'has', { value: builtins.setHas })
builtins.defineProperty(Seen.prototype, 'add', { value: builtins.setAdd })

/**
 * Encodes `value` as it is now. `movesMuch`: much memory is copied, and the copy posted; whoever gets it then needs the thread
 * that posts to be awake. `isPosted`: what has to be is posted or cloned before anything else happens, and may be refused then.
 * @throws DataCloneError, or what a getter of the value throws
 */
export function encode(value: unknown, movesMuch = false, isPosted = false): Encoded {
  switch (typeof value) {
    case 'number':
    case 'undefined':
    case 'boolean':
      return { codec: PLAIN, data: value }
    case 'string':
      return isWhole(value) ? { codec: PLAIN, data: value } : serializedAnyway(value)
    case 'bigint':
      return value < PAST_64_BITS && value >= -HALF_OF_64_BITS ? { codec: PLAIN, data: value } : serializedAnyway(value)
    case 'object':
      return value === null ? { codec: PLAIN, data: value } : encodeObject(value, movesMuch, isPosted)
    default:
      return posted(clone(value))
  }
}

/** Longest string that crosses as UTF-8, in UTF-16 units; longer ones as they are. */
const SHORT = 252

/** Whether the addon loses nothing of a string. */
function isWhole(text: string): boolean {
  if (text.length <= SHORT) return isWellFormed.call(text)
  // Then it asks the engine how that has a string.
  mayMove()
  return true
}

/** Reads what `encode` has made, or flat.ts. */
export function decode(codec: number, data: unknown): unknown {
  if (codec === FLAT) return readWords(data as Float64Array, 0)
  if (codec === JSON_TEXT) return parse(data as string)
  if (codec !== V8) return data
  return deserialize(data as Uint8Array, 0, (data as Uint8Array).length)
}

// --- words ---

/** Most bytes of V8's serializer that go as words; see flat.ts. */
const MOST_RAW = 2048

/** Room that `putHeld` takes, in words. */
export const MOST_RAW_WORDS = 2 + MOST_RAW / 8

/**
 * Encodes what flat.ts does not write: what goes alone, or so many bytes that the addon holds for `putHeld`, until something else
 * is serialized; `undefined` for what takes `encode`. Getters may run.
 */
export function encodeAlone(value: object): number | Encoded | undefined {
  if (isView(value) && !(isShared(value) && mayShare())) return undefined
  if (!mayClone()) {
    return isJson(value) && !isRefused(value, false) ? { codec: JSON_TEXT, data: stringify(value) } : undefined
  }
  // As long as its class may come to be known, which `encode` sees to.
  const met = takeStranger()
  if (met !== undefined && mayBeLearned(met)) return undefined
  const length = serializeWhole(value)
  if (length === SHARED || length > MOST_RAW) return { codec: MOVED, data: native.keepSerialized() }
  return length < 0 ? undefined : length
}

/** Has the addon hold a value of plain parts for `putHeld`: so many bytes, or -1 when it is too long for that. */
export function holdPlain(value: object): number {
  const length = mayClone() ? serializeWhole(value) : -1
  return length < 0 || length > MOST_RAW ? -1 : length
}

/** In place of `putHeld`. */
export function takeHeld(): Encoded {
  return { codec: V8, data: takeSerialized() }
}

/** Has the addon hold a value as bytes of V8's serializer; how many, or SHARED; -1 when only the platform can tell what it is. */
function serializeWhole(value: object): number {
  const length = serializeChecked(value)
  if (length !== STRANGER) return length
  const isKnownWhole = survey(value)
  stranger = undefined
  return !isKnownWhole || isRefused(value, false) ? -1 : native.serializeAlone(value)
}

/** What the addon gives for a value with an object in it that may be of the platform. */
const STRANGER = -2
/** And for one with shared memory in it, which goes alone. */
const SHARED = -3

/** Puts what the addon holds at `offset`, where there is room for `MOST_RAW_WORDS`; `bytes`: the same memory. */
export function putHeld(length: number, words: Float64Array, bytes: Uint8Array, offset: number): number {
  native.putSerialized(bytes, (offset + 2) * 8)
  return putHead(words, offset, length)
}

/** Puts what comes before so many bytes; how many words both take. */
function putHead(words: Float64Array, offset: number, length: number): number {
  const count = 2 + ceil(length / 8)
  words[offset] = count
  words[offset + 1] = length * 16 + RAW
  return count
}

/** How many words it takes to put an encoded value with others; -1 for one that goes alone. */
export function rawLength({ codec, data }: Encoded): number {
  if (codec !== V8 || (data as Uint8Array).length > MOST_RAW) return -1
  return 2 + ceil((data as Uint8Array).length / 8)
}

/** Puts it at `offset`; `bytes`: the same memory. */
export function putRaw({ data }: Encoded, words: Float64Array, bytes: Uint8Array, offset: number): void {
  const from = data as Uint8Array
  putHead(words, offset, from.length)
  typedSet.call(bytes, from, (offset + 2) * 8)
}

/** Whether reading the words takes V8's serializer, and so may throw. */
export function isRaw(words: Float64Array, offset: number): boolean {
  return ((words[offset + 1] as number) & 15) === RAW
}

/** Reads what lies at `offset`. */
export function readWords(words: Float64Array, offset: number): unknown {
  if (!isRaw(words, offset)) return read(words, offset)
  return deserialize(words, (offset + 2) * 8, (words[offset + 1] as number) >>> 4)
}

function posted(data: unknown): Encoded {
  return { codec: POSTED, data }
}

function encodeObject(value: object, movesMuch: boolean, isPosted: boolean): Encoded {
  takeStranger()
  const encoded = withoutPlatform(value, movesMuch)
  if (encoded !== undefined) return encoded
  const stopper = stranger
  stranger = undefined
  // Of the platform itself: no getter of the user is in it.
  if (isPosted && stopper === value && !mayBeLearned(value)) return posted(value)
  let copy: object
  try {
    copy = clone(value)
  } catch (error) {
    // Whether the port or the stream is in the transfer list is known only where the value is posted.
    if (needsTransfer(error)) return posted(value)
    throw error
  }
  if (stopper !== undefined) learnClass(stopper)
  // A clone has neither getters nor classes of the user; what is still unknown in it is of the platform.
  const encodedCopy = withoutPlatform(copy, movesMuch, true) ?? { codec: POSTED, data: copy, isOwn: true }
  stranger = undefined
  return encodedCopy
}

/** `undefined` when only the platform's own clone can tell what the value is. `isOwn`: it is a clone, and nobody else's. */
function withoutPlatform(value: object, movesMuch: boolean, isOwn = false): Encoded | undefined {
  if (isView(value)) {
    const view = plainView(value)
    if (view !== undefined) return { codec: PLAIN, data: view }
  } else if (isJson(value)) {
    return isRefused(value, isOwn) ? undefined : { codec: JSON_TEXT, data: stringify(value) }
  }
  const buffers: ArrayBuffer[] | undefined = movesMuch ? [] : undefined
  if (!survey(value, buffers)) return undefined
  if (buffers === undefined || bytesOf(buffers) < MUCH) {
    if (isRefused(value, isOwn)) return undefined
    return serialized(value) ?? posted(isOwn ? value : clone(value))
  }
  // Copied once, unless it has been, and the copy is moved.
  if (isOwn) return { codec: POSTED, data: value, moves: distinct(buffers) }
  const copy = clone(value)
  const own: ArrayBuffer[] = []
  survey(copy, own)
  return { codec: POSTED, data: copy, moves: distinct(own) }
}

// --- instances of classes ---

/** Whether what `isJson` or `survey` has just looked at has some, or errors: what may be marked. */
let hasInstances = false
/** Whether what `survey` has just looked at has shared memory. */
let hasShared = false
/** The one of a class that is not known at which `survey` has just stopped. */
let stranger: object | undefined

/** Whether JSON text loses nothing of `value`. */
function isJson(value: object): boolean {
  const fit = fitOf(value)
  hasInstances = fit === WITH_INSTANCES
  return fit !== LOST
}

/** Whether the platform would refuse what has just been looked at; a clone it would not. */
function isRefused(value: object, isOwn: boolean): boolean {
  return hasInstances && !isOwn && !isCloneable(value)
}

/** Tries to know the class that kept a value from going without the platform, which has just cloned it. */
function learnClass(object: object): void {
  const candidates = [object]
  // Others may be in it, and it in them.
  for (;;) {
    const last = candidates[candidates.length - 1] as object
    if (candidates.length > FEW || !isWorthLearning(last)) return
    if (survey(object, undefined, candidates)) break
    if (stranger === undefined) return
    candidates[candidates.length] = stranger
    stranger = undefined
  }
  for (const candidate of candidates) learn(candidate)
}

/** Whether V8's serializer can write a value by itself, where memory may go with it, and nothing in it can be refused. */
export function isVouched(value: object): boolean {
  const isKnownWhole = survey(value)
  stranger = undefined
  return isKnownWhole && !hasInstances && (!hasShared || mayShare())
}

/** Whether it has the class of one of `candidates`. */
function isOfClass(candidates: readonly object[], prototype: object | null): boolean {
  for (const candidate of candidates) if (getPrototypeOf(candidate) === prototype) return true
  return false
}

const NOBODY: readonly object[] = []

function needsTransfer(error: unknown): boolean {
  // Node 20 has a code of its own for it, later ones throw a DataCloneError that only its text tells apart.
  if (typeof error !== 'object' || error === null) return false
  const { code, message } = error as { code?: unknown; message?: unknown }
  if (code === UNLISTED) return true
  return code === 25 && message === 'Object that needs transfer was found in message but not listed in transferList'
}

// --- V8 ---

/** `undefined` when only the platform can clone it, or knows the error. */
function serialized(value: unknown): Encoded | undefined {
  try {
    const data = serialize(value)
    return data === undefined ? undefined : { codec: V8, data }
  } catch {
    return undefined
  }
}

function serializedAnyway(value: unknown): Encoded {
  return serialized(value) ?? posted(clone(value))
}

/**
 * Whether V8's serializer knows all that is in `root`, or finds out itself that it does not. It takes objects of the
 * platform (a Blob, a URL) for plain ones, therefore classes that are not of the language are not vouched for; nor are
 * proxies and getters, whose code would run here.
 *
 * What it does not see: objects of the platform whose prototype has been replaced; plain objects given to
 * `markAsUncloneable`; and in arrays longer than `LONG`, getters of elements, which run more than once, and objects of the
 * platform under names that are no index.
 *
 * `buffers` is given the memory that is not shared, some of it more than once. Classes of `candidates` count as known.
 */
function survey(root: object, buffers?: ArrayBuffer[], candidates = NOBODY): boolean {
  let seen: Seen | undefined
  const first: object[] = []
  const stack: object[] = [root]
  let [top, count] = [1, 0]
  let [instances, shared] = [false, false]
  const push: Push = (member) => {
    if (typeof member === 'object' && member !== null) stack[top++] = member
  }
  while (top > 0) {
    const object = stack[--top] as object
    if (isAmong(first, object) || seen?.has(object)) continue
    if (isProxy(object)) return false
    let large = true
    // Bun's serializer would copy it.
    if (!hasSerializer() && isShared(object)) return false
    if (isArray(object) && object.length > LONG) {
      if (!pushElements(object, push)) return false
    } else if (isArray(object) || isPlainPrototype(getPrototypeOf(object))) {
      const names = keys(object)
      if (!pushMembers(object, names, push)) return false
      large = names.length > 16
    } else if (isMap(object)) {
      mapForEach.call(object, (value, key) => {
        push(key)
        push(value)
      })
    } else if (isSet(object)) {
      setForEach.call(object, push)
    } else if (isNativeError(object)) {
      if (isInChain.call(domException, object)) return false
      if (!pushMembers(object, ['cause', 'errors'], push)) return false
      // They may be marked, too.
      instances = true
    } else if (isView(object) || isAnyArrayBuffer(object)) {
      const buffer = isView(object) ? memoryOf(object) : object
      if (isSharedArrayBuffer(buffer)) shared = true
      else if (buffers !== undefined) buffers[buffers.length] = buffer as ArrayBuffer
    } else if (!isDate(object) && !isRegExp(object) && !isBoxedPrimitive(object)) {
      const prototype = getPrototypeOf(object) as object
      if (isKnown(prototype)) meet(prototype)
      else if (!isOfClass(candidates, prototype)) {
        stranger = object
        return false
      }
      instances = true
      if (!pushMembers(object, keys(object), push)) return false
    }
    // A set is slow. Of many small objects one in 16 is enough to end: each that is remembered is not looked at again.
    if (first.length < FEW) first[first.length] = object
    else if (large || (count++ & 15) === 15) {
      seen ??= new Seen()
      seen.add(object)
    }
  }
  hasInstances = instances
  hasShared = shared
  return true
}

function isAmong(objects: readonly object[], object: object): boolean {
  for (let i = 0; i < objects.length; i++) if (objects[i] === object) return true
  return false
}

function isShared(object: object): boolean {
  return isSharedArrayBuffer(isView(object) ? memoryOf(object) : object)
}

type Push = (member: unknown) => void

/** `false` when one of the properties is a getter. */
function pushMembers(object: object, names: readonly string[], push: Push): boolean {
  for (const name of names) {
    const descriptor = getOwnPropertyDescriptor(object, name)
    if (descriptor === undefined) continue
    if (!hasOwn(descriptor, 'value')) return false
    push(descriptor.value)
  }
  return true
}

function distinct(buffers: readonly ArrayBuffer[]): readonly ArrayBuffer[] {
  return buffers.length < 2 ? buffers : [...new builtins.Set(buffers)]
}

function bytesOf(buffers: readonly ArrayBuffer[]): number {
  let bytes = 0
  for (const buffer of distinct(buffers)) bytes += lengthOf.call(buffer)
  return bytes
}

/** So many objects are remembered one by one. */
const FEW = 16

/** Longer arrays are read without looking at the property of each element. */
const LONG = 16

function pushElements(array: readonly unknown[], push: Push): boolean {
  let holes = 0
  for (let i = 0; i < array.length; i++) {
    const element = array[i]
    if (typeof element === 'object') push(element)
    else if (element === undefined && !hasOwn(array, i) && ++holes > LONG) return pushMembers(array, keys(array), push)
  }
  return true
}

/** Whether it is no prototype at all or `Object.prototype`, maybe that of another realm (node:vm, Jest). */
function isPlainPrototype(prototype: object | null): boolean {
  if (prototype === objectPrototype || prototype === null) return true
  return !isProxy(prototype) && getPrototypeOf(prototype) === null && hasOwn(prototype, '__lookupGetter__')
}

/** Bytes of memory in a value that are worth a message of their own. */
const MUCH = 64 * 1024
