// Stage: submit, run and settle. Thread: any env.
// What the binding has for values that are no numbers.

import { native as base, type Native } from './native'

/** What the addon adds for them. */
export interface NativeForValues extends Native {
  /** The number of a well-formed text that all threads share; -1 when there is no room for another one. Some is for lists of names. */
  shareText(text: string, areNames: boolean): number
  sharedText(number: number): string
  /** Whether memory can go from thread to thread as it is; see src/moves.rs. */
  canMove(): boolean
  /** Whether a typed array has no buffer before it is asked for; only where `canMove()` says so. */
  isInHeap(view: ArrayBufferView): boolean
  /** Whether an object, whatever its prototype, is none of a class of the language or the platform; as the next. */
  isPlain(object: object): boolean
  /** Whether an array has enumerable properties whose names are no indices; only where `canClone()` says so. */
  hasNames(array: readonly unknown[]): boolean
  /** Has `isMarked` know what `markAsUncloneable` does, given an object with nothing but its mark, and one without; whether it does. */
  findMark(marked: object, other: object): boolean
  /** Whether an object was given to `markAsUncloneable`; also when `findMark` has not said that this is known. */
  isMarked(object: object): boolean
  /** Takes the memory of a typed array over `buffer`, or of that itself, which is detached then; its key, or -1. */
  takeMemory(value: ArrayBufferView | ArrayBuffer, buffer: ArrayBufferLike): number
  /** Moves the memory of these buffers with the value that they are part of; its key, -1 when that cannot be. */
  takeGroup(value: unknown, buffers: readonly ArrayBuffer[]): number
  /** Whether the engine's serializer is called. */
  canClone(): boolean
  /** Whether shared memory goes from thread to thread with its value; see src/shared.rs. `buffer`: some, to try it with. */
  canShare(buffer: SharedArrayBuffer): boolean
  /** Writes a value with nothing of the platform in it: its length in bytes, or -1. Then `takeSerialized` is to follow. */
  serialize(value: unknown): number
  /**
   * Writes a value that goes by itself: its length in bytes, -1 when the engine alone cannot, -2 when it has an object in it
   * with none of these prototypes. Where it has instances of classes, whose are those from the third one on, `ask` is called
   * with the only one or with all of it, and may throw: -1; also when one is known to be marked. Without prototypes nothing in it is of the platform. May run
   * getters. One of the next three is to follow; after -3 the last, for there is shared memory in it.
   */
  serializeAlone(value: unknown, ask?: (value: unknown) => void, ...prototypes: readonly unknown[]): number
  /** Puts it there. */
  putSerialized(room: Uint8Array, offset: number): void
  /** `undefined` where it takes JavaScript to make that memory, and the thread is being terminated. */
  takeSerialized(): ArrayBuffer | undefined
  /** Its key for `openMemory`. */
  keepSerialized(): number
  /** @throws RangeError for what is too deep for this thread */
  deserialize(view: ArrayBufferView, offset: number, length: number): unknown
}

base.addForValues(base)
export const native = base as NativeForValues
