// Stage: submit and settle. Thread: any env, the owner and its JS workers alike.
// Node's classes around V8's serializer.

import { builtins } from './builtins'

export interface NodeSerializer {
  /** Whether there is one that tells what only the platform can clone. */
  readonly isComplete: boolean
  /**
   * Serializes a value; `undefined` when only the platform can clone what is in it.
   * @throws when it cannot be cloned
   */
  serialize(value: unknown): Uint8Array | undefined
  /** Reads what `serialize` has made. The memory must not be used again. */
  deserialize(bytes: Uint8Array): unknown
}

/** Loads the classes, which takes a while. */
export function nodeSerializer(): NodeSerializer {
  // Modules of the user, which ran before this, may have replaced how modules are loaded.
  const { Deserializer, deserialize, Serializer, serialize } = builtins.getBuiltinModule('node:v8')

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

  // Bun has the functions, and not the classes.
  if (!canMake(Serializer)) return { isComplete: false, serialize, deserialize }
  return {
    isComplete: true,
    serialize(value) {
      const writer = new Writer()
      // Views then keep their offset and their buffer, which they may share.
      writer._setTreatArrayBufferViewsAsHostObjects(false)
      writer.writeHeader()
      writer.writeValue(value)
      return writer.platform ? undefined : writer.releaseBuffer()
    },
    deserialize(bytes) {
      const reader = new Deserializer(bytes)
      reader.readHeader()
      return reader.readValue()
    },
  }
}

function canMake(Class: new () => object): boolean {
  try {
    return new Class() !== undefined
  } catch {
    return false
  }
}
