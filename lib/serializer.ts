// Stage: submit and settle. Thread: any env, the owner and its JS workers alike.
// V8's serializer, for values that have no shorter way: the engine's own where the addon can call it (src/clones.rs), else
// Node's classes around it.

import { mayClone } from './moves'
import { native } from './native'

const Bytes = Uint8Array
const slice = Uint8Array.prototype.slice

/** What most values have room in. */
const ROOM = 4096

let room: Uint8Array | undefined
let parts: typeof import('./node-serializer') | undefined

/** They take a while to load. */
function classes(): typeof import('./node-serializer') {
  parts ??= require('./node-serializer') as typeof import('./node-serializer')
  return parts
}

/** Whether there is one that tells what only the platform can clone. */
export function hasSerializer(): boolean {
  return mayClone() || classes().HAS_SERIALIZER
}

/**
 * Serializes a value; `undefined` when only the platform can clone what is in it.
 * @throws when it cannot be cloned
 */
export function serialize(value: unknown): Uint8Array | undefined {
  if (!mayClone()) return classes().serialize(value)
  room ??= new Bytes(ROOM)
  const length = native.serialize(value, room, 0, ROOM)
  if (length < 0) return undefined
  return length <= ROOM ? slice.call(room, 0, length) : new Bytes(native.takeSerialized())
}

/** Reads what `serialize` has made, so many bytes from the start of a view. The memory may be used again afterwards. */
export function deserialize(view: Uint8Array | Float64Array, offset: number, length: number): unknown {
  if (mayClone()) return native.deserialize(view, offset, length)
  // From a copy, for what is read keeps its memory.
  return classes().deserialize(new Bytes(new Bytes(view.buffer, view.byteOffset + offset, length)))
}
