// Stage: all. Thread: owner env.
// Checks what `serveDashboard` is given.

import type { AnyPool, DashboardOptions } from '../../dashboard'
import type { PoolCore } from '../core'
import { wrongType, wrongValue } from '../errors'
import { optionsObject, ownOr, wholeNumber } from '../options'
import { coreOf } from '../pool'

/** Options after their check. */
export interface DashboardSettings {
  readonly port: number
  readonly host: string
  readonly token: string | undefined
  readonly allowActions: boolean
  /** ms */
  readonly interval: number
}

/** What can stand in an address and in a cookie as it is. */
const TOKEN = /^[\w.~-]{16,256}$/
/** A name, or an IPv4 or IPv6 address. */
const HOST = /^[\w.:%-]{1,255}$/

/** @throws TypeError, RangeError */
export function checkDashboardOptions(value: unknown): DashboardSettings {
  const options = optionsObject(value)
  const option = (key: keyof DashboardOptions, otherwise?: unknown) => ownOr(options, key, otherwise)
  const allowActions = option('allowActions', false)
  if (typeof allowActions !== 'boolean') throw wrongType('options.allowActions', 'a boolean', allowActions)
  const token = option('token')
  return {
    port: wholeNumber('options.port', option('port', 0), 0, 65_535),
    host: checkText('options.host', 'a host name or an IP address', option('host', '127.0.0.1'), HOST),
    token:
      token === undefined
        ? undefined
        : checkText('options.token', '16 to 256 letters, digits, "-", ".", "_" or "~"', token, TOKEN),
    allowActions,
    interval: wholeNumber('options.interval', option('interval', 1000), 100, 60_000),
  }
}

function checkText(name: string, expectation: string, value: unknown, pattern: RegExp): string {
  if (typeof value !== 'string') throw wrongType(name, `a string of ${expectation}`, value)
  // Not what a token is: messages end in logs.
  if (!pattern.test(value)) throw wrongValue(name, expectation, `${value.length} characters that are not`)
  return value
}

/** A pool and its core. @throws TypeError */
export function checkPool(pool: unknown, name = 'pool'): [AnyPool, PoolCore] {
  const core = coreOf(pool)
  if (core === undefined) throw wrongType(name, 'a WorkerPool of this copy of threadmill', pool)
  return [pool as AnyPool, core]
}

/** One pool, or any number of them. @throws TypeError */
export function checkPools(value: unknown): [AnyPool, PoolCore][] {
  if (coreOf(value) !== undefined) return [checkPool(value)]
  const isIterable = typeof value === 'object' && value !== null && Symbol.iterator in value
  if (!isIterable) throw wrongType('pools', 'a WorkerPool of this copy of threadmill, or an iterable of them', value)
  return Array.from(value as Iterable<unknown>, (pool, index) => checkPool(pool, `pools[${index}]`))
}
