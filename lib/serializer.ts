// Stage: submit and settle. Thread: any env, the owner and its JS workers alike.
// V8's serializer, for values that have no shorter way: the engine's own where the addon can call it (src/serializer.rs), else
// Node's classes around it.

import { builtins } from './builtins'
import { mayClone } from './moves'
import { native } from './native'

const { Uint8Array: Bytes } = builtins
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
  return native.serialize(value) < 0 ? undefined : new Bytes(native.takeSerialized())
}

/** Reads what `serialize` has made, so many bytes from the start of a view. The memory may be used again afterwards. */
export function deserialize(view: Uint8Array | Float64Array, offset: number, length: number): unknown {
  if (mayClone()) return native.deserialize(view, offset, length)
  // From a copy, for what is read keeps its memory.
  return classes().deserialize(new Bytes(new Bytes(view.buffer, view.byteOffset + offset, length)))
}
