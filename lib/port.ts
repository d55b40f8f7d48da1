// Stage: submit and settle. Thread: owner env.
// The two hot ends of an env: a buffer of submissions that is flushed with one native call, and the drain that settles
// promises from a slab of resolvers.
//
// Q1. A slot is given to one task at a time: it is free again when the task is settled and its memory released.
// Q2. A submission is buffered only when its kernel is measured to be tiny; the first of a turn is not while a worker is
//     idle. At most BATCH × TINY ms of work waits for the end of a turn.
// Q3. One drain settles what has arrived, for at most DRAIN_BUDGET ms, and rings for the rest.

import { performance } from 'node:perf_hooks'
import type { ErrorCode } from '..'
import { rethrow } from './callbacks'
import { ThreadmillError } from './errors'
import { laneParts } from './lazy'
import { DRAIN_STRIDE, native, SUBMIT_STRIDE } from './native'

/** Submissions that are handed over together at most. */
const BATCH = 512
/** Bytes of small typed arrays that a batch can hold. */
const ARENA = 256 * 1024
/** Typed arrays from this size on are not copied through the arena. */
export const ARENA_LIMIT = 64 * 1024
/** Events per native drain call. */
const EVENTS = 256
/** Longest time that one drain keeps the event loop, ms. */
const DRAIN_BUDGET = 2
/** Fake timers of test frameworks replace the globals: what keeps tasks going must not depend on them. */
const now = performance.now.bind(performance)
const settled = Promise.resolve()
/** Longest string, in UTF-16 units, that may wait in the buffer. */
const SHORT = 4096
/** Stands for the entry function of the pool's module where a kernel's number is asked for. */
export const ENTRY = 255
/** The same, to be called on the thread that owns the pool. */
export const MAIN_ENTRY = 254
/** Number of the thread that owns the pool, where that of a worker is told. */
export const MAIN_WORKER = 2 ** 32 - 2
/** Kernels that run shorter than this, ms, are worth buffering. */
const TINY = 0.02

/** What a pool tells and is told about its tasks. */
export interface Owner {
  readonly handle: number
  /** Smoothed run time of the entry function, ms. */
  runTime?: number | undefined
  /** `value`: the output or the reason; `observer`: the handle of the task, if it has one; `isAdmitted`: not if it is false. */
  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isAdmitted?: boolean): void
  message(type: string, contents: unknown, worker: number): void
  closed(): void
  /** Tasks that a JS worker submitted: how many came, succeeded and failed; and more of them when somebody listens. */
  discovered?(worker: number, counts: readonly number[], codec: number, details: unknown): void
  /** A message of a JS worker, and who watches the task that it is about. */
  mail?(type: string, codec: number, data: unknown, worker: number, observer: Observer | undefined): void
  /** A JS worker wants the input with this key. */
  wanted?(worker: number, key: number): void
  /** What a worker gave or threw is kept under `key`, where `codec` says. */
  collect?(codec: number, key: number, worker: number, end: End): void
  /** A task was given up that a JS worker still runs, which has `grace` ms to end it; NaN for the pool's. */
  gaveUp?(worker: number, idIndex: number, idGeneration: number, grace: number): void
  /** A JS worker that takes no more tasks has ended its last one. */
  retired?(worker: number): void
  /** Tasks that had been set aside wait for a JS worker. */
  resumed?(): void
  /** A run of the task has failed for that reason, and it runs again, for the `count`th time. */
  retried?(observer: Observer | undefined, count: number, reason: unknown): void
  /** Adds to an error of the scheduler what is known on this side. */
  explain?(error: ThreadmillError, worker: number): ThreadmillError
}

/** Is told how a task ended: its output or its reason. */
export type End = (succeeded: boolean, value: unknown) => void

/** What a Task handle is told. Times in ms. */
export interface Observer {
  ended(worker: number, runTime: number, overhead: number): void
  progress(done: number, total: number): void
  message(type: string, contents: unknown): void
  retried(count: number): void
}

type Resolve = (value: unknown) => void
type Reject = (reason: unknown) => void

const header = new Float64Array(BATCH * SUBMIT_STRIDE)
let arena = new Uint8Array(0)
let arenaUsed = 0
let values: unknown[] = []
let buffered = 0
let flushScheduled = false

const resolvers: Resolve[] = []
/** Only for tasks that have one; see `fail`. */
const rejecters: (Reject | undefined)[] = []
const tickets: Ticket[] = []
/** What only some tasks have. */
const extras: (Extra | undefined)[] = []
/** Is told whether the task gave an output. */
type Cleanup = (succeeded: boolean) => void

/** What a task may have besides its promise. */
interface Extra {
  observer?: Observer
  /** Reason given to `cancel`, wrapped so that `undefined` can be one. */
  reason?: { readonly reason: unknown }
  cleanup?: Cleanup
}

/** Buffers that the task's memory lies in, by slot; the binding fills it. */
const held: unknown[] = []
/** 0 pending, 1 settled and still held, 2 released before it was settled. */
const lingering: number[] = []
const free: number[] = []

/** Smoothed run time by kernel, ms; -1 before the first measurement. */
const runTimes: number[] = []
const pools = new Map<number, Owner>()

const events = new Float64Array(EVENTS * DRAIN_STRIDE)
const eventValues: unknown[] = []
let connected = false

/** Makes a pool known, and the doorbell with the first one. */
export function connect(owner: Owner): void {
  if (!connected) {
    native.connect(drain)
    connected = true
  }
  pools.set(owner.handle, owner)
}

/** Settles and delivers what has arrived by now. Not to be called by what a drain calls. */
export function settleNow(): void {
  settleUntil(Number.POSITIVE_INFINITY)
}

/** Forgets a pool that has ended. */
export function disconnect(owner: Owner): void {
  pools.delete(owner.handle)
  native.releasePool(owner.handle)
}

/** Called when the doorbell rings. */
let turns: readonly (() => void)[] = []

/** Makes this thread reachable as a worker: `turn` is called when there may be something to do. Returns how to stop that. */
export function onRing(turn: () => void): () => void {
  turns = [...turns, turn]
  if (!connected) {
    native.connect(drain)
    connected = true
  }
  return () => {
    turns = turns.filter((other) => other !== turn)
  }
}

/** What to record of a submission besides its input. */
export interface Ticket {
  readonly owner: Owner
  readonly kernel: number
  readonly priority: number
  readonly affinity: number
  readonly timeout: number
  /** `[affinityKey, costKey, kernelOptions, estimate, workerCosts, policy]`, or the number of an export, if there are any. */
  readonly extra: readonly unknown[] | number | undefined
}

/** A slot for a new task. */
export function allocate(ticket: Ticket, resolve: Resolve): number {
  const slot = free.length > 0 ? (free.pop() as number) : resolvers.length
  resolvers[slot] = resolve
  tickets[slot] = ticket
  if (slot === held.length) {
    rejecters[slot] = undefined
    extras[slot] = undefined
    held[slot] = undefined
    lingering[slot] = 0
  }
  return slot
}

function extra(slot: number): Extra {
  let found = extras[slot]
  if (found === undefined) {
    found = {}
    extras[slot] = found
  }
  return found
}

/** Tells `observer` about the task in `slot`. */
export function observe(slot: number, observer: Observer): void {
  extra(slot).observer = observer
}

/** Runs `cleanup` when the task in `slot` is settled. */
export function onSettled(slot: number, cleanup: Cleanup): void {
  const found = extra(slot)
  const { cleanup: first } = found
  found.cleanup =
    first === undefined
      ? cleanup
      : (succeeded) => {
          first(succeeded)
          cleanup(succeeded)
        }
}

/** Whether a task of this kernel may wait in the buffer for company (Q2). */
function isTiny({ kernel, owner }: Ticket): boolean {
  // What is called on the owner's thread is not worth it.
  const runTime = kernel === ENTRY ? owner.runTime : runTimes[kernel]
  return runTime !== undefined && runTime < TINY
}

/** Starts a record; the caller adds the input and calls `commit`. */
function begin(slot: number, ticket: Ticket): number {
  const at = buffered * SUBMIT_STRIDE
  header[at] = slot
  header[at + 1] = ticket.owner.handle
  header[at + 2] = ticket.kernel
  header[at + 7] = ticket.priority
  header[at + 8] = ticket.affinity
  header[at + 9] = ticket.timeout
  if (ticket.extra === undefined) header[at + 10] = -1
  else if (typeof ticket.extra === 'number') header[at + 10] = -2 - ticket.extra
  else {
    header[at + 10] = values.length
    values.push(ticket.extra)
  }
  return at
}

/**
 * Ends a record: it is handed over now, or waits for the end of this turn. The first one of a turn goes at once while a
 * worker is idle, so that work starts even if the caller then blocks; more than one would only wake workers for tasks
 * that are run faster than a worker is woken.
 */
function commit(ticket: Ticket, mayWait: boolean): void {
  buffered++
  if (buffered === BATCH || !mayWait || !isTiny(ticket)) flush()
  else if (!flushScheduled) {
    flushScheduled = true
    settled.then(flushScheduledNow)
    if (native.hasIdle(ticket.owner.handle)) flush()
  }
}

function flushScheduledNow(): void {
  flushScheduled = false
  if (buffered > 0) flush()
}

/** Hands everything buffered to the scheduler. */
export function flush(): void {
  const count = buffered
  if (count === 0) return
  const batch = values
  buffered = 0
  arenaUsed = 0
  if (batch.length > 0) values = []
  try {
    native.flush(header, count, batch, arena, held)
  } catch (error) {
    // The binding refuses a batch as a whole or not at all. Every task of it is told.
    for (let at = 0; at < count * SUBMIT_STRIDE; at += SUBMIT_STRIDE) refuse(header[at] as number, error)
  }
}

/** Settles a task that never got to the scheduler. */
function refuse(slot: number, error: unknown): void {
  const resolve = resolvers[slot] as Resolve
  const reject = rejecters[slot]
  const { owner } = tickets[slot] as Ticket
  const extra = extras[slot]
  clear(slot)
  release(slot)
  extra?.observer?.ended(-1, 0, 0)
  fail(resolve, reject, error)
  owner.settled(false, error, extra?.observer, false)
  extra?.cleanup?.(false)
}

/** Lets go of what a settled task holds. */
function clear(slot: number): void {
  resolvers[slot] = undefined as unknown as Resolve
  if (rejecters[slot] !== undefined) rejecters[slot] = undefined
  if (extras[slot] !== undefined) extras[slot] = undefined
}

/** Calls `reject` when the task in `slot` fails. */
export function onRejected(slot: number, reject: Reject): void {
  rejecters[slot] = reject
}

/** Rejects a promise, through its resolver if nobody has kept the other one: it takes on the state of a rejected one. */
function fail(resolve: Resolve, reject: Reject | undefined, reason: unknown): void {
  if (reject === undefined) resolve(Promise.reject(reason))
  else reject(reason)
}

/** Submits a number. */
export function submitNumber(slot: number, ticket: Ticket, input: number): void {
  const at = begin(slot, ticket)
  header[at + 3] = 4
  header[at + 4] = input
  commit(ticket, ticket.extra === undefined)
}

/** Memory for small typed arrays is taken before a task is: that may fail. */
export function prepareArena(): void {
  if (arena.length === 0) arena = new Uint8Array(ARENA)
}

/** Submits the bytes of a typed array of less than `ARENA_LIMIT` bytes, copied now. */
export function submitBytes(slot: number, ticket: Ticket, kind: number, bytes: Uint8Array): void {
  const size = bytes.length
  if (arenaUsed + size > arena.length) flush()
  const at = begin(slot, ticket)
  arena.set(bytes, arenaUsed)
  header[at + 3] = 5
  header[at + 4] = arenaUsed
  header[at + 5] = size
  header[at + 6] = kind
  arenaUsed += size
  commit(ticket, ticket.extra === undefined)
}

/** Submits any other value: a string, or a value that belongs to the task alone. */
export function submitValue(slot: number, ticket: Ticket, input: unknown): void {
  const at = begin(slot, ticket)
  header[at + 3] = 6
  header[at + 4] = values.length
  values.push(input)
  // How long a kernel takes for a short string says little of a long one.
  commit(ticket, typeof input === 'string' && input.length <= SHORT && ticket.extra === undefined)
}

/** Submits a value for the entry function of the pool's module. */
export function submitEntry(slot: number, ticket: Ticket, codec: number, data: unknown): void {
  const at = begin(slot, ticket)
  header[at + 11] = codec
  if (typeof data === 'number') {
    header[at + 3] = 4
    header[at + 4] = data
  } else {
    const simple = SIMPLE.indexOf(data as undefined)
    header[at + 3] = simple < 0 ? 6 : simple
    header[at + 4] = values.length
    if (simple < 0) values.push(data)
  }
  // Bytes of the caller's are copied by the flush, so it cannot wait.
  const isLasting = typeof data === 'string' ? data.length <= SHORT : typeof data !== 'object' || codec !== 0
  commit(ticket, isLasting)
}

function handleOf(slot: number): number {
  return (tickets[slot] as Ticket).owner.handle
}

/** Gives the task in `slot` up. Whether this call ended it; then `reason` is what it rejects with, when given. */
export function cancel(slot: number, reason: { readonly reason: unknown } | undefined): boolean {
  flush()
  if (!native.cancel(handleOf(slot), slot)) return false
  if (reason !== undefined) extra(slot).reason = reason
  return true
}

/** The native worker that runs the task in `slot`, or -1. */
export function runningOn(slot: number): number {
  flush()
  return native.inspect(handleOf(slot), slot)
}

/** Expected run time of a kernel or an entry function, ms, 0 when it has never run. */
export function expectedCost(owner: Owner, kernel: number): number {
  return (kernel === ENTRY ? owner.runTime : runTimes[kernel]) ?? 0
}

function release(slot: number): void {
  if (held[slot] !== undefined) held[slot] = undefined
  if (lingering[slot] !== 0) lingering[slot] = 0
  free.push(slot)
}

/** The doorbell rang. */
function drain(): void {
  for (const turn of turns) {
    try {
      turn()
    } catch (error) {
      rethrow(error)
    }
  }
  settleUntil(now() + DRAIN_BUDGET)
}

function settleUntil(deadline: number): void {
  for (;;) {
    const count = native.drain(events, eventValues, held)
    for (let at = 0; at < count * DRAIN_STRIDE; at += DRAIN_STRIDE) {
      try {
        if (!settleNumber(at)) handle(at)
      } catch (error) {
        // One event must not cost the others of its batch.
        rethrow(error)
      }
    }
    eventValues.length = 0
    if (count < EVENTS) return
    if (now() >= deadline) {
      native.ring()
      return
    }
  }
}

/** A number for a task without extras, the shortest way; `false` when the record is anything else. */
function settleNumber(at: number): boolean {
  const slot = events[at] as number
  if (events[at + 1] !== 4 || extras[slot] !== undefined || events[at + 5] === 1 || lingering[slot] !== 0) return false
  const resolve = resolvers[slot] as Resolve
  const { owner, kernel } = tickets[slot] as Ticket
  learn(kernel, owner, events[at + 4] as number)
  resolvers[slot] = undefined as unknown as Resolve
  if (rejecters[slot] !== undefined) rejecters[slot] = undefined
  free.push(slot)
  resolve(events[at + 2])
  owner.settled(true, undefined, undefined)
  return true
}

function handle(at: number): void {
  const slot = events[at] as number
  const tag = events[at + 1] as number
  if (tag < 10 || tag === 14 || (tag >= ANSWERS && tag < NOTICES)) {
    settle(slot, tag, at)
    return
  }
  const value = eventValues[events[at + 2] as number] as unknown[]
  switch (tag) {
    case 10:
      if (lingering[slot] === 1) release(slot)
      else lingering[slot] = 2
      break
    case 11:
      extras[slot]?.observer?.progress(value[0] as number, value[1] as number)
      break
    case 12:
      relay(slot, value[0] as string, value[1], events[at + 3] as number, events[at + 5] as number)
      break
    case 18:
      pools.get(slot)?.wanted?.(events[at + 3] as number, events[at + 2] as number)
      break
    case 17:
      pools.get(slot)?.discovered?.(events[at + 3] as number, value as number[], events[at + 5] as number, value[3])
      break
    case 16: {
      const observer = extras[events[at + 4] as number]?.observer
      const codec = events[at + 5] as number
      pools.get(slot)?.mail?.(value[0] as string, codec, value[1], events[at + 3] as number, observer)
      break
    }
    case 13:
      pools.get(slot)?.closed()
      break
    case NOTICES:
      retry(slot, value as [number, number, number, number], events[at + 3] as number)
      break
    case NOTICES + 1: {
      const [idIndex, idGeneration, grace] = value as [number, number, number]
      pools.get(slot)?.gaveUp?.(events[at + 3] as number, idIndex, idGeneration, grace)
      break
    }
    case NOTICES + 2:
      pools.get(slot)?.retired?.(events[at + 3] as number)
      break
    case NOTICES + 3:
      pools.get(slot)?.resumed?.()
  }
}

/** A run of a task has failed, and it runs again. */
function retry(slot: number, [count, , tag, payload]: [number, number, number, number], worker: number): void {
  const { owner } = tickets[slot] as Ticket
  const observer = extras[slot]?.observer
  observer?.retried(count)
  const tell: End = (_, reason) => owner.retried?.(observer, count, reason)
  if (tag >= ANSWERS) settleFailure(tell, owner, (tag - ANSWERS) % CODECS, eventValues[payload], worker)
  else tell(false, explained(owner, failure(tag, payload, undefined), worker))
}

/** A message of a task: of a kernel, or of one that this thread submitted as a worker of the pool. */
function relay(slot: number, type: string, data: unknown, worker: number, codec: number): void {
  const { owner } = tickets[slot] as Ticket
  // What is posted goes to the thread that owns the pool, and to no other.
  if (codec >= POSTED) return
  const contents = codec === 0 ? data : laneParts().decode(codec, data)
  extras[slot]?.observer?.message(type, contents)
  owner.message(type, contents, worker)
}

/** Smooths the measured run time of a kernel. */
function learn(kernel: number, owner: Owner, runTime: number): void {
  if (kernel === MAIN_ENTRY) return
  const known = kernel === ENTRY ? owner.runTime : runTimes[kernel]
  const smoothed = known === undefined ? runTime : known + (runTime - known) / 8
  // Entry functions of different pools have nothing to do with each other.
  if (kernel === ENTRY) owner.runTime = smoothed
  else runTimes[kernel] = smoothed
}

function settle(slot: number, tag: number, at: number): void {
  const payload = events[at + 2] as number
  const isAdmitted = events[at + 3] !== NOT_ADMITTED
  const worker = isAdmitted ? (events[at + 3] as number) : -1
  const resolve = resolvers[slot] as Resolve
  const reject = rejecters[slot]
  const { owner, kernel } = tickets[slot] as Ticket
  const extra = extras[slot]
  // What was given up, and what its worker did not survive, says nothing of what a task takes.
  if (worker >= 0 && (tag < 6 || tag >= ANSWERS)) learn(kernel, owner, events[at + 4] as number)
  clear(slot)
  if (events[at + 5] === 1 && lingering[slot] !== 2) lingering[slot] = 1
  else release(slot)
  extra?.observer?.ended(worker, events[at + 4] as number, Math.max(0, -(events[at + 5] as number)))
  const end: End = (succeeded, value) => {
    if (succeeded) resolve(value)
    else fail(resolve, reject, value)
    owner.settled(succeeded, value, extra?.observer, isAdmitted)
    extra?.cleanup?.(succeeded)
  }
  if (tag === 4) end(true, payload)
  else if (tag < 6) end(true, tag === 5 ? eventValues[payload] : SIMPLE[tag])
  else if (tag >= ANSWERS) {
    const codec = (tag - ANSWERS) % CODECS
    const isOutput = tag < ANSWERS + CODECS
    const data = eventValues[payload]
    if (!isOutput) settleFailure(end, owner, codec, data, worker)
    else if (codec < POSTED) settleAnswer(end, true, codec, data)
    else owner.collect?.(codec, data as number, worker, end)
  } else end(false, explained(owner, failure(tag, payload, extra?.reason), worker))
}

/** An error of the scheduler, with what the owner knows besides. */
function explained(owner: Owner, reason: unknown, worker: number): unknown {
  return reason instanceof ThreadmillError ? (owner.explain?.(reason, worker) ?? reason) : reason
}

/** What a JS worker threw. */
function settleFailure(end: End, owner: Owner, codec: number, data: unknown, worker: number): void {
  if (codec < POSTED) settleAnswer(end, false, codec, data)
  else if (codec > POSTED) owner.collect?.(codec, data as number, worker, end)
  else {
    owner.collect?.(codec, data as number, worker, (found, value) => settleAnswer(end, false, found ? codec : 0, value))
  }
}

/** What a JS worker gave or threw; a failure too if it cannot be read. */
function settleAnswer(end: End, succeeded: boolean, codec: number, data: unknown): void {
  let value: unknown
  try {
    const { decode, decodeReason } = laneParts()
    value = succeeded ? decode(codec, data) : decodeReason(codec, data)
  } catch (error) {
    succeeded = false
    value = error
  }
  end(succeeded, value)
}

/** In place of a worker's number. */
const NOT_ADMITTED = -2
/** From this tag on: what a JS worker gave, by codec, and what it threw. */
const ANSWERS = 20
const CODECS = 8
/** From this tag on: what happened to a task or a worker that goes on. */
const NOTICES = ANSWERS + 2 * CODECS
/** The codec of what comes by the port of its worker; of what those after it stand for is kept on this thread. */
const POSTED = 3
/** Outputs by tag 0 to 3. */
const SIMPLE = [undefined, null, true, false]

/** The error of a task that gave no output. */
function failure(tag: number, payload: number, reason: { readonly reason: unknown } | undefined): unknown {
  switch (tag) {
    case 7:
      return reason === undefined
        ? new ThreadmillError('ERR_THREADMILL_CANCELLED', 'the task was cancelled')
        : reason.reason
    case 8:
      return new ThreadmillError('ERR_THREADMILL_TIMEOUT', 'Task timeout')
    case 14:
      return new ThreadmillError('ERR_THREADMILL_SYSTEM', 'the engine had no room for the outcome of the task')
    case 9:
      return new ThreadmillError('ERR_THREADMILL_KERNEL_PANIC', `the kernel panicked: ${eventValues[payload]}`)
    default: {
      const [code, message, system] = eventValues[payload] as [ErrorCode, string, object?]
      const text = message.trim()
      if (code === 'ERR_THREADMILL_INVALID_ARG_TYPE' || code === 'ERR_THREADMILL_INVALID_ARG_VALUE') {
        return Object.assign(new TypeError(text), { code })
      }
      if (code === 'ERR_THREADMILL_OUT_OF_RANGE') return Object.assign(new RangeError(text), { code })
      if (system === undefined) return new ThreadmillError(code, text)
      const cause = Object.assign(new Error(text), system)
      return new ThreadmillError(code, text, { cause })
    }
  }
}
