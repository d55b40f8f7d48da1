// Stage: submit and settle. Thread: any.
// Typed arrays and what they are views of, whatever properties and classes they were given.

import { builtins } from './builtins'
import { placeIn } from './collections'

const { bufferOf, bufferOfDataView, classNameOf, isResizable, lengthOf, lengthOfView } = builtins
const { allocUnsafe, bufferPrototype, getPrototypeOf, isArrayBuffer, isMarkedAsUntransferable, isSharedArrayBuffer } =
  builtins
const { isView } = builtins
const { typedArrays, typedPrototype, Uint8Array: Bytes } = builtins
/** Bytes of the memory that small Buffers share; some Nodes round it up. */
const poolSize = lengthOf.call(bufferOf.call(allocUnsafe(1)))

/** The memory that a view is of. */
export function memoryOf(view: ArrayBufferView): ArrayBufferLike {
  return classNameOf.call(view) === undefined ? bufferOfDataView.call(view) : bufferOf.call(view)
}

/** Bytes of a view of unshared memory that keeps its size; 0 for any other, and for one whose memory may have been moved. */
function fixedLength(view: ArrayBufferView, buffer: ArrayBufferLike): number {
  return isSharedArrayBuffer(buffer) || isResizable.call(buffer) ? 0 : lengthOfView.call(view)
}

/** Whether it is a buffer that has bytes and keeps its size. */
export function isMovable(buffer: object): buffer is ArrayBuffer {
  return isArrayBuffer(buffer) && lengthOf.call(buffer) > 0 && !isResizable.call(buffer)
}

/** Whether all of a value is that buffer, which has bytes and keeps its size, or a typed array over it. */
export function isMemory(value: unknown, buffer: object): value is ArrayBufferView | ArrayBuffer {
  if (!isMovable(buffer)) return false
  if (value === buffer) return true
  return isView(value) && classNameOf.call(value) !== undefined && bufferOf.call(value) === buffer
}

/** Whether a view is a Buffer in the memory that Node's small ones share: that is nobody's business on the other side. */
export function isOfPool(view: ArrayBufferView, buffer: ArrayBufferLike): boolean {
  if (getPrototypeOf(view) !== bufferPrototype || lengthOf.call(buffer) !== poolSize) return false
  // Node 20 cannot tell it from other memory of that length.
  return isMarkedAsUntransferable?.(buffer) ?? true
}

/** The view to copy when all that arrives is a typed array of that class and its bytes, else `undefined`. */
export function plainView(value: ArrayBufferView): ArrayBufferView | undefined {
  if (classNameOf.call(value) === undefined) return undefined
  const buffer = bufferOf.call(value)
  const length = fixedLength(value, buffer)
  if (length === 0) return undefined
  const whole = length === lengthOf.call(buffer)
  const prototype = getPrototypeOf(value)
  if (prototype === bufferPrototype) {
    // A clone is a Uint8Array, and would bring all of Node's pool.
    return whole || isOfPool(value, buffer) ? new Bytes(value as Uint8Array) : undefined
  }
  return whole && prototype !== null && getPrototypeOf(prototype) === typedPrototype ? value : undefined
}

const prototypes = typedArrays.map(({ prototype }) => prototype)
const names = typedArrays.map(({ name }) => name)

/** Place among `builtins.typedArrays` of what is of that very class, or a Buffer; -1 for any other. */
export function classOf(view: ArrayBufferView): number {
  const prototype = getPrototypeOf(view)
  // A clone is a Uint8Array.
  const index = prototype === bufferPrototype ? 0 : placeIn(prototypes, prototype)
  return index < 0 || classNameOf.call(view) !== names[index] ? -1 : index
}

/** A copy in memory of its own, of the class that it has without its subclass. */
export function copyOf(view: ArrayBufferView): ArrayBufferView | undefined {
  const Class = typedArrays[placeIn(names, classNameOf.call(view))]
  return Class && new (Class as unknown as new (view: ArrayBufferView) => ArrayBufferView)(view)
}
