// Stage: run. Thread: a JS worker.
// Collects the garbage of a worker that has nothing to do, once until it has run something again: the engine does so only when
// memory is needed, and would keep what the worker used last for as long as it rests (src/garbage.rs).

import process from 'node:process'
import { native } from './native'
import { setTimeout } from './timers'

const MIB = 2 ** 20
/** Shortest rest after which it collects, ms. */
const LEAST = 1000
/** And for each MiB in use. Collecting takes about a millisecond for that, and so a hundredth of the time at most. */
const PER_MIB = 100
/** What must have come since the last time for it to be worth while, bytes; and of what there was left then. */
const GROWTH = MIB
const SHARE = 1 / 8
/** Test runners replace it. */
const { memoryUsage } = process

/** The worker whose heap it is. */
export interface Rested {
  /** Milliseconds since it had anything to do; 0 while it has. */
  idleTime(): number
}

export class IdleHeap {
  readonly #worker: Rested
  /** Whether it waits, or cannot collect. */
  #isSet = false
  /** Bytes after the last time. */
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
    const { heapUsed, heapTotal, external } = memoryUsage.call(process)
    const held = heapTotal + external
    if (held < this.#left + Math.max(GROWTH, this.#left * SHARE)) {
      this.#isSet = false
      return
    }
    const time = LEAST + (heapUsed / MIB) * PER_MIB
    if (idle < time) {
      this.#wait(time - idle)
      return
    }
    // Where the engine cannot do it, it is never asked again.
    this.#isSet = !native.collectGarbage()
    const after = memoryUsage.call(process)
    this.#left = after.heapTotal + after.external
  }
}
