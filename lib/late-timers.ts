// Stage: all. Thread: any.
// Timers in place of those of Node, where these were fakes when the package was loaded: whoever tests with fake timers may load it
// only then. The engine has a clock of its own, by which a wait for shared memory ends.

import { MessageChannel } from 'node:worker_threads'

type Callback = (...args: unknown[]) => void
type WaitAsync = (
  array: Int32Array,
  index: number,
  value: number,
  timeout: number,
) => { readonly value: Promise<unknown> }

/** Nobody ever changes or notifies it. */
const cell = new Int32Array(new SharedArrayBuffer(4))
// Newer than the oldest library of types that is compiled against.
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync
/** Anything less than a millisecond ends with the next turn of the event loop; 0 would not be waited for. */
const LEAST = 0.01

/** Keeps the process alive while a timer counts for that: what the engine waits for does not. */
const { port1: keeper } = new MessageChannel()
keeper.on('message', () => {})
keeper.unref()
let keeping = 0

/** A timer, with what Node's have. */
export class LateTimer {
  readonly #callback: Callback
  readonly #args: readonly unknown[]
  readonly #delay: number
  readonly #repeats: boolean
  #isActive = true
  #hasRef = true
  /** How often it was begun: what ends for an earlier time counts for nothing. */
  #round = 0

  constructor(callback: Callback, delay: number, args: readonly unknown[], repeats: boolean) {
    this.#callback = callback
    this.#delay = Math.max(LEAST, delay)
    this.#args = args
    this.#repeats = repeats
    keep(1)
    this.#begin()
  }

  #begin(): void {
    const round = ++this.#round
    waitAsync(cell, 0, 0, this.#delay).value.then(() => {
      if (!this.#isActive || round !== this.#round) return
      if (this.#repeats) this.#begin()
      else this.close()
      try {
        this.#callback(...this.#args)
      } catch (error) {
        throwOutside(error)
      }
    })
  }

  ref(): this {
    if (!this.#hasRef && this.#isActive) keep(1)
    this.#hasRef = true
    return this
  }

  unref(): this {
    if (this.#hasRef && this.#isActive) keep(-1)
    this.#hasRef = false
    return this
  }

  hasRef(): boolean {
    return this.#hasRef
  }

  refresh(): this {
    if (!this.#isActive) {
      this.#isActive = true
      if (this.#hasRef) keep(1)
    }
    this.#begin()
    return this
  }

  close(): this {
    if (this.#isActive && this.#hasRef) keep(-1)
    this.#isActive = false
    return this
  }
}

function keep(change: 1 | -1): void {
  keeping += change
  if (keeping === 0) keeper.unref()
  else if (keeping === 1 && change === 1) keeper.ref()
}

/** Makes an error an uncaught exception: what handles messages has no promise around it. */
export function throwOutside(error: unknown): void {
  const { port1, port2 } = new MessageChannel()
  port1.once('message', () => {
    port1.close()
    throw error
  })
  port2.postMessage(undefined)
}

const end = (timer: unknown): void => {
  if (timer instanceof LateTimer) timer.close()
}

/** As those of Node. */
export const lateTimers = {
  setTimeout: (callback: Callback, delay = 1, ...args: unknown[]) => new LateTimer(callback, delay, args, false),
  setInterval: (callback: Callback, delay = 1, ...args: unknown[]) =>
    new LateTimer(callback, Math.max(1, delay), args, true),
  setImmediate: (callback: Callback, ...args: unknown[]) => new LateTimer(callback, 0, args, false),
  clearTimeout: end,
  clearInterval: end,
  clearImmediate: end,
}
