// Stage: submit and settle. Thread: any env, the owner and its JS workers alike.
// V8's serializer, for values that have no shorter way: the engine's own where the addon can call it (src/serializer.rs), else
// Node's classes around it.

import { builtins } from './builtins'
import { ThreadmillError } from './errors'
import { mayClone } from './moves'
import { native } from './native-values'
import { type NodeSerializer, nodeSerializer } from './node-serializer'

const { bufferOf, offsetOfView, Uint8Array: Bytes } = builtins
let made: NodeSerializer | undefined

function ofNode(): NodeSerializer {
  made ??= nodeSerializer()
  return made
}

/** Whether there is one that tells what only the platform can clone. */
export function hasSerializer(): boolean {
  return mayClone() || ofNode().isComplete
}

/**
 * Serializes a value; `undefined` when only the platform can clone what is in it.
 * @throws when it cannot be cloned
 */
export function serialize(value: unknown): Uint8Array | undefined {
  if (!mayClone()) return ofNode().serialize(value)
  return native.serialize(value) < 0 ? undefined : takeSerialized()
}

/** What the addon has written last. */
export function takeSerialized(): Uint8Array {
  const memory = native.takeSerialized()
  // A thread that is terminated goes on until the engine looks for that: it is to hand nothing over meanwhile.
  if (memory === undefined) throw new ThreadmillError('ERR_THREADMILL_SYSTEM', 'the thread is being terminated')
  return new Bytes(memory)
}

/** Reads what `serialize` has made, so many bytes from the start of a view. The memory may be used again afterwards. */
export function deserialize(view: Uint8Array | Float64Array, offset: number, length: number): unknown {
  if (mayClone()) return native.deserialize(view, offset, length)
  // From a copy, for what is read keeps its memory.
  const bytes = new Bytes(bufferOf.call(view), offsetOfView.call(view) + offset, length)
  return ofNode().deserialize(new Bytes(bytes))
}
