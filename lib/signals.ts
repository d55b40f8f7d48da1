// Stage: submit and settle. Thread: owner env.
// Follows abort signals: one listener per signal, however many tasks follow it.
//
// A1. A signal has a listener of ours exactly while somebody follows it.
// A2. Whoever follows a signal is told that it aborts, also where its reason cannot be read.

import { rethrow } from './callbacks'
import { OwnSet, OwnWeakMap } from './collections'

type Follower = (reason: unknown) => void

class Watch {
  readonly followers = new OwnSet<Follower>()
  readonly #signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', this.#abort, { once: true })
  }

  readonly #abort = (): void => {
    watches.delete(this.#signal)
    // The last ones first: they wait behind the others, and must not begin when those make room.
    const reason = reasonOf(this.#signal)
    const followers: Follower[] = []
    this.followers.forEach((follower) => {
      followers[followers.length] = follower
    })
    for (let at = followers.length - 1; at >= 0; at--) followers[at]?.(reason)
  }

  leave(follower: Follower): void {
    if (!this.followers.delete(follower) || this.followers.size > 0) return
    watches.delete(this.#signal)
    try {
      this.#signal.removeEventListener('abort', this.#abort)
    } catch (error) {
      // A signal of the user's own making must not disturb the settling of tasks.
      rethrow(error)
    }
  }
}

const watches = new OwnWeakMap<AbortSignal, Watch>()

/** Why a signal was aborted; what its getter throws, if it throws (A2). */
export function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason
  } catch (error) {
    return error
  }
}

/** @throws the reason of a signal that has been aborted */
export function checkNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal)
}

/** Calls `follower` with the reason when the signal aborts. Returns how to stop that. */
export function follow(signal: AbortSignal, follower: Follower): () => void {
  let watch = watches.get(signal)
  if (watch === undefined) {
    watch = new Watch(signal)
    watches.set(signal, watch)
  }
  watch.followers.add(follower)
  return () => watch.leave(follower)
}
