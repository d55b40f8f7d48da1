// Stage: submit and settle. Thread: any that posts.
// Encodes what `transfer()` may have marked, or what comes with a list of its own.

import type { Transferable } from 'node:worker_threads'
import { builtins } from './builtins'
import { encode } from './codec'
import { type Encoded, POSTED } from './codecs'
import { listOf, moved } from './parcel'
import { checkTransferList, transferOf } from './transfer'

const { clone, isView } = builtins

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
  return keep(encoded, list)
}

/** Makes what was encoded independent of what becomes of the value. @throws DataCloneError */
export function keep({ codec, data }: Encoded, list: readonly Transferable[]): Prepared {
  if (codec !== POSTED) return new Prepared({ codec, data: isView(data) ? clone(data) : data }, [])
  const parcel = moved(data, list)
  return new Prepared({ codec, data: parcel.value }, [...listOf(parcel)])
}
