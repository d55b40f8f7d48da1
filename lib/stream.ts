// Stage: submit and settle. Thread: owner env.
// `pool.stream()`: a Duplex of inputs and outputs for `pipeline`.
//
// D1. At most `concurrency` inputs are in progress, or finished and not yet passed on; a write beyond that is not
//     acknowledged, which holds the source up.
// D2. Destroying the stream, a failed task and its signal cancel what is in progress. When the pool ends, what it has
//     admitted still comes, as `close()` promises, and the error after it.
// D3. Every write is answered, also when the stream is destroyed before it is taken.
// D4. Its tasks keep it, a write that waits for room in the pool does, and its signal while a write or the end is unanswered.

import { AsyncResource } from 'node:async_hooks'
import { Duplex } from 'node:stream'
import { rethrow } from './callbacks'
import { isInstance, wrongValue } from './errors'
import { concurrencyOf, type MapSettings, type Submitter, wasFull } from './map'
import { cancel } from './port'
import { follow, reasonOf } from './signals'
import { type Entry, TaskWindow } from './task-window'
import { Tie } from './tie'
import { nextTick } from './timers'

type Callback = (error?: Error | null) => void

interface Writing {
  readonly input: unknown
  readonly callback: Callback
}

/** See the head of this file. */
export class TaskStream extends Duplex {
  readonly #settings: MapSettings
  readonly #pool: Submitter
  readonly #window: TaskWindow
  readonly #toPool: Tie<TaskStream> | undefined
  readonly #toSignal: Tie<TaskStream> | undefined
  /** Of whoever made it: what comes of tasks, and writes that go on, are told there. */
  readonly #context = new AsyncResource('threadmill:stream')
  #writing: Writing | undefined
  #finishing: Callback | undefined
  #isWaiting = false
  /** Whether nobody has it yet. */
  #isNew = true
  /** Why nothing more is admitted. */
  #refusal: Error | undefined
  /** Whether the reader wants more. */
  #flows = false

  constructor(settings: MapSettings, pool: Submitter) {
    super({ objectMode: true, writableHighWaterMark: 1 })
    this.#settings = settings
    this.#window = new TaskWindow(settings.ordered)
    this.#pool = pool
    const { signal } = settings
    if (signal?.aborted) this.#refuse(reasonOf(signal))
    else {
      if (signal !== undefined) this.#toSignal = new Tie(this, (tell) => follow(signal, tell), TaskStream.#aborted)
      this.#toPool = new Tie(this, (tell) => pool.onEnd(tell), TaskStream.#poolEnded)
    }
    this.#isNew = false
  }

  static readonly #aborted = (stream: TaskStream, reason: unknown): void => {
    stream.#fail(reason)
  }

  static readonly #poolEnded = (stream: TaskStream, reason: unknown): void => {
    stream.#refuse(reason)
  }

  override _write(input: unknown, _encoding: string, callback: Callback): void {
    this.#writing = { input, callback }
    this.#toSignal?.hold(this)
    this.#advance()
  }

  override _final(callback: Callback): void {
    this.#finishing = callback
    this.#toSignal?.hold(this)
    this.#advance()
  }

  override _read(): void {
    this.#flows = true
    this.#advance()
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#toSignal?.cut()
    this.#toPool?.cut()
    this.#window.cancelAll()
    const writing = this.#writing
    this.#writing = undefined
    callback(error)
    // Node tells those who wait behind it when it has been answered.
    if (writing !== undefined) nextTick(() => writing.callback(error ?? lateWrite()))
  }

  /** Nothing is admitted any more: what is in progress still comes, if nothing else is to be written. */
  #refuse(reason: unknown): void {
    if (this.writableEnded && this.#writing === undefined && this.writableLength === 0) return
    this.#refusal = asError(reason)
    // Node pipes into no stream that is destroyed already, and then nobody listens for its error.
    if (this.#isNew) nextTick(() => this.#advance())
    else this.#goOn()
  }

  /** `#advance`, in the context of the stream. */
  #goOn(): void {
    this.#context.runInAsyncScope(this.#advance, this)
  }

  #fail(reason: unknown): void {
    this.#context.runInAsyncScope(this.destroy, this, asError(reason))
  }

  /** Takes an input on, and passes outputs on, as far as that is possible. */
  #advance(): void {
    if (this.destroyed) return
    while (this.#flows) {
      const entry = this.#window.take()
      if (entry === undefined) break
      if (entry.value === null || entry.value === undefined) {
        this.destroy(wrongValue('an output of a stream', 'neither null nor undefined', entry.value))
        return
      }
      this.#flows = this.push(entry.value)
    }
    if (this.#refusal !== undefined) {
      if (this.#window.length === 0) this.destroy(this.#refusal)
      return
    }
    const writing = this.#writing
    if (writing !== undefined && this.#window.length < concurrencyOf(this.#settings, this.#pool)) {
      if (!this.#pool.hasRoom() || !this.#submit(writing)) this.#waitForRoom()
    }
    if (this.#finishing !== undefined && this.#window.length === 0) {
      this.push(null)
      const callback = this.#finishing
      this.#finishing = undefined
      this.#toSignal?.release()
      callback()
    }
  }

  #waitForRoom(): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#pool.whenRoom().then(() => {
      this.#isWaiting = false
      this.#goOn()
    })
  }

  /** Submits the input; `false` when there was room, but not for as many bytes. */
  #submit(writing: Writing): boolean {
    const { input, callback } = writing
    this.#writing = undefined
    const entry: Entry = { slot: -1, state: 'pending', value: undefined }
    const resolve = (value: unknown): void => {
      this.#window.end(entry, 'fulfilled', value)
      apart(() => this.#goOn())
    }
    const reject = (reason: unknown): void => {
      entry.slot = -1
      apart(() => this.#fail(reason))
    }
    try {
      entry.slot = this.#pool.start(input, resolve, reject)
    } catch (error) {
      if (wasFull(error) && !this.#pool.hasRoom() && !this.destroyed) {
        this.#writing = writing
        return false
      }
      this.#toSignal?.release()
      callback(asError(error))
      return true
    }
    // A getter of the input may have destroyed the stream.
    if (!this.destroyed) this.#window.add(entry)
    else if (entry.slot >= 0) cancel(entry.slot, undefined)
    this.#toSignal?.release()
    callback()
    return true
  }
}

/** Calls what may call listeners, none of whom may disturb the settling of a task. */
function apart(call: () => void): void {
  try {
    call()
  } catch (error) {
    rethrow(error)
  }
}

/** What Node gives to writes that a stream does not come to any more. */
function lateWrite(): Error {
  const error = new Error('Cannot call write after a stream was destroyed')
  return Object.assign(error, { code: 'ERR_STREAM_DESTROYED' })
}

/** Streams tell of errors only. */
function asError(reason: unknown): Error {
  return isInstance(reason, Error) ? reason : Object.assign(new Error('a task of the stream failed'), { reason })
}
