// Stage: run. Thread: owner env.
// The thread of a JS worker, from its launch to its end. What it reports, and that it has ended, is told to the lane.

import { MessageChannel, type MessagePort, type Transferable, Worker, type WorkerOptions } from 'node:worker_threads'
import type { WorkerExitReason } from '..'
import type { InputWay } from './ahead'
import type { Crash } from './crashes'
import { settleSoon } from './drain'
import type { LaneHost, LaneSettings } from './lane-settings'
import { type LastLook, makeLastLook, postBefore } from './last-look'
import { forgetGate, hasBegun, type LoadGate, makeGate, whenClosed } from './load-gate'
import type { WorkerCode } from './packs'
import { post } from './parcel'
import { type HeapWatch, isAlone, type Launch, type Order, type Report } from './protocol'
import { IS_NODE } from './runtime'
import { clearTimeout, setImmediate, setTimeout } from './timers'

/** Longest time that a thread which is to be ended has to give back what it has not begun, ms. */
const GIVE_BACK = 250

/** Who is told of a thread. */
export interface ThreadHost {
  reported(thread: LaneThread, report: Report): void
  exited(thread: LaneThread, exitCode: number): void
}

/** See the head of this file. By itself it does not keep the process alive. */
export class LaneThread implements InputWay {
  /** Its number. */
  readonly index: number
  readonly worker: Worker
  /** As Node counts threads, also when it has ended. */
  readonly threadId: number
  readonly control: MessagePort
  readonly #patience: number
  readonly #gate: LoadGate
  readonly #lastLook: LastLook = makeLastLook()
  #isReady = false
  #hasEnded = false
  /** Whether it takes no more tasks. */
  leaving = false
  /** Whether it has been told to end, or will be as soon as it listens. */
  stopping = false
  /** Whether another one takes its number when it ends in order. */
  hasHeir = true
  /** Whether it was ended because of a task that was given up. */
  evicted = false
  /** The error that ended it. */
  cause: unknown
  hasCause = false
  /** Whether it could not load its module. */
  hasFailed = false

  /** Launches a thread that runs `script`. @throws what the runtime throws */
  constructor(
    index: number,
    name: string,
    script: string,
    launch: Omit<Launch, 'control' | 'gate' | 'lastLook'>,
    { launcher, workerOptions, stdout, stderr, disposeTimeout }: LaneSettings,
    host: ThreadHost,
  ) {
    const { port1, port2 } = new MessageChannel()
    this.index = index
    this.#gate = makeGate()
    const workerData: Launch = { ...launch, control: port2, gate: this.#gate, lastLook: this.#lastLook }
    try {
      const options: WorkerOptions & { readonly __proto__: null } = {
        // What others have added to the prototype of all objects is no option.
        __proto__: null,
        name,
        ...workerOptions,
        // For a pipe, Node first makes the streams of the process, which takes half as long as all else of a launch.
        stdout: IS_NODE || stdout,
        stderr: IS_NODE || stderr,
        // As it does in the thread, to say that there is nothing to read; see endInput in stdio.ts.
        stdin: IS_NODE,
        workerData,
        transferList: [port2],
      }
      this.worker = new (launcher?.Worker ?? Worker)(launcher?.script ?? script, options)
    } catch (error) {
      forgetGate(this.#gate)
      port1.close()
      throw error
    }
    this.threadId = this.worker.threadId
    this.control = port1
    this.#patience = disposeTimeout
    this.worker.on('error', (error) => {
      this.cause = error
      this.hasCause = true
    })
    this.worker.on('exit', (code) => {
      this.#hasEnded = true
      forgetGate(this.#gate)
      host.exited(this, code)
    })
    port1.on('message', (report: Report) => {
      host.reported(this, report)
      // What it came of is settled.
      if (isAlone(report) || report.type === 'value') settleSoon()
    })
    port1.unref()
    this.worker.unref()
  }

  /** Gives it what it is to run, before anything else is posted. */
  give(code: WorkerCode): void {
    this.control.postMessage(code)
  }

  postInput(order: Order, list: readonly Transferable[]): boolean {
    return postBefore(this.#lastLook, () => post(this.control, order, list))
  }

  /** Whether it has loaded its module. */
  get ready(): boolean {
    return this.#isReady
  }

  /** It has. */
  hasLoaded(): void {
    this.#isReady = true
    forgetGate(this.#gate)
  }

  /** It could not. */
  failed(error: unknown): void {
    this.hasFailed = true
    this.cause = error
    this.hasCause = true
  }

  /** Whether its end, for which nobody has asked, means that it could not load its module. */
  get endsUnloaded(): boolean {
    return !this.#isReady && !this.hasFailed && !this.isDeaf
  }

  /** Whether it has come to its module. */
  get hasBegun(): boolean {
    return hasBegun(this.#gate)
  }

  /** How it has ended, for who was not told to expect that. */
  crash(exitCode: number): Crash {
    return { worker: this.index, exitCode, options: this.hasCause ? { cause: this.cause } : {} }
  }

  /** Whether its end is one that nobody has asked for. */
  get hasCrashed(): boolean {
    return !this.stopping || this.hasCause
  }

  /** Why it has ended. `isRefused`: the system has refused it; `isClosing`: its pool ends. */
  exitReason(isRefused: boolean, isClosing: boolean): WorkerExitReason {
    if (this.hasFailed || isRefused) return 'start-failed'
    if (this.evicted) return 'evicted'
    if (this.hasCrashed) return 'crashed'
    return isClosing ? 'closed' : 'retired'
  }

  /** Whether tasks may be meant for it. */
  get takesTasks(): boolean {
    return !this.leaving && !this.stopping && !this.evicted
  }

  /** Whether it hears no more messages. */
  get isDeaf(): boolean {
    return this.stopping || this.evicted
  }

  /** Ends it because of a task that was given up. With `hasAhead` it may first give back the inputs of others. */
  evict(hasAhead: boolean): void {
    const { worker, control } = this
    this.evicted = true
    if (!hasAhead) {
      worker.terminate()
      return
    }
    const order: Order = { type: 'return' }
    control.postMessage(order)
    // One that is blocked does not hear of it.
    const timer = setTimeout(() => worker.terminate(), GIVE_BACK)
    worker.once('exit', () => clearTimeout(timer))
  }

  /** Ends it, after what it has to say goodbye for unless `force` is set. */
  stop(force: boolean): void {
    if (this.askToStop(force)) this.limitStop()
  }

  /** The first half of `stop`: whether it has something to say goodbye for, and may take its time. */
  askToStop(force: boolean): boolean {
    const { worker, control } = this
    this.stopping = true
    // What comes of its end may be the end of the pool.
    if (this.#hasEnded) return false
    // Whoever waits for the end keeps the process alive for it.
    worker.ref()
    if (force) {
      this.#terminate()
      return false
    }
    // One that has not loaded its module has nothing to say goodbye for.
    if (!this.ready) {
      // Its report may be on the way; then it is told to exit, when that arrives.
      setImmediate(() => {
        if (!this.ready) this.#terminate(() => !this.ready)
      })
      return false
    }
    const order: Order = { type: 'exit' }
    control.postMessage(order)
    return true
  }

  /** Terminates it as soon as its loading allows, if `isWanted` by then. */
  #terminate(isWanted = (): boolean => true): void {
    const { worker } = this
    const callOff = whenClosed(this.#gate, () => {
      if (isWanted()) worker.terminate()
    })
    worker.once('exit', callOff)
  }

  /** The second half, for those: terminates it when the patience is over. */
  limitStop(): void {
    const { worker } = this
    const timer = setTimeout(() => worker.terminate(), this.#patience)
    worker.once('exit', () => clearTimeout(timer))
  }
}

/** When a worker is to look at its heap, if ever. */
export function heapWatch({ heapBytes, heapGrowth }: LaneSettings, memory: LaneHost['memory']): HeapWatch | undefined {
  const { limit, interval } = memory ?? { limit: Number.POSITIVE_INFINITY, interval: 0 }
  const isOff = Math.min(heapBytes, heapGrowth, limit) === Number.POSITIVE_INFINITY
  return isOff ? undefined : { heapBytes, heapGrowth, limit, interval }
}
