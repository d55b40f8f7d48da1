// Stage: settle. Thread: owner env.
// The end of an env that tasks come back through: settles promises, and tells pools and observers what happens.
//
// Q3. One drain settles what has arrived, for at most DRAIN_BUDGET ms. The rest waits for its turn in the event loop. Node
//     answers a bell that is rung meanwhile at once, up to a thousand times: in one turn they are answered for about
//     DRAIN_BUDGET ms, with what those who were waiting do, and the others wait for the end of the turn.

import { builtins } from './builtins'
import { rethrow, warnUnreadable } from './callbacks'
import * as codecs from './codecs'
import { OwnMap } from './collections'
import { leave, settleWith } from './doorbell'
import { payload } from './lazy'
import { DRAIN_STRIDE } from './native'
import { native } from './native-owner'
import * as outcome from './outcome'
import type { End, Owner, Ticket } from './owner'
import { resolved } from './promise'
import * as runTimes from './run-times'
import * as slots from './slots'
import { setImmediate, setTimeout } from './timers'

const { Float64Array: Floats, min, setPrototypeOf, typedSubarray } = builtins

// They are used for every task: no way through the exports of other modules.
const {
  clear,
  extra: extraOf,
  extras,
  fail,
  free,
  held,
  lingering,
  rejecters,
  release,
  resolvers,
  shrink,
  tickets,
} = slots
const { FLAT, MOVED, PLAIN, POSTED } = codecs
const { ANSWERS, CODECS, NOTICES, NOT_ADMITTED, SIMPLE } = outcome
const { failure, settleAnswer, settleFailure, settleMoved } = outcome
const { learn } = runTimes

/** The tag of a plain value. */
const WORDS = ANSWERS + FLAT
/** Events per native drain call. */
const EVENTS = 256
/** Longest time that one drain keeps the event loop, ms. */
const DRAIN_BUDGET = 2
/** Fake timers of test frameworks replace the globals: what keeps tasks going must not depend on them. */
const { now } = native
const pools = new OwnMap<number, Owner>()

const events = new Floats(EVENTS * DRAIN_STRIDE)
/** Without a prototype: the binding sets elements, and setters of others would be called within. */
const eventValues: unknown[] = setPrototypeOf([], null)
/** Plain values of one drain call; what does not fit comes with the others. */
const words = new Floats(32_768)

/** Makes a pool known. */
export function connect(owner: Owner): void {
  settleWith(drain)
  pools.set(owner.handle, owner)
}

/** Settles and delivers what has arrived by now. Not to be called by what a drain calls. */
export function settleNow(): void {
  settleUntil(Number.POSITIVE_INFINITY)
}

/** Settles what has arrived, as when the doorbell rings, which takes an event of its own. */
export function settleSoon(): void {
  settleUntil(now() + DRAIN_BUDGET)
}

let isPostponed = false
/** When the first ring was answered of those that are counted together, ms; and whether their turn has not ended. */
let turnBegan = Number.NEGATIVE_INFINITY
let isSameTurn = false

/** Whether this turn of the event loop has been taken up long enough. */
function isTurnOver(): boolean {
  const time = now()
  if (time - turnBegan < DRAIN_BUDGET) return false
  if (isSameTurn) return true
  turnBegan = time
  isSameTurn = true
  // Once in that time only; it need not keep the loop from resting.
  setImmediate(endTurn).unref()
  return false
}

function endTurn(): void {
  isSameTurn = false
}

/** Whether whoever is to be told of what settles here is far behind. */
let isBehind: (() => boolean) | undefined
/** How often what has arrived has been put off for that, and how often at most: that one may wait for this thread. */
let delays = 0
const MOST_DELAYS = 20

/** Has what arrives settle slowly while `isBehind` says so. */
export function holdBack(check: () => boolean): void {
  isBehind = check
}

/** Whether what has arrived has been put off. */
function isHeldBack(): boolean {
  if (isBehind === undefined || delays === MOST_DELAYS || !isBehind()) {
    delays = 0
    return false
  }
  delays++
  isPostponed = true
  setTimeout(() => {
    isPostponed = false
    drain()
  }, 1)
  return true
}

function settleLater(): void {
  if (isPostponed) return
  isPostponed = true
  setImmediate(() => {
    isPostponed = false
    settleSoon()
  })
}

/** Forgets a pool that has ended. */
export function disconnect(owner: Owner): void {
  pools.delete(owner.handle)
  native.releasePool(owner.handle)
  if (pools.size === 0) leave()
}

let afterFirst: (() => void) | undefined

/** Calls `callback` once, after those who wait for the first results of this thread. */
export function onFirstResults(callback: () => void): void {
  afterFirst = callback
}

/** The doorbell rang. */
function drain(): void {
  if (isPostponed || isHeldBack()) return
  if (isTurnOver()) {
    settleLater()
    return
  }
  settleSoon()
  if (afterFirst === undefined) return
  resolved().then(afterFirst)
  afterFirst = undefined
}

function settleUntil(deadline: number): void {
  for (;;) {
    const count = native.drain(events, eventValues, held, words)
    for (let at = 0; at < count * DRAIN_STRIDE; at += DRAIN_STRIDE) {
      try {
        if (!settlePlain(at)) handle(at)
      } catch (error) {
        // One event must not cost the others of its batch.
        rethrow(error)
      }
    }
    eventValues.length = 0
    if (count < EVENTS) {
      shrink()
      return
    }
    if (now() >= deadline) {
      settleLater()
      return
    }
  }
}

/**
 * A number or a plain value for a task that has an observer at most, the shortest way; `false` when the record is anything
 * else.
 */
function settlePlain(at: number): boolean {
  const slot = events[at] as number
  const tag = events[at + 1]
  if (tag !== 4 && (tag !== WORDS || (events[at + 2] as number) < 0)) return false
  const extra = extras[slot]
  if (extra !== undefined && (extra.cleanup !== undefined || extra.given !== undefined)) return false
  if ((events[at + 5] as number) > 0 || lingering[slot] !== 0) return false
  let value: unknown = events[at + 2]
  if (tag !== 4) {
    try {
      value = payload().readWords(words, value as number)
    } catch {
      // The long way tells it.
      return false
    }
  }
  const resolve = resolvers[slot] as slots.Resolve
  const { owner, kernel } = tickets[slot] as Ticket
  learn(kernel, owner, events[at + 4] as number)
  resolvers[slot] = undefined as unknown as slots.Resolve
  if (rejecters[slot] !== undefined) rejecters[slot] = undefined
  free.push(slot)
  if (extra === undefined) {
    resolve(value)
    // Nobody listens for the end of a task that has no extras.
    owner.settled(true, undefined, undefined)
    return true
  }
  extras[slot] = undefined
  extra.observer?.ended(events[at + 3] as number, events[at + 4] as number, 0 - (events[at + 5] as number))
  resolve(value)
  owner.settled(true, value, extra.observer)
  return true
}

/** The words that begin there, of the last drain call. */
function wordsAt(offset: number): Float64Array {
  return offset < 0 ? (eventValues[-1 - offset] as Float64Array) : typedSubarray.call(words, offset)
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
function retry(slot: number, [count, runTime, tag, payload]: [number, number, number, number], worker: number): void {
  const { owner } = tickets[slot] as Ticket
  const observer = extras[slot]?.observer
  observer?.retried(count, worker, runTime)
  const resolve = resolvers[slot]
  const tell: End = (_, reason) => {
    // What has to be collected may come when the task has ended.
    if (resolvers[slot] === resolve) extraOf(slot).failed = { reason }
    owner.retried?.(observer, count, reason)
  }
  const codec = (tag - ANSWERS) % CODECS
  const data = codec === FLAT ? wordsAt(payload) : eventValues[payload]
  if (tag >= ANSWERS) settleFailure(tell, owner, codec, data, worker)
  else tell(false, failure(owner, tag, data, undefined, worker))
}

/** A message of a task: of a kernel, or of one that this thread submitted as a worker of the pool. */
function relay(slot: number, type: string, data: unknown, worker: number, codec: number): void {
  const { owner } = tickets[slot] as Ticket
  // What is posted goes to the thread that owns the pool, and to no other.
  if (codec >= POSTED) return
  let contents = data
  try {
    if (codec !== PLAIN) contents = payload().decode(codec, data)
  } catch (error) {
    // Nested too deep for this thread's stack, for instance.
    warnUnreadable(`a message of type '${type}' of a task`, error)
    return
  }
  extras[slot]?.observer?.message(type, contents)
  owner.message(type, contents, worker)
}

function settle(slot: number, tag: number, at: number): void {
  const payload = events[at + 2] as number
  const isAdmitted = events[at + 3] !== NOT_ADMITTED
  const worker = isAdmitted ? (events[at + 3] as number) : -1
  const resolve = resolvers[slot] as slots.Resolve
  const reject = rejecters[slot]
  const { owner, kernel } = tickets[slot] as Ticket
  const extra = extras[slot]
  // What was given up, and what its worker did not survive, says nothing of what a task takes.
  if (worker >= 0 && (tag < 6 || tag >= ANSWERS)) learn(kernel, owner, events[at + 4] as number)
  clear(slot)
  const lingers = events[at + 5] === 1 && lingering[slot] !== 2
  if (lingers) lingering[slot] = 1
  extra?.observer?.ended(worker, events[at + 4] as number, -min(0, events[at + 5] as number))
  // Another one may have given it up before, or its time was over.
  const isOverruled = extra?.given === 'late' && tag !== 7 && tag !== 8
  const end: End = (succeeded, given) => {
    let value = given
    // Only then may another task have the slot: who could cancel this one must not mean that.
    extra?.cleanup?.(succeeded)
    if (!lingers) release(slot)
    if (isOverruled) {
      succeeded = false
      value = failure(owner, 7, undefined, extra, worker)
    }
    if (succeeded) resolve(value)
    else fail(resolve, reject, value)
    owner.settled(succeeded, value, extra?.observer, isAdmitted)
  }
  if (tag === 4) end(true, payload)
  else if (tag < 6) end(true, tag === 5 ? eventValues[payload] : SIMPLE[tag])
  else if (tag >= ANSWERS) {
    const codec = (tag - ANSWERS) % CODECS
    const isOutput = tag < ANSWERS + CODECS
    const data = codec === FLAT ? wordsAt(payload) : eventValues[payload]
    if (!isOutput) settleFailure(end, owner, codec, data, worker)
    else if (codec === FLAT) settleAnswer(end, true, codec, data)
    else if (codec === MOVED) settleMoved(end, data as number)
    else if (codec < POSTED) settleAnswer(end, true, codec, data)
    else owner.collect?.(codec, data as number, worker, end)
  } else end(false, failure(owner, tag, eventValues[payload], extra, worker))
}
