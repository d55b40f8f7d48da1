// Stage: run. Thread: owner env.
// The JS lane of a pool: launches workers, hears how they end, and shuts them down. How many there are is said in lane-size.ts;
// which of them runs what is decided by the scheduler.
//
// J3. Every worker that was launched is told to the scheduler as joined before, and as left after its thread has ended.
// J4. When a worker cannot load the entry module, or ends by itself before it has, what waits is for the others; without
//     others it rejects with the reason. As long as no worker has ever loaded it, nothing is launched again; later, by the
//     next task, and after a pause. A thread that the system refuses says nothing of the module: it is asked for again likewise.
// J8. See lane-mail.ts. What a task has written is posted, too, before its answer.

import { receiveMessageOnPort } from 'node:worker_threads'
import type { IWorker } from '..'
import { Crashes } from './crashes'
import { settleNow } from './drain'
import { describe, isInstance, ThreadmillError } from './errors'
import { type Estimation, estimation } from './estimators'
import { FailedLoads } from './failed-loads'
import { Guests } from './guests'
import { JsWorker } from './js-worker'
import type { LaneLauncher } from './lane-launcher'
import { LaneMail } from './lane-mail'
import { LaneOutput } from './lane-output'
import type { LaneHost, LaneSettings } from './lane-settings'
import { LaneSize, type SizeHost } from './lane-size'
import type { LaneThread, ThreadHost } from './lane-thread'
import { native } from './native-owner'
import type { End, Observer } from './owner'
import { ParcelStore, type StoreHost } from './parcel-store'
import { flush } from './port'
import { BuiltinPromise } from './promise'
import { isAlone, type Report } from './protocol'
import { decodeReason } from './reason'
import { isRefused, refusedThread } from './refused'
import { IS_NODE } from './runtime'
import { StuckWorkers } from './stuck'
import type { EntryLane, Pushed } from './submit'

/** See the head of this file. */
export class JsLane implements EntryLane, ThreadHost {
  readonly handle: number
  readonly isLocal = false
  readonly #host: LaneHost
  readonly #settings: LaneSettings
  readonly #launcher: LaneLauncher
  readonly #threads: (LaneThread | undefined)[] = []
  readonly #workers: JsWorker[] = []
  readonly #mail: LaneMail
  readonly #output: LaneOutput
  readonly crashes: Crashes
  readonly size: LaneSize
  readonly #stuck: StuckWorkers
  #pending = 0
  /** Whether a task has succeeded since the last crash. */
  #hasSucceeded = false
  readonly store: ParcelStore
  readonly #guests: Guests
  readonly #failedLoads = new FailedLoads()
  /** Whether it has been told that the module cannot be used. */
  #isBroken = false
  /** Why the system has refused the last thread that it has. */
  #refusal: ThreadmillError | undefined
  #closing = false
  #gone: Promise<void> | undefined
  #allGone: (() => void) | undefined
  /** Smoothed run time of the entry function, ms. */
  runTime: number | undefined
  /** Present when there are estimators. */
  readonly estimate: Estimation | undefined

  constructor(host: LaneHost, settings: LaneSettings, launcher: LaneLauncher) {
    this.handle = host.handle
    this.#host = host
    this.#settings = settings
    this.#launcher = launcher
    this.crashes = new Crashes(settings.crashLimit)
    this.store = new ParcelStore(this.#storeHost())
    this.#guests = new Guests(host, this.store)
    this.#stuck = new StuckWorkers({
      handle: host.handle,
      cancelGrace: settings.cancelGrace,
      threads: this.#threads,
      leaving: (thread) => this.size.markLeaving(thread),
      evict: (index, thread) => thread.evict(this.store.hasAhead(index)),
    })
    this.#mail = new LaneMail({
      handle: host.handle,
      store: this.store,
      threads: this.#threads,
      jsWorkers: this.#workers,
      message: (type, contents, origin) => host.message(type, contents, origin),
    })
    this.#output = new LaneOutput({ threads: this.#threads, jsWorkers: this.#workers })
    this.estimate = estimation(settings, this.#workers)
    this.size = new LaneSize(this.#sizeHost(), settings)
  }

  #sizeHost(): SizeHost {
    const lane = this
    return {
      handle: lane.handle,
      threads: lane.#threads,
      get isClosing() {
        return lane.#closing
      },
      get isOver() {
        return lane.#isOver
      },
      launch: (index) => lane.#launch(index),
      countStuck: () => lane.#stuck.count(),
    }
  }

  /** Whether no worker is launched any more. */
  get #isOver(): boolean {
    return this.#failedLoads.areFinal || this.#closing
  }

  #storeHost(): StoreHost {
    const lane = this
    const threads = this.#threads
    return {
      idleWorker() {
        // Who would take a task submitted before is not waiting for another one.
        flush()
        return native.idleWorker(lane.handle)
      },
      get runTime() {
        return lane.runTime
      },
      get mostWorkers() {
        return threads.length
      },
      taking: (index) => (threads[index]?.takesTasks ? threads[index] : undefined),
      isReady: (index) => threads[index]?.ready === true,
      control: (index) => threads[index]?.control,
      readPort: (index) => lane.#readPort(index),
    }
  }

  /** Share of the time that the event loop of a worker was busy; null when it has no thread. */
  utilization(index: number): number | null {
    // Workers of Deno have that once it is loaded.
    if (!IS_NODE) require('node:perf_hooks')
    const share = this.#threads[index]?.worker.performance.eventLoopUtilization().utilization
    // What Node says of a moment may be a little more.
    return share === undefined ? null : Math.min(1, share)
  }

  /** From now on the threads keep the process alive. */
  keepAlive(): void {
    for (const thread of this.#threads) thread?.worker.ref()
  }

  /** A worker that takes no more tasks has ended its last one. */
  retired(index: number): void {
    const thread = this.#threads[index]
    if (thread === undefined || this.#closing) return
    // It has posted that it is ready before it took a task, and only then has something to say goodbye for.
    if (!thread.ready) this.#readPort(index)
    this.size.markLeaving(thread)
    thread.stop(false)
  }

  resumed(): void {
    if (!this.#isOver) this.size.launchMissing()
  }

  retried(observer: Observer | undefined, count: number, reason: unknown): void {
    this.#host.retried(observer, count, reason)
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
    if (!this.#failedLoads.areFinal) return
    this.#failedLoads.isTold = true
    throw this.#failedLoads.error
  }

  /** @throws ThreadmillError when the entry module cannot be used */
  admit(wanted: number, isForced = false): boolean {
    this.check()
    this.#pending++
    const { size } = this
    const [before, refusal] = [size.launched, this.#refusal]
    try {
      if (wanted >= 0) size.launchWanted(wanted, isForced)
      size.launchFor(this.#pending)
      if (this.#refusal !== refusal && !this.#canRun(wanted)) throw this.#refusal
    } catch (error) {
      this.#pending--
      throw error
    }
    return size.launched > before
  }

  /** Whether there is the worker that a task asks for, or any. */
  #canRun(wanted: number): boolean {
    return wanted < 0 ? this.size.launched > 0 : this.#threads[wanted] !== undefined
  }

  /** A worker has submitted tasks, has seen some succeed or fail, or has written something. */
  discovered(index: number, [added, completed, errored]: [number, number, number], codec: number, data: unknown): void {
    this.#readPort(index)
    this.#guests.count(index, added, completed + errored)
    // Kernels among them, and tasks for this thread, take no workers.
    if (added > 0 && !this.#isOver) this.size.launchMissing()
    this.#guests.tell(index, completed, errored, codec, data)
    if (completed > 0) this.#hasSucceeded = true
  }

  /** A worker that does not end a task that was given up in time is ended itself. */
  gaveUp(index: number, idIndex: number, idGeneration: number, given: number): void {
    this.#stuck.gaveUp(index, idIndex, idGeneration, given)
    if (!this.#isOver) this.size.launchFor(native.unfinishedTasks(this.handle))
  }

  /** Takes back an `admit` whose task was not submitted after all. */
  withdraw(): void {
    this.#pending--
  }

  keep(value: unknown, transfer: readonly object[], isOwn = false): number {
    return this.store.keep(value, transfer, isOwn)
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

  get pending(): number {
    return this.#pending
  }

  settled(succeeded: boolean, value: unknown, observer: Observer | undefined, isAdmitted?: boolean): void {
    this.#pending--
    if (succeeded) this.#hasSucceeded = true
    this.size.shrink()
    this.#host.settled(succeeded, value, observer, isAdmitted)
  }

  message(): void {}

  closed(): void {}

  mail(type: string, codec: number, data: unknown, index: number, observer: Observer | undefined): void {
    this.#mail.receive(type, codec, data, index, observer)
  }

  /** Adds to an error of the scheduler what is known on this side. */
  explain(error: ThreadmillError, index: number): ThreadmillError {
    const unusable = error.code === 'ERR_THREADMILL_ENTRY' ? this.#failedLoads.error : undefined
    const refused = error.code === 'ERR_THREADMILL_SYSTEM' ? this.#refusal : undefined
    const explained = unusable ?? refused ?? this.crashes.explain(error, index)
    return this.#host.explain?.(explained) ?? explained
  }

  broadcast(type: string, contents: unknown, transfer: unknown, isHeardHere: boolean): void {
    this.#mail.broadcast(type, contents, transfer, isHeardHere)
  }

  #launch(index: number): void {
    if (this.#failedLoads.isPaused && this.size.serving > 0) return
    let thread: LaneThread | undefined
    try {
      thread = this.#launcher.launch(index)
    } catch (error) {
      if (!isInstance(error, ThreadmillError)) throw error
      this.#hasRefused(error)
    }
    if (thread !== undefined) this.adopt(thread)
  }

  /** The system refuses a thread. Others run what waits, and it is asked again; where there are none, what waits is rejected. */
  #hasRefused(refusal: ThreadmillError): void {
    this.#refusal = refusal
    if (this.size.launched > 0) {
      this.#failedLoads.pause(() => this.#launchAgain())
      return
    }
    flush()
    native.rejectWaiting(this.handle, 4, refusal.message)
  }

  /** A thread has been launched for it. */
  adopt(thread: LaneThread): void {
    const { index } = thread
    this.#threads[index] = thread
    this.#workers[index] ??= new JsWorker(
      index,
      this.#settings,
      (...message) => this.#mail.post(index, ...message),
      (stream) => this.#output.readOn(index, stream),
    )
    this.#workers[index].threadId = thread.threadId
    this.#output.capture(thread, index)
    this.#mail.handOver(thread)
    this.size.joined()
    this.#host.launched(this.#workers[index])
  }

  reported(thread: LaneThread, report: Report): void {
    const { index } = thread
    if (isAlone(report)) {
      this.store.arrived(index, report[0], { value: report[1] })
      return
    }
    switch (report.type) {
      case 'ready':
        thread.hasLoaded()
        if (thread.stopping) thread.stop(false)
        if (this.#failedLoads.succeeded()) this.#launchAgain()
        this.#host.online(this.#workers[index] as IWorker)
        break
      case 'used-up':
        this.size.recycle(index)
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
      case 'returned':
        this.store.giveBack(report.key, report)
        break
      case 'returned-all':
        thread.worker.terminate()
        break
      case 'discard':
        this.discard(report.key)
        break
      case 'collect':
        this.store.handOn(thread.control, report.worker, report.key)
        break
      case 'heard':
        this.store.heard(index, report.left)
        break
      case 'main':
        this.#host.startMain()
        break
      case 'preferred':
        // It would rather, and need not.
        if (!this.#isOver && !this.#host.isEnding()) this.size.launchWanted(report.worker, false)
        break
      case 'text':
        this.#output.write(thread, report.stream, report.chunk, report.encoding as BufferEncoding)
        break
      case 'failed':
        this.#failedLoads.add(decodeReason(report.codec, report.data))
        this.#failed(thread)
        // What the module has left running is of no use.
        thread.worker.terminate()
    }
  }

  /** A worker could not load the entry module. */
  #failed(thread: LaneThread): void {
    thread.failed(this.#failedLoads.error)
    // Others may have loaded it, and not been heard of.
    for (const other of this.#threads.keys()) this.#readPort(other)
    if (this.#failedLoads.areFinal) this.#rejectUnusable()
  }

  /** Nobody can run what waits: the entry module cannot be used. */
  #rejectUnusable(): void {
    flush()
    const before = native.unfinishedTasks(this.handle)
    native.rejectWaiting(this.handle, 2, 'the entry module cannot be used')
    if (native.unfinishedTasks(this.handle) < before) this.#failedLoads.isTold = true
    if (!this.#failedLoads.areFinal || this.#isBroken) return
    this.#isBroken = true
    this.#host.broken(this.#failedLoads.error)
  }

  exited(thread: LaneThread, exitCode: number): void {
    const { index } = thread
    // What it had told before comes first.
    settleNow()
    this.#readPort(index)
    const isUnloaded = thread.endsUnloaded
    const { cause: reason } = thread
    const refusal = isUnloaded && isRefused(reason, thread.hasBegun) ? refusedThread(reason) : undefined
    if (isUnloaded && refusal === undefined) {
      this.#failedLoads.addEnd(exitCode, thread.hasCause ? { cause: thread.cause } : undefined)
      this.#failed(thread)
    }
    thread.control.close()
    this.store.endLate(index)
    this.#guests.forget(index)
    this.#threads[index] = undefined
    if (thread.leaving && thread.hasHeir && !this.#closing) this.#mail.awaitHeir(index)
    this.store.forget(index)
    this.size.left(thread)
    const origin = this.#workers[index]
    const cause = refusal ?? (thread.hasCause ? thread.cause : undefined)
    // Before anybody hears of it: a listener may launch the next one, which has its number.
    const [waiting, repeated, failed] = this.#leave(thread, exitCode, refusal)
    const isOnPurpose = this.#closing || refusal !== undefined || thread.evicted
    if (!isOnPurpose) this.crashes.add(thread.crash(exitCode), thread.hasFailed || thread.hasCrashed)
    if (origin !== undefined) {
      this.#host.exited(origin, exitCode, cause, thread.exitReason(refusal !== undefined, this.#closing))
      if (origin.threadId === thread.threadId) origin.threadId = undefined
    }
    if (this.#closing) {
      // One that is terminated has none.
      if (thread.hasCause) this.#unheard(origin, exitCode, thread)
      if (this.size.launched === 0) this.#tellGone()
      return
    }
    if (refusal !== undefined) {
      this.#hasRefused(refusal)
      return
    }
    if (thread.hasFailed) {
      this.#endUnloaded(thread, exitCode, origin)
      return
    }
    if (thread.evicted) {
      this.crashes.forget(index)
      this.#replace(waiting)
      return
    }
    if (thread.leaving && thread.stopping) {
      // One that took too long to say goodbye was terminated.
      if (thread.hasCause) this.#unheard(origin, exitCode, thread)
      this.#replace(waiting)
      return
    }
    if (failed > 0) this.crashes.hasFailed(index)
    if (failed + repeated === 0 && (exitCode !== 0 || thread.hasCause)) this.#unheard(origin, exitCode, thread)
    this.crashes.follow(repeated > 0, this.#hasSucceeded)
    this.#hasSucceeded = false
    if (this.crashes.isEndless && waiting > 0) {
      this.crashes.startAnew()
      flush()
      const why = `the workers of pool '${this.#host.name}' crash again and again`
      native.rejectWaiting(this.handle, 0, why)
      this.#host.broken(this.crashes.explain(new ThreadmillError('ERR_THREADMILL_WORKER_CRASHED', why), index))
    } else if (waiting > 0 && !thread.leaving) this.#launch(index)
    else if (this.crashes.isEndless) return
    else if (thread.leaving) this.#launchAgain()
    else this.size.fill()
  }

  /** Takes a worker that has ended out of the pool: how many tasks wait, and of its own are repeated and have failed. */
  #leave(thread: LaneThread, exitCode: number, refusal: Error | undefined): readonly [number, number, number] {
    const { index, hasCause, cause } = thread
    const leave = (parting: 0 | 1 | 3 | 4, text: string) => native.leaveWorker(this.handle, index, parting, text)
    if (this.#closing) return leave(1, 'the pool was closed while the task ran')
    flush()
    if (refusal !== undefined) return leave(4, refusal.message)
    if (thread.hasFailed) return leave(0, 'the entry module cannot be used')
    if (thread.evicted) {
      return leave(3, `worker ${index} was ended because of another task, and the input cannot be sent again`)
    }
    const why = hasCause ? `: ${cause instanceof Error ? cause.message : `uncaught ${describe(cause)}`}` : ''
    return leave(0, `worker ${index} ended with exit code ${exitCode} while it ran the task${why}`)
  }

  /** A worker that could not load the entry module has gone. */
  #endUnloaded(thread: LaneThread, exitCode: number, origin: IWorker | undefined): void {
    if (this.#failedLoads.areFinal || this.size.serving === 0) this.#rejectUnusable()
    if (!this.#failedLoads.areFinal) this.#failedLoads.pause(() => this.#launchAgain())
    this.#unheard(origin, exitCode, thread)
  }

  /** A worker has failed, and no task of it. */
  #unheard(worker: IWorker | undefined, exitCode: number, { hasCause, cause, hasFailed }: LaneThread): void {
    // Once is enough for all that fail for the same reason.
    if (worker === undefined || (hasFailed && this.#failedLoads.isTold)) return
    if (hasFailed) this.#failedLoads.isTold = true
    this.#host.unheard(worker, exitCode, hasCause ? cause : undefined)
  }

  /** A worker has ended as it was told to, and so many tasks wait; others come where they are needed. */
  #replace(waiting: number): void {
    if (this.#failedLoads.areFinal) {
      if (waiting > 0) this.#rejectUnusable()
      return
    }
    this.#launchAgain()
  }

  /** Launches those that the tasks take, and the least that there are to be. */
  #launchAgain(): void {
    if (this.#closing) return
    this.size.launchMissing()
    this.size.fill()
  }

  /** Hears what a worker has reported so far. */
  #readPort(index: number): void {
    const thread = this.#threads[index]
    if (thread === undefined) return
    for (;;) {
      try {
        const received = receiveMessageOnPort(thread.control)
        if (received === undefined) return
        this.reported(thread, received.message as Report)
      } catch {
        // One that this thread cannot read: whoever asks for it is told.
      }
    }
  }

  /** Ends all workers; resolves when their threads are gone. The pool has no tasks any more, or `force` is set. */
  shutdown(force: boolean): Promise<void> {
    const isFirst = !this.#closing
    // Which of them are ready. Those that are terminated may never stop to report.
    if (isFirst && !force) {
      for (const index of this.#threads.keys()) this.#readPort(index)
    }
    this.#closing = true
    for (const thread of this.#threads) if (thread !== undefined) thread.hasHeir = false
    this.#gone ??= new BuiltinPromise((resolve) => {
      this.#allGone = resolve
    })
    if (isFirst || force) {
      const asked = this.#threads.filter((thread) => thread?.askToStop(force))
      // While they end.
      for (const thread of asked) thread?.limitStop()
    }
    this.size.stop()
    this.#failedLoads.stop()
    if (this.size.launched === 0) this.#tellGone()
    return this.#gone
  }

  /** All threads are gone. */
  #tellGone(): void {
    this.#mail.end()
    this.#output.end()
    this.store.clear()
    this.#allGone?.()
  }
}
