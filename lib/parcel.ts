// Stage: submit and settle. Thread: any that posts.
// What only `postMessage` can move, on its way.

import { MessagePort, type Transferable } from 'node:worker_threads'
import { type Encoded, encode, POSTED } from './codec'
import { checkTransferList, transferOf } from './transfer'

/** A value, and what of it is moved. */
export interface Parcel {
  readonly value: unknown
  /** Left out where it is the memory of `value`, a view, and nothing else. */
  readonly list?: readonly Transferable[] | undefined
  /** Whether it may be asked for more than once. */
  readonly lasting?: boolean | undefined
}

/** Whether all that moves is the memory of `value`, a view. */
export function isMemoryOf(value: unknown, list: readonly object[]): value is ArrayBufferView {
  return list.length === 1 && ArrayBuffer.isView(value) && value.buffer === list[0]
}

/** What has to be moved with a parcel when it is posted on. */
export function listOf({ value, list }: Parcel): readonly Transferable[] {
  return list ?? [(value as Uint8Array).buffer as ArrayBuffer]
}

/** Keys of inputs tell who keeps them: those of a worker begin at (its number + 1) times this. */
export const KEYS_PER_WORKER = 2 ** 40

/** Between two keys of inputs; what is added to one whose input is copied to whoever asks for it. */
export const KEY_STEP = 2
const COPIED = 1

/** The key of an input: without anything that moves it is copied. */
export function keyOfInput(key: number, list: readonly object[]): number {
  return list.length === 0 ? key + COPIED : key
}

/** Whether the input with this key stays with its keeper until its task is settled, so that it may be asked for early. */
export function isCopied(key: number): boolean {
  return key % KEY_STEP === COPIED
}

/** Keys that one thread has for itself: what an ended one has left is not its replacement's. */
export const KEYS_PER_LIFE = 2 ** 32

/** A value of its own, with what `list` names moved. @throws DataCloneError */
export function moved(value: unknown, list: readonly Transferable[]): Parcel {
  const transfer = list as Transferable[]
  return isMemoryOf(value, list)
    ? { value: structuredClone(value, { transfer }) }
    : structuredClone({ value, list }, { transfer })
}

/**
 * Encodes a value that `transfer()` may have marked, or that comes with a list of its own: to be posted when anything moves.
 * @throws TypeError, DataCloneError
 */
export function encodeMarked(value: unknown, transfer?: unknown): { encoded: Encoded; list: Transferable[] } {
  if (Prepared.is(value)) return value
  const marked = transferOf(value)
  const given = transfer === undefined ? [] : checkTransferList('transfer', transfer)
  if (marked === undefined && given.length === 0) {
    const encoded = encode(value, true, true)
    return { encoded, list: encoded.moves === undefined ? [] : [...encoded.moves] }
  }
  const list = [...(marked?.list ?? []), ...given] as Transferable[]
  return { encoded: { codec: POSTED, data: marked === undefined ? value : marked.value }, list }
}

/** A value that was encoded before it is asked for, so that what becomes of it since does not matter. */
export class Prepared {
  readonly #isPrepared = true
  readonly encoded: Encoded
  readonly list: Transferable[]

  constructor(encoded: Encoded, list: Transferable[]) {
    this.encoded = encoded
    this.list = list
  }

  /** Whether it is one; `instanceof` would ask prototypes, which may be proxies. */
  static is(value: unknown): value is Prepared {
    return typeof value === 'object' && value !== null && #isPrepared in value
  }
}

/**
 * Encodes a value now, and moves what is to be moved.
 * @throws TypeError, DataCloneError
 */
export function prepare(value: unknown, transfer: unknown): Prepared {
  const { encoded, list } = encodeMarked(value, transfer)
  const { codec, data } = encoded
  if (codec !== POSTED)
    return new Prepared({ codec, data: ArrayBuffer.isView(data) ? structuredClone(data) : data }, [])
  const parcel = moved(data, list)
  return new Prepared({ codec, data: parcel.value }, [...listOf(parcel)])
}

/** Nobody will use them; whoever has the other end is to know. */
export function closePorts(parcel: Parcel | undefined): void {
  for (const item of parcel?.list ?? []) if (item instanceof MessagePort) item.close()
}
