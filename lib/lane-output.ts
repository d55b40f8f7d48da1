// Stage: run. Thread: owner env.
// What JS workers write: it goes to the streams of this thread, or to those of the worker. Workers are told how much of it has
// been read (J19 in stdio.ts).

import process from 'node:process'
import type { Readable, Writable } from 'node:stream'
import { rethrow } from './callbacks'
import type { JsWorker } from './js-worker'
import type { LaneThread } from './lane-thread'
import { MOST_UNREAD, type Order, type Stream } from './protocol'
import { IS_NODE } from './runtime'

/** The lane, as seen from here. */
export interface OutputHost {
  /** By number: the threads there are, and the workers there have been. */
  readonly threads: readonly (LaneThread | undefined)[]
  readonly jsWorkers: readonly JsWorker[]
}

const STREAMS = ['stdout', 'stderr'] as const
/** What Node sets to false where it pipes a worker's stream itself: reading it does not keep the process alive. */
const HOLDS = 'kIncrementsPortRef'
/** A worker is told as often as this much has been read. */
const TOLD = MOST_UNREAD / 4

/** What a thread has written to one stream, in units of the chunks. */
interface Account {
  /** How much waits for a reader. */
  unread: number
  /** How much has been read, and not been told. */
  read: number
  /** What waits has been read. */
  readonly goOn: () => void
}

/** By stream of this thread: who waits for it to drain. Of all pools, for each listener counts. */
const waiting = new WeakMap<Writable, Set<() => void>>()

/** Calls `goOn` when a stream of this thread takes more, or nothing any more. */
function whenDrained(target: Writable, goOn: () => void): void {
  // What has been put in its place may be no stream.
  if (target.destroyed || typeof target.off !== 'function') {
    goOn()
    return
  }
  const others = waiting.get(target)
  if (others !== undefined) {
    others.add(goOn)
    return
  }
  const all = new Set([goOn])
  waiting.set(target, all)
  const end = (): void => {
    waiting.delete(target)
    target.off('drain', end)
    target.off('close', end)
    for (const each of all) each()
  }
  target.on('drain', end).on('close', end)
}

/**
 * Calls `read` when something has come. Who reads from a worker's stream asks the thread for more, which makes the streams of its
 * process to hear that (`endInput` in stdio.ts); most threads write nothing that way.
 */
function whenPushed(readable: Readable, read: () => void): void {
  const { push } = readable
  readable.push = (chunk, encoding) => {
    readable.push = push
    // Nobody waits for the end.
    if (chunk !== null) read()
    return readable.push(chunk, encoding)
  }
}

/** See the head of this file. */
export class LaneOutput {
  readonly #host: OutputHost
  readonly #accounts = new WeakMap<LaneThread, Record<Stream, Account>>()

  constructor(host: OutputHost) {
    this.#host = host
  }

  /** Reads what a thread writes before it redirects that, and where it cannot: it comes the way of the runtime. */
  capture({ worker }: LaneThread, index: number): void {
    for (const stream of STREAMS) {
      // Classes of the user's may have none.
      const readable = worker[stream] as (Readable & Record<symbol, unknown>) | null | undefined
      if (!readable) continue
      const holds = Object.getOwnPropertySymbols(readable).find(({ description }) => description === HOLDS)
      // It may go to the stream of the process by itself: not in Node, unless such a class has it so.
      const isPiped = holds === undefined ? !IS_NODE : readable[holds] === false
      if (isPiped && !this.#host.jsWorkers[index]?.[stream]) continue
      if (holds !== undefined) readable[holds] = false
      const read = (): void => {
        readable.on('data', (chunk: Uint8Array) => this.#put(index, stream, chunk, 'utf8'))
      }
      if (holds === undefined || readable.readableLength > 0) read()
      else whenPushed(readable, read)
    }
  }

  /** A worker has written something. */
  write(thread: LaneThread, stream: Stream, chunk: string | Uint8Array, encoding: BufferEncoding): void {
    const account = this.#accountsOf(thread)[stream]
    account.unread += chunk.length
    if (this.#put(thread.index, stream, chunk, encoding)) this.#wasRead(thread, stream)
    else if (!this.#host.jsWorkers[thread.index]?.[stream]) whenDrained(process[stream], account.goOn)
  }

  /** Somebody reads on from the stream of a worker. */
  readOn(index: number, stream: Stream): void {
    const thread = this.#host.threads[index]
    if (thread !== undefined) this.#wasRead(thread, stream)
  }

  /** All workers are gone, and none will come. */
  end(): void {
    for (const { stdout, stderr } of this.#host.jsWorkers.filter(Boolean)) {
      stdout?.push(null)
      stderr?.push(null)
    }
  }

  /** Whether there is no need to wait for somebody who reads it. */
  #put(index: number, stream: Stream, chunk: string | Uint8Array, encoding: BufferEncoding): boolean {
    const captured = this.#host.jsWorkers[index]?.[stream]
    try {
      if (captured === null || captured === undefined) return process[stream].write(chunk, encoding) !== false
      // What nobody has begun to read is kept, whatever it is.
      return captured.push(chunk, encoding) || captured.readableFlowing === null || captured.destroyed
    } catch (error) {
      // Whoever replaced `write` must not disturb the lane.
      rethrow(error)
      return true
    }
  }

  #wasRead(thread: LaneThread, stream: Stream): void {
    const account = this.#accountsOf(thread)[stream]
    account.read += account.unread
    account.unread = 0
    if (account.read < TOLD) return
    const order: Order = { type: 'text-read', stream, length: account.read }
    thread.control.postMessage(order)
    account.read = 0
  }

  #accountsOf(thread: LaneThread): Record<Stream, Account> {
    let accounts = this.#accounts.get(thread)
    if (accounts === undefined) {
      const account = (stream: Stream): Account => ({ unread: 0, read: 0, goOn: () => this.#wasRead(thread, stream) })
      accounts = { stdout: account('stdout'), stderr: account('stderr') }
      this.#accounts.set(thread, accounts)
    }
    return accounts
  }
}
