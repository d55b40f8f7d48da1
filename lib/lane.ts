// Stage: run. Thread: owner env.
// The JS lane of a pool: launches workers, hears how they end, and shuts them down. Which worker runs what is decided by
// the scheduler.
//
// J3. Every worker that was launched is told to the scheduler as joined before, and as left after its thread has ended.
// J4. A worker that cannot load the entry module is not launched again: what waits rejects with the reason.

import path from 'node:path'
import { setTimeout } from 'node:timers'
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Transferable, Worker } from 'node:worker_threads'
import type { IWorker } from '..'
import { encode } from './codec'
import type { EntryPlace } from './entry'
import { ThreadmillError } from './errors'
import { native } from './native'
import { flush, type Observer, type Owner, settleNow } from './port'
import { decodeReason, encodeReason } from './reason'
import type { SeatSettings } from './seat'

/** What a pool with a module is told about its JS workers. */
export interface LaneSettings {
  readonly maxWorkers: number
  readonly taskPerWorker: number
  readonly workerConcurrency: number
  /** ms that a worker has for `onWorkerExit`. */
  readonly disposeTimeout: number
  /** Launch all of them at construction. */
  readonly launchAll: boolean
  /** Options for `new Worker`. */
  readonly workerOptions: Readonly<Record<string, unknown>>
  readonly workerData: unknown
}

/** What a worker is started with. */
export interface Launch {
  readonly poolId: number
  readonly index: number
  readonly place: EntryPlace
  readonly control: MessagePort
  readonly concurrency: number
  /** What the worker has to know of its pool to submit to it. */
  readonly seat: SeatSettings
  readonly workerData: unknown
}

/** What a worker reports on its control port. */
export type Report =
  | { readonly type: 'ready' }
  /** It has begun a task and needs the value that only `postMessage` can move. */
  | { readonly type: 'fetch'; readonly key: number }
  /** The output of a task that only `postMessage` can move. */
  | { readonly type: 'output'; readonly key: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly codec: number; readonly data: unknown }

/** What the owner tells a worker on its control port. */
export type Order =
  | { readonly type: 'exit' }
  | { readonly type: 'input'; readonly key: number; readonly value: unknown; readonly list: readonly unknown[] }
  | { readonly type: 'refused'; readonly key: number; readonly codec: number; readonly data: unknown }

/** A value that waits to be posted, and what of it is moved. */
interface Parcel {
  readonly value: unknown
  readonly list: readonly Transferable[]
}

/** What the lane needs of its pool. */
export interface LaneHost {
  readonly handle: number
  readonly name: string
  settled(succeeded: boolean, value: unknown, observer: Observer | undefined): void
  launched(worker: IWorker): void
  exited(worker: IWorker, exitCode: number, error: unknown): void
  message(type: string, contents: unknown, origin: IWorker): void
}

/** Crashes in a row, without a task that succeeded, after which what waits is rejected. */
const CRASH_LIMIT = 3
const SCRIPT = path.join(__dirname, 'worker.js')

/** A JS worker as users see it. */
class JsWorker implements IWorker {
  readonly id: number
  readonly lane = 'js'
  readonly #post: (type: string, contents: unknown) => void

  constructor(id: number, post: (type: string, contents: unknown) => void) {
    this.id = id
    this.#post = post
  }

  postMessageToWorker(type: string, contents?: unknown): this {
    this.#post(type, contents)
    return this
  }

  toString(): string {
    return String(this.id)
  }
}

/** The thread behind a number. */
interface Thread {
  readonly worker: Worker
  readonly control: MessagePort
  ready: boolean
  /** The error that ended it. */
  cause: unknown
  hasCause: boolean
}

/** Who waits for an output. */
type Waiter = (succeeded: boolean, value: unknown) => void

/** How the last worker with a number ended without being asked to. */
interface Crash {
  readonly exitCode: number
  readonly cause: unknown
}

/** See the head of this file. */
export class JsLane implements Owner {
  readonly handle: number
  readonly #host: LaneHost
  readonly #place: EntryPlace
  readonly #settings: LaneSettings
  readonly #seat: SeatSettings
  readonly #poolId: number
  readonly #threads: (Thread | undefined)[] = []
  readonly #workers: JsWorker[] = []
  readonly #crashes: (Crash | undefined)[] = []
  #launched = 0
  #pending = 0
  #crashesInARow = 0
  /** Unsettled tasks that each worker submitted. */
  readonly #foreign: number[] = []
  /** Inputs that only `postMessage` can move, by key. */
  readonly #parcels = new Map<number, Parcel>()
  #nextKey = 0
  /** By worker and key: outputs that came before their answers, and answers before their outputs. */
  readonly #outputs: Map<number, unknown>[] = []
  readonly #awaited: Map<number, Waiter>[] = []
  /** Why the entry module cannot be used. */
  #broken: { readonly reason: unknown } | undefined
  #closing = false
  #lastCrash: Crash | undefined
  #gone: Promise<void> | undefined
  #allGone: (() => void) | undefined
  /** Smoothed run time of the entry function, ms. */
  runTime: number | undefined

  constructor(host: LaneHost, place: EntryPlace, settings: LaneSettings, seat: SeatSettings) {
    this.handle = host.handle
    this.#host = host
    this.#place = place
    this.#settings = settings
    this.#seat = seat
    this.#poolId = native.shareWorkers(host.handle)
    if (settings.launchAll) for (let index = 0; index < settings.maxWorkers; index++) this.#launch(index)
  }

  /** The workers that exist. */
  get workers(): readonly IWorker[] {
    return this.#workers.filter((_, index) => this.#threads[index] !== undefined)
  }

  /** The worker with this number, as users see it. */
  worker(index: number): IWorker | undefined {
    return this.#workers[index]
  }

  /** @throws ThreadmillError when the entry module cannot be used */
  check(): void {
    if (this.#broken !== undefined) throw this.#unusable(this.#broken.reason)
  }

  /**
   * A task is about to be submitted: launches the workers that it takes. `wanted` is the worker it asks for, or -1.
   * @throws ThreadmillError when the entry module cannot be used
   */
  admit(wanted: number): void {
    this.check()
    this.#pending++
    try {
      this.#launchFor(wanted)
    } catch (error) {
      this.#pending--
      throw error
    }
  }

  /** Workers have submitted tasks. */
  discovered(index: number, added: number, settled: number): void {
    this.#pending += added
    this.#foreign[index] = (this.#foreign[index] ?? 0) + added - settled
    if (this.#broken === undefined && !this.#closing) this.#launchFor(-1)
  }

  #launchFor(wanted: number): void {
    const { maxWorkers, taskPerWorker } = this.#settings
    for (let index = 0; index <= wanted; index++) if (this.#threads[index] === undefined) this.#launch(index)
    while (this.#launched < maxWorkers && this.#pending > this.#launched * taskPerWorker) {
      const before = this.#launched
      this.#launch(this.#vacancy())
      // A pool that is finished takes no workers.
      if (this.#launched === before) return
    }
  }

  /** Takes back an `admit` whose task was not submitted after all. */
  withdraw(): void {
    this.#pending--
  }

  /** Launches workers until `workers`, or the most there may be, exist. */
  resizeUpTo(workers: number): void {
    const most = Math.min(workers, this.#settings.maxWorkers)
    while (this.#launched < most && !this.#closing && this.#broken === undefined) {
      const before = this.#launched
      this.#launch(this.#vacancy())
      if (this.#launched === before) return
    }
  }

  #vacancy(): number {
    const at = this.#threads.indexOf(undefined)
    return at < 0 ? this.#threads.length : at
  }

  /**
   * Keeps an input for the worker that will begin its task. What `transfer` names is moved now.
   * @returns its key
   * @throws DataCloneError
   */
  keep(value: unknown, transfer: readonly object[]): number {
    const list = transfer as Transferable[]
    const parcel = structuredClone({ value, list }, { transfer: list })
    const key = this.#nextKey++
    this.#parcels.set(key, parcel)
    return key
  }

  /** The task is settled. */
  discard(key: number): void {
    this.#parcels.delete(key)
  }

  /** The answer of a worker says that the output comes by its port. */
  collect(key: number, index: number, end: Waiter): void {
    const outputs = this.#outputs[index]
    // Answers come in the order of their keys: nobody will ask for an earlier one.
    for (const earlier of outputs?.keys() ?? []) if (earlier < key) outputs?.delete(earlier)
    if (outputs?.has(key)) {
      const value = outputs.get(key)
      outputs.delete(key)
      end(true, value)
      return
    }
    if (this.#awaited[index] === undefined) this.#awaited[index] = new Map()
    this.#awaited[index].set(key, end)
    // The task is settled for the scheduler, so nothing else keeps the process alive for its output.
    this.#threads[index]?.control.ref()
  }

  settled(succeeded: boolean, value: unknown, observer: Observer | undefined): void {
    this.#pending--
    if (succeeded) this.#crashesInARow = 0
    this.#host.settled(succeeded, value, observer)
  }

  message(): void {}

  closed(): void {}

  /** A message of a worker. */
  mail(type: string, contents: unknown, index: number): void {
    const origin = this.#workers[index]
    if (origin !== undefined) this.#host.message(type, contents, origin)
  }

  /** Adds to an error of the scheduler what is known on this side. */
  explain(error: ThreadmillError, index: number): ThreadmillError {
    if (error.code === 'ERR_THREADMILL_ENTRY' && this.#broken !== undefined) return this.#unusable(this.#broken.reason)
    const last = index < 0 ? this.#lastCrash : this.#crashes[index]
    const crash = error.code === 'ERR_THREADMILL_WORKER_CRASHED' ? last : undefined
    if (crash === undefined) return error
    const { exitCode, cause } = crash
    const explained = new ThreadmillError(error.code, error.message, cause === undefined ? {} : { cause })
    return Object.assign(explained, { exitCode })
  }

  #unusable(reason: unknown): ThreadmillError {
    const message = reason instanceof Error ? reason.message : 'the entry module cannot be used'
    return new ThreadmillError('ERR_THREADMILL_ENTRY', message, { cause: reason })
  }

  /** Sends a message to every worker that exists. @throws DataCloneError */
  broadcast(type: string, contents: unknown): void {
    const encoded = encode(contents)
    // Tasks submitted before it are handed over first.
    flush()
    for (const [index, thread] of this.#threads.entries()) {
      if (thread !== undefined) native.postToWorker(this.handle, index, type, encoded.codec, encoded.data)
    }
  }

  #post(index: number, type: string, contents: unknown): void {
    const { codec, data } = encode(contents)
    // The number may be another's when the pool has ended.
    if (this.#threads[index] === undefined) return
    // Tasks submitted before it come first.
    flush()
    native.postToWorker(this.handle, index, type, codec, data)
  }

  #launch(index: number): void {
    if (!native.joinWorker(this.handle, index)) return
    const { port1, port2 } = new MessageChannel()
    const launch: Launch = {
      poolId: this.#poolId,
      index,
      place: this.#place,
      control: port2,
      concurrency: this.#settings.workerConcurrency,
      seat: this.#seat,
      workerData: this.#settings.workerData,
    }
    let worker: Worker
    try {
      worker = new Worker(SCRIPT, {
        ...this.#settings.workerOptions,
        name: `threadmill-${this.#host.name}-js-${index}`,
        workerData: launch,
        transferList: [port2],
      })
    } catch (error) {
      port1.close()
      native.leaveWorker(this.handle, index, 0, 'the worker could not be launched')
      throw error
    }
    const thread: Thread = { worker, control: port1, ready: false, cause: undefined, hasCause: false }
    this.#threads[index] = thread
    this.#workers[index] ??= new JsWorker(index, (type, contents) => this.#post(index, type, contents))
    this.#launched++
    worker.on('error', (error) => {
      thread.cause = error
      thread.hasCause = true
    })
    worker.on('exit', (code) => this.#exited(index, thread, code))
    port1.on('message', (report: Report) => this.#reported(index, thread, report))
    port1.unref()
    worker.unref()
    this.#host.launched(this.#workers[index])
  }

  #reported(index: number, thread: Thread, report: Report): void {
    switch (report.type) {
      case 'ready':
        thread.ready = true
        if (this.#closing) this.#stop(thread, false)
        break
      case 'fetch': {
        const parcel = this.#parcels.get(report.key)
        this.#parcels.delete(report.key)
        try {
          // Its worker needs an end of it all the same.
          if (parcel === undefined) throw new Error('the task was settled before it had its input')
          const { value, list } = parcel
          const order: Order = { type: 'input', key: report.key, value, list }
          thread.control.postMessage(order, list)
        } catch (error) {
          const refused: Order = { type: 'refused', key: report.key, ...encodeReason(error) }
          thread.control.postMessage(refused)
        }
        break
      }
      case 'output': {
        const awaited = this.#awaited[index]?.get(report.key)
        this.#awaited[index]?.delete(report.key)
        if (this.#awaited[index]?.size === 0) thread.control.unref()
        if (awaited !== undefined) awaited(true, report.value)
        else {
          if (this.#outputs[index] === undefined) this.#outputs[index] = new Map()
          this.#outputs[index].set(report.key, report.value)
        }
        break
      }
      case 'failed':
        this.#broken = { reason: decodeReason(report.codec, report.data) }
        this.#rejectWaiting()
        // What the module has left running is of no use.
        thread.worker.terminate()
    }
  }

  /** Nobody can run what waits. */
  #rejectWaiting(): void {
    flush()
    if (this.#broken !== undefined) native.rejectWaiting(this.handle, 2, 'the entry module cannot be used')
    else native.rejectWaiting(this.handle, 0, `the workers of pool '${this.#host.name}' crash again and again`)
  }

  #exited(index: number, thread: Thread, exitCode: number): void {
    // What it had told before comes first.
    settleNow()
    this.#readPort(index, thread)
    thread.control.close()
    for (const end of this.#awaited[index]?.values() ?? []) {
      end(
        false,
        new ThreadmillError('ERR_THREADMILL_WORKER_CRASHED', `worker ${index} ended before its output arrived`),
      )
    }
    this.#awaited[index]?.clear()
    // Nobody is left to be told of them.
    const lost = this.#foreign[index] ?? 0
    if (lost > 0) native.forgetTasks(lost)
    for (let count = lost; count > 0; count--) this.settled(false, undefined, undefined)
    this.#foreign[index] = 0
    this.#outputs[index]?.clear()
    this.#threads[index] = undefined
    this.#launched--
    const origin = this.#workers[index]
    if (origin !== undefined) this.#host.exited(origin, exitCode, thread.hasCause ? thread.cause : undefined)
    if (this.#closing) {
      native.leaveWorker(this.handle, index, 1, 'the pool was closed while the task ran')
      if (this.#launched === 0) this.#allGone?.()
      return
    }
    const cause = thread.hasCause ? thread.cause : undefined
    this.#lastCrash = { exitCode, cause }
    this.#crashes[index] = this.#lastCrash
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    flush()
    const text = `worker ${index} ended with exit code ${exitCode} while it ran the task${why}`
    const waiting = native.leaveWorker(this.handle, index, 0, text)
    if (this.#broken !== undefined) {
      this.#rejectWaiting()
      return
    }
    this.#crashesInARow++
    if (waiting === 0) return
    if (this.#crashesInARow >= CRASH_LIMIT) {
      this.#crashesInARow = 0
      this.#rejectWaiting()
    } else this.#launch(index)
  }

  /** Hears what a worker has reported so far. */
  #readPort(index: number, thread: Thread): void {
    for (;;) {
      const received = receiveMessageOnPort(thread.control)
      if (received === undefined) return
      this.#reported(index, thread, received.message as Report)
    }
  }

  /** Ends all workers; resolves when their threads are gone. The pool has no tasks any more, or `force` is set. */
  shutdown(force: boolean): Promise<void> {
    const isFirst = !this.#closing
    if (isFirst) {
      for (const [index, thread] of this.#threads.entries()) if (thread !== undefined) this.#readPort(index, thread)
    }
    this.#closing = true
    this.#gone ??= new Promise((resolve) => {
      this.#allGone = resolve
    })
    if (isFirst || force) {
      for (const thread of this.#threads) if (thread !== undefined) this.#stop(thread, force)
    }
    if (this.#launched === 0) this.#allGone?.()
    return this.#gone
  }

  #stop(thread: Thread, force: boolean): void {
    const { worker, control } = thread
    // Whoever waits for the end keeps the process alive for it.
    worker.ref()
    // One that has not loaded its module has nothing to say goodbye for.
    if (force || !thread.ready) {
      worker.terminate()
      return
    }
    const order: Order = { type: 'exit' }
    control.postMessage(order)
    const timer = setTimeout(() => worker.terminate(), this.#settings.disposeTimeout)
    worker.once('exit', () => clearTimeout(timer))
  }
}
