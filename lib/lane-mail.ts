// Stage: run. Thread: owner env.
// Messages between a pool and its JS workers.
//
// J8. What only `postMessage` can move is posted before the scheduler is told of it, so whoever hears of it finds it in
//     the port's queue.
// J14. What is posted to a worker that has been told to go, and is replaced, is kept for whoever takes its number, and comes
//     before anything else there. What was posted before, the worker hears before it goes (J6 in worker.ts).

import type { Transferable } from 'node:worker_threads'
import type { IWorker } from '..'
import { warnUnreadable, warnUnsent } from './callbacks'
import { decode, encode } from './codec'
import { type Encoded, POSTED } from './codecs'
import { wrongValue } from './errors'
import type { JsWorker } from './js-worker'
import type { LaneThread } from './lane-thread'
import { encodeMarked, keep, type Prepared } from './marked'
import { native } from './native-owner'
import type { Observer } from './owner'
import { closePorts, post } from './parcel'
import type { ParcelStore } from './parcel-store'
import { flush } from './port'
import type { Order } from './protocol'
import { transferOf } from './transfer'

/** The lane, as seen from here. */
export interface MailHost {
  readonly handle: number
  readonly store: ParcelStore
  /** By number: the threads there are, and the workers there have been. */
  readonly threads: readonly (LaneThread | undefined)[]
  readonly jsWorkers: readonly JsWorker[]
  /** A message for the listeners of the pool. */
  message(type: string, contents: unknown, origin: IWorker): void
}

/** See the head of this file. */
export class LaneMail {
  readonly #host: MailHost
  /** Numbers of workers that have ended to be replaced, and have not been yet. */
  readonly #awaited = new Set<number>()
  /** By number: what is kept for who comes next (J14). */
  readonly #kept = new Map<number, { readonly type: string; readonly contents: Prepared }[]>()

  constructor(host: MailHost) {
    this.#host = host
  }

  /** A message of a worker, about the task that `observer` watches. */
  receive(type: string, codec: number, data: unknown, index: number, observer: Observer | undefined): void {
    let contents: unknown
    if (codec === POSTED) {
      const parcel = this.#host.store.takeValue(index, data as number)
      if (parcel === undefined) {
        warnUnreadable(`a message of type '${type}' of worker ${index}`, undefined)
        return
      }
      contents = parcel.value
    } else {
      try {
        contents = decode(codec, data)
      } catch (error) {
        // Nested too deep for this thread's stack, for instance: a worker shall not end its owner.
        warnUnreadable(`a message of type '${type}' of worker ${index}`, error)
        return
      }
    }
    observer?.message(type, contents)
    const origin = this.#host.jsWorkers[index]
    if (origin !== undefined) this.#host.message(type, contents, origin)
  }

  /**
   * Sends a message to every worker that exists. What is moved can go to one only; `isHeardHere`: whether this thread counts as one.
   * @throws DataCloneError
   */
  broadcast(type: string, contents: unknown, transfer: unknown, isHeardHere: boolean): void {
    if (transferOf(contents) !== undefined || transfer !== undefined) {
      const all = [...this.#host.threads.keys()].filter((index) => this.#host.threads[index] !== undefined)
      if (all.length > 1 || (all.length === 1 && isHeardHere))
        throw wrongValue('contents', 'without what is moved, which cannot go to several workers', contents)
      for (const index of all) this.post(index, type, contents, transfer)
      return
    }
    const encoded = encode(contents)
    // Tasks submitted before it are handed over first.
    flush()
    for (const [index, thread] of this.#host.threads.entries()) {
      if (thread !== undefined) this.#send(index, thread, type, encoded, [])
    }
  }

  /** Sends a message to one of them. @throws DataCloneError */
  post(index: number, type: string, contents: unknown, transfer: unknown): void {
    const { encoded, list } = encodeMarked(contents, transfer)
    const thread = this.#host.threads[index]
    if (thread === undefined) {
      // The number may be another's when the pool has ended.
      if (this.#awaited.has(index)) this.#keep(index, type, encoded, list)
      return
    }
    // Tasks submitted before it come first.
    flush()
    this.#send(index, thread, type, encoded, list)
  }

  #send(index: number, thread: LaneThread, type: string, encoded: Encoded, list: Transferable[], isKept = false): void {
    if (thread.isDeaf && thread.hasHeir) {
      this.#keep(index, type, encoded, list)
      return
    }
    const { handle, store } = this.#host
    const { codec, data } = encoded
    let contents = data
    if (codec === POSTED) {
      const key = store.newKey()
      const order: Order = { type: 'value', key, value: data, list }
      post(thread.control, order, list)
      contents = key
    }
    native.postToWorker(handle, index, type, codec, contents, isKept)
  }

  #keep(index: number, type: string, encoded: Encoded, list: Transferable[]): void {
    const message = { type, contents: keep(encoded, list) }
    const others = this.#kept.get(index)
    if (others === undefined) this.#kept.set(index, [message])
    else others.push(message)
  }

  /** A worker has ended, to be replaced when a task takes it. */
  awaitHeir(index: number): void {
    this.#awaited.add(index)
  }

  /** A worker is being launched: it gets what is kept for its number. */
  handOver(thread: LaneThread): void {
    const { index } = thread
    this.#awaited.delete(index)
    const kept = this.#kept.get(index) ?? []
    this.#kept.delete(index)
    for (const { type, contents } of kept) {
      try {
        this.#send(index, thread, type, contents.encoded, contents.list, true)
      } catch (error) {
        // A port in it has been closed meanwhile. Nobody who launches a worker is to hear of that.
        closePorts({ value: undefined, list: contents.list })
        warnUnsent(`a message of type '${type}' for worker ${index}`, error)
      }
    }
  }

  /** All workers are gone, and none will come. */
  end(): void {
    for (const { contents } of [...this.#kept.values()].flat()) closePorts({ value: undefined, list: contents.list })
    this.#kept.clear()
    this.#awaited.clear()
  }
}
