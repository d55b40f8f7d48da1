// Stage: submit. Thread: a JS worker.
// Tasks that a worker submits to its own pool. They go straight to the scheduler and settle here, without the thread that
// made the pool; that one is told, so that it can count them and fire events.
//
// J7. While tasks that this worker submitted are unsettled, its own tasks that have not returned do not count against
//     workerConcurrency: one of them may be waiting for another, and nobody can tell which. What one has given is seen to, and
//     its answer lies ready, before the next begins.
// J12. While the owner, which somebody has listen to events of tasks, is far behind with them, tasks settle here slowly: else
//     what it has not been told of would be without bound.

import type { MessagePort, Transferable } from 'node:worker_threads'
import type { IWorker, Kernels } from '..'
import { builtins } from './builtins'
import { encode } from './codec'
import { type Encoded, POSTED } from './codecs'
import { OwnMap, OwnSet } from './collections'
import { executor, last } from './deferred'
import { connect, holdBack, settleNow } from './drain'
import { isInstance, ThreadmillError } from './errors'
import { kernelMethods } from './kernel-methods'
import { type Kernel, kernelOf } from './kernels'
import { ENTRY, MAIN_WORKER, native } from './native'
import { checkEntryOptions, type EntrySettings, optionsObject, own, type PoolSettings } from './options'
import type { End, Observer, Ticket } from './owner'
import { KEY_STEP, KEYS_PER_LIFE, KEYS_PER_WORKER, keyOfInput, listOf, moved } from './parcel'
import { flush } from './port'
import { BuiltinPromise, quiet } from './promise'
import type { Report } from './protocol'
import { encodeReason } from './reason'
import type { Details } from './registry'
import { expectedCost } from './run-times'
import { Shared } from './shared'
import { type EntryHost, type EntryLane, type GivenOptions, startEntry, startKernel } from './submit'
import { NativeWorker, TaskHandle } from './task'
import type { TaskTracer } from './trace'

/** What a worker is told of its pool. */
export interface SeatSettings {
  readonly settings: PoolSettings
  /** Native workers. */
  readonly threads: number
  /** See `Shared`. */
  readonly shared: SharedArrayBuffer
}

/** What the bootstrap of a worker does for its tasks. */
export interface SeatHost {
  readonly index: number
  readonly life: number
  readonly control: MessagePort
  /** Posts what only `postMessage` can move; returns its key. */
  postValue(value: unknown, list: readonly Transferable[]): number
  /** The first task was submitted, or the last one has settled. */
  waits(isWaiting: boolean): void
  /** Follows what the task that runs submits, if that is followed itself. */
  tracer(): TaskTracer | undefined
  /** There is something to report. */
  reportSoon(): void
}

const { assign, clone, freeze } = builtins

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] }

/** See the head of this file. */
export class SeatPool implements EntryHost, EntryLane {
  readonly handle = native.openSeat()
  readonly settings: PoolSettings
  readonly threads: number
  readonly tickets: Ticket[] = []
  readonly isLocal = false
  runTime: number | undefined
  readonly #host: SeatHost
  readonly #shared: Shared
  #kernels: Kernels | undefined
  #nextKey: number
  #hasStartedMain = false
  /** When workers were asked for, by number, ms. */
  readonly #askedFor: number[] = []
  #unsettled = 0
  #added = 0
  #completed = 0
  #errored = 0
  #details: Writable<Details> = { added: [], ended: [] }
  /** Tasks that the owner was told of, and is to be told the end of, whether or not somebody still listens by then. */
  readonly #told = new OwnSet<TaskHandle<unknown>>()
  /** Who waits for an output, by worker and key. */
  readonly #collecting = new OwnMap<string, End>()
  #doubts = 0

  constructor(host: SeatHost, pool: SeatSettings) {
    this.#host = host
    this.settings = pool.settings
    this.threads = pool.threads
    this.#shared = new Shared(pool.shared)
    this.#nextKey = (host.index + 1) * KEYS_PER_WORKER + ((host.life * KEYS_PER_LIFE) % KEYS_PER_WORKER)
    connect(this)
    holdBack(() => this.#shared.isOwnerBehind)
  }

  /** Whether tasks that were submitted here are unsettled. */
  get isWaiting(): boolean {
    return this.#unsettled > 0
  }

  get tracer(): TaskTracer | undefined {
    return this.#host.tracer()
  }

  get kernels(): Kernels {
    this.#kernels ??= kernelMethods(() => this)
    return this.#kernels
  }

  /** As `pool.addTask`, by default with a light affinity to this worker. */
  addTask(input: unknown, options: object | undefined): TaskHandle<unknown> {
    const given = options === undefined ? NO_OPTIONS : optionsObject(options)
    if (options !== undefined && own(options, 'kernel') !== undefined) {
      const kernel = kernelOf(given)
      const task = this.#handle(input, given, expectedCost(this, kernel.index), kernel.info.name)
      this.submit(kernel, input, given, task)
      return task
    }
    const task = this.#handle(input, given, expectedCost(this, ENTRY))
    this.#startEntry(input, options, task)
    return task
  }

  #startEntry(input: unknown, options: object | undefined, task?: TaskHandle<unknown>): Promise<unknown> {
    const promise = new BuiltinPromise(executor)
    const settlement = { resolve: last.resolve, reject: last.reject, task, promise }
    startEntry(this, input, options && this.#placed(options), settlement)
    if (task !== undefined) this.#tellAdded(task, input, options ?? NO_OPTIONS)
    return promise
  }

  /** As `pool.run`: without a handle, unless somebody listens to the events of tasks. */
  run(input: unknown, options: object | undefined): Promise<unknown> {
    if (options !== undefined) optionsObject(options)
    if (options !== undefined && own(options, 'kernel') !== undefined) {
      return this.submit(kernelOf(options), input, options)
    }
    const isTold = this.#shared.isWatched
    const task = isTold ? this.#handle(input, options ?? NO_OPTIONS, expectedCost(this, ENTRY)) : undefined
    return this.#startEntry(input, options, task)
  }

  /** Options without an affinity get that of `plain`. */
  #placed(given: object): object {
    const isFree = own(given, 'workerAffinity') === undefined && own(given, 'affinityKey') === undefined
    return isFree ? { ...given, workerAffinity: this.#host.index } : given
  }

  /** Checks and submits a task for a kernel; throws before anything is queued or moved. */
  submit(kernel: Kernel, input: unknown, options: object | undefined, task?: TaskHandle<unknown>): Promise<unknown> {
    const promise = new BuiltinPromise(executor)
    const { resolve, reject } = last
    const watched =
      task ?? (this.#shared.isWatched ? this.#handle(input, options ?? {}, 0, kernel.info.name) : undefined)
    startKernel(this, kernel, input, options, { resolve, reject, task: watched, promise })
    if (watched !== undefined) this.#tellAdded(watched, input, options ?? {})
    return promise
  }

  submitPlain(kernel: Kernel, input: number): Promise<unknown> {
    return this.submit(kernel, input, undefined)
  }

  #handle(argument: unknown, options: object, expected: number, kernel?: string): TaskHandle<unknown> {
    const id = this.#shared.newId()
    const worker = kernel === undefined ? seatWorker : nativeWorker
    return new TaskHandle({ id, argument, options: options as GivenOptions, kernel, expected, worker })
  }

  /** Settings of a call without options: it stays with this worker, unless another one has less to do. */
  get plain(): EntrySettings {
    this.#plain ??= this.checkEntry({ workerAffinity: this.#host.index })
    return this.#plain
  }

  #plain: EntrySettings | undefined

  checkOpen(): void {}

  checkRoom(): void {}

  began(): void {
    this.#added++
    if (this.#unsettled++ === 0) this.#host.waits(true)
    this.#host.reportSoon()
  }

  checkEntry(options: object): EntrySettings {
    return checkEntryOptions(options, this.settings, this.#shared.maxWorkers)
  }

  laneOf({ isMain }: EntrySettings): EntryLane {
    if (isMain && !this.#hasStartedMain) {
      this.#hasStartedMain = true
      const report: Report = { type: 'main' }
      this.#host.control.postMessage(report)
    }
    return this
  }

  /** Others are launched for it, as by the owner; one that tasks are forced to the scheduler misses by itself. */
  admit(wanted: number, isForced = false): boolean {
    if (wanted < 0 || wanted === this.#host.index || isForced) return false
    const time = native.now()
    if (time - (this.#askedFor[wanted] ?? Number.NEGATIVE_INFINITY) < AGAIN) return false
    this.#askedFor[wanted] = time
    const report: Report = { type: 'preferred', worker: wanted }
    this.#host.control.postMessage(report)
    return false
  }

  withdraw(): void {}

  keep(value: unknown, transfer: readonly object[]): number {
    this.#nextKey += KEY_STEP
    const key = keyOfInput(this.#nextKey, transfer)
    const parcel = moved(value, transfer as Transferable[])
    const report: Report = { type: 'input', key, ...parcel }
    this.#host.control.postMessage(report, listOf(parcel))
    return key
  }

  discard(key: number): void {
    if (key < 0) return
    const report: Report = { type: 'discard', key }
    this.#host.control.postMessage(report)
  }

  /** The output is with the owner, who posts it on. */
  collect(_codec: number, key: number, worker: number, end: End): void {
    this.#collecting.set(`${worker} ${key}`, end)
    const report: Report = { type: 'collect', worker, key }
    this.#host.control.postMessage(report)
  }

  /** Something that the owner has posted cannot be read here: an output that was asked for, perhaps. */
  unread(cause: unknown): void {
    const asked: string[] = []
    this.#collecting.forEach((_, key) => {
      asked[asked.length] = key
    })
    if (asked.length === 0) return
    // The owner answers in the order in which it is asked: what has not come then does not come.
    this.collect(POSTED, this.#doubts++, NOBODY, () => {
      for (let at = 0; at < asked.length; at++) {
        const end = this.#collecting.get(asked[at] as string)
        if (end === undefined) continue
        this.#collecting.delete(asked[at] as string)
        end(false, new ThreadmillError('ERR_THREADMILL_SYSTEM', 'the output could not be read', { cause }))
      }
    })
  }

  /** Settles what has come back by now. Not to be called by what a drain calls. */
  settleNow(): void {
    settleNow()
  }

  /** It has come, or was lost. */
  collected(worker: number, key: number, read: () => unknown): void {
    const end = this.#collecting.get(`${worker} ${key}`)
    this.#collecting.delete(`${worker} ${key}`)
    try {
      end?.(true, read())
    } catch (error) {
      end?.(false, error)
    }
  }

  settled(succeeded: boolean, value: unknown, observer: Observer | undefined): void {
    if (succeeded) this.#completed++
    else this.#errored++
    if (observer instanceof TaskHandle) {
      // Whoever listens is told of a failure; and a pool that is closed admits nothing, which is nobody's fault.
      const isTold = this.#told.delete(observer)
      if (!succeeded && (isTold || isClosed(value))) quiet(observer)
      if (isTold) this.#tellEnded(observer, succeeded, value)
    }
    if (--this.#unsettled === 0) this.#host.waits(false)
    this.#host.reportSoon()
  }

  // --- what the owner is told ---

  #tellAdded(task: TaskHandle<unknown>, input: unknown, options: object): void {
    // One that was refused has no slot, and was not counted.
    if (task.slot < 0 || !this.#shared.isWatched) return
    const argument = tell(input)
    const { id, kernel, taskCost: expected } = task
    const { added } = this.#details
    added[added.length] = { id, argument, options: tell(withoutOwn(options)), kernel, expected }
    this.#told.add(task)
  }

  #tellEnded(task: TaskHandle<unknown>, succeeded: boolean, output: unknown): void {
    const { codec, data } = succeeded ? { codec: 0, data: undefined } : encodeReason(output)
    const value = succeeded ? tell(output) : ([codec, data] as const)
    const { id, ranOn: worker, taskCost: runTime, pretaskCost: overhead } = task
    const { ended } = this.#details
    ended[ended.length] = { id, succeeded, value, worker, runTime, overhead }
  }

  /**
   * Tells the owner what has happened since the last time, if anything, and the scheduler what was submitted. Before answers
   * that it must not overtake: with its last one a worker may go, and what it submitted later with it.
   */
  report(): boolean {
    flush()
    const [added, completed, errored] = [this.#added, this.#completed, this.#errored]
    if (added + completed + errored === 0) return false
    this.#added = 0
    this.#completed = 0
    this.#errored = 0
    const details = this.#details
    let encoded: Encoded = { codec: 0, data: undefined }
    if (details.added.length + details.ended.length > 0) {
      this.#details = { added: [], ended: [] }
      encoded = encode(details)
      if (encoded.codec === POSTED) encoded = { codec: POSTED, data: this.#host.postValue(encoded.data, []) }
    }
    this.#shared.told(completed + errored)
    native.reportTasks(added, completed, errored, encoded.codec, encoded.data)
    return true
  }

  message(): void {}

  closed(): void {}

  /** What the worker threw is with the owner. */
  explain(error: ThreadmillError, index: number): ThreadmillError {
    if (error.code !== 'ERR_THREADMILL_WORKER_CRASHED' || index < 0) return error
    const exitCode = EXIT_CODE.exec(error.message)?.[1]
    return assign(error, { worker: index }, exitCode === undefined ? undefined : { exitCode: Number(exitCode) })
  }
}

function isClosed(reason: unknown): boolean {
  return isInstance(reason, ThreadmillError) && reason.code === 'ERR_THREADMILL_POOL_CLOSED'
}

/** A worker that nobody is, and that has no output. */
const NOBODY = -1

/** As lib/lane.ts says how a worker has ended. */
const EXIT_CODE = /^worker \d+ ended with exit code (\d+)/

/** How long it goes without saying that a worker is asked for, ms. */
const AGAIN = 100

/** Options of calls without any. */
const NO_OPTIONS: object = freeze({})

/** A value for the owner's events, as it is now; `undefined` when it cannot be told. */
function tell(value: unknown): readonly [codec: number, data: unknown] {
  try {
    const { codec, data } = encode(value)
    // Others may not be moved from here, and may not be cloned then.
    return [codec, codec === POSTED ? clone(data) : data]
  } catch {
    return [0, undefined]
  }
}

/** Options without what stays on this side. */
function withoutOwn(options: object): object {
  const { meta: _meta, signal: _signal, transfer: _transfer, ...rest } = options as Record<string, unknown>
  return rest
}

function nativeWorker(index: number): IWorker | undefined {
  return index < 0 ? undefined : new NativeWorker(index)
}

/** A JS worker as another one sees it. */
function seatWorker(index: number): IWorker | undefined {
  if (index < 0) return undefined
  return {
    id: index === MAIN_WORKER ? -1 : index,
    lane: 'js',
    threadId: undefined,
    stdout: null,
    stderr: null,
    postMessageToWorker(): IWorker {
      return this
    },
    toString() {
      return `${this.id}`
    },
  } as IWorker
}
