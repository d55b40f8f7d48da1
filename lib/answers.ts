// Stage: run. Thread: a JS worker.
// What has become of the tasks of a worker, as records for the next exchange.

import type { Transferable } from 'node:worker_threads'
import { Board } from './board'
import { type Encoded, FLAT, MOVED, PLAIN, POSTED } from './codecs'
import { copyWords } from './collections'
import { payload } from './lazy'
import { ANSWER_STRIDE, native } from './native'
import { closePorts } from './parcel'
import { transferOf } from './transfer'

/** Longest time that the answer of a tiny task waits for those of the next ones, ms. */
const HELD_BACK = 0.1

/** What the bootstrap of a worker does for its answers. */
export interface AnswersHost {
  /** There is no room for more: hands over what there is. */
  handOver(): void
  /** Posts what only `postMessage` can move; returns its key. */
  postValue(value: unknown, list: readonly Transferable[]): number
  /** A task has failed for that reason. */
  failed(reason: unknown): void
}

/** See the head of this file. */
export class Answers {
  board = new Board()
  count = 0
  /** Values that do not lie on the board. */
  #values: unknown[] = []
  #wordsUsed = 0
  /** When the first of these tasks ended, ms. */
  #since = 0
  readonly #host: AnswersHost

  constructor(host: AnswersHost) {
    this.#host = host
  }

  /** Whether there is no room for another one. */
  get isFull(): boolean {
    return this.count * ANSWER_STRIDE === this.board.answers.length
  }

  /** Whether they are to be handed over before another task begins: a value would be lost with this thread. */
  isDue(time: number): boolean {
    return this.#values.length > 0 || (this.count > 0 && time - this.#since >= HELD_BACK)
  }

  /** Notes how a task ended. Times in ms, `began` and `ended` by the addon's clock. */
  put(
    idIndex: number,
    idGeneration: number,
    given: unknown,
    hasFailed: boolean,
    overhead: number,
    began: number,
    ended: number,
  ): void {
    let value = given
    let failed = hasFailed
    let [tag, content, codec] = [0, 0, 0]
    let count = -1
    let encoded: Encoded | undefined
    try {
      const isUsual = typeof value === 'string' || (typeof value === 'object' && value !== null && isUnmarked(value))
      if (!failed && isUsual) {
        const made = this.#write(value as string | object)
        if (typeof made === 'number') count = made
        else encoded = made
      }
    } catch (error) {
      // Of a getter.
      value = error
      failed = true
    }
    if (typeof value === 'number' && !failed) [tag, content] = [4, value]
    else if (isSimple(value) && !failed) [tag, content] = [5, this.#addValue(value)]
    else {
      if (count < 0 && encoded === undefined) {
        if (!failed) {
          try {
            encoded = this.#encode(idIndex, idGeneration, value)
          } catch (error) {
            value = error
            failed = true
          }
        }
        const made = encoded ?? this.#holdReason(value)
        if (typeof made === 'number') count = made
        else {
          encoded = made
          count = failed ? -1 : this.#putRaw(made)
        }
      }
      if (count > 0) {
        ;[tag, content, codec] = [6, this.#wordsUsed, FLAT]
        this.#wordsUsed += count
      } else {
        const { codec: how, data } = encoded as Encoded
        ;[tag, content, codec] = [5, this.#values.length, how]
        // A reason that only the platform can clone has been cloned, so that posting it cannot fail.
        this.#addValue(failed && how === POSTED ? this.#host.postValue(data, []) : data)
      }
    }
    const { answers } = this.board
    const at = this.count * ANSWER_STRIDE
    answers[at] = idIndex
    answers[at + 1] = idGeneration
    answers[at + 2] = tag
    answers[at + 3] = content
    answers[at + 4] = codec
    answers[at + 5] = failed ? 1 : 0
    answers[at + 6] = overhead
    answers[at + 7] = began
    answers[at + 8] = ended
    if (this.count++ === 0) this.#since = ended
    this.board.hold(this.count)
    if (failed) this.#host.failed(value)
  }

  /** Hands them over and, unless `visit` is 0, brings what is to begin now; see src/js/worker.rs. */
  exchange(visit: 0 | 1 | 2 | 3, tasks: Float64Array, taskValues: unknown[], taskWords: Float64Array): number {
    const { board, count } = this
    const values = this.#values
    this.count = 0
    this.#wordsUsed = 0
    if (values.length > 0) this.#values = []
    const brought = native.exchange(board.answers, count, values, tasks, taskValues, visit, board.words, taskWords)
    board.hold(0)
    return brought
  }

  /** Writes a value behind the others. Returns how many words it takes, what goes alone, or nothing; see `encodeAlone`. */
  #write(value: object | string): number | Encoded | undefined {
    const { MOST_RAW_WORDS, MOST_TOGETHER, encodeAlone, putHeld, write, written } = payload()
    const count = write(value)
    if (count < 0) {
      if (typeof value === 'string') return undefined
      // Before: to hand over may have other values serialized.
      this.#reserve(MOST_RAW_WORDS)
      const made = encodeAlone(value)
      if (typeof made !== 'number') return made
      return putHeld(made, this.board.words, this.board.bytes, this.#wordsUsed)
    }
    if (count > MOST_TOGETHER) return { codec: FLAT, data: copyWords(written, 0, count) }
    this.#reserve(count)
    const { words } = this.board
    for (let i = 0; i < count; i++) words[this.#wordsUsed + i] = written[i] as number
    return count
  }

  /** Puts the reason of a failure behind the others; how many words it takes, or what goes alone. */
  #holdReason(reason: unknown): number | Encoded {
    const { MOST_RAW_WORDS, holdReason, putHeld } = payload()
    this.#reserve(MOST_RAW_WORDS)
    const made = holdReason(reason)
    return typeof made === 'number' ? putHeld(made, this.board.words, this.board.bytes, this.#wordsUsed) : made
  }

  /** Puts encoded bytes behind the others, if they are not too many; how many words they take, or -1. */
  #putRaw(encoded: Encoded): number {
    const count = payload().rawLength(encoded)
    if (count < 0) return -1
    this.#reserve(count)
    payload().putRaw(encoded, this.board.words, this.board.bytes, this.#wordsUsed)
    return count
  }

  /** Where the value is put. */
  #addValue(value: unknown): number {
    const at = this.#values.length
    this.#values[at] = value
    return at
  }

  #reserve(count: number): void {
    if (this.#wordsUsed + count > this.board.words.length) this.#host.handOver()
  }

  /** @throws what cannot be cloned throws */
  #encode(idIndex: number, idGeneration: number, value: unknown): Encoded {
    const { Prepared, encodeMarked, moveCopy, moveMemory } = payload()
    const { encoded, list } = encodeMarked(value)
    if (encoded.codec !== POSTED) {
      const memory = encoded.codec === PLAIN ? moveCopy(encoded.data, value) : -1
      return memory >= 0 ? { codec: MOVED, data: memory } : encoded
    }
    // Nobody would fetch the output of a task that was given up.
    if (!native.isWanted(idIndex, idGeneration)) {
      if (Prepared.is(value)) closePorts({ value: undefined, list })
      return { codec: PLAIN, data: undefined }
    }
    const memory = moveMemory(encoded.data, list)
    if (memory >= 0) return { codec: MOVED, data: memory }
    return { codec: POSTED, data: this.#host.postValue(encoded.data, list) }
  }
}

/** Whether nothing of it is to be moved, nor has been. */
function isUnmarked(value: object): boolean {
  return !payload().Prepared.is(value) && transferOf(value) === undefined
}

/** Whether there is nothing to encode. */
function isSimple(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'boolean'
}
