// Stage: run. Thread: owner env.
// Ends JS workers that have run nothing for a while, down to the least that a pool keeps.

import { native } from './native-owner'
import { clearInterval, setInterval } from './timers'

/** Longest and shortest time between two looks, ms. */
const MOST = 30_000
const LEAST = 5

/** What is looked after. */
export interface Herd {
  readonly handle: number
  /** Workers more than the least that are kept. */
  readonly surplus: number
  /** Whether idle ones may end now. */
  readonly mayShrink: boolean
  /** Ends a worker if it is idle (1); it is no surplus any more at once. */
  recycle(index: number, which: 1): void
}

/** See the head of this file. It never keeps the process alive. */
export class IdleSweep {
  readonly #herd: Herd
  readonly #idleTimeout: number
  #timer: ReturnType<typeof setInterval> | undefined

  /** `idleTimeout`: ms; `Infinity` for never. */
  constructor(herd: Herd, idleTimeout: number) {
    this.#herd = herd
    this.#idleTimeout = idleTimeout
  }

  /** A worker has been launched: looks from now on, until there is none to spare. */
  watch(): void {
    if (this.#timer !== undefined || this.#idleTimeout === Number.POSITIVE_INFINITY) return
    if (this.#herd.surplus <= 0) return
    const period = Math.min(MOST, Math.max(LEAST, this.#idleTimeout / 2))
    this.#timer = setInterval(() => this.#look(), period).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** The one that has been idle longest goes first. */
  #look(): void {
    for (const { index, time } of idleWorkers(this.#herd.handle)) {
      if (this.#herd.surplus <= 0 || !this.#herd.mayShrink) break
      if (time >= this.#idleTimeout) this.#herd.recycle(index, 1)
    }
    if (this.#herd.surplus <= 0) this.stop()
  }
}

/** JS workers that run nothing, and for how long, ms; longest first. */
export function idleWorkers(handle: number): { index: number; time: number }[] {
  const flat = native.idleWorkers(handle)
  const workers = []
  for (let at = 0; at < flat.length; at += 2) workers.push({ index: flat[at] as number, time: flat[at + 1] as number })
  return workers.sort((a, b) => b.time - a.time)
}
