// Stage: all. Thread: any.
// Waiting for shared memory without blocking the thread.
// The runtime settles the promise of `Atomics.waitAsync` also while its event loop sleeps, but lets the process end
// before: nothing there counts as pending work. That is what is added here.

import { types } from 'node:util'
import { outOfRange, wrongType, wrongValue } from './errors'
import { clearInterval, setInterval } from './timers'

type Outcome = 'ok' | 'not-equal' | 'timed-out'
type Waited = { readonly async: false; readonly value: Outcome } | { readonly async: true; value: Promise<Outcome> }
type WaitAsync = (array: object, index: number, value: number | bigint, timeout: number) => Waited

const LONGEST = 2 ** 31 - 1
const MIN_INT32 = -(2 ** 31)
const MAX_INT32 = 2 ** 31 - 1

let pending = 0
let keeper: NodeJS.Timeout | undefined

/** See `waitAsync` in index.d.ts. */
export async function waitAsync(array: unknown, index: unknown, value: unknown, timeout?: unknown): Promise<Outcome> {
  const checked = checkArray(array)
  const place = checkIndex(index, checked.length)
  const expected = checkExpected(value, types.isBigInt64Array(checked))
  const limit = checkLimit(timeout)
  // Newer than the oldest library of types that is compiled against.
  const waited = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync(checked, place, expected, limit)
  if (!waited.async) return waited.value
  if (pending++ === 0) keeper = setInterval(() => {}, LONGEST)
  try {
    return await waited.value
  } finally {
    if (--pending === 0) clearInterval(keeper)
  }
}

function checkArray(array: unknown): Int32Array | BigInt64Array {
  const expectation = 'an Int32Array or BigInt64Array over a SharedArrayBuffer'
  if (!types.isInt32Array(array) && !types.isBigInt64Array(array)) throw wrongType('array', expectation, array)
  if (!types.isSharedArrayBuffer(array.buffer)) throw wrongValue('array', expectation, array)
  return array
}

function checkIndex(index: unknown, length: number): number {
  const expectation = `a whole number from 0 and below the length of the array, ${length}`
  if (typeof index !== 'number') throw wrongType('index', expectation, index)
  if (!Number.isInteger(index) || index < 0 || index >= length) throw outOfRange('index', expectation, index)
  return index
}

function checkExpected(value: unknown, isBig: boolean): number | bigint {
  const expectation = isBig ? 'a bigint of 64 bits with sign' : 'a whole number of 32 bits with sign'
  if (typeof value !== (isBig ? 'bigint' : 'number')) throw wrongType('value', expectation, value)
  const fits =
    typeof value === 'bigint'
      ? BigInt.asIntN(64, value) === value
      : Number.isInteger(value) && (value as number) >= MIN_INT32 && (value as number) <= MAX_INT32
  if (!fits) throw outOfRange('value', expectation, value)
  return value as number | bigint
}

function checkLimit(timeout: unknown): number {
  const expectation = 'a number of milliseconds from 0, or Infinity'
  if (timeout === undefined) return Number.POSITIVE_INFINITY
  if (typeof timeout !== 'number') throw wrongType('timeout', expectation, timeout)
  if (!(timeout >= 0)) throw outOfRange('timeout', expectation, timeout)
  return timeout
}
