// Stage: submit. Thread: any.
// Checks the numbers among the options of pools.

import { wrongType } from '../errors'

/** What a timer can wait for, ms. */
export const MAX_INTERVAL = 2 ** 31 - 1

/** @throws TypeError */
export function checkNumber(name: string, value: unknown): number {
  if (typeof value !== 'number' || Number.isNaN(value)) throw wrongType(name, 'a number', value)
  return value
}

/** @throws TypeError */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw wrongType(name, 'a function', value)
}
