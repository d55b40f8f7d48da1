// Stage: submit. Thread: the owner env and its JS workers.
// A worker that ends by itself gives back the inputs that it got ahead and has not used. What is posted to it after it has looked
// for the last time would be lost with it, so it shares two words of memory with its owner.
//
// K1. An input is posted before the worker looks for the last time, or not at all.
// K2. The end of the worker is put off by no more than PATIENCE: what is being posted may have getters that never return.

import { native } from './native'

/** How long a worker waits for an input that is being posted, ms. */
const PATIENCE = 250

/** How many inputs are being posted, and whether the worker has looked for the last time. */
const [POSTING, GONE] = [0, 1]

// A task may replace them, and fake the time.
const { now } = native
const { add, load: look, notify, store, sub, wait } = Atomics

/** The words. */
export type LastLook = Int32Array<SharedArrayBuffer>

/** Those of a new worker. */
export function makeLastLook(): LastLook {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
}

/** In the owner: calls `post` unless the worker would not see what it posts. Whether it did. @throws what `post` throws */
export function postBefore(words: LastLook, post: () => void): boolean {
  add(words, POSTING, 1)
  try {
    if (look(words, GONE) === 1) return false
    post()
    return true
  } finally {
    sub(words, POSTING, 1)
    if (look(words, GONE) === 1) notify(words, POSTING)
  }
}

/** In the worker: all that is posted is there when this returns. */
export function lookLast(words: LastLook): void {
  store(words, GONE, 1)
  const deadline = now() + PATIENCE
  for (;;) {
    const posting = look(words, POSTING)
    const left = deadline - now()
    if (posting === 0 || left <= 0) return
    wait(words, POSTING, posting, left)
  }
}
