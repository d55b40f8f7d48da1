// Stage: submit and settle. Thread: owner env.
// The slab of unfinished tasks: resolvers and what only some tasks have, by slot.
//
// Q1. A slot is given to one task at a time: it is free again when the task is settled and its memory released.

import { ownStack } from './collections'
import type { Observer, Ticket } from './owner'
import { rejected } from './promise'

export type Resolve = (value: unknown) => void
export type Reject = (reason: unknown) => void

const resolvers: Resolve[] = []
/** Only for tasks that have one; see `fail`. */
const rejecters: (Reject | undefined)[] = []
const tickets: Ticket[] = []
/** What only some tasks have. */
const extras: (Extra | undefined)[] = []
/** Is told whether the task gave an output. */
type Cleanup = (succeeded: boolean) => void

/** What a task may have besides its promise. */
export interface Extra {
  observer: Observer | undefined
  /** Reason given to `cancel`, wrapped so that `undefined` can be one. */
  reason: { readonly reason: unknown } | undefined
  /** What `cancel` has done: the task ended by it, or had ended, and its outcome is not to be seen. */
  given: 'up' | 'late' | undefined
  /** How its run before this one failed, wrapped likewise. */
  failed: { readonly reason: unknown } | undefined
  cleanup: Cleanup | undefined
}

/** Buffers that the task's memory lies in, by slot; the binding fills it. */
const held: unknown[] = []
/** 0 pending, 1 settled and still held, 2 released before it was settled. */
const lingering: number[] = []
const free = ownStack<number>()

// Not where they are declared: their own uses would go through the exports.
export { extras, free, held, lingering, rejecters, resolvers, tickets }

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

/** Places that are kept when no task is unfinished. */
const KEPT = 65_536

/** Gives back what a burst of tasks has taken, when all of them are settled. */
export function shrink(): void {
  if (free.length <= KEPT || free.length < held.length) return
  resolvers.length = 0
  rejecters.length = 0
  tickets.length = 0
  extras.length = 0
  held.length = 0
  lingering.length = 0
  free.length = 0
}

export function extra(slot: number): Extra {
  let found = extras[slot]
  if (found === undefined) {
    // All of its own: others may have added to the prototype of objects.
    found = { observer: undefined, reason: undefined, given: undefined, failed: undefined, cleanup: undefined }
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

/** Lets go of what a settled task holds. */
export function clear(slot: number): void {
  resolvers[slot] = undefined as unknown as Resolve
  if (rejecters[slot] !== undefined) rejecters[slot] = undefined
  if (extras[slot] !== undefined) extras[slot] = undefined
}

/** Calls `reject` when the task in `slot` fails. */
export function onRejected(slot: number, reject: Reject): void {
  rejecters[slot] = reject
}

/** Rejects a promise, through its resolver if nobody has kept the other one: it takes on the state of a rejected one. */
export function fail(resolve: Resolve, reject: Reject | undefined, reason: unknown): void {
  if (reject === undefined) resolve(rejected(reason))
  else reject(reason)
}

/** Lets a slot be given out again, and the memory of its task go. */
export function release(slot: number): void {
  if (held[slot] !== undefined) held[slot] = undefined
  if (lingering[slot] !== 0) lingering[slot] = 0
  free.push(slot)
}
