// Stage: run. Thread: a JS worker.
// Memory that outlives this thread: claims of tasks that were taken ahead (J11), and answers that are held back (J5). See
// `Board` in crates/core/src/pool/js/ahead.rs for its parts and their sizes.

import { ANSWER_STRIDE } from './native'

const CELLS = 64
/** Most answers, and the words of their values. */
const ANSWERS = 64
const WORDS = 1024
const ANSWERS_AT = 4 * CELLS + 8
const WORDS_AT = ANSWERS_AT + 8 * ANSWERS * ANSWER_STRIDE
const SIZE = WORDS_AT + 8 * WORDS
const { compareExchange, store } = Atomics

/** See the head of this file. */
export class Board {
  readonly answers: Float64Array
  readonly words: Float64Array
  /** The same memory. */
  readonly bytes: Uint8Array
  /** The claims, and behind them how many answers there are. */
  readonly #cells: Int32Array

  constructor(memory: ArrayBuffer = new ArrayBuffer(SIZE)) {
    this.#cells = new Int32Array(memory, 0, CELLS + 1)
    this.answers = new Float64Array(memory, ANSWERS_AT, ANSWERS * ANSWER_STRIDE)
    this.words = new Float64Array(memory, WORDS_AT, WORDS)
    this.bytes = new Uint8Array(memory, WORDS_AT, 8 * WORDS)
  }

  /** Whether a task may begin, and nobody has taken it back; 0 is the tag of one that is nobody else's. */
  claim(tag: number): boolean {
    return tag === 0 || compareExchange(this.#cells, tag & (CELLS - 1), tag, 0) === tag
  }

  /** From here on so many answers are not lost with this thread. */
  hold(count: number): void {
    store(this.#cells, CELLS, count)
  }
}
