// Stage: run and settle. Thread: any env.
// Whom the doorbell of an env calls: what runs tasks on this thread, and what settles those that it has submitted.

import { rethrow } from './callbacks'
import { native } from './native'

/** What hooks of `node:async_hooks` see of the doorbell. Tools that look for what keeps a process alive ask it. */
const RESOURCE = { hasRef: () => native.isHeld() }

let turns: readonly (() => void)[] = []
let settle: (() => void) | undefined
let connected = false

function connect(): void {
  if (connected) return
  native.connect(ring, RESOURCE)
  connected = true
}

/** Makes this thread reachable as a worker: `turn` is called when there may be something to do. Returns how to stop that. */
export function onRing(turn: () => void): () => void {
  turns = [...turns, turn]
  connect()
  return () => {
    turns = turns.filter((other) => other !== turn)
    leave()
  }
}

/** Makes this thread reachable for what comes back: `callback` is called after those. */
export function settleWith(callback: () => void): void {
  settle = callback
  connect()
}

/** Nothing of this thread needs to be called at present. What is called holds all that belongs to the context that it is of. */
export function leave(): void {
  if (connected && turns.length === 0 && native.disconnect()) connected = false
}

function ring(): void {
  for (const turn of turns) {
    try {
      turn()
    } catch (error) {
      rethrow(error)
    }
  }
  settle?.()
}
