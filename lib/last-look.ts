// Stage: submit. Thread: the owner env and its JS workers.
// A worker that ends by itself gives back the inputs that it got ahead and has not used. What is posted to it after it has looked
// for the last time would be lost with it, so it shares two words of memory with its owner.
//
// K1. An input is posted before the worker looks for the last time, or not at all.
// K2. The end of the worker is put off by no more than PATIENCE: what is being posted may have getters that never return.

/** How long a worker waits for an input that is being posted, ms. */
const PATIENCE = 250

/** How many inputs are being posted, and whether the worker has looked for the last time. */
const [POSTING, GONE] = [0, 1]

/** The words. */
export type LastLook = Int32Array<SharedArrayBuffer>

/** Those of a new worker. */
export function makeLastLook(): LastLook {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
}

/** In the owner: calls `post` unless the worker would not see what it posts. Whether it did. @throws what `post` throws */
export function postBefore(look: LastLook, post: () => void): boolean {
  Atomics.add(look, POSTING, 1)
  try {
    if (Atomics.load(look, GONE) === 1) return false
    post()
    return true
  } finally {
    Atomics.sub(look, POSTING, 1)
    if (Atomics.load(look, GONE) === 1) Atomics.notify(look, POSTING)
  }
}

/** In the worker: all that is posted is there when this returns. */
export function lookLast(look: LastLook): void {
  Atomics.store(look, GONE, 1)
  for (let left = PATIENCE; left > 0; left--) {
    const posting = Atomics.load(look, POSTING)
    if (posting === 0) return
    Atomics.wait(look, POSTING, posting, 1)
  }
}
