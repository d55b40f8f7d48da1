// Stage: submit and settle. Thread: any env, the owner and its JS workers alike.
// Node's classes around V8's serializer.

import { Deserializer, deserialize as deserializePlainly, Serializer, serialize as serializePlainly } from 'node:v8'

/** Notes what only the platform can clone. */
class Writer extends Serializer {
  platform = false

  _writeHostObject(): void {
    this.platform = true
  }

  _getSharedArrayBufferId(): number {
    this.platform = true
    return 0
  }

  /** What is thrown does not matter: the caller asks the platform for the error. */
  _getDataCloneError(): undefined {
    return undefined
  }

  declare _setTreatArrayBufferViewsAsHostObjects: (treat: boolean) => void
}

/** Bun has the functions, and not the classes. */
export const HAS_SERIALIZER = (() => {
  try {
    return new Serializer() !== undefined
  } catch {
    return false
  }
})()

/**
 * Serializes a value; `undefined` when only the platform can clone what is in it.
 * @throws when it cannot be cloned
 */
export function serialize(value: unknown): Uint8Array | undefined {
  if (!HAS_SERIALIZER) return serializePlainly(value)
  const writer = new Writer()
  // Views then keep their offset and their buffer, which they may share.
  writer._setTreatArrayBufferViewsAsHostObjects(false)
  writer.writeHeader()
  writer.writeValue(value)
  return writer.platform ? undefined : writer.releaseBuffer()
}

/** Reads what `serialize` has made. The memory must not be used again. */
export function deserialize(bytes: Uint8Array): unknown {
  if (!HAS_SERIALIZER) return deserializePlainly(bytes)
  const reader = new Deserializer(bytes)
  reader.readHeader()
  return reader.readValue()
}
