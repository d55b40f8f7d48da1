// Stage: submit. Thread: any that submits: the owner env, or a JS worker.
// One call on its way in: check it, copy or move its input, give it a slot, hand it over. The same for the owner of a pool
// and for its workers, which differ in what a `Host` knows. The ways of tasks for kernels and for entry functions lie side by
// side, because they follow the same order: what may refuse a call, what moves, the slot.

import { types } from 'node:util'
import type { RunOptions } from '..'
import { builtins } from './builtins'
import type { ByteBudget } from './bytes'
import { type Encoded, FLAT, LOCAL, MOVED, PLAIN, POSTED } from './codecs'
import { copyWords } from './collections'
import type { Settle } from './deferred'
import { hidingValues, ThreadmillError } from './errors'
import type { Kernel } from './kernels'
import { payload } from './lazy'
import { ENTRY, MAIN_ENTRY, native } from './native'
import { checkTaskOptions, type EntrySettings, isObject, optionsObject, own, type PoolSettings } from './options'
import type { Observer, Owner, Ticket } from './owner'
import {
  ARENA_LIMIT,
  cancel,
  encodeInArena,
  prepareArena,
  refuse,
  submitBytes,
  submitEntry,
  submitNumber,
  submitRaw,
  submitValue,
  submitWords,
  submitWritten,
} from './port'
import { graceOf, repeats } from './retries'
import { type CheckedView, checkTransfer, checkUndetached, checkValue, isView, realize } from './schema'
import { checkNotAborted, follow } from './signals'
import { allocate, onRejected, onSettled } from './slots'
import type { TaskHandle } from './task'
import { packName, type TaskTracer, traced } from './trace'
import { checkTransferList, transferOf } from './transfer'

const { getOwnPropertyNames, hasOwn } = builtins

/** Whoever submits to a pool. */
export interface Host extends Owner {
  readonly settings: PoolSettings
  /** Native workers. */
  readonly threads: number
  /** Tickets without options, by kernel: the same for every call. */
  readonly tickets: Ticket[]
  /** Counts the bytes of inputs, where they are limited. */
  readonly budget?: ByteBudget | undefined
  /** Follows tasks, where that is wanted. */
  readonly tracer?: TaskTracer | undefined
  /** @throws ThreadmillError when the pool admits nothing more, or has no room */
  checkOpen(): void
  checkRoom(): void
  /** What tasks of that key have taken, ms; less than 0 when that is not known. */
  costOf?(key: string): number
  /** A task has got a slot. It is counted, whatever else throws here. */
  began(): void
}

/** What entry functions take besides. */
export interface EntryHost extends Host {
  /** Settings of a call without options. */
  readonly plain: EntrySettings
  /** @throws TypeError, RangeError */
  checkEntry(options: object): EntrySettings
  /** Where a task goes. @throws ThreadmillError when nobody can run it */
  laneOf(settings: EntrySettings): EntryLane
}

/** What keeps track of tasks of one kind. */
export interface EntryLane extends Owner {
  /**
   * Keeps an input that does not go through the scheduler; what `transfer` names is moved. `grace`: of its task, where that runs
   * on this thread. @throws DataCloneError
   */
  keep(value: unknown, transfer: readonly object[], isOwn?: boolean, grace?: number): number
  /**
   * Posts an input at once to a worker that has nothing else to do; its key, and the worker that is to run the task.
   * `undefined` when there is none. @throws DataCloneError
   */
  push?(value: unknown, transfer: readonly object[]): Pushed | undefined
  /** Tells `observer` what the task of that input does. */
  watch?(key: number, observer: Observer): void
  /** The task is settled, or was never submitted. */
  discard(key: number, succeeded?: boolean): void
  /**
   * A task is about to be submitted: launches the workers that it takes. `wanted`: the one it asks for, or -1; `isForced`: and no
   * other one will do. Whether there were any: then listeners have been called.
   */
  admit(wanted: number, isForced?: boolean): boolean
  /** Takes that back. */
  withdraw(): void
  /** Whether inputs stay on this thread: they are kept by reference. */
  readonly isLocal: boolean
  /** What a task is expected to take, ms, and on which worker how much more. */
  readonly estimate?: ((task: TaskHandle<unknown> | undefined) => Estimate) | undefined
}

/** Where an input has been posted. */
export interface Pushed {
  readonly key: number
  readonly worker: number
}

/** Expected cost of a task, ms. */
export interface Estimate {
  readonly inherent: number
  /** What comes on top of it, by worker. */
  readonly byWorker: Float64Array | undefined
}

/** What a call is settled with. */
export interface Settlement {
  readonly resolve: Settle
  readonly reject: Settle
  readonly task: TaskHandle<unknown> | undefined
  /** Of the task, if there is one. */
  readonly promise: Promise<unknown> | undefined
}

/**
 * Checks and submits a task for a kernel; throws before anything is queued or moved.
 * @returns its slot
 */
export function startKernel(
  host: Host,
  kernel: Kernel,
  input: unknown,
  options: object | undefined,
  settlement: Settlement,
): number {
  const { tracer, settings } = host
  const admit = kernel.isSecret ? admitSecret : admitKernel
  if (tracer === undefined) return admit(host, kernel, input, options, settlement)
  const call = { pool: settings.name, lane: 'native', kernel: kernel.info.name, name: undefined } as const
  return traced(tracer, call, settlement, (followed) => admit(host, kernel, input, options, followed))
}

/** As `admitKernel`, for a kernel whose inputs and options are nobody's business. */
function admitSecret(...given: Parameters<typeof admitKernel>): number {
  return hidingValues(() => admitKernel(...given))
}

function admitKernel(
  host: Host,
  kernel: Kernel,
  given: unknown,
  options: object | undefined,
  { resolve, reject, task, promise }: Settlement,
): number {
  host.checkOpen()
  const { index, info } = kernel
  let ticket = host.tickets[index]
  let transfer: readonly ArrayBuffer[] | undefined
  let signal: AbortSignal | undefined
  let isRepeated = host.settings.retries.limit > 0
  if (options !== undefined || ticket === undefined) {
    const settings = checkTaskOptions(options, host.settings, host.threads, kernel)
    transfer = settings.transfer
    signal = settings.signal
    const { affinityKey, key, kernelOptions, priority, affinity, timeout, policy } = settings
    expectByKey(host, task, key)
    isRepeated = repeats(policy)
    const hasExtra =
      affinityKey !== undefined || key !== undefined || kernelOptions !== undefined || policy !== undefined
    const extra = hasExtra
      ? [
          affinityKey,
          key,
          kernelOptions && realize({ members: kernelOptions }, undefined),
          undefined,
          undefined,
          policy,
        ]
      : undefined
    ticket = { owner: host, kernel: index, priority, affinity, timeout, extra }
    if (options === undefined) host.tickets[index] = ticket
  }
  const marked = transferOf(given)
  const input = marked === undefined ? given : marked.value
  if (marked !== undefined) transfer = checkTransfer('list', [...marked.list, ...(transfer ?? [])])
  const checked = kernel.takesAnyNumber && typeof input === 'number' ? input : checkValue('input', info.input, input)
  checkNotAborted(signal)
  host.checkRoom()
  const bytes = host.budget?.ofKernel(checked, transfer) ?? 0
  // Everything that can fail comes before the task exists; moving buffers last of it, because that cannot be undone.
  const small = isView(checked) && transfer === undefined && isSmall(checked) ? checked : undefined
  let slot = -1
  const unfollow = signal && follow(signal, (reason) => slot >= 0 && cancel(slot, { reason }))
  let value: unknown
  try {
    // It may have fired while it was being subscribed to. From here on no code of the user's runs.
    checkNotAborted(signal)
    if (small === undefined) value = realize(checked, transfer)
    else {
      checkUndetached(small)
      prepareArena()
      value = new Uint8Array(small.buffer, small.offset, small.byteLength)
    }
  } catch (error) {
    unfollow?.()
    throw error instanceof RangeError ? noMemory(error) : error
  }
  slot = allocate(ticket, resolve)
  onRejected(slot, reject)
  if (task !== undefined && promise !== undefined) task.attach(slot, promise)
  if (unfollow !== undefined) onSettled(slot, unfollow)
  if (bytes > 0) host.budget?.take(slot, bytes)
  try {
    host.began()
    if (typeof value === 'number') submitNumber(slot, ticket, value)
    else if (small !== undefined) submitBytes(slot, ticket, small.kind, value as Uint8Array)
    else submitValue(slot, ticket, value, isRepeated && transfer === undefined)
  } catch (error) {
    refuse(slot, error)
    return REJECTED
  }
  return slot
}

/**
 * As `startKernel`, for an entry function. An input that cannot cross rejects and is not queued.
 * @returns the slot, less than 0 for a task that was rejected
 */
export function startEntry(
  host: EntryHost,
  input: unknown,
  options: object | undefined,
  settlement: Settlement,
): number {
  const { tracer } = host
  if (tracer === undefined) return admitEntry(host, input, options, settlement)
  const name = isObject(options) ? own(options, 'name') : undefined
  const call = { pool: host.settings.name, lane: 'js', kernel: undefined, name: name as string | undefined } as const
  return traced(tracer, call, settlement, (...followed) => admitEntry(host, input, options, ...followed))
}

function admitEntry(
  host: EntryHost,
  input: unknown,
  options: object | undefined,
  settlement: Settlement,
  carried?: string,
): number {
  host.checkOpen()
  let ticket = host.tickets[ENTRY]
  let isTried = false
  if (options === undefined && ticket !== undefined && carried === undefined) {
    const lane = host.laneOf(host.plain)
    if (host.budget === undefined && lane.estimate === undefined) {
      host.checkRoom()
      const slot =
        typeof input === 'number'
          ? admitNumber(host, lane, ticket, input, settlement.resolve, settlement.reject, settlement)
          : admitPlain(host, lane, ticket, input, settlement)
      if (slot >= 0 || slot === REJECTED || slot === UNCROSSED) return slot
      isTried = slot === UNFIT
    }
  }
  const { resolve, reject, task, promise } = settlement
  let settings: EntrySettings | undefined
  if (options !== undefined || ticket === undefined) settings = settingsOf(host, options === undefined ? {} : options)
  const signal = settings?.signal
  checkNotAborted(signal)
  host.checkRoom()
  const lane = host.laneOf(settings ?? host.plain)
  let bytes = host.budget?.ofInput(input, settings?.list) ?? 0
  const checkStill = (): void => {
    checkNotAborted(signal)
    host.checkOpen()
    host.checkRoom()
    host.budget?.admit(bytes)
  }
  let slot = -1
  let unfollow: (() => void) | undefined
  let encoded: EncodedInput | undefined
  let isCounted = false
  // What cannot cross rejects, and is not thrown.
  let isCrossing = true
  try {
    const ready = encodeInput(lane, input, settings ?? host.plain, isTried, host.budget === undefined)
    if (!isUnsent(ready)) encoded = ready
    isCrossing = false
    bytes = host.budget?.ofEncoded(encoded?.data, bytes) ?? 0
    lane.admit(settings?.wanted ?? -1, settings?.isForced)
    isCounted = true
    unfollow = signal && follow(signal, (reason) => slot >= 0 && cancel(slot, { reason }))
    const estimate = lane.estimate?.(task)
    expectByKey(host, task, settings?.key)
    // Getters of the input, listeners and estimators may have aborted the signal or submitted something meanwhile.
    checkStill()
    if (isUnsent(ready)) {
      isCrossing = true
      encoded = send(lane, ready, settings ?? host.plain)
      isCrossing = false
      // Getters that have run while it was moved, too: the only ones that can have a call refused after that.
      checkStill()
    }
    const { worker } = encoded as EncodedInput
    const isSpecial = estimate !== undefined || worker >= 0 || carried !== undefined
    if (settings !== undefined || ticket === undefined || isSpecial) {
      const base = settings ?? host.plain
      const isPushed = worker >= 0
      ticket = ticketOf(lane, isPushed ? { ...base, affinity: BOUND + worker } : base, estimate, carried)
      const isPlain = options === undefined && !isSpecial
      if (isPlain) host.tickets[ENTRY] = ticket
    }
  } catch (error) {
    if (isCounted) lane.withdraw()
    unfollow?.()
    if (encoded?.codec === MOVED) native.dropMemory(encoded.data as number)
    else if (encoded !== undefined) lane.discard(keyOf(encoded))
    if (!isCrossing) throw error
    task?.attach(-1, promise as Promise<unknown>)
    reject(error)
    return UNCROSSED
  }
  const { codec, data, words } = encoded as EncodedInput
  const key = keyOf(encoded as EncodedInput)
  slot = allocate(ticket, resolve)
  onRejected(slot, reject)
  if (task !== undefined && promise !== undefined) task.attach(slot, promise)
  if (unfollow !== undefined) onSettled(slot, unfollow)
  if (bytes > 0) host.budget?.take(slot, bytes)
  if (key >= 0) {
    onSettled(slot, (succeeded) => lane.discard(key, succeeded))
    if (task !== undefined) lane.watch?.(key, task)
  }
  try {
    host.began()
    if (words < 0) submitEntry(slot, ticket, codec, data)
    else if (codec === FLAT) submitWords(slot, ticket, data as Float64Array, words)
    else submitRaw(slot, ticket, encoded as EncodedInput, words)
  } catch (error) {
    refuse(slot, error)
    return REJECTED
  }
  return slot
}

/** What was measured counts for more than what is said of a task. */
function expectByKey(host: Host, task: TaskHandle<unknown> | undefined, key: string | undefined): void {
  if (task === undefined || key === undefined) return
  const cost = host.costOf?.(key) ?? -1
  if (cost >= 0) task.expect(cost)
}

/** Settings of a call. Most calls with options only move something. */
function settingsOf(host: EntryHost, options: object): EntrySettings {
  const names = getOwnPropertyNames(optionsObject(options))
  if (names.length !== 1 || names[0] !== 'transfer') return host.checkEntry(options)
  const { transfer } = options as { readonly transfer: unknown }
  return transfer === undefined ? host.plain : { ...host.plain, list: checkTransferList('options.transfer', transfer) }
}

/** A number without options, the shortest way; what it is settled with apart, for callers that need nothing else. */
export function admitNumber(
  host: EntryHost,
  lane: EntryLane,
  ticket: Ticket,
  input: number,
  resolve: Settle,
  reject: Settle,
  handle?: Settlement,
): number {
  if (lane.admit(-1)) checkAgain(host, lane)
  const slot = allocate(ticket, resolve)
  onRejected(slot, reject)
  if (handle?.task !== undefined && handle.promise !== undefined) handle.task.attach(slot, handle.promise)
  try {
    host.began()
    submitEntry(slot, ticket, 0, input)
  } catch (error) {
    refuse(slot, error)
    return REJECTED
  }
  return slot
}

/** A listener may have submitted something, or closed the pool. */
function checkAgain(host: EntryHost, lane: EntryLane): void {
  try {
    host.checkOpen()
    host.checkRoom()
  } catch (error) {
    lane.withdraw()
    throw error
  }
}

// In place of a slot.
const REJECTED = -1
const NOT_PLAIN = -2
/** What neither flat.ts nor the engine alone can write. */
const UNFIT = -3
/** The input cannot cross: the task is rejected, and was never counted. */
export const UNCROSSED = -4

/** An object or a text without options, the next shortest way. */
function admitPlain(host: EntryHost, lane: EntryLane, ticket: Ticket, input: unknown, settlement: Settlement): number {
  const isText = typeof input === 'string'
  if (lane.isLocal || !(isText || (typeof input === 'object' && input !== null && transferOf(input) === undefined)))
    return NOT_PLAIN
  const { resolve, reject, task, promise } = settlement
  const { MOST_TOGETHER, mayWrite, write, written } = payload()
  if (isText && !mayWrite(input)) return NOT_PLAIN
  // Before it is written: whoever hears of a new worker may submit something.
  lane.admit(-1)
  let count: number
  let other: number | Encoded | undefined
  try {
    prepareArena()
    count = write(input)
    if (count < 0 && !isText) other = encodeInArena(input)
  } catch (error) {
    lane.withdraw()
    task?.attach(-1, promise as Promise<unknown>)
    reject(error)
    return UNCROSSED
  }
  if (count < 0 && other === undefined) {
    lane.withdraw()
    return UNFIT
  }
  try {
    // A getter may have submitted something, or closed the pool.
    host.checkOpen()
    host.checkRoom()
  } catch (error) {
    lane.withdraw()
    if (typeof other === 'object' && other.codec === MOVED) native.dropMemory(other.data as number)
    throw error
  }
  const slot = allocate(ticket, resolve)
  onRejected(slot, reject)
  if (task !== undefined && promise !== undefined) task.attach(slot, promise)
  try {
    host.began()
    if (count > MOST_TOGETHER) submitEntry(slot, ticket, FLAT, copyWords(written, 0, count))
    else if (other === undefined) submitWords(slot, ticket, written, count)
    else if (typeof other === 'number') submitWritten(slot, ticket, other)
    else submitEntry(slot, ticket, other.codec, other.data)
  } catch (error) {
    refuse(slot, error)
    return REJECTED
  }
  return slot
}

function ticketOf(
  lane: EntryLane,
  settings: EntrySettings,
  estimate: Estimate | undefined,
  carried: string | undefined,
): Ticket {
  const { affinityKey, key, name, priority, affinity, timeout, isMain, policy } = settings
  const parts = [affinityKey, key, packName(name, carried), estimate?.inherent, estimate?.byWorker, policy]
  let given = 0
  for (let i = 0; i < parts.length; i++) if (parts[i] !== undefined) given++
  const extra = given === 0 ? undefined : given === 1 && typeof name === 'number' ? name : parts
  return { owner: lane, kernel: isMain ? MAIN_ENTRY : ENTRY, priority, affinity, timeout, extra }
}

/** Bound to the worker whose number is added, in its turn; see src/submit.rs. */
const BOUND = 3 * 65536

/** An input on its way. */
interface EncodedInput extends Encoded {
  /** The worker that has it already, or -1. */
  readonly worker: number
  /** How many words it takes in the arena, which is there then; -1 for what goes alone. */
  readonly words: number
}

/** Under which `EntryLane` has the input; -1 for others. */
function keyOf({ codec, data }: EncodedInput): number {
  return codec === POSTED || codec === LOCAL ? (data as number) : -1
}

/** An input that is to be kept or moved. */
interface Unsent {
  readonly input: unknown
  readonly list: readonly object[]
  /** Whether it is a clone already. */
  readonly isOwn: boolean
}

/** Others may have added a property of that name to the prototype of objects. */
function isUnsent(ready: EncodedInput | Unsent): ready is Unsent {
  return hasOwn(ready, 'list')
}

/** Encodes an input without moving anything of the caller's. */
function encodeInput(
  lane: EntryLane,
  given: unknown,
  { list: transfer, policy }: EntrySettings,
  isTried: boolean,
  mayHold: boolean,
): EncodedInput | Unsent {
  const { MOST_TOGETHER, moveCopy, rawLength, write, written } = payload()
  let input = given
  let list = transfer
  const marked = transferOf(given)
  if (marked !== undefined) [input, list] = [marked.value, [...marked.list, ...(transfer ?? [])]]
  if (lane.isLocal) return { input, list: [], isOwn: false }
  if (list !== undefined) return { input, list, isOwn: false }
  let count = -1
  if (!isTried && typeof input === 'object' && input !== null) count = write(input)
  // Where bytes are counted, those of a text are.
  if (!isTried && typeof input === 'string' && mayHold) count = write(input)
  if (count > 0) {
    const isAlone = count > MOST_TOGETHER
    if (!isAlone) prepareArena()
    return { codec: FLAT, data: copyWords(written, 0, count), worker: -1, words: isAlone ? -1 : count }
  }
  const encoded = encodeWhole(input, mayHold && !isTried)
  const words = rawLength(encoded)
  if (words > 0) prepareArena()
  const memory = encoded.codec === PLAIN && !repeats(policy) ? moveCopy(encoded.data, input) : -1
  if (memory >= 0) return { codec: MOVED, data: memory, worker: -1, words: -1 }
  if (encoded.codec !== POSTED) return { codec: encoded.codec, data: encoded.data, worker: -1, words }
  return { input: encoded.data, list: [], isOwn: encoded.isOwn === true }
}

/** Moves an input, or keeps it. @throws DataCloneError, or what a getter of the input throws */
function send(lane: EntryLane, { input, list, isOwn }: Unsent, { affinity, policy }: EntrySettings): EncodedInput {
  if (lane.isLocal) return { codec: LOCAL, data: lane.keep(input, list, isOwn, graceOf(policy)), worker: -1, words: -1 }
  if (!repeats(policy) || list.length > 0) {
    const memory = repeats(policy) ? -1 : payload().moveMemory(input, list)
    if (memory >= 0) return { codec: MOVED, data: memory, worker: -1, words: -1 }
    // Only a task that may run anywhere goes where somebody waits for it.
    const pushed = affinity === -1 ? lane.push?.(input, list) : undefined
    if (pushed !== undefined) return { codec: POSTED, data: pushed.key, worker: pushed.worker, words: -1 }
  }
  return { codec: POSTED, data: lane.keep(input, list, isOwn), worker: -1, words: -1 }
}

/** `mayHold`: it has not been tried, and nobody has to know how long it is. */
function encodeWhole(input: unknown, mayHold: boolean): Encoded {
  const { encode, encodeAlone, takeHeld } = payload()
  const alone = mayHold && typeof input === 'object' && input !== null ? encodeAlone(input) : undefined
  return typeof alone === 'number' ? takeHeld() : (alone ?? encode(input, false, true))
}

function isSmall(view: CheckedView): boolean {
  return view.byteLength < ARENA_LIMIT && !types.isSharedArrayBuffer(view.buffer)
}

/** The engine had no room for the task's own copy. */
function noMemory(cause: RangeError): ThreadmillError {
  return new ThreadmillError('ERR_THREADMILL_SYSTEM', `the input could not be copied: ${cause.message}`, { cause })
}

/** Options of a call, as its handle shows them. */
export type GivenOptions = Readonly<Partial<RunOptions>>
