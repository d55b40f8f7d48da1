// Stage: submit, run and settle. Thread: any.
// In which ways a value is on its way to another thread. Most tasks need to know no more: see codec.ts.

/** The data is the value itself, and the caller copies it. */
export const PLAIN = 0
/** The data is JSON text. */
export const JSON_TEXT = 1
/** The data is a Uint8Array of V8's serializer. */
export const V8 = 2
/** The data is a Float64Array that flat.ts or `putRaw` has written. */
export const FLAT = 3
/** The data goes through postMessage: it is the value itself, or a clone of it where that had to be made anyway. */
export const POSTED = 4
/** The value stays on its thread: the data is the key under which it is kept there. */
export const LOCAL = 5
/** The data is the key under which the addon has the memory of the value; see moves.ts. */
export const MOVED = 6

export type Codec =
  | typeof PLAIN
  | typeof JSON_TEXT
  | typeof V8
  | typeof FLAT
  | typeof POSTED
  | typeof LOCAL
  | typeof MOVED

/** A value on its way to another thread. */
export interface Encoded {
  readonly codec: Codec
  /** How it is to be read depends on `codec`. */
  readonly data: unknown
  /** Memory that belongs to the data alone, and need not be copied once more when that is posted. */
  readonly moves?: readonly ArrayBuffer[] | undefined
  /** Whether the data is a clone, which need not be cloned before it is posted. */
  readonly isOwn?: boolean
}
