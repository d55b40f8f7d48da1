// Stage: run. Thread: a JS worker.
// Collects the garbage of a worker that has nothing to do, once until it has run something again: the engine does so only when
// memory is needed, and would keep what the worker used last for as long as it rests (src/garbage.rs).

import { native } from './native'
import { type ProcessMemory, processMemory } from './process-memory'
import { setTimeout } from './timers'

const MIB = 2 ** 20
/** Shortest rest after which it collects, ms. */
const LEAST = 1000
/** And for each MiB in use. Collecting takes about a millisecond for that, and so a hundredth of the time at most. */
const PER_MIB = 100
/** What must have come since the last time for it to be worth while soon, bytes; and of what there was left then. */
const GROWTH = MIB
const SHARE = 1 / 8
/** Shortest rest after which it collects without that, ms: what was left then may be garbage by now. */
const LONG = 30_000
/** Freed memory outside of the heap that the C library should not keep, bytes. */
const MUCH = 16 * MIB
/** Bytes that the heap holds, and what belongs to it. */
const heldOf = ({ heapTotal, external }: ProcessMemory): number => heapTotal + external

/** The worker whose heap it is. */
export interface Rested {
  /** Milliseconds since it had anything to do; 0 while it has. */
  idleTime(): number
}

export class IdleHeap {
  readonly #worker: Rested
  /** Whether it waits, or cannot collect. */
  #isSet = false
  /** Bytes that were held after the last time, or fewer later. */
  #left = 0

  constructor(worker: Rested) {
    this.#worker = worker
  }

  /** The worker has something to do, and will rest some time. */
  begin(): void {
    if (!this.#isSet) this.#wait(LEAST)
  }

  #wait(time: number): void {
    this.#isSet = true
    setTimeout(() => this.#look(), time).unref()
  }

  #look(): void {
    const idle = this.#worker.idleTime()
    if (idle < LEAST) {
      this.#wait(LEAST - idle)
      return
    }
    const memory = processMemory()
    const held = heldOf(memory)
    const hasGrown = held >= this.#left + Math.max(GROWTH, this.#left * SHARE)
    if (held < this.#left) this.#left = held
    const time = Math.max(LEAST + (memory.heapUsed / MIB) * PER_MIB, hasGrown ? 0 : LONG)
    if (idle < time) {
      this.#wait(time - idle)
      return
    }
    if (!native.stepBack()) {
      this.#wait(LEAST)
      return
    }
    // Where the engine cannot do it, it is never asked again.
    this.#isSet = !native.collectGarbage()
    const after = processMemory()
    this.#left = heldOf(after)
    if (memory.external - after.external >= MUCH) native.giveBackMemory()
  }
}
