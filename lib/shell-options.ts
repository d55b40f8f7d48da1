// Stage: submit. Thread: owner env.
// Checks the options of what a pool does besides its tasks: its end, signals, memory. Nothing of this goes to its workers.

import type { HighMemory, WorkerPoolOptions } from '..'
import { isUrl, localFile } from './entry'
import { outOfRange, ThreadmillError, wrongType, wrongValue } from './errors'
import { isArray, MAX_TIMEOUT, optionsObject, ownOr, wholeNumber, wholeOrInfinite } from './options'

/** Options of a pool's shell after their check. */
export interface ShellSettings {
  /** ms that a callback of `onShutdown` and a worker's `onWorkerExit` have. */
  readonly disposeTimeout: number
  /** Most bytes of inputs. */
  readonly capacityBytes: number
  /** Signals that end the pool. */
  readonly signals: readonly NodeJS.Signals[] | undefined
  /** What to watch of the memory, if anything. */
  readonly memory: MemorySettings | undefined
  /** The file that keeps what tasks take. */
  readonly costs: string | undefined
}

/** How memory is watched. */
export interface MemorySettings {
  /** bytes */
  readonly limit: number
  /** ms */
  readonly interval: number
  readonly strategy: 'warn' | 'restart' | ((details: HighMemory) => unknown)
}

/**
 * Checks the options of a pool that are not about tasks and workers.
 * @throws TypeError, RangeError
 */
export function checkShellOptions(value: unknown): ShellSettings {
  const options = optionsObject(value)
  const option = (key: keyof WorkerPoolOptions, otherwise?: unknown) => ownOr(options, key, otherwise)
  const capacityBytes = option('capacityBytes', Number.POSITIVE_INFINITY)
  const signals = option('handleSignals', false)
  return {
    disposeTimeout: wholeNumber('options.disposeTimeout', option('disposeTimeout', 5000), 0, MAX_TIMEOUT),
    capacityBytes: wholeOrInfinite('options.capacityBytes', capacityBytes, 1, Number.MAX_SAFE_INTEGER),
    costs: checkFile('options.costs', option('costs')),
    memory: checkMemoryOptions(option),
    signals: signals === false ? undefined : checkSignals('options.handleSignals', signals),
  }
}

/** The path of a file. */
function checkFile(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  const expectation = `a path or the 'file:' URL of a local file`
  if (isUrl(value)) {
    const file = localFile(value.href)
    if (file === undefined) throw wrongValue(name, expectation, value.href)
    return file
  }
  if (typeof value !== 'string') throw wrongType(name, expectation, value)
  if (value === '' || value.includes('\0')) throw wrongValue(name, expectation, value)
  return value
}

function checkMemoryOptions(option: (key: keyof WorkerPoolOptions, otherwise?: unknown) => unknown) {
  const limit = option('maxMemoryUsage')
  const interval = wholeNumber('options.checkInterval', option('checkInterval', 5000), 1, MAX_TIMEOUT)
  const strategy = option('memoryStrategy', 'warn')
  if (strategy !== 'warn' && strategy !== 'restart' && typeof strategy !== 'function') {
    throw wrongValue('options.memoryStrategy', `'warn', 'restart' or a function`, strategy)
  }
  if (limit === undefined) return undefined
  return {
    limit: wholeNumber('options.maxMemoryUsage', limit, 1, Number.MAX_SAFE_INTEGER),
    interval,
    strategy: strategy as MemorySettings['strategy'],
  }
}

/**
 * Signals to handle, each once; `true` stands for those that ask a process to end.
 * @throws TypeError
 */
export function checkSignals(name: string, value: unknown): readonly NodeJS.Signals[] {
  if (value === true) return ['SIGTERM', 'SIGINT']
  const expectation = `a non-empty array of names of signals that end a process and can be handled, such as 'SIGTERM'`
  if (!isArray(value)) throw wrongType(name, expectation, value)
  const list: unknown[] = Array.from(value)
  if (list.length === 0) throw wrongValue(name, expectation, value)
  const { constants } = require('node:os') as typeof import('node:os')
  const isUsable = (signal: unknown): boolean =>
    typeof signal === 'string' && Object.hasOwn(constants.signals, signal) && !UNUSABLE.includes(signal)
  for (const [index, signal] of list.entries()) {
    if (!isUsable(signal))
      throw wrongValue(`${name}[${index}]`, 'the name of a signal that ends a process and can be handled', signal)
  }
  return [...new Set(list as NodeJS.Signals[])]
}

/** They cannot be handled, or end no process. */
const UNUSABLE = ['SIGKILL', 'SIGSTOP', 'SIGCHLD', 'SIGCONT', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGURG', 'SIGWINCH']

/** @throws ThreadmillError where no signals come */
export function checkMainThread(): void {
  // It takes longer to load than the first kernel, and most pools ask for no signals.
  const { isMainThread } = require('node:worker_threads') as typeof import('node:worker_threads')
  if (isMainThread) return
  throw new ThreadmillError('ERR_THREADMILL_NOT_SUPPORTED', 'signals come to the main thread of a process only')
}

/**
 * The time that `close` has, ms.
 * @throws TypeError, RangeError
 */
export function checkCloseOptions(options: unknown): number {
  const expectation = `a number of milliseconds from 0 to ${MAX_TIMEOUT}, or Infinity`
  const timeout = ownOr(optionsObject(options), 'timeout', Number.POSITIVE_INFINITY)
  if (typeof timeout !== 'number') throw wrongType('options.timeout', expectation, timeout)
  const isInRange = timeout === Number.POSITIVE_INFINITY || (timeout >= 0 && timeout <= MAX_TIMEOUT)
  if (!isInRange) throw outOfRange('options.timeout', expectation, timeout)
  return timeout
}

/** Options of health monitoring after their check. */
export interface HealthSettings {
  /** ms */
  readonly interval: number
  readonly log: boolean
  /** Waiting tasks per worker that are still healthy. */
  readonly alert: number
}

/** @throws TypeError, RangeError */
export function checkHealthOptions(value: unknown): HealthSettings {
  const options = typeof value === 'number' ? { interval: value } : optionsObject(value)
  const log = ownOr(options, 'log', false)
  if (typeof log !== 'boolean') throw wrongType('options.log', 'a boolean', log)
  const alert = ownOr(options, 'alert', 5)
  const expectation = 'a number of tasks per worker from 0 on'
  if (typeof alert !== 'number') throw wrongType('options.alert', expectation, alert)
  if (!(alert >= 0)) throw outOfRange('options.alert', expectation, alert)
  return { interval: wholeNumber('options.interval', ownOr(options, 'interval', 5000), 1, MAX_TIMEOUT), log, alert }
}
