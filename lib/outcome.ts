// Stage: settle. Thread: owner env.
// What the tags of a drained record say of how a task ended.

import process from 'node:process'
import { getSystemErrorMap } from 'node:util'
import type { ErrorCode } from '..'
import { builtins } from './builtins'
import { PLAIN, POSTED } from './codecs'
import { placeIn } from './collections'
import { ThreadmillError } from './errors'
import { payload } from './lazy'
import { native } from './native'
import type { End, Owner } from './owner'
import type { Extra } from './slots'

const { assign, defineProperty, hasOwn } = builtins

/** In place of a worker's number. */
export const NOT_ADMITTED = -2
/** From this tag on: what a JS worker gave, by codec, and what it threw. */
export const ANSWERS = 20
export const CODECS = 8
/** From this tag on: what happened to a task or a worker that goes on. */
export const NOTICES = ANSWERS + 2 * CODECS
/** Outputs by tag 0 to 3. */
export const SIMPLE = [undefined, null, true, false]

/** Codes of tasks that were given up, and might have been run again. */
const GIVEN_UP: readonly ErrorCode[] = [
  'ERR_THREADMILL_CANCELLED',
  'ERR_THREADMILL_TIMEOUT',
  'ERR_THREADMILL_POOL_CLOSED',
]

/** What a JS worker threw. */
export function settleFailure(end: End, owner: Owner, codec: number, data: unknown, worker: number): void {
  if (codec < POSTED) settleAnswer(end, false, codec, data)
  else if (codec > POSTED) owner.collect?.(codec, data as number, worker, end)
  else {
    owner.collect?.(codec, data as number, worker, (found, value) => settleAnswer(end, false, found ? codec : 0, value))
  }
}

/** What a JS worker gave or threw; a failure too if it cannot be read. */
export function settleAnswer(end: End, succeeded: boolean, codec: number, data: unknown): void {
  let value: unknown
  try {
    if (succeeded) value = codec === PLAIN ? data : payload().decode(codec, data)
    else value = payload().decodeReason(codec, data)
  } catch (error) {
    succeeded = false
    value = error
  }
  end(succeeded, value)
}

/** Settles with what the addon has under that key: memory, or an object that is read now. */
export function settleMoved(end: End, key: number): void {
  let [succeeded, value]: [boolean, unknown] = [true, undefined]
  try {
    value = native.openMemory(key)
  } catch (error) {
    ;[succeeded, value] = [false, error]
  }
  end(succeeded, value)
}

/** The error of a task that gave no output; `extra`: what is kept of the task. */
export function failure(
  owner: Owner,
  tag: number,
  value: unknown,
  extra: Pick<Extra, 'failed' | 'reason'> | undefined,
  worker: number,
): unknown {
  // Not looked at: it is the user's, and may be a proxy that throws.
  if (tag === 7 && extra?.reason !== undefined) return extra.reason.reason
  const error = errorOf(tag, value)
  if (!(error instanceof ThreadmillError)) return error
  const explained = owner.explain?.(error, worker) ?? error
  // Why it had not ended by then.
  if (extra?.failed !== undefined && placeIn(GIVEN_UP, explained.code) >= 0 && !hasOwn(explained, 'cause')) {
    defineProperty(explained, 'cause', { value: extra.failed.reason, writable: true, configurable: true })
  }
  return explained
}

/** The addon tells the number that the system has for a failure, which on Windows is not the one that Node has for that code. */
function ofNode(system: object): object {
  if (process.platform !== 'win32') return system
  const { code } = system as { readonly code: string }
  for (const [errno, [name]] of getSystemErrorMap()) if (name === code) return assign(system, { errno })
  return system
}

/** The error that the tag of a record stands for. */
function errorOf(tag: number, value: unknown): Error {
  switch (tag) {
    case 7:
      return new ThreadmillError('ERR_THREADMILL_CANCELLED', 'the task was cancelled')
    case 8:
      return new ThreadmillError('ERR_THREADMILL_TIMEOUT', 'Task timeout')
    case 14:
      return new ThreadmillError('ERR_THREADMILL_SYSTEM', 'the engine had no room for the outcome of the task')
    case 9:
      return new ThreadmillError('ERR_THREADMILL_KERNEL_PANIC', `the kernel panicked: ${value}`)
    default: {
      const [code, message, system] = value as [ErrorCode, string, object?]
      const text = message.trim()
      if (code === 'ERR_THREADMILL_INVALID_ARG_TYPE' || code === 'ERR_THREADMILL_INVALID_ARG_VALUE') {
        return assign(new TypeError(text), { code })
      }
      if (code === 'ERR_THREADMILL_OUT_OF_RANGE') return assign(new RangeError(text), { code })
      if (system === undefined) return new ThreadmillError(code, text)
      const cause = assign(new Error(text), ofNode(system))
      return new ThreadmillError(code, text, { cause })
    }
  }
}
