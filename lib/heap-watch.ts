// Stage: run. Thread: a JS worker whose pool limits the heap of its workers.
// Tells of the heap of this worker when it has become too big.

import { getHeapStatistics } from 'node:v8'
import { native } from './native'
import type { HeapWatch as Limits } from './protocol'

/** Shortest time between two looks at the heap, ms. */
const PACE = 100
const { now } = native

/** Who is told of the heap. */
export interface HeapListener {
  /** The worker is to be replaced. */
  usedUp(): void
  /** It has that many bytes in use, which is above the limit. */
  exceeded(used: number): void
}

/** Looks at the heap between tasks. */
export class HeapWatch {
  readonly #limits: Limits
  readonly #listener: HeapListener
  #atFirst = 0
  #seen = Number.NEGATIVE_INFINITY
  #told = Number.NEGATIVE_INFINITY

  constructor(limits: Limits, listener: HeapListener) {
    this.#limits = limits
    this.#listener = listener
  }

  look(): void {
    if (now() - this.#seen < PACE) return
    const { heapBytes, heapGrowth, limit, interval } = this.#limits
    const used = getHeapStatistics().used_heap_size
    if (this.#atFirst === 0) this.#atFirst = used
    this.#seen = now()
    if (used >= heapBytes || used >= this.#atFirst * heapGrowth) this.#listener.usedUp()
    if (used <= limit || this.#seen - this.#told < interval) return
    this.#told = this.#seen
    this.#listener.exceeded(used)
  }
}
