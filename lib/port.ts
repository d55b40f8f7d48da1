// Stage: submit. Thread: owner env.
// The end of an env that tasks go out through: a buffer of submissions that is flushed with one native call.
//
// Q2. A submission is buffered only when its kernel is measured to be tiny; the first of a turn is not while a worker has
//     nothing to do. At most BATCH × TINY ms of work waits for the end of a turn, which is LOOKS microtasks without a submission.

import { builtins } from './builtins'
import type { Encoded } from './codecs'
import * as codecs from './codecs'
import { payload } from './lazy'
import { lookOut } from './lookout'
import { SUBMIT_STRIDE } from './native'
import { native } from './native-owner'
import * as outcome from './outcome'
import type { Ticket } from './owner'
import { BuiltinPromise, resolved } from './promise'
import * as runTimes from './run-times'
import * as slots from './slots'

const { bufferOf, defineProperty, Float64Array: Floats, setPrototypeOf, typedSet, Uint8Array: Bytes } = builtins

// They are used for every task: no way through the exports of other modules.
const { clear, extra, extras, fail, held, rejecters, release, resolvers, tickets } = slots
const { FLAT } = codecs
const { SIMPLE } = outcome
const { isShort, isTiny } = runTimes

/** Submissions that are handed over together at most. */
const BATCH = 32
/** Microtasks without a submission after which a turn counts as ended. */
const LOOKS = 4
/** Bytes of small typed arrays that a batch can hold. */
const ARENA = 256 * 1024
/** Typed arrays from this size on are not copied through the arena. */
export const ARENA_LIMIT = 64 * 1024
/** With a method that nobody else can reach. */
const settled = defineProperty(resolved(), 'then', { value: BuiltinPromise.prototype.then })
/** Longest string, in UTF-16 units, that may wait in the buffer. */
const SHORT = 4096
const header = new Floats(BATCH * SUBMIT_STRIDE)
let arena: Uint8Array = new Bytes(0)
/** The same memory. */
let arenaWords = new Floats(0)
let arenaUsed = 0
let values = valuesOfBatch()
let buffered = 0
let turnScheduled = false
/** Whether it was asked in this turn if somebody has nothing to do. */
let hasAsked = false
/** What was buffered when `isGrowing` looked last, and how often that has been so. */
let seen = 0
let looks = 0

/** Without a prototype: a setter of all arrays would get what belongs to a task alone. */
function valuesOfBatch(): unknown[] {
  return setPrototypeOf([], null)
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
  header[at + 11] = 0
  if (ticket.extra === undefined) header[at + 10] = -1
  else if (typeof ticket.extra === 'number') header[at + 10] = -2 - ticket.extra
  else {
    header[at + 10] = values.length
    values[values.length] = ticket.extra
  }
  return at
}

/**
 * Ends a record: it is handed over now, or waits for the end of this turn. The first one of a turn goes at once while a
 * worker has nothing to do, so that work starts even if the caller then blocks; more than one would only wake workers for tasks
 * that are run faster than a worker is woken.
 */
function commit(ticket: Ticket, mayWait: boolean): void {
  const { kernel, owner } = ticket
  buffered++
  const waits = mayWait && buffered < BATCH && isTiny(kernel, owner)
  if (!waits) flush()
  if (!turnScheduled && mayWait && isShort(kernel, owner)) {
    // In this order: where the stack is full, to ask for it fails, and it is to be asked for again.
    settled.then(turnEnds)
    turnScheduled = true
  }
  if (!waits || hasAsked) return
  hasAsked = true
  // One that has just answered is not always known to be free yet.
  if (owner.pending === 1 || native.hasFree(owner.handle, kernel)) flush()
}

/** Hands over what waits, and looks out for outcomes. */
function turnEnds(): void {
  if (isGrowing()) {
    settled.then(turnEnds)
    return
  }
  turnScheduled = false
  hasAsked = false
  if (buffered > 0) flush()
  lookOut()
}

/** Whether the next submission may be about to come: loops over promises take a few microtasks for each. */
function isGrowing(): boolean {
  if (buffered === seen) looks++
  else {
    seen = buffered
    looks = 0
  }
  if (buffered > 0 && looks < LOOKS) return true
  seen = 0
  looks = 0
  return false
}

/** Batches that this thread has handed over. */
export let flushes = 0

/** Hands everything buffered to the scheduler. */
export function flush(): void {
  const count = buffered
  if (count === 0) return
  flushes++
  const batch = values
  buffered = 0
  arenaUsed = 0
  if (batch.length > 0) values = valuesOfBatch()
  try {
    native.flush(header, count, batch, arena, held)
  } catch (error) {
    // The binding refuses a batch as a whole or not at all. Every task of it is told.
    for (let at = 0; at < count * SUBMIT_STRIDE; at += SUBMIT_STRIDE) refuse(header[at] as number, error)
  }
}

/** Settles a task that has a slot and is counted, and never got to the scheduler. */
export function refuse(slot: number, error: unknown): void {
  const resolve = resolvers[slot] as slots.Resolve
  const reject = rejecters[slot]
  const { owner } = tickets[slot] as Ticket
  const extra = extras[slot]
  clear(slot)
  extra?.observer?.ended(-1, 0, 0)
  extra?.cleanup?.(false)
  release(slot)
  fail(resolve, reject, error)
  owner.settled(false, error, extra?.observer, false)
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
  if (arena.length > 0) return
  arenaWords = new Floats(ARENA / 8)
  arena = new Bytes(bufferOf.call(arenaWords))
}

/** Submits the bytes of a typed array of less than `ARENA_LIMIT` bytes, copied now. */
export function submitBytes(slot: number, ticket: Ticket, kind: number, bytes: Uint8Array): void {
  const size = bytes.length
  if (arenaUsed + size > arena.length) flush()
  const at = begin(slot, ticket)
  typedSet.call(arena, bytes, arenaUsed)
  header[at + 3] = 5
  header[at + 4] = arenaUsed
  header[at + 5] = size
  header[at + 6] = kind
  arenaUsed += size
  commit(ticket, ticket.extra === undefined)
}

/** Submits any other value: a string, or a value that belongs to the task alone. `isKept`: each run of the task gets a copy. */
export function submitValue(slot: number, ticket: Ticket, input: unknown, isKept: boolean): void {
  const at = begin(slot, ticket)
  header[at + 3] = 6
  header[at + 6] = isKept ? 1 : 0
  header[at + 4] = values.length
  values[values.length] = input
  // How long a kernel takes for a short string says little of a long one.
  commit(ticket, typeof input === 'string' && input.length <= SHORT && ticket.extra === undefined)
}

/** Submits what flat.ts has written, for the entry function of the pool's module; after `prepareArena`. */
export function submitWords(slot: number, ticket: Ticket, words: Float64Array, count: number): void {
  const start = room(count)
  for (let i = 0; i < count; i++) arenaWords[start + i] = words[i] as number
  commitWords(slot, ticket, start, count)
}

/** The same for bytes of V8's serializer. */
export function submitRaw(slot: number, ticket: Ticket, encoded: Encoded, count: number): void {
  const start = room(count)
  payload().putRaw(encoded, arenaWords, arena, start)
  commitWords(slot, ticket, start, count)
}

/** As `encodeAlone`; a number of words lies in the arena then, and is to be submitted next. */
export function encodeInArena(input: object): number | Encoded | undefined {
  const { MOST_RAW_WORDS, encodeAlone, putHeld } = payload()
  const encoded = encodeAlone(input)
  if (typeof encoded !== 'number') return encoded
  // Now that no getter runs any more.
  prepareArena()
  return putHeld(encoded, arenaWords, arena, room(MOST_RAW_WORDS))
}

/** Submits the words of `encodeInArena`. */
export function submitWritten(slot: number, ticket: Ticket, count: number): void {
  commitWords(slot, ticket, (arenaUsed + 7) >>> 3, count)
}

/** Where so many words can be put. */
function room(count: number): number {
  const start = (arenaUsed + 7) >>> 3
  if (start + count <= arenaWords.length) return start
  flush()
  return 0
}

function commitWords(slot: number, ticket: Ticket, start: number, count: number): void {
  const at = begin(slot, ticket)
  header[at + 3] = 7
  header[at + 4] = start
  header[at + 5] = count
  header[at + 11] = FLAT
  arenaUsed = (start + count) * 8
  commit(ticket, true)
}

/** Submits a value for the entry function of the pool's module. */
export function submitEntry(slot: number, ticket: Ticket, codec: number, data: unknown): void {
  const at = begin(slot, ticket)
  header[at + 11] = codec
  if (typeof data === 'number') {
    header[at + 3] = 4
    header[at + 4] = data
  } else {
    let simple = SIMPLE.length - 1
    while (simple >= 0 && SIMPLE[simple] !== data) simple--
    header[at + 3] = simple < 0 ? 6 : simple
    header[at + 4] = values.length
    if (simple < 0) values[values.length] = data
  }
  // Bytes of the caller's are copied by the flush, so it cannot wait.
  const isLasting = typeof data === 'string' ? data.length <= SHORT : typeof data !== 'object' || codec !== 0
  commit(ticket, isLasting)
}

function handleOf(slot: number): number {
  return (tickets[slot] as Ticket).owner.handle
}

/**
 * Gives the task in `slot` up. Whether this call did; then `reason` is what it rejects with, when given. That is so as long as it is
 * not settled: its outcome may be on the way here, of which nobody knows.
 */
export function cancel(slot: number, reason: { readonly reason: unknown } | undefined): boolean {
  flush()
  const isInTime = native.cancel(handleOf(slot), slot)
  if (!isInTime && (resolvers[slot] === undefined || extras[slot]?.given !== undefined)) return false
  const found = extra(slot)
  found.reason = reason
  found.given = isInTime ? 'up' : 'late'
  return true
}

/** The worker that runs the task in `slot`; -1 when it waits, -2 when it has ended and has not been settled yet. */
export function runningOn(slot: number): number {
  flush()
  return native.inspect(handleOf(slot), slot)
}
