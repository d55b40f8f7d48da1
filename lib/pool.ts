// Stage: submit. Thread: owner env.
// WorkerPool: check, copy or move, hand over; and the pool's own life.

import { types } from 'node:util'
import type { IWorker, Kernels, MapOptions, PoolStats, RunOptions } from '..'
import { checkType, Listeners } from './callbacks'
import type { Encoded } from './codec'
import type { EntryPlace } from './entry'
import { ThreadmillError, wrongType, wrongValue } from './errors'
import { findKernel, type Kernel, kernelRegistry } from './kernels'
import type { JsLane, LaneSettings } from './lane'
import { laneParts } from './lazy'
import { Mapper, type Submitter } from './map'
import { native } from './native'
import {
  checkEntryOptions,
  checkLaneOptions,
  checkMapOptions,
  checkPoolOptions,
  checkTaskOptions,
  type EntrySettings,
  optionsObject,
  own,
  ownOr,
  type PoolSettings,
  poolClosed,
} from './options'
import {
  ARENA_LIMIT,
  allocate,
  cancel,
  connect,
  disconnect,
  ENTRY,
  flush,
  type Observer,
  type Owner,
  onRejected,
  onSettled,
  prepareArena,
  settleNow,
  submitBytes,
  submitEntry,
  submitNumber,
  submitValue,
  type Ticket,
} from './port'
import { type CheckedView, checkValue, isView, move, realize } from './schema'
import { follow } from './signals'
import { poolStats } from './stats'
import { NativeWorker, TaskHandle } from './task'
import { transferOf } from './transfer'

type Settle = (value: unknown) => void

/** Filled by the executor below; a promise without a closure of its own. */
let resolvePromise: Settle
let rejectPromise: Settle
const executor = (resolve: Settle, reject: Settle): void => {
  resolvePromise = resolve
  rejectPromise = reject
}

/** Releases the threads of pools that nobody can reach any more. */
const abandoned = new FinalizationRegistry<PoolCore>((core) => {
  // Tasks that still run may submit others.
  core.whenIdle().then(() => core.end(0))
})

/** How far the end of a pool has been asked for. */
type Ending = -1 | 0 | 1 | 2

/** See `WorkerPool` in index.d.ts. */
export class WorkerPool implements AsyncDisposable {
  readonly name: string
  readonly kernels: Kernels
  readonly #core: PoolCore

  constructor(...given: unknown[]) {
    this.#core = createCore(given)
    this.name = this.#core.settings.name
    this.kernels = this.#kernelMethods() as unknown as Kernels
    abandoned.register(this, this.#core, this.#core)
  }

  run(input?: unknown, options?: object): Promise<never> {
    try {
      const core = this.#core
      return (
        core.isForEntry(options) ? core.submitEntry(input, options) : core.submit(kernelOf(options), input, options)
      ) as Promise<never>
    } catch (error) {
      return Promise.reject(error)
    }
  }

  addTask(input?: unknown, options?: object): TaskHandle<never> {
    if (this.#core.isForEntry(options)) {
      const task = this.#core.entryTask(input, options)
      this.#core.submitEntry(input, options, task)
      return task as TaskHandle<never>
    }
    const kernel = kernelOf(options)
    const task = this.#core.task(kernel, input, options as RunOptions)
    this.#core.submit(kernel, input, options, task)
    // The contract's overloads say what the output is; here it is whatever the kernel gives.
    return task as TaskHandle<never>
  }

  map(inputs: Iterable<unknown> | AsyncIterable<unknown>, options?: MapOptions): AsyncIterableIterator<never> {
    const core = this.#core
    const kernel = core.isForEntry(options) ? undefined : kernelOf(options)
    // A copy, so that what the caller does with the object later does not matter.
    const settings = { ...options }
    const { signal } =
      kernel === undefined ? core.checkEntry(settings) : checkTaskOptions(settings, core.settings, core.threads, kernel)
    // These closures keep the pool reachable while the iteration lasts.
    const submitter: Submitter = {
      hasRoom: () => this.#core.hasRoom,
      whenRoom: () => this.#core.whenRoom(),
      start: (input, resolve, reject) =>
        kernel === undefined
          ? this.#core.startEntry(input, settings, resolve, reject, undefined)
          : this.#core.start(kernel, input, settings, resolve, reject, undefined),
      onEnd: (listener) => this.#core.onEnd(listener),
    }
    const mapper = new Mapper(inputs, { ...checkMapOptions(settings, core.parallelism), signal }, submitter)
    return mapper as AsyncIterableIterator<never>
  }

  onMessage(type: string, listener: (contents: never, origin: IWorker) => void): this {
    this.#core.listeners.add(checkType(type), listener)
    return this
  }

  removeMessageListener(type: string, listener: (contents: never, origin: IWorker) => void): this {
    this.#core.listeners.remove(checkType(type), listener)
    return this
  }

  on(event: string, listener: (...args: never[]) => void): this {
    this.#core.events.add(checkEvent(event), listener)
    return this
  }

  once(event: string, listener: (...args: never[]) => void): this {
    this.#core.events.add(checkEvent(event), listener, true)
    return this
  }

  off(event: string, listener: (...args: never[]) => void): this {
    this.#core.events.remove(checkEvent(event), listener)
    return this
  }

  removeListener(event: string, listener: (...args: never[]) => void): this {
    return this.off(event, listener)
  }

  resizeUpTo(workers: number): void {
    this.#core.lane?.resizeUpTo(workers)
  }

  postMessageToWorkers(type: string, contents?: unknown): this {
    this.#core.lane?.broadcast(checkType(type), contents)
    return this
  }

  get workers(): readonly IWorker[] {
    return this.#core.workers
  }

  get isIdle(): boolean {
    return this.#core.pending === 0
  }

  whenIdle(): Promise<void> {
    return this.#core.whenIdle()
  }

  stats(): PoolStats {
    return this.#core.stats()
  }

  close(): Promise<void> {
    return this.#core.end(0)
  }

  async dispose(options?: { readonly force?: boolean | undefined }): Promise<void> {
    const force = ownOr(optionsObject(options), 'force', false)
    if (typeof force !== 'boolean') throw wrongType('options.force', 'a boolean', force)
    return this.#core.end(force ? 2 : 1)
  }

  destroy(): Promise<void> {
    return this.#core.end(2)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#core.end(0)
  }

  /** One method per kernel; own keys are their names. Each keeps the pool reachable. */
  #kernelMethods(): Record<string, KernelMethod> {
    const methods: Record<string, KernelMethod> = {}
    for (const kernel of kernelRegistry().values()) {
      const { name } = kernel.info
      // The computed key gives the function its name for stack traces.
      const named: Record<string, KernelMethod> = {
        [name]: (input, options) => {
          try {
            return options === undefined && typeof input === 'number' && kernel.takesAnyNumber
              ? this.#core.submitPlain(kernel, input)
              : this.#core.submit(kernel, input, options)
          } catch (error) {
            return Promise.reject(error)
          }
        },
      }
      Object.assign(methods, named)
    }
    return Object.freeze(methods)
  }
}

/** A pool for kernels, or one with a module: `(options?)`, `(module, options?)`, `(module, workers)`. */
function createCore([first, second]: unknown[]): PoolCore {
  const isModule = typeof first === 'string' || typeof first === 'function' || first instanceof URL
  if (!isModule) return new PoolCore(checkPoolOptions(first))
  const options = typeof second === 'number' ? {} : optionsObject(second)
  const settings = checkPoolOptions(options)
  const lane = checkLaneOptions(typeof second === 'number' ? second : options, settings)
  const { isOwnEntry, resolveEntry } = laneParts()
  const { place } = resolveEntry(first, own(options, 'entrypointSymbol'))
  return new PoolCore(settings, { place, settings: lane, isOwn: isOwnEntry(place.url) })
}

type KernelMethod = (input: unknown, options?: object) => Promise<unknown>

function kernelOf(options: unknown): Kernel {
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object with a kernel', options)
  return findKernel(own(options, 'kernel'))
}

const EVENTS: readonly unknown[] = ['task-added', 'task-complete', 'worker-launched', 'worker-exit']

function checkEvent(event: unknown): string {
  if (!EVENTS.includes(event))
    throw wrongValue('event', `'task-added', 'task-complete', 'worker-launched' or 'worker-exit'`, event)
  return event as string
}

/** The module of a pool. */
interface LaneEntry {
  readonly place: EntryPlace
  readonly settings: LaneSettings
  /** Whether this thread is a worker with that entry module. */
  readonly isOwn: boolean
}

/** What a pool is made of, apart from the object that users hold: it lives as long as tasks do. */
class PoolCore implements Owner {
  readonly settings: PoolSettings
  readonly handle: number
  readonly threads: number
  readonly listeners = new Listeners()
  readonly events = new Listeners()
  readonly lane: JsLane | undefined
  readonly #laneWorkers: number
  /** Whether it is the pool that this very thread is a worker of: its tasks never settle. */
  readonly #isInert: boolean
  readonly #workers: readonly IWorker[]
  /** Tickets without options, by kernel: the same for every call. */
  readonly #tickets: Ticket[] = []
  /** The same for the entry function. */
  #entryTicket: Ticket | undefined
  pending = 0
  #nextId = 0
  #completed = 0
  #errored = 0
  #ending: Ending = -1
  #ended: Promise<void> | undefined
  #resolveEnded: (() => void) | undefined
  #idleWaiters: (() => void)[] = []
  #roomWaiters: (() => void)[] = []
  #lastStats: PoolStats | undefined
  readonly #endListeners = new Set<(reason: unknown) => void>()

  constructor(settings: PoolSettings, entry?: LaneEntry) {
    this.settings = settings
    this.handle = native.createPool({ ...settings, capacity: undefined, timeout: undefined, timeoutFrom: undefined })
    this.threads = (JSON.parse(native.figures(this.handle)) as { workers: unknown[] }).workers.length
    this.#workers = Array.from({ length: this.threads }, (_, index) => Object.freeze(new NativeWorker(index)))
    connect(this)
    const host = {
      handle: this.handle,
      name: settings.name,
      settled: (succeeded: boolean, value: unknown, observer: Observer | undefined) =>
        this.settled(succeeded, value, observer),
      launched: (worker: IWorker) => this.events.call('worker-launched', worker),
      exited: (worker: IWorker, code: number, error: unknown) => this.events.call('worker-exit', worker, code, error),
      message: (type: string, contents: unknown, origin: IWorker) => this.listeners.call(type, contents, origin),
    }
    this.#laneWorkers = entry?.settings.maxWorkers ?? 0
    // A worker that makes the pool it is a worker of gets one that does nothing.
    this.#isInert = entry?.isOwn === true
    const seat = { settings, maxWorkers: this.#laneWorkers }
    try {
      this.lane =
        entry === undefined || entry.isOwn
          ? undefined
          : new (laneParts().JsLane)(host, entry.place, entry.settings, seat)
    } catch (error) {
      native.closePool(this.handle, 2, true)
      throw error
    }
  }

  /** Whether a call with these options is for the entry function: there is a module and no kernel is named. */
  isForEntry(options: unknown): boolean {
    if (this.lane === undefined && !this.#isInert) return false
    return typeof options !== 'object' || options === null || own(options, 'kernel') === undefined
  }

  /** Workers of the lane that a pool of this kind is for. */
  get parallelism(): number {
    return this.lane === undefined ? this.threads : this.#laneWorkers
  }

  get workers(): readonly IWorker[] {
    return this.lane?.workers ?? this.#workers
  }

  checkEntry(options: object): EntrySettings {
    return checkEntryOptions(options, this.settings, this.#laneWorkers)
  }

  entryTask(argument: unknown, options: object | undefined): TaskHandle<unknown> {
    const worker = (index: number) => this.lane?.worker(index)
    return new TaskHandle({ id: this.#nextId, argument, options: options ?? {}, kernel: ENTRY, worker })
  }

  /** As `submit`, for the entry function of the pool's module. */
  submitEntry(input: unknown, options: object | undefined, task?: TaskHandle<unknown>): Promise<unknown> {
    const promise = new Promise(executor)
    if (task === undefined && this.#isWatched) task = this.entryTask(input, options)
    this.startEntry(input, options, resolvePromise, rejectPromise, task, promise)
    return promise
  }

  /** As `start`, for the entry function. An input that cannot cross rejects and is not queued. */
  startEntry(
    input: unknown,
    options: object | undefined,
    resolve: Settle,
    reject: Settle,
    task: TaskHandle<unknown> | undefined,
    promise?: Promise<unknown>,
  ): number {
    const { lane } = this
    if (lane === undefined) {
      task?.attach(-1, promise as Promise<unknown>)
      return -1
    }
    if (this.#ending >= 0) throw poolClosed(this.settings.name)
    let ticket = this.#entryTicket
    let signal: AbortSignal | undefined
    let wanted = -1
    let list: readonly object[] | undefined
    if (options !== undefined || ticket === undefined) {
      const settings = this.checkEntry(options ?? {})
      list = settings.list
      signal = settings.signal
      wanted = settings.wanted
      const { affinityKey, key, name, priority, affinity, timeout } = settings
      const hasExtra = affinityKey !== undefined || key !== undefined || name !== undefined
      const extra = hasExtra ? [affinityKey, key, name] : undefined
      ticket = { owner: lane, kernel: ENTRY, priority, affinity, timeout, extra }
      if (options === undefined) this.#entryTicket = ticket
    }
    if (signal?.aborted) throw signal.reason
    if (!this.hasRoom) throw this.#full()
    let encoded: Encoded
    const { encode, POSTED } = laneParts()
    lane.check()
    const marked = transferOf(input)
    if (marked !== undefined) [input, list] = [marked.value, [...marked.list, ...(list ?? [])]]
    try {
      encoded = list === undefined ? encode(input) : { codec: POSTED, data: undefined }
      if (encoded.codec === POSTED) encoded = { codec: POSTED, data: lane.keep(input, list ?? []) }
    } catch (error) {
      task?.attach(-1, promise as Promise<unknown>)
      this.#nextId++
      reject(error)
      return -1
    }
    const key = encoded.codec === POSTED ? (encoded.data as number) : -1
    try {
      lane.admit(wanted)
    } catch (error) {
      lane.discard(key)
      throw error
    }
    let slot = -1
    let unfollow: (() => void) | undefined
    try {
      unfollow = signal && follow(signal, (reason) => slot >= 0 && cancel(slot, { reason }))
    } catch (error) {
      lane.withdraw()
      lane.discard(key)
      throw error
    }
    slot = allocate(ticket, resolve)
    onRejected(slot, reject)
    this.#nextId++
    this.pending++
    if (task !== undefined && promise !== undefined) task.attach(slot, promise)
    if (unfollow !== undefined || key >= 0) {
      onSettled(slot, () => {
        unfollow?.()
        lane.discard(key)
      })
    }
    submitEntry(slot, ticket, encoded.codec, encoded.data)
    if (signal?.aborted) cancel(slot, { reason: signal.reason })
    this.#added(task)
    return slot
  }

  #full(): ThreadmillError {
    return new ThreadmillError(
      'ERR_THREADMILL_QUEUE_FULL',
      `pool '${this.settings.name}' has ${this.pending} unfinished tasks, its capacity`,
    )
  }

  /** Tasks that a JS worker submitted. */
  discovered(worker: number, added: number, completed: number, errored: number): void {
    this.pending += added
    this.lane?.discovered(worker, added, completed + errored)
    for (let count = 0; count < completed; count++) this.lane?.settled(true, undefined, undefined)
    for (let count = 0; count < errored; count++) this.lane?.settled(false, undefined, undefined)
  }

  /** A message of a JS worker. */
  mail(type: string, codec: number, data: unknown, worker: number): void {
    let contents: unknown
    try {
      contents = laneParts().decode(codec, data)
    } catch {
      // Nested too deep for this thread's stack: a worker shall not end its owner.
      return
    }
    this.lane?.mail(type, contents, worker)
  }

  get hasRoom(): boolean {
    return this.pending < this.settings.capacity
  }

  whenRoom(): Promise<void> {
    return this.hasRoom ? Promise.resolve() : new Promise((resolve) => this.#roomWaiters.push(resolve))
  }

  whenIdle(): Promise<void> {
    return this.pending === 0 ? Promise.resolve() : new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  /** A handle for a task that is about to be submitted. */
  task(kernel: Kernel, argument: unknown, options: Readonly<RunOptions>): TaskHandle<unknown> {
    const worker = (index: number) => this.#workers[index]
    return new TaskHandle({ id: this.#nextId, argument, options, kernel: kernel.index, worker })
  }

  /** Checks and submits; throws before anything is queued or moved. */
  submit(kernel: Kernel, input: unknown, options: object | undefined, task?: TaskHandle<unknown>): Promise<unknown> {
    const promise = new Promise(executor)
    if (task === undefined && this.#isWatched) task = this.task(kernel, input, (options ?? {}) as RunOptions)
    this.start(kernel, input, options, resolvePromise, rejectPromise, task, promise)
    return promise
  }

  /** As `submit` without options, for a number that needs no check: the shortest way. */
  submitPlain(kernel: Kernel, input: number): Promise<unknown> {
    const ticket = this.#tickets[kernel.index]
    // The first one makes the ticket; one that is refused learns why.
    if (ticket === undefined || this.#ending >= 0 || !this.hasRoom || this.#isWatched)
      return this.submit(kernel, input, undefined)
    const promise = new Promise(executor)
    this.#nextId++
    this.pending++
    submitNumber(allocate(ticket, resolvePromise), ticket, input)
    return promise
  }

  /** As `submit`, with the functions to settle. Returns the slot. */
  start(
    kernel: Kernel,
    input: unknown,
    options: object | undefined,
    resolve: Settle,
    reject: Settle,
    task: TaskHandle<unknown> | undefined,
    promise?: Promise<unknown>,
  ): number {
    if (this.#ending >= 0) throw poolClosed(this.settings.name)
    const { index, info } = kernel
    let ticket = this.#tickets[index]
    let transfer: readonly ArrayBuffer[] | undefined
    let signal: AbortSignal | undefined
    if (options !== undefined || ticket === undefined) {
      const settings = checkTaskOptions(options, this.settings, this.threads, kernel)
      transfer = settings.transfer
      signal = settings.signal
      const { affinityKey, key, kernelOptions, priority, affinity, timeout } = settings
      const extra =
        affinityKey !== undefined || key !== undefined || kernelOptions !== undefined
          ? [affinityKey, key, kernelOptions && realize({ members: kernelOptions }, undefined)]
          : undefined
      ticket = { owner: this, kernel: index, priority, affinity, timeout, extra }
      if (options === undefined) this.#tickets[index] = ticket
    }
    const checked = kernel.takesAnyNumber && typeof input === 'number' ? input : checkValue('input', info.input, input)
    if (signal?.aborted) throw signal.reason
    if (!this.hasRoom) throw this.#full()
    // Everything that can fail comes before the task exists; moving buffers last of it, because that cannot be undone.
    const small = isView(checked) && transfer === undefined && isSmall(checked) ? checked : undefined
    let slot = -1
    const unfollow = signal && follow(signal, (reason) => slot >= 0 && cancel(slot, { reason }))
    let value: unknown
    try {
      if (small === undefined) value = realize(checked, transfer && move(transfer))
      else {
        prepareArena()
        value = new Uint8Array(small.buffer, small.offset, small.byteLength)
      }
    } catch (error) {
      unfollow?.()
      throw error instanceof RangeError ? noMemory(error) : error
    }
    slot = allocate(ticket, resolve)
    onRejected(slot, reject)
    this.#nextId++
    this.pending++
    if (task !== undefined && promise !== undefined) task.attach(slot, promise)
    if (unfollow !== undefined) onSettled(slot, unfollow)
    if (typeof value === 'number') submitNumber(slot, ticket, value)
    else if (small !== undefined) submitBytes(slot, ticket, small.kind, value as Uint8Array)
    else submitValue(slot, ticket, value)
    // A signal may have fired while it was being subscribed to.
    if (signal?.aborted) cancel(slot, { reason: signal.reason })
    this.#added(task)
    return slot
  }

  settled(succeeded: boolean, value: unknown, observer: Observer | undefined): void {
    if (succeeded) this.#completed++
    else this.#errored++
    this.pending--
    this.#shutIdleLane()
    if (observer instanceof TaskHandle && this.events.has('task-complete')) this.#tellEnd(observer, succeeded, value)
    if (this.#roomWaiters.length > 0 && this.hasRoom) {
      const waiters = this.#roomWaiters
      this.#roomWaiters = []
      for (const resolve of waiters) resolve()
    }
    if (this.pending === 0 && this.#idleWaiters.length > 0) {
      const waiters = this.#idleWaiters
      this.#idleWaiters = []
      for (const resolve of waiters) resolve()
    }
  }

  /** Ends the workers of a pool that is closing when nothing is unsettled; what they still run was given up. */
  #shutIdleLane(): void {
    if (this.#ending >= 0 && this.pending === 0) this.lane?.shutdown(false)
  }

  #tellEnd(task: TaskHandle<unknown>, succeeded: boolean, value: unknown): void {
    if (succeeded) {
      this.events.call('task-complete', undefined, value, task)
      return
    }
    // Whoever listens has seen the failure.
    task.then(undefined, () => {})
    const wrapped = () => Object.assign(new Error('a task failed with a falsy reason'), { reason: value })
    this.events.call('task-complete', value || wrapped(), undefined, task)
  }

  /** Tells listeners of the new task; makes a handle for those that have none when somebody listens. */
  #added(task: TaskHandle<unknown> | undefined): void {
    if (task !== undefined) this.events.call('task-added', task)
  }

  get #isWatched(): boolean {
    return this.events.has('task-added') || this.events.has('task-complete')
  }

  message(type: string, contents: unknown, worker: number): void {
    this.listeners.call(type, contents, this.#workers[worker])
  }

  stats(): PoolStats {
    if (this.#lastStats !== undefined) return this.#lastStats
    flush()
    const counts = {
      name: this.settings.name,
      completed: this.#completed,
      errored: this.#errored,
      maxWorkers: this.#laneWorkers,
    }
    return poolStats(JSON.parse(native.figures(this.handle)), counts)
  }

  /** Calls `listener` when the pool admits nothing any more. Returns how to stop that. */
  onEnd(listener: (reason: unknown) => void): () => void {
    if (this.#ending >= 0) listener(poolClosed(this.settings.name))
    else this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  /** Ends the pool; asked again, it can only end sooner. */
  end(mode: 0 | 1 | 2): Promise<void> {
    if (this.#ended === undefined) {
      this.#ended = new Promise((resolve) => {
        this.#resolveEnded = resolve
      })
      abandoned.unregister(this)
    }
    if (mode > this.#ending && this.#resolveEnded !== undefined) {
      flush()
      const first = this.#ending < 0
      this.#ending = mode
      for (const listener of this.#endListeners) listener(poolClosed(this.settings.name))
      this.#endListeners.clear()
      native.closePool(this.handle, mode, first)
      // Tasks that do not return end with their workers.
      if (mode === 2) this.lane?.shutdown(true)
      else this.#shutIdleLane()
    }
    return this.#ended
  }

  closed(): void {
    if (this.lane === undefined) this.#release()
    else {
      // Nothing is unfinished any more; the workers say goodbye.
      this.lane.shutdown(this.#ending === 2).then(() => {
        settleNow()
        this.#release()
      })
    }
  }

  #release(): void {
    this.#lastStats = this.stats()
    disconnect(this)
    this.#resolveEnded?.()
    this.#resolveEnded = undefined
  }
}

function isSmall(view: CheckedView): boolean {
  return view.byteLength < ARENA_LIMIT && !types.isSharedArrayBuffer(view.buffer)
}

/** The engine had no room for the task's own copy. */
function noMemory(cause: RangeError): ThreadmillError {
  return new ThreadmillError('ERR_THREADMILL_SYSTEM', `the input could not be copied: ${cause.message}`, { cause })
}
