// Stage: submit and settle. Thread: owner env.
// The tasks of a `map` or a stream that are in progress, or ended and not yet passed on. Each takes constant time, however many
// there are.

import { cancel } from './port'
import { Queue } from './queue'

/** One of them. */
export interface Entry {
  /** -1 when settled. */
  slot: number
  state: 'pending' | 'fulfilled' | 'rejected'
  value: unknown
}

/** See the head of this file. */
export class TaskWindow {
  readonly #isOrdered: boolean
  /** What is passed on next: all of them in the order of their inputs, or those that have ended in that order. */
  #queue = new Queue<Entry>()
  /** Those in progress, unless they are in the queue. */
  readonly #running = new Set<Entry>()

  constructor(isOrdered: boolean) {
    this.#isOrdered = isOrdered
  }

  get length(): number {
    return this.#queue.length + this.#running.size
  }

  add(entry: Entry): void {
    if (this.#isOrdered || entry.state !== 'pending') this.#queue.push(entry)
    else this.#running.add(entry)
  }

  /** Notes how a task has ended, also before it is added. */
  end(entry: Entry, state: 'fulfilled' | 'rejected', value: unknown): void {
    entry.slot = -1
    entry.state = state
    entry.value = value
    if (this.#running.delete(entry)) this.#queue.push(entry)
  }

  /** The next one to be passed on, if it has ended. */
  take(): Entry | undefined {
    return this.#queue.length > 0 && this.#queue.first.state !== 'pending' ? this.#queue.shift() : undefined
  }

  /** Gives all of them up, and is empty. */
  cancelAll(): void {
    const all = [...this.#queue.toArray(), ...this.#running]
    this.#queue = new Queue()
    this.#running.clear()
    for (const { slot } of all) if (slot >= 0) cancel(slot, undefined)
  }
}
