// Stage: submit and settle. Thread: owner env.
// Who waits until a pool has room, or has nothing to do. There is room as long as fewer tasks than `capacity` are unfinished
// and, where the bytes of inputs are limited, as long as they are.
//
// W1. Of those who wait for room, as many are told as it is for; the others when more tasks have ended.

import type { ByteBudget } from './bytes'
import type { Listeners } from './callbacks'
import { byteBudget } from './lazy'

/** The pool, as seen from here. */
export interface WaitersHost {
  readonly settings: { readonly name: string; readonly capacity: number }
  /** Unfinished tasks. */
  readonly pending: number
  readonly hasRoom: boolean
  readonly budget: ByteBudget | undefined
  /** How far its end has been asked for; below 0: not at all. */
  readonly ending: number
  readonly events: Listeners
  /** Calls `listener` when the pool admits nothing any more. Returns how to stop that. */
  onEnd(listener: (reason: unknown) => void): () => void
}

type Tell = () => void

/** See the head of this file. Both lists stay the same arrays, so that the pool can look at them with every task. */
export class Waiters {
  readonly #host: WaitersHost
  readonly room: Tell[] = []
  readonly idle: Tell[] = []

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
    // Whoever has just been told may have submitted something.
    const room = host.pending === 0 ? Number.POSITIVE_INFINITY : host.settings.capacity - host.pending
    for (const resolve of this.room.splice(0, room)) resolve()
  }

  /** Nothing is unfinished. */
  tellIdle(): void {
    for (const resolve of this.idle.splice(0)) resolve()
  }

  /** As `whenRoom`, for users: rejects when the pool admits nothing any more. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      const forget = this.#host.onEnd(reject)
      const isReady = (): void => {
        forget()
        resolve()
      }
      if (this.#host.hasRoom) isReady()
      else this.room.push(isReady)
    })
  }

  whenRoom(): Promise<void> {
    return this.#host.hasRoom ? Promise.resolve() : new Promise((resolve) => this.room.push(resolve))
  }

  whenIdle(): Promise<void> {
    return this.#host.pending === 0 ? Promise.resolve() : new Promise((resolve) => this.idle.push(resolve))
  }
}
