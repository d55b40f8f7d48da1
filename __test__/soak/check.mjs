// What may become of a task of the soak test: by what it is, by what was done to it, and by what happens to its pool.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'

const FIB_15 = 610
/** Kinds that are right when they give their number. */
const NUMBERED = ['burn', 'sleep', 'heed', 'flood', 'lateCrash', 'failTimes', 'exitTimes']
const KERNELS = ['kernelEcho', 'kernelFib', 'kernelHash', 'kernelSort', 'kernelBad']
const CRASHERS = ['exit', 'exitTimes', 'timer', 'rejection', 'lateCrash', 'memory']
const MAIN = ['main', 'mainEcho', 'mainFail']
const ODD = (n) => [undefined, null, 0, '', `soak ${n}`, { n }, false]

const CRASHED = 'ERR_THREADMILL_WORKER_CRASHED'
const CLOSED = 'ERR_THREADMILL_POOL_CLOSED'

/** Kind -> how it may end when it is left alone; without an entry: with its output. */
const FAILURES = {
  fail: ['thrown'],
  failLater: ['thrown'],
  fatal: ['thrown'],
  mainFail: ['thrown'],
  failOdd: ['odd'],
  uncloneable: ['DataCloneError'],
  badInput: ['DataCloneError', 'ERR_THREADMILL_OUT_OF_RANGE', 'ERR_THREADMILL_INVALID_ARG_VALUE'],
  kernelBad: ['ERR_THREADMILL_INVALID_ARG_TYPE'],
  exit: [CRASHED],
  timer: [CRASHED],
  rejection: [CRASHED],
  memory: [CRASHED],
  hang: [],
  spin: [],
}

export const isCrasher = (item) => CRASHERS.includes(item.kind)
export const isKernel = (item) => KERNELS.includes(item.kind)
export const isMain = (item) => MAIN.includes(item.kind)

/** Whether the function of the task runs often enough to succeed. */
function succeedsAtLast({ options: { retries }, times }) {
  return retries.limit >= times
}

/** How a task may end. `pool`: what has been done to its pool. */
export function allowed(item, pool) {
  const { kind, options } = item
  let ends = FAILURES[kind] ?? ['ok']
  const isEntry = !isKernel(item) && !isMain(item)
  if (kind === 'failTimes') ends = [succeedsAtLast(item) ? 'ok' : 'thrown']
  if (kind === 'exitTimes') ends = [succeedsAtLast(item) ? 'ok' : CRASHED]
  // A run that was lost with its worker counts for the function, not as a retry.
  if ((kind === 'failTimes' || kind === 'exitTimes') && (pool.crashers > 0 || pool.isRough)) ends = [...ends, 'ok']
  const more = []
  if (options.timeout !== undefined) more.push('ERR_THREADMILL_TIMEOUT')
  if (item.giveUp?.by === 'cancel') more.push('ERR_THREADMILL_CANCELLED')
  if (item.giveUp?.by === 'reason') more.push('reason')
  if (item.giveUp?.by === 'signal') more.push('signal')
  if (isKernel(item) && options.workerAffinity >= pool.threads) more.push('ERR_THREADMILL_OUT_OF_RANGE')
  // A forced number that no worker of the pool has.
  if (isEntry && options.workerAffinity >= pool.least) more.push('ERR_THREADMILL_OUT_OF_RANGE')
  if (isEntry && mayBeHit(item, pool)) more.push(CRASHED)
  if (pool.ending !== undefined && mayBeRefused(item, pool)) more.push(CLOSED)
  return [...ends, ...more]
}

/** Whether the end of a worker for the sake of another task may fail this one. */
function mayBeHit({ kind }, pool) {
  // Three crashes in a row reject what waits, and a late one hits whatever runs by then.
  if (pool.crashers >= 3 || pool.isWild) return true
  // Others run beside those that wait for tasks of their own, whatever the concurrency.
  const hasCompany = pool.options.workerConcurrency > 1 || pool.nests
  if (pool.crashers > 0 && (hasCompany || isPosted(kind))) return true
  // Moved inputs cannot be sent again.
  return pool.isRough && isPosted(kind)
}

const isPosted = (kind) => kind === 'moved' || kind === 'shared'

function mayBeRefused({ kind }, { ending }) {
  return ending !== 'close' || kind === 'nest'
}

/** The name of a reason in these tables. */
export function nameOf(reason, { n, odd, kind }) {
  if (kind === 'failOdd') {
    try {
      assert.deepEqual(reason, ODD(n)[odd])
      return 'odd'
    } catch {}
  }
  if (reason instanceof Error) {
    if (reason.name === 'DataCloneError') return reason.name
    if (typeof reason.code === 'string') return reason.code
    if (reason.message === `soak ${n}` && reason.n === n) return 'thrown'
    if (reason.message === `given up ${n}`) return 'reason'
    if (reason.message === 'group given up') return 'signal'
  }
  return `something else: ${String(reason?.stack ?? reason)}`
}

/** @throws AssertionError when that is not what the task gives. */
export function checkOutput(item, value) {
  const { n, kind } = item
  if (NUMBERED.includes(kind)) assert.equal(value, n)
  else if (kind === 'nest') assert.equal(value, sizeOfNest(item))
  else if (kind === 'kernelFib') assert.equal(value, FIB_15)
  else if (kind === 'kernelHash') assert.equal(value, createHash('sha256').update(`soak ${n}`).digest('hex'))
  else if (kind === 'kernelSort') assert.deepEqual(value, Float64Array.of(n, n + 1, n + 2))
  else assert.deepEqual(value, expected(item))
}

/** The same for a task without options, in little time. */
export function isPlainOutput(kind, n, value) {
  switch (kind) {
    case 'number':
      return value === n * 2 + 1
    case 'kernelEcho':
      return value === n
    case 'string':
      return value === `${`${n}`.length}:${n}`
    case 'kernelHash':
      return value === createHash('sha256').update(`soak ${n}`).digest('hex')
    case 'echo':
      return value.n === n && value.list.length === 2 && value.list[0] === n && value.list[1] === `${n}`
  }
  return assert.fail(`a task of kind ${kind} has no output`)
}

function sizeOfNest({ depth, width }) {
  let [sum, level] = [1, 1]
  for (let at = 0; at < depth; at++) {
    level *= width
    sum += level
  }
  return sum
}

function expected({ n, kind, size }) {
  switch (kind) {
    case 'number':
    case 'main':
      return n * 2 + 1
    case 'kernelEcho':
      return n
    case 'string':
      return `${size}:${'s'.repeat(size)}`
    case 'echo':
    case 'mainEcho':
      return { n, list: [n, `${n}`] }
    case 'map':
      return new Map(Array.from({ length: size }, (_, at) => [n + at, at]))
    case 'bytes':
      return new Uint8Array(size).fill(255 - (n % 256))
    case 'moved':
      return Uint8Array.of(((n % 256) + 1) % 256, 7).buffer
    case 'other':
      return `other ${n}`
    case 'shared':
      return 'checked by the driver'
  }
  return assert.fail(`a task of kind ${kind} has no output`)
}

/** The input and the options of `pool.addTask`, and what of it has to be looked at afterwards. */
export function callOf(item) {
  const { n, kind, size } = item
  const options = { ...item.options }
  if (options.cancelGrace === 'Infinity') options.cancelGrace = Number.POSITIVE_INFINITY
  switch (kind) {
    case 'number':
      return [n, options]
    case 'main':
      return [n, { ...options, mainThread: true }]
    case 'mainEcho':
      return [
        { do: 'echo', n },
        { ...options, mainThread: true },
      ]
    case 'mainFail':
      return [
        { do: 'fail', n },
        { ...options, mainThread: true },
      ]
    case 'string':
      return ['s'.repeat(size), options]
    case 'map':
      return [new Map(Array.from({ length: size }, (_, at) => [at, n + at])), options]
    case 'bytes':
      return [new Uint8Array(size).fill(n % 256), options]
    case 'moved': {
      const { buffer } = Uint8Array.of(n % 256, 7)
      return [buffer, { ...options, transfer: [buffer] }]
    }
    case 'shared':
      return [new SharedArrayBuffer(8), options]
    case 'other':
      return [n, { ...options, name: 'other' }]
    case 'kernelEcho':
      return [n, { ...options, kernel: 'echo' }]
    case 'kernelFib':
      return [15, { ...options, kernel: 'fib' }]
    case 'kernelHash':
      return [`soak ${n}`, { ...options, kernel: 'sha256' }]
    case 'kernelSort': {
      const numbers = Float64Array.of(n + 2, n, n + 1)
      return [numbers, { ...options, kernel: 'sort', transfer: [numbers.buffer] }]
    }
    case 'kernelBad':
      return ['no number', { ...options, kernel: 'echo' }]
    case 'badInput':
      return [
        [() => {}, options],
        [n, { ...options, timeout: -1 }],
        [n, { ...options, priority: 'urgent' }],
      ][n % 3]
    default:
      return [{ ...item, do: kind }, options]
  }
}
