// Stage: submit. Thread: owner env.
// Checks values against the shapes that kernels declare, and takes the task's own copy of them.

import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import type { KernelField, KernelSchema } from '..'
import { builtins } from './builtins'
import { OwnMap, OwnSet } from './collections'
import { outOfRange, wrongType, wrongValue } from './errors'
import { isArray, isObject } from './own'

const { arrayFrom, clone, entries, getOwnPropertyDescriptor, hasOwn, isArray: isPlainArray } = builtins
const { isInteger, isNan, isView: isArrayView, typedPrototype, Uint8Array: Bytes, values } = builtins

type View = ArrayBufferView & { readonly length?: number }
type TypedArrayConstructor = new (buffer: ArrayBufferLike, offset?: number, length?: number) => View

/** Name of a typed array's class, whatever its subclass; `undefined` for a DataView. */
const { classNameOf } = builtins

/** The getter `name` of `prototype`, safe from what a subclass or an own property says. */
function getter<T>(prototype: object, name: string): (this: unknown) => T {
  return getOwnPropertyDescriptor(prototype, name)?.get as (this: unknown) => T
}

interface Place {
  readonly buffer: (this: unknown) => ArrayBufferLike
  readonly byteOffset: (this: unknown) => number
  readonly byteLength: (this: unknown) => number
}

function placeGetters(prototype: object): Place {
  return {
    buffer: getter(prototype, 'buffer'),
    byteOffset: getter(prototype, 'byteOffset'),
    byteLength: getter(prototype, 'byteLength'),
  }
}

const TYPED = placeGetters(typedPrototype)
const DATA_VIEW = placeGetters(DataView.prototype)

/** Element kinds by class name; the numbers are those of the binding. */
const KINDS: Record<string, number> = {
  Int8Array: 0,
  Uint8Array: 1,
  Uint8ClampedArray: 2,
  Int16Array: 3,
  Uint16Array: 4,
  Int32Array: 5,
  Uint32Array: 6,
  Float32Array: 7,
  Float64Array: 8,
  BigInt64Array: 9,
  BigUint64Array: 10,
  Float16Array: 11,
}

/** Bytes per element, by kind. */
const SIZES = [1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 2]

const ANY_BYTES = 'bytes (an ArrayBuffer, SharedArrayBuffer, typed array or DataView)'

/** A view that has passed its check. Its place is read at once, because a transfer resets it. */
export interface CheckedView {
  /** What it is called in messages. */
  readonly name: string
  /** Element kind in the binding. */
  readonly kind: number
  readonly buffer: ArrayBufferLike
  readonly offset: number
  readonly byteLength: number
  /** Elements. */
  readonly length: number
}

function checkedView(
  name: string,
  kind: number,
  buffer: ArrayBufferLike,
  offset: number,
  byteLength: number,
): CheckedView {
  return { name, kind, buffer, offset, byteLength, length: byteLength / (SIZES[kind] as number) }
}

/** The classes by kind, as they are when this module is loaded; `undefined` where the runtime has none. */
const CONSTRUCTORS: (TypedArrayConstructor | undefined)[] = []
for (const Class of builtins.typedArrays) CONSTRUCTORS[KINDS[Class.name] as number] = Class as TypedArrayConstructor

function constructorOf(kind: number): TypedArrayConstructor {
  return CONSTRUCTORS[kind] as TypedArrayConstructor
}

/** The view of `value`, or `undefined` when it is not memory at all. Throws for memory that cannot be used. */
function viewOf(name: string, value: unknown, asBytes: boolean): CheckedView | undefined {
  if (isArrayView(value)) {
    const className = classNameOf.call(value)
    const place = className === undefined ? DATA_VIEW : TYPED
    const buffer = place.buffer.call(value)
    checkBuffer(name, buffer, value)
    const kind = className === undefined || asBytes ? 1 : KINDS[className]
    return kind === undefined
      ? undefined
      : checkedView(name, kind, buffer, place.byteOffset.call(value), place.byteLength.call(value))
  }
  if (types.isAnyArrayBuffer(value)) {
    checkBuffer(name, value, value)
    return checkedView(name, 1, value, 0, lengthOf(value))
  }
  return undefined
}

const bufferLength = builtins.lengthOf
const sharedLength = getter<number>(builtins.SharedArrayBuffer.prototype, 'byteLength')

function lengthOf(buffer: ArrayBufferLike): number {
  return types.isSharedArrayBuffer(buffer) ? sharedLength.call(buffer) : bufferLength.call(buffer)
}

const isResizable = builtins.isResizable
const isGrowable = getter<boolean>(builtins.SharedArrayBuffer.prototype, 'growable')

/** Refuses memory whose length can change under us, and memory that has gone. */
function checkBuffer(name: string, buffer: ArrayBufferLike, value: unknown): void {
  if (types.isSharedArrayBuffer(buffer) ? isGrowable.call(buffer) : isResizable.call(buffer)) {
    throw wrongValue(name, 'memory of fixed length', value)
  }
  refuseDetached(name, buffer, value)
}

function refuseDetached(name: string, buffer: ArrayBufferLike, value: unknown): void {
  if (lengthOf(buffer) === 0 && isDetached(buffer)) {
    throw wrongValue(name, 'memory that has not been detached', value)
  }
}

/** Whether the memory has been transferred away. */
function isDetached(buffer: ArrayBufferLike): boolean {
  if (types.isSharedArrayBuffer(buffer)) return false
  try {
    new Bytes(buffer)
    return false
  } catch {
    return true
  }
}

/** The input of one task after its check. Nothing in it has been copied or moved yet. */
export type Checked = undefined | null | boolean | number | string | CheckedView | readonly Checked[] | CheckedObject

/** An object of the caller, reduced to the members that the kernel declares. */
export interface CheckedObject {
  readonly members: Record<string, Checked>
}

/** Whether a checked value is memory. */
export function isView(value: Checked): value is CheckedView {
  return typeof value === 'object' && value !== null && hasOwn(value, 'kind')
}

/** The members of a checked value that is an object. Of its own: others may have added to the prototype of objects. */
export function membersOf(value: readonly Checked[] | CheckedObject): Record<string, Checked> | undefined {
  return hasOwn(value, 'members') ? (value as CheckedObject).members : undefined
}

/**
 * Checks `value`, called `name` in messages, against `schema`.
 * @throws TypeError, RangeError
 */
export function checkValue(name: string, schema: KernelSchema, value: unknown): Checked {
  switch (schema.type) {
    case 'number':
      return checkNumber(name, schema, value)
    case 'string':
      return checkString(name, schema.minLength, value)
    case 'boolean':
      if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value)
      return value
    case 'bytes': {
      const view = viewOf(name, value, true)
      if (view === undefined) throw wrongType(name, ANY_BYTES, value)
      return view
    }
    case 'text': {
      if (typeof value === 'string') return value
      const view = viewOf(name, value, true)
      if (view === undefined) throw wrongType(name, `a string or ${ANY_BYTES}`, value)
      return view
    }
    case 'typedArray': {
      const className = isArrayView(value) ? classNameOf.call(value) : undefined
      if (className === undefined || !schema.kinds.includes(className)) {
        throw wrongType(name, schema.kinds.length > 6 ? 'a typed array' : `a ${schema.kinds.join(' or ')}`, value)
      }
      return viewOf(name, value, false) as CheckedView
    }
    case 'oneOf':
      if (typeof value !== 'string') throw wrongType(name, oneOf(schema.values), value)
      if (!schema.values.includes(value)) throw wrongValue(name, oneOf(schema.values), value)
      return value
    case 'list':
      return checkList(name, schema.items, value)
    case 'object':
      return { members: checkFields(name, schema.fields, value) }
  }
}

function oneOf(values: readonly string[]): string {
  return values.map((value) => `'${value}'`).join(' or ')
}

function checkNumber(name: string, schema: Extract<KernelSchema, { type: 'number' }>, value: unknown): number {
  const { min, max, integer } = schema
  const expectation = () =>
    `a ${integer ? 'whole ' : ''}number${min === null ? '' : ` from ${min}`}${max === null ? '' : ` to ${max}`}`
  if (typeof value !== 'number') throw wrongType(name, expectation(), value)
  const bounded = min !== null || max !== null || integer
  if (bounded && (isNan(value) || (min !== null && value < min) || (max !== null && value > max))) {
    throw outOfRange(name, expectation(), value)
  }
  if (integer && !isInteger(value)) throw outOfRange(name, expectation(), value)
  return value
}

function checkString(name: string, minLength: number, value: unknown): string {
  if (name.endsWith('.path') && isUrl(value)) return pathOf(name, value)
  if (typeof value !== 'string') throw wrongType(name, 'a string', value)
  if (value.length < minLength) throw wrongValue(name, `a string of at least ${minLength} characters`, value)
  return value
}

/** Files may be named by their URL, as in node:fs; also by one of another realm. */
function isUrl(value: unknown): value is URL {
  const url = value as Partial<URL>
  return isObject(value) && typeof url.href === 'string' && typeof url.protocol === 'string'
}

function pathOf(name: string, url: URL): string {
  try {
    return fileURLToPath(url.href)
  } catch {
    throw wrongValue(name, 'a path or the file: URL of a local file', url.href)
  }
}

function checkList(name: string, items: KernelSchema, value: unknown): Checked[] {
  if (!isArray(value)) {
    // Quantiles and the like also come as typed arrays of numbers.
    if (items.type === 'number' && isArrayView(value) && classNameOf.call(value)?.startsWith('Float')) {
      return checkList(name, items, arrayFrom(value as Float64Array))
    }
    throw wrongType(name, 'an array', value)
  }
  const out: Checked[] = new Array(value.length)
  for (let i = 0; i < value.length; i++) out[i] = checkValue(`${name}[${i}]`, items, value[i])
  return out
}

function checkFields(name: string, fields: readonly KernelField[], value: unknown): Record<string, Checked> {
  if (!isObject(value) || isPlainArray(value) || isArrayView(value)) {
    throw wrongType(name, `an object with ${fields.map((field) => field.name).join(', ')}`, value)
  }
  const members: Record<string, Checked> = {}
  for (const field of fields) {
    // Only own properties count: what a prototype brings is not the caller's word.
    const member = hasOwn(value, field.name) ? (value as Record<string, unknown>)[field.name] : undefined
    if (member === undefined) {
      if (field.required) throw wrongType(`${name}.${field.name}`, 'given', member)
      continue
    }
    members[field.name] = checkValue(`${name}.${field.name}`, field.schema, member)
  }
  return members
}

/**
 * Checks that the memory of an input is still there: getters and listeners that ran after its check may have detached it.
 * @throws TypeError
 */
export function checkUndetached(checked: Checked): void {
  if (typeof checked !== 'object' || checked === null) return
  if (isView(checked)) refuseDetached(checked.name, checked.buffer, checked.buffer)
  else for (const part of values(membersOf(checked) ?? checked) as Checked[]) checkUndetached(part)
}

/**
 * Checks a transfer list without moving anything.
 * @throws TypeError
 */
export function checkTransfer(name: string, list: unknown): readonly ArrayBuffer[] {
  if (!isArray(list)) throw wrongType(name, 'an array of ArrayBuffers', list)
  // What is checked is what is moved, whatever the list gives the next time.
  const copy: unknown[] = arrayFrom(list)
  const seen = new OwnSet<unknown>()
  for (const [index, buffer] of copy.entries()) {
    const item = `${name}[${index}]`
    if (!types.isArrayBuffer(buffer)) throw wrongType(item, 'an ArrayBuffer', buffer)
    if (seen.has(buffer)) throw wrongValue(item, 'in the list only once', buffer)
    checkBuffer(item, buffer, buffer)
    seen.add(buffer)
  }
  return copy as ArrayBuffer[]
}

/**
 * Moves the buffers out of the caller's reach; their memory stays where it is.
 * @throws DataCloneError when one of them cannot be transferred
 */
function move(list: readonly ArrayBuffer[]): readonly ArrayBuffer[] {
  const lengths = list.map(lengthOf)
  const moved = clone(list, { transfer: list as ArrayBuffer[] })
  for (const [index, buffer] of list.entries()) {
    // Node 20 quietly copies a buffer that is marked as untransferable.
    if (lengths[index] !== 0 && lengthOf(buffer) !== 0) {
      throw new builtins.DOMException(`options.transfer[${index}] could not be transferred`, 'DataCloneError')
    }
  }
  return moved
}

/** A view whose memory is still to be moved, and where it is put then. */
interface Awaiting {
  readonly view: CheckedView
  readonly holder: Record<string | number, unknown>
  readonly name: string | number
}

/**
 * The task's own value: memory is moved if `list` has it, shared or copied, objects hold just their declared members.
 * @throws TypeError, DataCloneError, RangeError where there is no memory for a copy; before anything is moved
 */
export function realize(checked: Checked, list: readonly ArrayBuffer[] | undefined): unknown {
  checkUndetached(checked)
  if (list === undefined) return take(checked, () => false)
  // By buffer: the first view gets its memory, another one a copy, so that no two views overlap.
  const awaiting = new OwnMap<ArrayBufferLike, Awaiting>()
  const root: Awaiting['holder'] = {}
  root.value = take(
    checked,
    (view, holder, name) => {
      const { buffer } = view
      if (awaiting.has(buffer) || !list.includes(buffer as ArrayBuffer)) return false
      awaiting.set(buffer, { view, holder, name })
      return true
    },
    root,
    'value',
  )
  for (const [index, buffer] of move(list).entries()) {
    const found = awaiting.get(list[index] as ArrayBuffer)
    if (found === undefined) continue
    const { view, holder, name } = found
    holder[name] = new (constructorOf(view.kind))(buffer, view.offset, view.length)
  }
  return root.value
}

/** Whether a view is put there later. */
type Later = (view: CheckedView, holder: Awaiting['holder'], name: string | number) => boolean

function take(checked: Checked, isLater: Later, holder: Awaiting['holder'] = {}, name: string | number = ''): unknown {
  if (typeof checked !== 'object' || checked === null) return checked
  if (isView(checked)) return isLater(checked, holder, name) ? undefined : copyOf(checked)
  const members = membersOf(checked)
  if (members !== undefined) {
    const object: Record<string, unknown> = {}
    for (const [key, member] of entries(members)) object[key] = take(member, isLater, object, key)
    return object
  }
  const list = checked as readonly Checked[]
  const out: unknown[] = new Array(list.length)
  for (const [index, item] of list.entries()) {
    out[index] = take(item, isLater, out as unknown as Awaiting['holder'], index)
  }
  return out
}

function copyOf({ kind, buffer, offset, byteLength, length }: CheckedView): View {
  const Kind = constructorOf(kind)
  if (types.isSharedArrayBuffer(buffer)) return new Kind(buffer, offset, length)
  // Not with `slice`: what that gives may be of a class of the user's, who then could reach the task's own memory.
  const copy = new Bytes(byteLength)
  copy.set(new Bytes(buffer, offset, byteLength))
  return new Kind(copy.buffer)
}
