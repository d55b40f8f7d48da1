// Stage: submit and settle. Thread: owner env.
// Who waits until a pool has room, or has nothing to do. There is room as long as fewer tasks than `capacity` are unfinished
// and, where the bytes of inputs are limited, as long as they are.
//
// W1. Of those who wait for room, as many are told as it is for. Whoever was told has until the microtasks of the turn are done
//     to take it; what is left then is for the others, so that nobody waits while there is room.

import type { ByteBudget } from './bytes'
import type { Listeners } from './callbacks'
import { byteBudget } from './lazy-owner'
import { BuiltinPromise } from './promise'
import { checkNotAborted, follow } from './signals'
import { nextTick, soon } from './timers'

/** The pool, as seen from here. */
export interface WaitersHost {
  readonly settings: { readonly name: string; readonly capacity: number }
  /** Unfinished tasks. */
  readonly pending: number
  /** Tasks that were admitted so far. */
  readonly begun: number
  readonly hasRoom: boolean
  readonly budget: ByteBudget | undefined
  /** How far its end has been asked for; below 0: not at all. */
  readonly ending: number
  readonly events: Listeners
  /** Calls `listener` when the pool admits nothing any more. Returns how to stop that. */
  onEnd(listener: (reason: unknown) => void): () => void
}

type Tell = () => void

/** See the head of this file. Both lists stay the same objects, so that the pool can look at them with every task. */
export class Waiters {
  readonly #host: WaitersHost
  readonly room = new Set<Tell>()
  readonly idle: Tell[] = []
  /** Those who were told in this turn. */
  #told = 0
  /** `begun`, before the first of them was told. */
  #begunBefore = 0

  constructor(host: WaitersHost) {
    this.#host = host
  }

  /** What counts the bytes of the pool's inputs; `limit` in bytes. */
  newBudget(limit: number): ByteBudget {
    const host = this.#host
    const budgetHost = {
      name: host.settings.name,
      pending: () => host.pending,
      discharge: (bytes: number) => {
        const wasFull = !host.hasRoom
        host.budget?.giveBack(bytes)
        this.tellRoom(wasFull)
      },
    }
    return new (byteBudget())(budgetHost, limit)
  }

  /** There may be room again (W1). */
  tellRoom(wasFull: boolean): void {
    const host = this.#host
    if (!host.hasRoom) return
    host.budget?.told()
    if (wasFull && host.ending < 0) host.events.call('drain')
    this.#tellWaiters()
  }

  #tellWaiters(): void {
    let room = this.#room
    for (const tell of this.room) {
      if (room-- <= 0) return
      this.room.delete(tell)
      this.#noteTold()
      tell()
    }
  }

  /** Room for tasks, but for those of who was told and has not come yet. */
  get #room(): number {
    const { begun, pending, settings } = this.#host
    const coming = Math.max(0, this.#told - (begun - this.#begunBefore))
    return settings.capacity - pending - coming
  }

  #noteTold(): void {
    if (this.#told++ > 0) return
    this.#begunBefore = this.#host.begun
    // Ticks come after all microtasks.
    soon(() => nextTick(() => this.#forgetTold()))
  }

  /** Whoever was told and has not come by now may never come. */
  #forgetTold(): void {
    this.#told = 0
    if (this.#host.hasRoom) this.#tellWaiters()
  }

  /** Nothing is unfinished. */
  tellIdle(): void {
    for (const resolve of this.idle.splice(0)) resolve()
  }

  /** As `whenRoom`, for users: rejects when the pool admits nothing any more, or the signal aborts. */
  ready(signal: AbortSignal | undefined): Promise<void> {
    return new BuiltinPromise((resolve, reject) => {
      const host = this.#host
      checkNotAborted(signal)
      if (host.ending < 0 && host.hasRoom && this.#room > 0) {
        this.#noteTold()
        resolve()
        return
      }
      let forget: (() => void) | undefined
      let unfollow: (() => void) | undefined
      const leave = (): void => {
        this.room.delete(tell)
        forget?.()
        unfollow?.()
      }
      const tell = (): void => {
        leave()
        resolve()
      }
      const fail = (reason: unknown): void => {
        leave()
        reject(reason)
      }
      try {
        unfollow = signal && follow(signal, fail)
        // It may have fired while it was being subscribed to.
        checkNotAborted(signal)
      } catch (error) {
        fail(error)
        return
      }
      this.room.add(tell)
      forget = host.onEnd(fail)
    })
  }

  whenRoom(): Promise<void> {
    return this.#host.hasRoom ? BuiltinPromise.resolve() : new BuiltinPromise((resolve) => this.room.add(resolve))
  }

  whenIdle(): Promise<void> {
    return this.#host.pending === 0
      ? BuiltinPromise.resolve()
      : new BuiltinPromise((resolve) => this.idle.push(resolve))
  }
}
