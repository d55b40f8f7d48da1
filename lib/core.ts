// Stage: all. Thread: owner env.
// What a pool is made of, apart from the object that users hold: it lives as long as tasks do. Its lanes, its counts, who
// waits for it, and its end.

import type { IWorker, Kernels, PoolStats } from '..'
import type { ByteBudget } from './bytes'
import { Listeners } from './callbacks'
import * as channels from './channels'
import type { KeptCosts } from './costs'
import type { Settle } from './deferred'
import * as deferred from './deferred'
import { connect, disconnect } from './drain'
import { isInstance, ThreadmillError } from './errors'
import { kernelMethods } from './kernel-methods'
import { type Kernel, kernelOf } from './kernels'
import type { JsLane } from './lane'
import { traceToFile } from './lazy-owner'
import type { MainLane } from './main'
import { ENTRY } from './native'
import { native } from './native-owner'
import {
  checkEntryOptions,
  type EntrySettings,
  isForMain,
  isObject,
  isReasonOf,
  own,
  type PoolSettings,
  poolClosed,
} from './options'
import type { Observer, Ticket } from './owner'
import { type Ending, PoolEnd } from './pool-end'
import { PoolEvents } from './pool-events'
import { type PoolEntry, PoolLanes } from './pool-lanes'
import { flush, submitNumber } from './port'
import { expectedCost, isTiny } from './run-times'
import type { ShellSettings } from './shell-options'
import { Sizing } from './sizing'
import { allocate } from './slots'
import { PoolFigures } from './stats'
import {
  admitNumber,
  type EntryHost,
  type EntryLane,
  type GivenOptions,
  type Settlement,
  startEntry,
  startKernel,
  UNCROSSED,
} from './submit'
import { TaskHandle } from './task'
// Before anybody replaces them; some of who uses them is loaded late.
import './timers'
import { BuiltinPromise, quiet } from './promise'
import type { Timeline } from './timeline/timeline'
import type { TaskTracer } from './trace'
import { Waiters } from './waiters'

// They are used for every task: no way through the exports of another module.
const { executor, last, resolving } = deferred

/** See the head of this file. */
export class PoolCore implements EntryHost {
  readonly settings: PoolSettings
  readonly handle: number
  threads: number
  readonly #sizing: Sizing
  readonly tickets: Ticket[] = []
  readonly listeners = new Listeners()
  readonly events: PoolEvents
  readonly budget: ByteBudget | undefined
  readonly #entry: PoolEntry | undefined
  /** Follows tasks, where that is wanted. */
  tracer: TaskTracer | undefined
  /** What tasks take, where that is kept. */
  costs: KeptCosts | undefined
  /** Shows what happens, where that is wanted. */
  timeline: Timeline | undefined
  /** Whether it is the pool that this very thread is a worker of: its tasks never settle. */
  readonly isInert: boolean
  readonly #lanes: PoolLanes
  #kernels: Kernels | undefined
  pending = 0
  #nextId = 0
  #completed = 0
  #errored = 0
  #retries = 0
  /** Looked at with every task. */
  ending: Ending = -1
  readonly #end: PoolEnd
  readonly #waiters = new Waiters(this)
  readonly #roomWaiters = this.#waiters.room
  readonly #idleWaiters = this.#waiters.idle
  readonly #figures: PoolFigures
  /** Whether somebody estimates what tasks of the entry function cost. */
  readonly #isEstimated: boolean

  constructor(settings: PoolSettings, shell: ShellSettings, entry?: PoolEntry) {
    this.settings = settings
    this.events = new PoolEvents(settings.name)
    this.#end = new PoolEnd(this, shell)
    const options = { ...settings, capacity: undefined, timeout: undefined, timeoutFrom: undefined }
    const [handle, threads, mostThreads] = native.createPool(options)
    this.handle = handle
    this.threads = threads
    this.#figures = new PoolFigures(this.handle)
    this.#sizing = new Sizing(this, mostThreads, entry?.settings.maxWorkers ?? 0)
    connect(this)
    if (shell.capacityBytes < Number.POSITIVE_INFINITY) this.budget = this.#waiters.newBudget(shell.capacityBytes)
    this.#entry = entry
    this.#lanes = new PoolLanes(this, shell, entry)
    const { inherentCost, workerCost } = entry?.settings ?? {}
    this.#isEstimated = (inherentCost ?? workerCost) !== undefined
    // A worker that makes the pool it is a worker of gets one that does nothing.
    this.isInert = entry?.isOwn === true
    if (!this.isInert && (entry?.settings.followsQuota ?? settings.threads === undefined)) {
      this.#sizing.follow(entry?.settings.maxWorkers ?? this.threads)
    }
    if (!this.isInert) channels.poolCreated(settings.name, this.threads, this.#sizing.jsWorkers)
    if (process.env.THREADMILL_TRACE && !this.isInert) traceToFile(this, process.env.THREADMILL_TRACE)
    if (entry === undefined || entry.isOwn) return
    try {
      this.#lanes.open(entry)
      this.bounded(this.#sizing.jsWorkers)
      this.resizeUpTo(entry.settings.minWorkers)
      if (entry.settings.minWorkers > 1) native.serveEach(this.handle)
      this.events.isHeard = true
    } catch (error) {
      // It ends like others: its channels and its timeline are told of that when the core has nothing of it any more.
      native.closePool(this.handle, 2, true)
      throw error
    }
  }

  /** The kernel methods of this pool's own clients. */
  get kernels(): Kernels {
    this.#kernels ??= kernelMethods(() => this)
    return this.#kernels
  }

  /** Sets the bounds of the number of workers. @throws TypeError, RangeError */
  resize(bounds: unknown): void {
    // What fits the workers of the pool need not fit one without any.
    if (!this.isInert) this.#sizing.resize(bounds)
  }

  /** Whether a call with these options is for the entry function: there is a module and no kernel is named. */
  isForEntry(options: unknown): boolean {
    if (!isObject(options)) return this.#entry !== undefined
    if (own(options, 'kernel') !== undefined) return false
    return this.#entry !== undefined || isForMain(options)
  }

  /** Workers of the lane that a pool of this kind is for. */
  get parallelism(): number {
    return this.#lanes.js === undefined ? this.threads : this.#sizing.jsWorkers
  }

  get workers(): readonly IWorker[] {
    return this.#entry === undefined ? this.#sizing.nativeWorkers : (this.#lanes.js?.known?.workers ?? [])
  }

  /** The native worker with that number. */
  nativeWorker(index: number): IWorker | undefined {
    return this.#sizing.nativeWorkers[index]
  }

  /** Settings of a call without options. */
  get plain(): EntrySettings {
    this.#plain ??= this.checkEntry({})
    return this.#plain
  }

  #plain: EntrySettings | undefined

  checkEntry(options: object): EntrySettings {
    const isThere = (worker: number): boolean => this.lane?.size.has(worker) === true
    return checkEntryOptions(options, this.settings, Math.max(this.#sizing.jsWorkers, 1), isThere)
  }

  laneOf({ isMain }: EntrySettings): EntryLane {
    return this.#lanes.of(isMain)
  }

  // --- tasks ---

  run(input: unknown, options: object | undefined): Promise<unknown> {
    if (options === undefined && typeof input === 'number' && this.#lanes.known !== undefined)
      return this.#submitNumber(input)
    return this.isForEntry(options) ? this.submitEntry(input, options) : this.submit(kernelOf(options), input, options)
  }

  /** `host`: who submits; `isAwaited`: whether the task has to be awaited where the pool is closed. */
  addTask(
    input: unknown,
    options: object | undefined,
    host: EntryHost = this,
    isAwaited = true,
  ): TaskHandle<never, never> {
    const kernel = this.isForEntry(options) ? undefined : kernelOf(options)
    const task =
      kernel === undefined ? this.#entryTask(input, options) : this.task(kernel, input, options as GivenOptions)
    try {
      if (kernel === undefined) this.submitEntry(input, options, task, host)
      else this.submit(kernel, input, options, task, host)
    } catch (error) {
      this.#refuse(task, error, isAwaited)
    }
    // The contract's overloads say what the output is; here it is whatever the task gives.
    return task as TaskHandle<never, never>
  }

  /** Rejects a task that nobody will run, or whose signal has been aborted; what is wrong with a call is thrown. */
  #refuse(task: TaskHandle<unknown>, error: unknown, isAwaited: boolean): void {
    const code = isInstance(error, ThreadmillError) ? error.code : undefined
    const isClosed = code === 'ERR_THREADMILL_POOL_CLOSED'
    const isUnusable = code !== undefined && UNUSABLE.includes(code)
    if (!isClosed && !isUnusable && !isReasonOf(own(task.options, 'signal'), error)) throw error
    task.attach(-1, BuiltinPromise.reject(error))
    if (isUnusable) this.#tellRejected(task)
    else if (isClosed && !isAwaited) quiet(task)
  }

  /** A task has been rejected before it was queued: whoever listens hears of it as of any other. */
  #tellRejected(task: TaskHandle<unknown> | undefined): void {
    if (task === undefined || !this.isWatched()) return
    this.added(task)
    task.then(undefined, (error) => this.events.taskEnded(task, false, error))
  }

  #entryTask(argument: unknown, options: object | undefined): TaskHandle<unknown> {
    const worker = (index: number) => this.#lanes.workerAt(index)
    const lane = this.knownLane()
    const expected = lane === undefined ? 0 : expectedCost(lane, ENTRY)
    return new TaskHandle({ id: this.#newId(), argument, options: options ?? {}, kernel: undefined, expected, worker })
  }

  /** As `submitEntry`, for a number without options: the shortest way. */
  #submitNumber(input: number): Promise<unknown> {
    const ticket = this.tickets[ENTRY]
    const lane = this.#lanes.known
    const isOpen = this.ending < 0 && this.pending < this.settings.capacity && this.budget === undefined
    if (lane === undefined || ticket === undefined || !isOpen || this.#needsHandle())
      return this.submitEntry(input, undefined)
    const promise = new BuiltinPromise(executor)
    admitNumber(this, lane, ticket, input, last.resolve, last.reject)
    return promise
  }

  /** As `submit`, for the entry function of the pool's module. */
  submitEntry(
    input: unknown,
    options: object | undefined,
    given?: TaskHandle<unknown>,
    host: EntryHost = this,
  ): Promise<unknown> {
    const promise = new BuiltinPromise(executor)
    const { resolve, reject } = last
    const task = given ?? (this.#needsHandle() ? this.#entryTask(input, options) : undefined)
    this.startEntry(input, options, resolve, reject, task, promise, host)
    return promise
  }

  /** As `start`, for the entry function. */
  startEntry(
    input: unknown,
    options: object | undefined,
    resolve: Settle,
    reject: Settle,
    given?: TaskHandle<unknown>,
    promise?: Promise<unknown>,
    host: EntryHost = this,
  ): number {
    if (this.isInert) return neverStarts(given, promise)
    const settlement =
      given === undefined && this.#needsHandle()
        ? handled(this.#entryTask(input, options), resolve, reject)
        : { resolve, reject, task: given, promise }
    const slot = startEntry(host, input, options, settlement)
    if (slot >= 0) this.added(settlement.task)
    else if (slot === UNCROSSED) this.#tellRejected(settlement.task)
    return slot
  }

  /** Whether tasks of the entry function need one that nobody asked for. */
  #needsHandle(): boolean {
    return this.isWatched() || this.#isEstimated
  }

  /** Whether tasks for `kernel`, or those of the entry function, are measured to be tiny. */
  isTiny(kernel: Kernel | undefined): boolean {
    if (kernel !== undefined) return isTiny(kernel.index, this)
    const lane = this.#lanes.known
    return lane !== undefined && isTiny(ENTRY, lane)
  }

  /** A handle for a task that is about to be submitted. */
  task(kernel: Kernel, argument: unknown, options: GivenOptions): TaskHandle<unknown> {
    const worker = (index: number) => this.nativeWorker(index)
    const expected = expectedCost(this, kernel.index)
    return new TaskHandle({ id: this.#newId(), argument, options, kernel: kernel.info.name, expected, worker })
  }

  #newId(): number {
    return this.#lanes.js?.shared.newId() ?? this.#nextId++
  }

  /** Checks and submits; throws before anything is queued or moved. */
  submit(
    kernel: Kernel,
    input: unknown,
    options: object | undefined,
    given?: TaskHandle<unknown>,
    host: EntryHost = this,
  ): Promise<unknown> {
    const promise = new BuiltinPromise(executor)
    const { resolve, reject } = last
    const task = given ?? (this.isWatched() ? this.task(kernel, input, (options ?? {}) as GivenOptions) : undefined)
    this.start(kernel, input, options, resolve, reject, task, promise, host)
    return promise
  }

  /** As `submit` without options, for a number that needs no check: the shortest way. */
  submitPlain(kernel: Kernel, input: number): Promise<unknown> {
    const ticket = this.tickets[kernel.index]
    // The first one makes the ticket; one that is refused learns why.
    if (ticket === undefined || this.ending >= 0 || !this.hasRoom || this.isWatched())
      return this.submit(kernel, input, undefined)
    const promise = new BuiltinPromise(resolving)
    this.pending++
    submitNumber(allocate(ticket, last.resolve), ticket, input)
    return promise
  }

  /** As `submit`, with the functions to settle. Returns the slot. */
  start(
    kernel: Kernel,
    input: unknown,
    options: object | undefined,
    resolve: Settle,
    reject: Settle,
    task?: TaskHandle<unknown>,
    promise?: Promise<unknown>,
    host: EntryHost = this,
  ): number {
    if (this.isInert) return neverStarts(task, promise)
    const settlement =
      task === undefined && this.isWatched()
        ? handled(this.task(kernel, input, (options ?? {}) as GivenOptions), resolve, reject)
        : { resolve, reject, task, promise }
    const slot = startKernel(host, kernel, input, options, settlement)
    this.added(settlement.task)
    return slot
  }

  checkOpen(): void {
    if (this.ending >= 0) throw poolClosed(this.settings.name)
  }

  checkRoom(): void {
    if (this.pending >= this.settings.capacity) {
      const message = `pool '${this.settings.name}' has ${this.pending} unfinished tasks, its capacity`
      throw new ThreadmillError('ERR_THREADMILL_QUEUE_FULL', message)
    }
  }

  costOf(key: string): number {
    return native.learnedCost(this.handle, key)
  }

  began(): void {
    this.pending++
  }

  // --- settlement ---

  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isCounted = true): void {
    // The core counts those of workers; those that were never admitted are not counted.
    if (isCounted && succeeded) this.#completed++
    else if (isCounted) this.#errored++
    const wasFull = !this.hasRoom
    this.pending--
    if (this.ending >= 0 && this.pending === 0) this.#end.shutIdleLanes()
    this.events.taskEnded(observer, succeeded, value)
    if (wasFull || this.#roomWaiters.size > 0) this.#waiters.tellRoom(wasFull)
    if (this.pending === 0 && this.#idleWaiters.length > 0) this.#waiters.tellIdle()
  }

  retried(observer: Observer | undefined, count: number, reason: unknown): void {
    this.#retries++
    this.events.taskRetried(observer, count, reason)
  }

  /** Tells listeners of the new task. */
  added(task: TaskHandle<unknown> | undefined): void {
    if (task === undefined) return
    // Nobody says when subscribers of channels come and go.
    if (channels.watchesTasks()) this.watchChanged()
    this.events.taskAdded(task)
  }

  /** Whether somebody wants handles of all tasks. Asked for every one. */
  isWatched(): boolean {
    return this.tracer !== undefined || this.events.areOfTasks
  }

  /** Listeners of events have come or gone. */
  watchChanged(): void {
    if (this.#lanes.js !== undefined) this.#lanes.js.shared.isWatched = this.events.areOfTasks
  }

  /** Tasks that a JS worker submitted or has seen settled. */
  discovered(worker: number, counts: readonly number[], codec: number, details: unknown): void {
    const [added = 0, completed = 0, errored = 0] = counts
    this.pending += added
    this.lane?.discovered(worker, [added, completed, errored], codec, details)
    this.watchChanged()
  }

  gaveUp(worker: number, idIndex: number, idGeneration: number, grace: number): void {
    this.lane?.gaveUp(worker, idIndex, idGeneration, grace)
  }

  retired(worker: number): void {
    this.lane?.retired(worker)
  }

  resumed(): void {
    this.lane?.resumed()
  }

  wanted(worker: number, key: number): void {
    this.lane?.store.wanted(worker, key)
  }

  /** A message of a JS worker. */
  mail(type: string, codec: number, data: unknown, worker: number, observer: Observer | undefined): void {
    this.lane?.mail(type, codec, data, worker, observer)
  }

  message(type: string, contents: unknown, worker: number): void {
    this.listeners.call(type, contents, this.nativeWorker(worker))
  }

  broadcast(type: string, contents: unknown, transfer?: unknown): void {
    const main = this.#lanes.knownMain
    this.lane?.broadcast(type, contents, transfer, main !== undefined)
    main?.deliver(type, contents)
  }

  get begun(): number {
    return this.pending + this.#completed + this.#errored
  }

  get hasRoom(): boolean {
    return this.pending < this.settings.capacity && (this.budget === undefined || this.budget.hasRoom)
  }

  /** As `whenRoom`, for users: rejects when the pool admits nothing any more, or the signal aborts. */
  ready(signal: AbortSignal | undefined): Promise<void> {
    return this.#waiters.ready(signal)
  }

  whenRoom(): Promise<void> {
    return this.#waiters.whenRoom()
  }

  whenIdle(): Promise<void> {
    return this.#waiters.whenIdle()
  }

  stats(): PoolStats {
    flush()
    const lane = this.knownLane()
    return this.#figures.stats({
      name: this.settings.name,
      completed: this.#completed,
      errored: this.#errored,
      retries: this.#retries,
      crashCount: lane?.crashes.count ?? 0,
      bounds: lane?.size.bounds ?? (this.#sizing.jsWorkers > 0 ? { min: 0, max: this.#sizing.jsWorkers } : undefined),
      utilization: (index) => lane?.utilization(index) ?? null,
      crashes: (index) => lane?.crashes.of(index) ?? 0,
      lonelyCrashes: (index) => lane?.crashes.alone(index) ?? 0,
    })
  }

  // --- the end ---

  /** Calls `listener` when the pool admits nothing any more. Returns how to stop that. */
  onEnd(listener: (reason: unknown) => void): () => void {
    return this.#end.onEnd(listener)
  }

  /** Calls `callback` after the last task. @throws ThreadmillError when it is too late for that */
  onShutdown(callback: () => unknown): void {
    this.#end.onShutdown(callback)
  }

  /** Ends the pool when one of these signals comes. @throws ThreadmillError when it has ended */
  handleSignals(signals: readonly NodeJS.Signals[]): void {
    this.#end.handleSignals(signals)
  }

  /** @throws ThreadmillError when the pool has ended */
  checkAlive(): void {
    this.#end.checkAlive()
  }

  /** Calls `listener` when the pool has ended. Returns how to stop that. */
  onRelease(listener: () => void): () => void {
    return this.#end.onRelease(listener)
  }

  /** Launches JS workers until that many exist, or the most there may be. */
  resizeUpTo(workers: number): void {
    if (this.#lanes.js === undefined || this.ending >= 0) return
    if (workers > 0) this.#lanes.js.launching().size.resizeUpTo(workers)
  }

  /** Replaces a JS worker after its current task, or all of them. */
  recycle(worker: IWorker | undefined): void {
    const lane = this.knownLane()
    if (worker === undefined) lane?.size.recycleAll()
    else lane?.size.recycle(worker.id)
  }

  /** Calls listeners of an event. */
  tell(event: string, details: unknown): void {
    this.events.call(event, details)
  }

  /** Ends the pool; asked again, it can only end sooner. It is destroyed when `limit` ms have passed. */
  end(mode: 0 | 1 | 2, limit?: number): Promise<void> {
    return this.#end.end(mode, limit)
  }

  closed(): void {
    this.#end.closed()
  }

  /** The JS lane of a pool with an entry module. */
  get lane(): JsLane | undefined {
    return this.#lanes.js?.lane
  }

  /** There are that many JS workers at most from now on. */
  bounded(most: number): void {
    if (this.#lanes.js !== undefined) this.#lanes.js.shared.maxWorkers = most
  }

  /** The same, if it has been used. */
  knownLane(): JsLane | undefined {
    return this.#lanes.known
  }

  /** The executor on this thread, if there has been a task for it. */
  knownMain(): MainLane | undefined {
    return this.#lanes.knownMain
  }

  /** Takes the last figures; nothing comes of the core any more. */
  leaveCore(): void {
    flush()
    this.#figures.leave()
    this.costs?.write()
    this.timeline?.poolEnds()
    disconnect(this)
  }

  released(): void {
    this.#sizing.unfollow()
    this.#lanes.js?.release()
    if (!this.isInert) channels.poolEnded(this.settings.name, () => this.stats())
  }
}

/** Why nobody can run a task of the entry function. */
const UNUSABLE: readonly string[] = ['ERR_THREADMILL_ENTRY', 'ERR_THREADMILL_WORKER_CRASHED', 'ERR_THREADMILL_SYSTEM']

/** A task of a pool that does nothing never settles. Its slot. */
function neverStarts(task: TaskHandle<unknown> | undefined, promise: Promise<unknown> | undefined): number {
  if (promise !== undefined) task?.attach(-1, promise)
  return -1
}

/** Gives a task that somebody else awaits a handle and a promise of its own, for events and estimators. */
function handled(task: TaskHandle<unknown>, resolve: Settle, reject: Settle): Settlement {
  let settle!: readonly [Settle, Settle]
  const promise = new BuiltinPromise<unknown>((...given) => {
    settle = given
  })
  // Whoever awaits the other promise is told of a failure there.
  promise.catch(() => {})
  return {
    task,
    promise,
    resolve(value) {
      settle[0](value)
      resolve(value)
    },
    reject(reason) {
      settle[1](reason)
      reject(reason)
    },
  }
}
