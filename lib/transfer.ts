// Stage: run. Thread: any.
// Marks a value whose buffers or ports are to be moved instead of copied when it leaves this thread.

import { builtins } from './builtins'
import { wrongType } from './errors'
import { isArray } from './own'

const { arrayFrom, hasOwn } = builtins

/** The same in every copy of the package. */
const BRAND = Symbol.for('threadmill.transfer')

/** A value with the list of what is moved. */
export interface Transfer {
  readonly value: unknown
  readonly list: readonly object[]
}

/** No clone takes it, and the error says what it is. */
const misplaced = (): string => 'transfer() marks a whole input, output or message, not a part of one'

/** See `transfer` in index.d.ts. */
export function transfer<T>(value: T, list: readonly object[]): T {
  const marked = { [BRAND]: true, value, list: checkTransferList('list', list), misplaced }
  // What the caller sees is the value that the other side will get.
  return marked as unknown as T
}

/** The mark that `transfer` set, if any. */
export function transferOf(value: unknown): Transfer | undefined {
  try {
    const isMarked = typeof value === 'object' && value !== null && hasOwn(value, BRAND)
    return isMarked ? (value as Transfer) : undefined
  } catch {
    // A proxy that throws.
    return undefined
  }
}

/** The value without the mark: where it stays on its thread nothing of it has to move. */
export function unmarked(value: unknown): unknown {
  const marked = transferOf(value)
  return marked === undefined ? value : marked.value
}

/** @throws TypeError */
export function checkTransferList(name: string, list: unknown): readonly object[] {
  const expectation = 'an array of ArrayBuffers, MessagePorts and other transferable objects'
  if (!isArray(list)) throw wrongType(name, expectation, list)
  const copy: unknown[] = arrayFrom(list)
  for (const item of copy) if (typeof item !== 'object' || item === null) throw wrongType(name, expectation, item)
  return copy as object[]
}
