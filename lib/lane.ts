// Stage: run. Thread: owner env.
// The JS lane of a pool: launches workers, hears how they end, and shuts them down. Which worker runs what is decided by
// the scheduler.
//
// J3. Every worker that was launched is told to the scheduler as joined before, and as left after its thread has ended.
// J4. A worker that cannot load the entry module is not launched again: what waits rejects with the reason.
// J8. What only `postMessage` can move is posted before the scheduler is told of it, so whoever hears of it finds it in
//     the port's queue. What a task has written is posted, too, before its answer.

import path from 'node:path'
import process from 'node:process'
import { setImmediate, setTimeout } from 'node:timers'
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Transferable, Worker } from 'node:worker_threads'
import type { IWorker } from '..'
import { rethrow } from './callbacks'
import { decode, type Encoded, encode, POSTED } from './codec'
import { settleNow } from './drain'
import type { EntryPlace } from './entry'
import { ThreadmillError, wrongValue } from './errors'
import { JsWorker } from './js-worker'
import { addonFile, native } from './native'
import type { End, Observer } from './owner'
import { encodeMarked } from './parcel'
import { ParcelStore } from './parcel-store'
import { flush } from './port'
import type { HeapWatch, Launch, Order, Report, Stream } from './protocol'
import { decodeReason } from './reason'
import type { Details, EndedTask } from './registry'
import { IdleSweep, idleWorkers } from './retire'
import type { SeatSettings } from './seat'
import type { EntryLane, Estimate, Pushed } from './submit'
import type { TaskHandle } from './task'
import { transferOf } from './transfer'

/** What a pool with a module is told about its JS workers. */
export interface LaneSettings {
  readonly minWorkers: number
  readonly maxWorkers: number
  /** Whether nobody chose that. */
  readonly followsQuota: boolean
  /** ms without a task after which a worker beyond `minWorkers` ends; `Infinity` for never. */
  readonly idleTimeout: number
  /** Loads above which the lane grows, and below which it shrinks. */
  readonly autoScale: { readonly grow: number; readonly shrink: number } | undefined
  /** ms that a worker has to end a task that was given up; `Infinity` for no end. */
  readonly cancelGrace: number
  /** Heap of a worker from which on it is replaced, bytes; and how often what it had after its first task. `Infinity` for never. */
  readonly heapBytes: number
  readonly heapGrowth: number
  readonly taskPerWorker: number
  readonly workerConcurrency: number
  /** ms that a worker has for `onWorkerExit`. */
  readonly disposeTimeout: number
  /** Options for `new Worker`. */
  readonly workerOptions: Readonly<Record<string, unknown>>
  readonly workerData: unknown
  /** Whether what workers write can be read from them, instead of going where this thread writes. */
  readonly stdout: boolean
  readonly stderr: boolean
  readonly inherentCost: Estimator | undefined
  readonly workerCost: Estimator | undefined
  /** What starts the threads; by default the lane's own script in Node's class. */
  readonly launcher?: Launcher | undefined
}

/** A script that ends with the bootstrap of workers, and the class of the threads that run it. */
export interface Launcher {
  readonly script: string | URL
  readonly Worker: typeof Worker
}

type Estimator = (...args: unknown[]) => unknown

/** What the lane needs of its pool. */
export interface LaneHost {
  readonly handle: number
  readonly name: string
  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isCounted?: boolean): void
  launched(worker: IWorker): void
  exited(worker: IWorker, exitCode: number, error: unknown): void
  message(type: string, contents: unknown, origin: IWorker): void
  retried(observer: Observer | undefined, count: number, reason: unknown): void
  /** Heap of a worker that is to be told, and how often at most. */
  readonly memory: { readonly limit: number; readonly interval: number } | undefined
  /** A worker's heap exceeds that. */
  highMemory(worker: IWorker, heapUsed: number): void
  /** A worker submits a task to this very thread. */
  startMain(): void
  /** What a task rejects with instead of an error of the scheduler. */
  readonly explain: ((error: ThreadmillError) => ThreadmillError) | undefined
  /** Registers tasks that a worker submitted; gives those that have ended. */
  told(details: Details, worker: number): EndedTask[]
  /** A worker has ended: gives its tasks that have not, as failed for that reason. */
  forgotten(worker: number, reason: unknown): EndedTask[]
}

/** Crashes in a row, without a task that succeeded, after which what waits is rejected. */
const CRASH_LIMIT = 3
const SCRIPT = path.join(__dirname, 'worker.js')

/** What an estimator says, ms; 0 when that is no cost. */
function costOf(estimator: Estimator | undefined, ...args: unknown[]): number {
  try {
    const cost = estimator?.(...args)
    return typeof cost === 'number' && Number.isFinite(cost) && cost > 0 ? cost : 0
  } catch {
    return 0
  }
}

/** The thread behind a number. */
interface Thread {
  readonly worker: Worker
  readonly control: MessagePort
  ready: boolean
  /** Whether it takes no more tasks. */
  leaving: boolean
  /** Whether it has been told to end, or will be as soon as it listens. */
  stopping: boolean
  /** Whether it was ended because of a task that was given up. */
  evicted: boolean
  /** The error that ended it. */
  cause: unknown
  hasCause: boolean
}

/** How the last worker with a number ended without being asked to. */
interface Crash {
  readonly exitCode: number
  readonly cause: unknown
}

/** See the head of this file. */
export class JsLane implements EntryLane {
  readonly handle: number
  readonly isLocal = false
  readonly #host: LaneHost
  readonly #place: EntryPlace
  readonly #settings: LaneSettings
  readonly #seat: SeatSettings
  readonly #poolId: number
  readonly #threads: (Thread | undefined)[] = []
  readonly #workers: JsWorker[] = []
  readonly #crashes: (Crash | undefined)[] = []
  readonly #crashCounts: number[] = []
  #launched = 0
  /** Of these, those that take no more tasks. */
  #leaving = 0
  #min: number
  #max: number
  readonly #sweep: IdleSweep
  /** Whether workers may run nothing but tasks that were given up. */
  #mayBeStuck = false
  #pending = 0
  #crashesInARow = 0
  /** Unsettled tasks that each worker submitted. */
  readonly #foreign: number[] = []
  readonly store: ParcelStore
  /** Why the entry module cannot be used. */
  #broken: { readonly reason: unknown } | undefined
  #closing = false
  #lastCrash: Crash | undefined
  #gone: Promise<void> | undefined
  #allGone: (() => void) | undefined
  /** Smoothed run time of the entry function, ms. */
  runTime: number | undefined

  /** Present when there are estimators. */
  readonly estimate: ((task: TaskHandle<unknown> | undefined) => Estimate) | undefined

  constructor(host: LaneHost, place: EntryPlace, settings: LaneSettings, seat: SeatSettings) {
    this.handle = host.handle
    this.#host = host
    this.#place = place
    this.#settings = settings
    this.#seat = seat
    this.store = new ParcelStore({
      handle: host.handle,
      control: (index) => this.#threads[index]?.control,
      readPort: (index) => this.#readPort(index),
    })
    const { inherentCost, workerCost } = settings
    if (inherentCost !== undefined || workerCost !== undefined) this.estimate = (task) => this.#estimate(task)
    ;[this.#min, this.#max] = [settings.minWorkers, settings.maxWorkers]
    this.#sweep = new IdleSweep(this, settings.idleTimeout)
    this.#poolId = native.shareWorkers(host.handle, settings.maxWorkers)
    this.#fill()
  }

  /** Launches the least that there are to be. */
  #fill(): void {
    this.resizeUpTo(this.#min)
  }

  /** Share of the time that the event loop of a worker was busy; null when it has no thread. */
  utilization(index: number): number | null {
    return this.#threads[index]?.worker.performance.eventLoopUtilization().utilization ?? null
  }

  /** How often the worker with that number has crashed. */
  crashes(index: number): number {
    return this.#crashCounts[index] ?? 0
  }

  /** How often workers have crashed. */
  get crashCount(): number {
    return this.#crashCounts.reduce((sum, count) => sum + count, 0)
  }

  /** From now on the threads keep the process alive. */
  keepAlive(): void {
    for (const thread of this.#threads) thread?.worker.ref()
  }

  /** Workers more than the least that are kept. */
  get surplus(): number {
    return this.#launched - this.#leaving - this.#min
  }

  /** The bounds of the number of workers. */
  get bounds(): { readonly min: number; readonly max: number } {
    return { min: this.#min, max: this.#max }
  }

  /** Sets them, launches what is missing, and lets those end that are too many, after what they run. */
  resize(min: number, max: number): void {
    ;[this.#min, this.#max] = [min, max]
    native.setWorkerLimit(this.handle, max)
    if (this.#closing || this.#broken !== undefined) return
    // Those that run nothing first, then those that still load, then the highest numbers.
    const idle = idleWorkers(this.handle).map(({ index }) => index)
    const numbers = [...this.#threads.keys()].reverse()
    const loading = numbers.filter((index) => this.#threads[index]?.ready === false)
    for (const index of new Set([...idle, ...loading, ...numbers])) {
      if (this.#launched - this.#leaving <= max) break
      this.recycle(index, 0)
    }
    this.#fill()
    this.#launchFor(-1, native.unfinishedTasks(this.handle))
    this.#sweep.watch()
  }

  /** Ends a worker after the tasks that it runs, by default one that has begun some; a new one takes its number when that is needed. */
  recycle(index: number, which: 0 | 1 | 2 = 2): void {
    const thread = this.#threads[index]
    if (thread === undefined || thread.leaving || this.#closing) return
    if (native.retireWorker(this.handle, index, which)) this.#markLeaving(thread)
  }

  /** The same for all of them. */
  recycleAll(): void {
    for (const index of this.#threads.keys()) this.recycle(index)
  }

  #markLeaving(thread: Thread): void {
    if (thread.leaving) return
    thread.leaving = true
    this.#leaving++
  }

  /** A worker that takes no more tasks has ended its last one. */
  retired(index: number): void {
    const thread = this.#threads[index]
    if (thread === undefined || this.#closing) return
    this.#markLeaving(thread)
    this.#stop(thread, false)
  }

  resumed(): void {
    if (this.#broken === undefined && !this.#closing) this.#launchMissing()
  }

  retried(observer: Observer | undefined, count: number, reason: unknown): void {
    this.#host.retried(observer, count, reason)
  }

  #estimate(task: TaskHandle<unknown> | undefined): Estimate {
    const { inherentCost, workerCost } = this.#settings
    const inherent = costOf(inherentCost, task)
    task?.expect(inherent)
    if (workerCost === undefined) return { inherent, byWorker: undefined }
    return { inherent, byWorker: Float64Array.from(this.#workers, (worker) => costOf(workerCost, task, worker)) }
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

  /** @throws ThreadmillError when the entry module cannot be used */
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

  /** A worker has submitted tasks, has seen some succeed or fail, or has written something. */
  discovered(index: number, [added, completed, errored]: [number, number, number], codec: number, data: unknown): void {
    this.#readPort(index)
    this.#foreign[index] = (this.#foreign[index] ?? 0) + added - completed - errored
    // Kernels among them, and tasks for this thread, take no workers.
    if (added > 0 && this.#broken === undefined && !this.#closing) this.#launchMissing()
    const details = codec === POSTED ? this.store.takeValue(index, data as number)?.value : decode(codec, data)
    const ended = details === undefined ? [] : this.#host.told(details as Details, index)
    this.#settleEnded(ended, completed, errored)
  }

  /** Settles tasks that workers submitted: those of which more is known, and the others. */
  #settleEnded(ended: readonly EndedTask[], completed: number, errored: number): void {
    let [succeeded, failed] = [completed, errored]
    for (const { task, succeeded: ok, value } of ended) {
      if (ok) succeeded--
      else failed--
      this.#host.settled(ok, value, task, false)
    }
    if (completed > 0) this.#crashesInARow = 0
    for (; succeeded > 0; succeeded--) this.#host.settled(true, undefined, undefined, false)
    for (; failed > 0; failed--) this.#host.settled(false, undefined, undefined, false)
  }

  #launchFor(wanted: number, unfinished = this.#pending): void {
    const { taskPerWorker, autoScale } = this.#settings
    for (let index = 0; index <= wanted; index++) if (this.#threads[index] === undefined) this.#launch(index)
    const serving = (): number => this.#launched - this.#leaving - this.#countStuck()
    while (this.#launched < this.#max && unfinished > serving() * taskPerWorker) {
      const before = this.#launched
      this.#launch(this.#vacancy())
      // A pool that is finished takes no workers.
      if (this.#launched === before) return
    }
    if (autoScale !== undefined && this.#launched < this.#max && this.#load > autoScale.grow) {
      this.#launch(this.#vacancy())
    }
  }

  /** Busy workers / workers; 0 when there are none. */
  get #load(): number {
    const workers = this.#launched - this.#leaving
    return workers === 0 ? 0 : Math.min(1, native.busyWorkers(this.handle) / workers)
  }

  /** Whether idle workers may end. */
  get mayShrink(): boolean {
    const { autoScale } = this.#settings
    return autoScale === undefined || this.#load < autoScale.shrink
  }

  /** A worker that does not end a task that was given up in time is ended itself. */
  gaveUp(index: number, idIndex: number, idGeneration: number, given: number): void {
    this.#mayBeStuck = true
    const thread = this.#threads[index]
    const grace = Number.isNaN(given) ? this.#settings.cancelGrace : given
    const evict = (): void => {
      const isStuck = (): boolean => native.runsTask(this.handle, index, idIndex, idGeneration)
      if (thread === undefined || thread.evicted || this.#threads[index] !== thread || !isStuck()) return
      native.retireWorker(this.handle, index, 0)
      this.#markLeaving(thread)
      // It may have ended that task and begun another one before it was told to take no more.
      if (!isStuck()) return
      thread.evicted = true
      thread.worker.terminate()
    }
    if (thread !== undefined && grace === 0) evict()
    else if (thread !== undefined && grace !== Number.POSITIVE_INFINITY) setTimeout(evict, grace).unref()
    if (this.#broken === undefined && !this.#closing) this.#launchFor(-1, native.unfinishedTasks(this.handle))
  }

  /** Workers that run nothing but tasks that were given up. */
  #countStuck(): number {
    if (!this.#mayBeStuck) return 0
    const stuck = native.stuckWorkers(this.handle)
    this.#mayBeStuck = stuck > 0
    return stuck
  }

  /** Takes back an `admit` whose task was not submitted after all. */
  withdraw(): void {
    this.#pending--
  }

  /** Launches workers until `workers`, or the most there may be, exist. */
  resizeUpTo(workers: number): void {
    const most = Math.min(workers, this.#max)
    while (
      this.#launched - this.#leaving < most &&
      this.#launched < this.#max &&
      !this.#closing &&
      this.#broken === undefined
    ) {
      const before = this.#launched
      this.#launch(this.#vacancy())
      if (this.#launched === before) return
    }
  }

  #vacancy(): number {
    const at = this.#threads.indexOf(undefined)
    return at < 0 ? this.#threads.length : at
  }

  keep(value: unknown, transfer: readonly object[], lasting = false): number {
    return this.store.keep(value, transfer, lasting)
  }

  push(value: unknown, list: readonly object[]): Pushed | undefined {
    return this.store.push(value, list)
  }

  discard(key: number, succeeded = false): void {
    this.store.discard(key, succeeded)
  }

  collect(_codec: number, key: number, worker: number, end: End): void {
    this.store.collect(key, worker, end)
  }

  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isAdmitted?: boolean): void {
    this.#pending--
    if (succeeded) this.#crashesInARow = 0
    this.#host.settled(succeeded, value, observer, isAdmitted)
  }

  message(): void {}

  closed(): void {}

  /** A message of a worker, about the task that `observer` watches. */
  mail(type: string, codec: number, data: unknown, index: number, observer: Observer | undefined): void {
    let contents: unknown
    if (codec === POSTED) {
      const parcel = this.store.takeValue(index, data as number)
      if (parcel === undefined) return
      contents = parcel.value
    } else {
      try {
        contents = decode(codec, data)
      } catch {
        // Nested too deep for this thread's stack: a worker shall not end its owner.
        return
      }
    }
    observer?.message(type, contents)
    const origin = this.#workers[index]
    if (origin !== undefined) this.#host.message(type, contents, origin)
  }

  /** Adds to an error of the scheduler what is known on this side. */
  explain(error: ThreadmillError, index: number): ThreadmillError {
    const explained = this.#withCause(error, index)
    return this.#host.explain?.(explained) ?? explained
  }

  #withCause(error: ThreadmillError, index: number): ThreadmillError {
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
    // One of ours has the error of the module as its cause.
    const { code, cause } = (reason ?? {}) as { code?: unknown; cause?: unknown }
    const isOurs = code === 'ERR_THREADMILL_ENTRY' && cause !== undefined
    return new ThreadmillError('ERR_THREADMILL_ENTRY', message, { cause: isOurs ? cause : reason })
  }

  /** Sends a message to every worker that exists. @throws DataCloneError */
  broadcast(type: string, contents: unknown): void {
    if (transferOf(contents) !== undefined)
      throw wrongValue('contents', 'for several workers: nothing of it moves', contents)
    const encoded = encode(contents)
    // Tasks submitted before it are handed over first.
    flush()
    for (const [index, thread] of this.#threads.entries()) {
      if (thread !== undefined) this.#send(index, thread, type, encoded, [])
    }
  }

  #post(index: number, type: string, contents: unknown, transfer: unknown): void {
    const { encoded, list } = encodeMarked(contents, transfer)
    const thread = this.#threads[index]
    // The number may be another's when the pool has ended.
    if (thread === undefined) return
    // Tasks submitted before it come first.
    flush()
    this.#send(index, thread, type, encoded, list)
  }

  #send(index: number, { control }: Thread, type: string, { codec, data }: Encoded, list: Transferable[]): void {
    let contents = data
    if (codec === POSTED) {
      const key = this.store.newKey()
      const order: Order = { type: 'value', key, value: data, list }
      control.postMessage(order, list)
      contents = key
    }
    native.postToWorker(this.handle, index, type, codec, contents)
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
      heap: this.#heapWatch(),
      seat: this.#seat,
      workerData: this.#settings.workerData,
      threadmillAddon: addonFile,
    }
    let worker: Worker
    try {
      const { launcher } = this.#settings
      worker = new (launcher?.Worker ?? Worker)(launcher?.script ?? SCRIPT, {
        name: `threadmill-${this.#host.name}-js-${index}`,
        ...this.#settings.workerOptions,
        stdout: this.#settings.stdout,
        stderr: this.#settings.stderr,
        workerData: launch,
        transferList: [port2],
      })
    } catch (error) {
      port1.close()
      native.leaveWorker(this.handle, index, 0, 'the worker could not be launched')
      throw error
    }
    const thread: Thread = {
      worker,
      control: port1,
      ready: false,
      leaving: false,
      stopping: false,
      evicted: false,
      cause: undefined,
      hasCause: false,
    }
    this.#threads[index] = thread
    this.#workers[index] ??= new JsWorker(index, this.#settings, (...message) => this.#post(index, ...message))
    this.#launched++
    // What is written before the worker redirects it, and where it cannot, comes the way of the runtime.
    for (const stream of ['stdout', 'stderr'] as const) {
      const captured = this.#workers[index]?.[stream]
      if (captured) worker[stream]?.on('data', (chunk: Uint8Array) => captured.push(chunk))
    }
    worker.on('error', (error) => {
      thread.cause = error
      thread.hasCause = true
    })
    worker.on('exit', (code) => this.#exited(index, thread, code))
    port1.on('message', (report: Report) => this.#reported(index, thread, report))
    port1.unref()
    worker.unref()
    this.#sweep.watch()
    this.#host.launched(this.#workers[index])
  }

  #heapWatch(): HeapWatch | undefined {
    const { heapBytes, heapGrowth } = this.#settings
    const { limit, interval } = this.#host.memory ?? { limit: Number.POSITIVE_INFINITY, interval: 0 }
    const isOff = Math.min(heapBytes, heapGrowth, limit) === Number.POSITIVE_INFINITY
    return isOff ? undefined : { heapBytes, heapGrowth, limit, interval }
  }

  #reported(index: number, thread: Thread, report: Report): void {
    switch (report.type) {
      case 'ready':
        thread.ready = true
        if (thread.stopping) this.#stop(thread, false)
        break
      case 'used-up':
        this.recycle(index)
        break
      case 'heap':
        this.#host.highMemory(this.#workers[index] as IWorker, report.used)
        break
      case 'value':
        this.store.arrived(index, report.key, report)
        break
      case 'input':
        this.store.accept(report.key, report)
        break
      case 'discard':
        this.discard(report.key)
        break
      case 'collect':
        this.store.handOn(thread.control, report.worker, report.key)
        break
      case 'main':
        this.#host.startMain()
        break
      case 'text':
        this.#write(index, report.stream, report.chunk, report.encoding as BufferEncoding)
        break
      case 'failed':
        this.#broken = { reason: decodeReason(report.codec, report.data) }
        this.#rejectWaiting()
        // What the module has left running is of no use.
        thread.worker.terminate()
    }
  }

  #write(index: number, stream: Stream, chunk: string | Uint8Array, encoding: BufferEncoding): void {
    const captured = this.#workers[index]?.[stream]
    try {
      if (captured !== null && captured !== undefined) captured.push(chunk, encoding)
      else process[stream].write(chunk, encoding)
    } catch (error) {
      // Whoever replaced `write` must not disturb the lane.
      rethrow(error)
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
    this.#readPort(index)
    thread.control.close()
    this.store.endLate(index)
    // Nobody is left to be told of them.
    const lost = this.#foreign[index] ?? 0
    if (lost > 0) native.forgetTasks(lost)
    this.#foreign[index] = 0
    const reason = new ThreadmillError(
      'ERR_THREADMILL_WORKER_CRASHED',
      `worker ${index}, which submitted the task, ended`,
    )
    this.#settleEnded(this.#host.forgotten(index, reason), 0, lost)
    this.store.forget(index)
    this.#threads[index] = undefined
    this.#launched--
    if (thread.leaving) this.#leaving--
    const origin = this.#workers[index]
    if (origin !== undefined) this.#host.exited(origin, exitCode, thread.hasCause ? thread.cause : undefined)
    if (this.#closing) {
      native.leaveWorker(this.handle, index, 1, 'the pool was closed while the task ran')
      if (this.#launched === 0) this.#endStreams()
      return
    }
    if (thread.evicted) {
      this.#crashes[index] = undefined
      this.#replace(index, 3, `worker ${index} was ended because of another task, and the input cannot be sent again`)
      return
    }
    const cause = thread.hasCause ? thread.cause : undefined
    this.#lastCrash = { exitCode, cause }
    if (!thread.leaving || thread.hasCause) this.#crashCounts[index] = this.crashes(index) + 1
    this.#crashes[index] = this.#lastCrash
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    flush()
    const text = `worker ${index} ended with exit code ${exitCode} while it ran the task${why}`
    if (thread.leaving) {
      this.#replace(index, 0, text)
      return
    }
    const [waiting, repeated] = native.leaveWorker(this.handle, index, 0, text)
    if (this.#broken !== undefined) {
      this.#rejectWaiting()
      return
    }
    // A task that runs again has a limit of its own.
    if (repeated === 0) this.#crashesInARow++
    if (this.#crashesInARow >= CRASH_LIMIT && waiting > 0) {
      this.#crashesInARow = 0
      this.#rejectWaiting()
    } else if (waiting > 0) this.#launch(index)
    else if (this.#crashesInARow < CRASH_LIMIT) this.#fill()
  }

  /** A worker has ended as it was told to; others come where they are needed. */
  #replace(index: number, parting: 0 | 3, reason: string): void {
    flush()
    const [waiting] = native.leaveWorker(this.handle, index, parting, reason)
    if (this.#broken !== undefined) {
      if (waiting > 0) this.#rejectWaiting()
      return
    }
    this.#launchMissing()
    this.#fill()
  }

  /** Launches those that tasks are forced to, and as many as the tasks take that wait or run. */
  #launchMissing(): void {
    for (const index of native.missingWorkers(this.handle)) {
      if (this.#threads[index] === undefined) this.#launch(index)
    }
    this.#launchFor(-1, native.unfinishedTasks(this.handle))
  }

  /** Hears what a worker has reported so far. */
  #readPort(index: number): void {
    const thread = this.#threads[index]
    if (thread === undefined) return
    for (;;) {
      try {
        const received = receiveMessageOnPort(thread.control)
        if (received === undefined) return
        this.#reported(index, thread, received.message as Report)
      } catch {
        // One that this thread cannot read: whoever asks for it is told.
      }
    }
  }

  /** Ends all workers; resolves when their threads are gone. The pool has no tasks any more, or `force` is set. */
  shutdown(force: boolean): Promise<void> {
    const isFirst = !this.#closing
    if (isFirst) {
      for (const index of this.#threads.keys()) this.#readPort(index)
    }
    this.#closing = true
    this.#sweep.stop()
    this.#gone ??= new Promise((resolve) => {
      this.#allGone = resolve
    })
    if (isFirst || force) {
      for (const thread of this.#threads) if (thread !== undefined) this.#stop(thread, force)
    }
    if (this.#launched === 0) this.#endStreams()
    return this.#gone
  }

  /** All threads are gone. */
  #endStreams(): void {
    for (const { stdout, stderr } of this.#workers.filter(Boolean)) {
      stdout?.push(null)
      stderr?.push(null)
    }
    this.#allGone?.()
  }

  #stop(thread: Thread, force: boolean): void {
    const { worker, control } = thread
    thread.stopping = true
    // Whoever waits for the end keeps the process alive for it.
    worker.ref()
    // One that has not loaded its module has nothing to say goodbye for.
    if (force) {
      worker.terminate()
      return
    }
    if (!thread.ready) {
      // Its report may be on the way; then it is told to exit, when that arrives.
      setImmediate(() => {
        if (!thread.ready) worker.terminate()
      })
      return
    }
    const order: Order = { type: 'exit' }
    control.postMessage(order)
    const timer = setTimeout(() => worker.terminate(), this.#settings.disposeTimeout)
    worker.once('exit', () => clearTimeout(timer))
  }
}
