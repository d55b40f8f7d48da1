// Stage: submit. Thread: owner env.
// Checks the options of pools and tasks and fills in defaults. Only own properties count; `undefined` means the default.

import { types } from 'node:util'
import type { NativePoolOptions, TaskOptions, WorkerPoolOptions } from '..'
import { builtins } from './builtins'
import type { EntryFunction } from './entry-module'
import { isInstance, outOfRange, ThreadmillError, wrongType, wrongValue } from './errors'
import type { Kernel } from './kernels'
import type { LaneSettings } from './lane-settings'
import type { MapSettings } from './map'
import { checkName, isArray, isObject, optionsObject, own, ownOr } from './own'
import { grantedThreads } from './quota'
import { checkCrashLimit, checkGrace, checkRetries, NO_RETRIES, policyOf, type Retries } from './retries'
import { type Checked, checkTransfer, checkValue } from './schema'
import { reasonOf } from './signals'
import { checkTransferList } from './transfer'

const { hasOwn, isFiniteNumber, isInteger, keys } = builtins

export { isArray, isObject, optionsObject, own, ownOr }

const MAX_THREADS = 1024
const MAX_CAPACITY = 2 ** 30
const MAX_CONCURRENCY = 1024
const MAX_WORKERS = 1024
/** ms */
const DEFAULT_IDLE_TIMEOUT = 60_000
export const MAX_TIMEOUT = 2 ** 31 - 1
const STRENGTHS: Record<string, number> = { light: 0, strong: 1, force: 2 }
const PRIORITIES: Record<string, number> = { high: 1, normal: 0, low: 0 }

/** `also`: what else is taken, for whoever is told. @throws TypeError, RangeError */
export function wholeNumber(name: string, value: unknown, min: number, max: number, also = ''): number {
  const expectation = `a whole number from ${min} to ${max}${also}`
  if (typeof value !== 'number') throw wrongType(name, expectation, value)
  if (!isInteger(value) || value < min || value > max) throw outOfRange(name, expectation, value)
  return value
}

/** The same for what may be without end. @throws TypeError, RangeError */
export function wholeOrInfinite(name: string, value: unknown, min: number, max: number): number {
  return value === Number.POSITIVE_INFINITY ? value : wholeNumber(name, value, min, max, ', or Infinity')
}

function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value)
  return value
}

/** The entry function itself, if it is given. @throws TypeError */
export function checkEntryPoint(value: unknown): EntryFunction | undefined {
  if (value !== undefined && typeof value !== 'function') throw wrongType('options.entryPoint', 'a function', value)
  return value as EntryFunction | undefined
}

function checkEstimator(name: string, value: unknown): ((...args: unknown[]) => unknown) | undefined {
  if (value !== undefined && typeof value !== 'function') throw wrongType(name, 'a function', value)
  return value as ((...args: unknown[]) => unknown) | undefined
}

/** A timeout in ms; 0 stands for none, and may be given with `mayBeNone`. @throws TypeError, RangeError */
export function checkTimeout(value: unknown, name = 'options.timeout', mayBeNone = false): number {
  const none = mayBeNone ? '0 or ' : ''
  const expectation = `${none}a number of milliseconds above 0 and up to ${MAX_TIMEOUT}, or Infinity`
  if (typeof value !== 'number') throw wrongType(name, expectation, value)
  if (value === Number.POSITIVE_INFINITY || (mayBeNone && value === 0)) return 0
  if (!(value > 0 && value <= MAX_TIMEOUT)) throw outOfRange(name, expectation, value)
  return value
}

function checkTimeoutFrom(value: unknown): 'submit' | 'start' {
  if (value !== 'submit' && value !== 'start') throw wrongValue('options.timeoutFrom', `'submit' or 'start'`, value)
  return value
}

/** Pool options after their check. */
export interface PoolSettings {
  readonly name: string
  readonly threads: number | undefined
  readonly capacity: number
  /** ms, 0 for none. */
  readonly timeout: number
  readonly timeoutFrom: 'submit' | 'start'
  readonly retries: Retries
  readonly schedule: 'fifo' | 'longest-first'
  readonly pin: readonly number[] | 'spread' | 'compact' | undefined
  readonly nice: number | undefined
  /** Whether workers give memory back while they have nothing to do. */
  readonly trimWhenIdle: boolean
  /** Tasks that a JS worker runs at a time. */
  readonly workerConcurrency: number
  /** Whether JS workers take tasks that were not assigned to them. */
  readonly eager: boolean
  /** Tasks after which a JS worker is replaced; 0 for never. */
  readonly recycleTasks: number
}

let poolNumber = 0

/**
 * Checks the options of a pool.
 * @throws TypeError, RangeError
 */
export function checkPoolOptions(value: unknown): PoolSettings {
  const options = optionsObject(value)
  const option = (key: keyof NativePoolOptions, otherwise?: unknown) => ownOr(options, key, otherwise)
  const given = option('name')
  const name = given === undefined ? `pool${poolNumber++}` : given
  if (typeof name !== 'string') throw wrongType('options.name', 'a string', name)
  if (name === '' || name.includes('\0')) throw wrongValue('options.name', 'a non-empty string without NUL', name)
  const threads = option('threads')
  const capacity = option('capacity', Number.POSITIVE_INFINITY)
  const schedule = option('schedule', 'fifo')
  if (schedule !== 'fifo' && schedule !== 'longest-first') {
    throw wrongValue('options.schedule', `'fifo' or 'longest-first'`, schedule)
  }
  const timeout = option('timeout')
  const nice = option('nice')
  return {
    name,
    threads: threads === undefined ? undefined : wholeNumber('options.threads', threads, 1, MAX_THREADS),
    capacity: wholeOrInfinite('options.capacity', capacity, 1, MAX_CAPACITY),
    timeout: timeout === undefined ? 0 : checkTimeout(timeout),
    timeoutFrom: checkTimeoutFrom(option('timeoutFrom', 'submit')),
    retries: checkRetries(option('retries', NO_RETRIES), NO_RETRIES),
    schedule,
    pin: checkPin(option('pin')),
    nice: nice === undefined ? undefined : wholeNumber('options.nice', nice, -20, 19),
    trimWhenIdle: checkBoolean('options.trimWhenIdle', option('trimWhenIdle', true)),
    workerConcurrency: wholeNumber(
      'options.workerConcurrency',
      option('workerConcurrency', option('workerConcurency', 1)),
      1,
      MAX_CONCURRENCY,
    ),
    eager: checkBoolean('options.eager', ownOr(options, 'eager', true)),
    recycleTasks: recycle(options, 'tasks', 1, MAX_CAPACITY) ?? 0,
  }
}

/** A member of the option `recycle`. */
function recycle(
  options: object,
  name: 'tasks' | 'heapBytes' | 'heapGrowth',
  min: number,
  max: number,
): number | undefined {
  const given = own(options, 'recycle')
  if (given === undefined) return undefined
  if (!isObject(given)) throw wrongType('options.recycle', 'an object', given)
  const value = own(given, name)
  if (value === undefined) return undefined
  if (name !== 'heapGrowth') return wholeNumber(`options.recycle.${name}`, value, min, max)
  return factor(`options.recycle.${name}`, value, min, max)
}

function factor(name: string, value: unknown, min: number, max: number): number {
  const expectation = `a number from ${min} to ${max}`
  if (typeof value !== 'number') throw wrongType(name, expectation, value)
  if (!(value >= min && value <= max)) throw outOfRange(name, expectation, value)
  return value
}

/** Loads between which a pool keeps its size; undefined when it does not go by load. @throws TypeError, RangeError */
function checkAutoScale(value: unknown): { readonly grow: number; readonly shrink: number } | undefined {
  if (value === false) return undefined
  const given = value === true ? {} : value
  if (!isObject(given)) throw wrongType('options.autoScale', 'a boolean or an object', value)
  const grow = factor('options.autoScale.grow', ownOr(given, 'grow', 0.8), 0, 1)
  return { grow, shrink: factor('options.autoScale.shrink', ownOr(given, 'shrink', Math.min(0.2, grow)), 0, grow) }
}

function checkIdleTimeout(value: unknown): number {
  return wholeOrInfinite('options.idleTimeout', value, 0, MAX_TIMEOUT)
}

/** A number of workers that counts as the most there may be when it is larger. @throws TypeError, RangeError */
export function checkWorkers(name: string, value: unknown): number {
  const expectation = 'a whole number from 0, or Infinity'
  if (typeof value !== 'number') throw wrongType(name, expectation, value)
  const fits = value === Number.POSITIVE_INFINITY || (isInteger(value) && value >= 0)
  if (!fits) throw outOfRange(name, expectation, value)
  return value
}

/** The bounds of the number of JS workers. @throws TypeError, RangeError */
export function checkBounds(names: readonly [string, string], min: unknown, max: unknown): [min: number, max: number] {
  const most = wholeNumber(names[1], max, 1, MAX_WORKERS)
  const least = wholeNumber(names[0], min, 0, MAX_WORKERS)
  if (least > most) throw outOfRange(names[0], `at most ${names[1]}, ${most}`, least)
  return [least, most]
}

/**
 * Checks the options of the JS lane.
 * @throws TypeError, RangeError
 */
export function checkLaneOptions(value: unknown, settings: PoolSettings): LaneSettings {
  const fixed = typeof value === 'number'
  const options = fixed ? { maxWorkers: value } : optionsObject(value)
  const option = (key: keyof WorkerPoolOptions, otherwise?: unknown) => ownOr(options, key, otherwise)
  const workerOptions: Record<string, unknown> = {}
  for (const name of ['env', 'argv', 'execArgv', 'resourceLimits'] as const) {
    const given = option(name)
    if (given !== undefined) workerOptions[name] = given
  }
  // A least above the default most raises that.
  const [givenLeast, givenMost] = [option('minWorkers'), option('maxWorkers')]
  const otherwise = fixed ? value : 0
  const least = givenLeast === undefined ? otherwise : wholeNumber('options.minWorkers', givenLeast, 0, MAX_WORKERS)
  const most = givenMost === undefined ? Math.max(grantedThreads(), least) : givenMost
  const [minWorkers, maxWorkers] = checkBounds(['options.minWorkers', 'options.maxWorkers'], least, most)
  return {
    minWorkers,
    maxWorkers,
    followsQuota: !fixed && option('maxWorkers') === undefined,
    idleTimeout: checkIdleTimeout(option('idleTimeout', DEFAULT_IDLE_TIMEOUT)),
    cancelGrace: checkGrace(option('cancelGrace', 0)),
    crashLimit: checkCrashLimit(option('crashLimit', 3)),
    autoScale: checkAutoScale(option('autoScale', false)),
    heapBytes: recycle(options, 'heapBytes', 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY,
    heapGrowth: recycle(options, 'heapGrowth', 1, 1e6) ?? Number.POSITIVE_INFINITY,
    trimWhenIdle: settings.trimWhenIdle,
    taskPerWorker: wholeNumber('options.taskPerWorker', option('taskPerWorker', 1), 1, MAX_CAPACITY),
    workerConcurrency: settings.workerConcurrency,
    disposeTimeout: wholeNumber('options.disposeTimeout', option('disposeTimeout', 5000), 0, MAX_TIMEOUT),
    workerOptions,
    workerData: option('workerData'),
    stdout: checkBoolean('options.stdout', option('stdout', false)),
    stderr: checkBoolean('options.stderr', option('stderr', false)),
    inherentCost: checkEstimator('options.inherentCostEstimator', option('inherentCostEstimator')),
    workerCost: checkEstimator('options.workerCostEstimator', option('workerCostEstimator')),
  }
}

/**
 * Options of a task for the entry function, checked. A worker that cannot exist is no affinity, unless forced. `isThere` tells of one
 * that has a number beyond the most that there may be, as after a resize, whether it exists.
 */
export function checkEntryOptions(
  given: unknown,
  pool: PoolSettings,
  most: number,
  isThere: (worker: number) => boolean = () => false,
): EntrySettings {
  const options = optionsObject(given)
  const isMain = isForMain(options)
  const worker = own(options, 'workerAffinity')
  const strength = own(options, 'affinityStrength')
  const isAbove = typeof worker === 'number' && isInteger(worker) && worker >= most
  const isBeyond = isAbove && !isThere(worker)
  const workers = isAbove && !isBeyond ? worker + 1 : most
  const isForced = strength === 'force' || strength === 2
  if (isMain && worker !== undefined && worker !== 'main' && worker !== -1) {
    wholeNumber('options.workerAffinity', worker, 0, Number.MAX_SAFE_INTEGER, `, -1 or 'main'`)
  }
  const isIgnored = isMain || (isBeyond && !isForced)
  const checked = isIgnored ? { ...options, workerAffinity: undefined } : options
  const transfer = own(options, 'transfer')
  const settings = readOptions(checked, pool, workers, undefined)
  const name = own(options, 'name')
  settings.name = name === undefined ? undefined : checkName('options.name', name)
  if (settings.affinity >= 0) {
    settings.wanted = settings.affinity & 0xffff
    settings.isForced = settings.affinity >> 16 === STRENGTHS.force
  }
  if (transfer !== undefined) settings.list = checkTransferList('options.transfer', transfer)
  settings.isMain = isMain
  // There is one worker.
  if (isMain) [settings.affinity, settings.affinityKey] = [-1, undefined]
  return settings
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Whether the task is for the thread that owns the pool. @throws TypeError */
export function isForMain(options: object): boolean {
  const worker = own(options, 'workerAffinity')
  const isMain = checkBoolean('options.mainThread', ownOr(options, 'mainThread', false))
  if (typeof worker === 'string' && worker !== 'main') {
    throw wrongValue('options.workerAffinity', `a number or 'main'`, worker)
  }
  return isMain || worker === 'main' || worker === -1
}

/** Task settings of the JS lane. */
export interface EntrySettings extends TaskSettings {
  /** Another export of the entry module; its number where exports are numbered. */
  readonly name: string | number | undefined
  /** The worker asked for, or -1; and whether no other one will do. */
  readonly wanted: number
  readonly isForced: boolean
  /** Whether it is for the thread that owns the pool. */
  readonly isMain: boolean
  /** What is moved instead of copied. */
  readonly list: readonly object[] | undefined
}

function checkPin(pin: unknown): PoolSettings['pin'] {
  if (pin === undefined || pin === 'spread' || pin === 'compact') return pin
  const expectation = `'spread', 'compact' or a non-empty array of CPU numbers`
  if (!isArray(pin)) throw wrongType('options.pin', expectation, pin)
  if (pin.length === 0) throw wrongValue('options.pin', expectation, pin)
  return Array.from(pin, (cpu: unknown, index) => wholeNumber(`options.pin[${index}]`, cpu, 0, 1023))
}

/** Task options after their check, in the binding's terms. */
export interface TaskSettings {
  priority: number
  /** -1 none; strength × 65536 + worker; with a key -2 - strength. */
  affinity: number
  /** ms; 0 none, below 0 from start. */
  timeout: number
  affinityKey: string | undefined
  key: string | undefined
  kernelOptions: Record<string, Checked> | undefined
  transfer: readonly ArrayBuffer[] | undefined
  signal: AbortSignal | undefined
  /** See src/submit.rs; undefined for one run and the grace of the pool. */
  policy: Float64Array | undefined
}

/** The options of a call, checked. Nothing has been queued or moved yet. */
export function checkTaskOptions(
  given: unknown,
  pool: PoolSettings,
  threads: number,
  kernel: Pick<Kernel, 'options' | 'requiredOptions'>,
): TaskSettings {
  return readOptions(optionsObject(given), pool, threads, kernel)
}

/** What no options mean, for tasks of both lanes: every call with options gets one, and others spread into it take ten times as long. */
function noSettings({ timeout }: PoolSettings): Writable<EntrySettings> {
  return {
    priority: 0,
    affinity: -1,
    timeout,
    affinityKey: undefined,
    key: undefined,
    kernelOptions: undefined,
    transfer: undefined,
    signal: undefined,
    policy: undefined,
    name: undefined,
    wanted: -1,
    isForced: false,
    isMain: false,
    list: undefined,
  }
}

/** Checks what tasks of both lanes take; `kernel`: whose own options are taken, and none of those for an entry function. */
function readOptions(
  options: object,
  pool: PoolSettings,
  threads: number,
  kernel: Pick<Kernel, 'options' | 'requiredOptions'> | undefined,
): Writable<EntrySettings> {
  const settings = noSettings(pool)
  let [timeoutFrom, worker, strength]: [string, number, number] = [pool.timeoutFrom, -1, 0]
  let [retries, grace] = [pool.retries, Number.NaN]
  for (const name of keys(options)) {
    // Those mean something else to entry functions, and have been read.
    if (kernel === undefined && (name === 'mainThread' || name === 'transfer')) continue
    const value = (options as Record<string, unknown>)[name]
    if (value === undefined) continue
    switch (name as keyof TaskOptions) {
      case 'priority':
        settings.priority = checkPriority(value)
        break
      case 'workerAffinity':
        worker = wholeNumber(
          'options.workerAffinity',
          value,
          0,
          threads - 1,
          kernel === undefined ? `, -1 or 'main'` : '',
        )
        break
      case 'mainThread':
        // The owner's thread runs no kernels.
        if (value !== false) throw wrongType('options.mainThread', 'false or left out for a kernel', value)
        break
      case 'affinityStrength':
        strength = checkStrength(value)
        break
      case 'affinityKey':
        settings.affinityKey = checkName('options.affinityKey', value)
        break
      case 'key':
        settings.key = checkName('options.key', value)
        break
      case 'timeout':
        settings.timeout = checkTimeout(value)
        break
      case 'timeoutFrom':
        timeoutFrom = checkTimeoutFrom(value)
        break
      case 'signal':
        settings.signal = checkSignal(value)
        break
      case 'retries':
        retries = checkRetries(value, pool.retries)
        break
      case 'cancelGrace':
        grace = checkGrace(value)
        break
      case 'transfer':
        settings.transfer = checkTransfer('options.transfer', value)
        break
      case 'meta':
        break
      default: {
        const schema = kernel?.options.get(name)
        if (schema === undefined) break
        settings.kernelOptions ??= {}
        settings.kernelOptions[name] = checkValue(`options.${name}`, schema, value)
      }
    }
  }
  for (const name of kernel?.requiredOptions ?? []) {
    if (settings.kernelOptions?.[name] === undefined) throw wrongType(`options.${name}`, 'given', undefined)
  }
  if (worker >= 0 && settings.affinityKey !== undefined) {
    throw wrongValue('options.affinityKey', 'given without options.workerAffinity', settings.affinityKey)
  }
  if (worker >= 0) settings.affinity = strength * 65536 + worker
  else if (settings.affinityKey !== undefined) settings.affinity = -2 - strength
  if (timeoutFrom === 'start') settings.timeout = -settings.timeout
  settings.policy = policyOf(retries, grace, settings.timeout < 0)
  return settings
}

function checkPriority(value: unknown): number {
  const expectation = `a finite number, 'high', 'normal' or 'low'`
  if (typeof value === 'string' && hasOwn(PRIORITIES, value)) return PRIORITIES[value] as number
  if (typeof value === 'string') throw wrongValue('options.priority', expectation, value)
  if (typeof value !== 'number') throw wrongType('options.priority', expectation, value)
  if (!isFiniteNumber(value)) throw outOfRange('options.priority', expectation, value)
  return value
}

function checkStrength(value: unknown): number {
  if (value === 0 || value === 1 || value === 2) return value
  if (typeof value === 'string' && hasOwn(STRENGTHS, value)) return STRENGTHS[value] as number
  throw wrongValue('options.affinityStrength', `'light', 'strong', 'force', 0, 1 or 2`, value)
}

/** @throws TypeError */
export function checkSignal(value: unknown): AbortSignal {
  if (!isSignal(value)) throw wrongType('options.signal', 'an AbortSignal', value)
  return value
}

/** Whether that is what a call is refused with for its signal. */
export function isReasonOf(signal: unknown, error: unknown): boolean {
  return isSignal(signal) && signal.aborted && Object.is(reasonOf(signal), error)
}

function isSignal(value: unknown): value is AbortSignal {
  if (!isInstance(value, AbortSignal) && (!isObject(value) || types.isProxy(value))) return false
  const like = value as AbortSignal
  try {
    return (
      typeof like.aborted === 'boolean' &&
      typeof like.addEventListener === 'function' &&
      typeof like.removeEventListener === 'function'
    )
  } catch {
    // What only has the prototype of one.
    return false
  }
}

/** Options of `map`, checked. `workers`: the most that there can be. */
export function checkMapOptions(given: unknown, workers: number): Omit<MapSettings, 'signal'> {
  const options = optionsObject(given)
  const wanted = own(options, 'concurrency')
  const concurrency = wanted === undefined ? 4 * workers : wholeNumber('options.concurrency', wanted, 1, MAX_CAPACITY)
  const tinyConcurrency = wanted === undefined ? 32 * workers : concurrency
  const ordered = ownOr(options, 'ordered', true)
  if (typeof ordered !== 'boolean') throw wrongType('options.ordered', 'a boolean', ordered)
  const transfer = own(options, 'transfer')
  if (transfer !== undefined) throw wrongValue('options.transfer', 'left out: map has many inputs', transfer)
  return { concurrency, tinyConcurrency, ordered }
}

/** The rejection of a pool that no longer admits tasks. */
export function poolClosed(name: string): ThreadmillError {
  return new ThreadmillError('ERR_THREADMILL_POOL_CLOSED', `pool '${name}' is closed`)
}
