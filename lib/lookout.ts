// Stage: settle. Thread: owner env.
// Waiting for outcomes of tiny tasks at the end of the turn that has submitted them: to put the thread to sleep and wake it
// takes longer than they do.
//
// Q4. A thread looks out only while its event loop has nothing else to do, as far as its idle time tells, and only as long
//     as that is of use: after misses it pauses, twice as long each time. What is found is settled by the event loop, in its
//     turn.
// Q5. After something was found the worker is awake, and looks out itself before it sleeps: then a short look will do. Otherwise
//     it may have to be woken, which takes longer than a short look, so that without a long one it would be woken each time.

import { builtins } from './builtins'
import { native } from './native-owner'

const { min } = builtins

/** Turns that look out, before one is left to the event loop, to see whether it sleeps. */
const ROUND = 32
/** Turns of the longest pause. */
const LONGEST = 1024
/** Turns after one in which the event loop, or the CPU, had other things to do. */
const BUSY = 8

/** When a thread looks out. */
export class Patience {
  readonly #look: (isLong: boolean) => boolean | null | undefined
  readonly #idleTime: () => number
  /** Turns of this round that are left. */
  #looks = 0
  /** Turns to come that do nothing. */
  #pause = 0
  /** Turns without an outcome in time, one after the other. */
  #misses = 0
  /** Whether the turn before has found something. */
  #isAwake = false
  /** Idle time when the event loop was left to itself. */
  #slept = Number.POSITIVE_INFINITY

  /**
   * @param look waits a moment, or a longer one; whether there is an outcome. `null`: it does not now; `undefined`: it never will
   * @param idleTime what of its time the event loop has slept, in any unit
   */
  constructor(look: (isLong: boolean) => boolean | null | undefined, idleTime: () => number) {
    this.#look = look
    this.#idleTime = idleTime
  }

  /** The turn has submitted tasks that are measured to be tiny, and ends. */
  turnEnds(): void {
    if (this.#pause > 0) this.#pause--
    else if (this.#looks > 0 || this.#hasTime()) this.#lookOut()
  }

  /** Whether the event loop has slept since it was left to itself. Begins a round. */
  #hasTime(): boolean {
    const before = this.#slept
    this.#slept = this.#idleTime()
    if (this.#slept > before) this.#looks = ROUND
    else if (before < Number.POSITIVE_INFINITY) this.#pause = BUSY
    return this.#looks > 0
  }

  #lookOut(): void {
    this.#looks--
    const found = this.#look(!this.#isAwake)
    this.#isAwake = found === true && this.#looks > 0
    if (found === undefined) this.#pause = Number.POSITIVE_INFINITY
    else if (found === null) this.#pause = BUSY
    else if (!found) this.#pause = min(2 ** this.#misses++, LONGEST)
    else {
      this.#misses = 0
      if (this.#looks > 0) return
      this.#slept = this.#idleTime()
      this.#pause = 1
    }
  }
}

/** What it is asked of; some contexts have none, and fake timers give nothing. */
interface Clock {
  eventLoopUtilization?(): { readonly idle: number } | undefined
}

const patience = new Patience(
  (isLong) => native.lookOut(isLong),
  // Not at load: Node loads the clock when somebody asks for it, in 0.9 ms. Where there is none nobody looks out.
  () => (globalThis.performance as Clock | undefined)?.eventLoopUtilization?.()?.idle ?? 0,
)

/** As `Patience.turnEnds`, for this thread. */
export function lookOut(): void {
  patience.turnEnds()
}
