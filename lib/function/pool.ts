// Stage: schedule. Thread: any.
// Runs functions of this thread, so many at a time, while a CPU is free for them.

import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type { FunctionPoolOptions, TaskPoolEvent } from '../../function'
import { wrongType } from '../errors'
import { optionsObject, own, ownOr } from '../own'
import { isGateOpen, type Machine, machine, startProfilingCpu } from './cpu-gate'
import { emitApart } from './emit'
import { checkFunction, checkNumber, MAX_INTERVAL } from './options'
import { Status } from './status'
import { StatusType, TaskPool } from './task-pool'
import { FunctionThread, type Watcher } from './thread'

/** percent */
const THRESHOLD = 98
/** Pings after which a task of a pool that runs nothing starts though no CPU is free. */
const PATIENCE = 10

const OPTIONS = ['poolSize', 'pingInterval', 'maxThreadThreshold', 'autoStart']

type Handler = (...args: unknown[]) => unknown

/** See `FunctionPool` in function.d.ts. */
export class FunctionPool extends EventEmitter {
  readonly #tasks: TaskPool<FunctionThread>
  readonly #watcher: Watcher
  #isStarted: boolean
  #threshold: number
  /** Pings since the last start at which the CPU gate alone kept the pool, which ran nothing, from starting a task. */
  #refusals = 0
  /** Threads that the user started and that ended before their turn came. */
  readonly #early = new WeakSet<FunctionThread>()

  constructor(given?: FunctionPoolOptions) {
    const options = optionsObject(given)
    const poolSize = own(options, 'poolSize')
    const pingInterval = checkInterval('options.pingInterval', ownOr(options, 'pingInterval', 100))
    const threshold = checkNumber('options.maxThreadThreshold', ownOr(options, 'maxThreadThreshold', THRESHOLD))
    const autoStart = ownOr(options, 'autoStart', true)
    if (typeof autoStart !== 'boolean') throw wrongType('options.autoStart', 'a boolean', autoStart)
    super()
    this.setMaxListeners(0)
    this.#threshold = threshold
    this.#isStarted = autoStart
    this.#tasks = new TaskPool({
      poolSize: poolSize === undefined ? Math.max(machine().cores - 1, 1) : checkSize('options.poolSize', poolSize),
      pingInterval,
      emitter: (event) => this.#hear(event),
    })
    this.#watcher = this.#watch()
    for (const [name, value] of Object.entries(options)) {
      if (!OPTIONS.includes(name) && !(name in this)) Object.assign(this, { [name]: value })
    }
    startProfilingCpu()
  }

  get poolSize(): number {
    return this.#tasks.poolSize
  }

  set poolSize(value: number) {
    this.#tasks.poolSize = checkSize('poolSize', value)
    this.#startQueued()
  }

  get pingInterval(): number {
    return this.#tasks.pingInterval
  }

  set pingInterval(value: number) {
    this.#tasks.pingInterval = checkInterval('pingInterval', value)
  }

  get maxThreadThreshold(): number {
    return this.#threshold
  }

  set maxThreadThreshold(value: number) {
    this.#threshold = checkNumber('maxThreadThreshold', value)
  }

  get system(): Machine {
    return machine()
  }

  start(): this {
    this.#isStarted = true
    this.#startQueued()
    return this
  }

  addTask<T, M>(workerFn: () => T | PromiseLike<T>, meta?: M): FunctionThread<Awaited<T>, M> {
    checkFunction('workerFn', workerFn)
    // It sees the async context of this call, whoever makes room for it later.
    const scope = new AsyncResource('threadmill:function')
    const run = () => scope.runInAsyncScope(workerFn) as PromiseLike<Awaited<T>>
    const thread = new FunctionThread({ workerFn: run, meta: meta as M }, this.#watcher)
    this.#tasks.enqueue(thread)
    this.#startQueued()
    return thread
  }

  hasAvailableThread(): boolean {
    return this.#tasks.hasAvailableSlot() && isGateOpen(this.#threshold)
  }

  isCompleted(emit = false): boolean {
    return this.#tasks.isCompleted(emit)
  }

  status(fields?: unknown, type?: unknown): never {
    return this.#tasks.status(fields, type)
  }

  clearCompleted(): number {
    return this.#tasks.clearCompleted()
  }

  // biome-ignore lint/suspicious/noThenProperty: pools are thenable by contract
  then(onMessage?: unknown, onFailure?: unknown): this {
    const [handler, failureHandler] = [optional(onMessage), optional(onFailure)]
    // With both, somebody awaits the pool, which must leave no listeners behind.
    if (failureHandler !== undefined) return this.#any(handler ?? (() => {}), failureHandler)
    return handler === undefined ? this : this.on('worker.message', (result, thread) => handler(result, thread))
  }

  catch(onFailure: unknown): this {
    const handler = checked(onFailure)
    this.on('worker.error', (reason, thread) => handler(reason, 'error', thread))
    return this.on('worker.messageerror', (error, thread) => handler(error, 'messageerror', thread))
  }

  finally(onExit: unknown): this {
    const handler = checked(onExit)
    return this.on('worker.exit', (code, thread) => handler(code, thread))
  }

  allSettled(onComplete: unknown): this {
    const handler = checked(onComplete)
    return this.on('complete', () => handler(this.#completed()))
  }

  all(onEnd: unknown): this {
    const handler = checked(onEnd)
    const fail = (reason: unknown) => handler(reason)
    return this.#onceOf({
      'worker.error': fail,
      'worker.messageerror': fail,
      complete: () => handler(this.#completed()),
    })
  }

  any(onEnd: unknown): this {
    const handler = checked(onEnd)
    return this.#any(handler, (error) => handler(error, undefined))
  }

  race(onFirst: unknown): this {
    const handler = checked(onFirst)
    const first = (value: unknown, thread: unknown) => handler(value, thread)
    return this.#onceOf({ 'worker.message': first, 'worker.error': first, 'worker.messageerror': first })
  }

  #any(onMessage: Handler, onFailure: Handler): this {
    return this.#onceOf({
      'worker.message': (result, thread) => onMessage(result, thread),
      complete: () => {
        const threads = this.#completed().filter((thread) => thread.status.ERROR)
        const reasons = threads.map((thread) => thread.error)
        onFailure(Object.assign(new AggregateError(reasons, 'No threads completed successfully'), { threads }))
      },
    })
  }

  /** Calls the handler of the event that comes first, and none of the others. */
  #onceOf(handlers: Readonly<Record<string, Handler>>): this {
    const listeners = Object.entries(handlers).map(([event, handler]): [string, Handler] => [
      event,
      (...args) => {
        for (const [name, listener] of listeners) this.off(name, listener)
        handler(...args)
      },
    ])
    for (const [event, listener] of listeners) this.on(event, listener)
    return this
  }

  #completed(): FunctionThread[] {
    return this.#tasks.status('completed', StatusType.RAW)
  }

  #hear(event: TaskPoolEvent): void {
    if (event !== 'ping') {
      emitApart(this, event)
      return
    }
    if (this.#isShut()) this.#refusals++
    this.#startQueued()
  }

  /** Whether nothing but the gate keeps the pool idle. */
  #isShut(): boolean {
    return this.#tasks.status('active') === 0 && !isGateOpen(this.#threshold)
  }

  /** Starts what may start. Not by recursion: a thread never ends while it is started. */
  #startQueued(): void {
    if (!this.#isStarted) return
    while (this.#tasks.status('queued') > 0 && this.#tasks.isReady() && this.#mayStart()) {
      const thread = this.#tasks.next()
      if (thread === false) return
      this.#refusals = 0
      if (!thread.start() && this.#early.has(thread)) this.#tasks.complete(thread)
    }
  }

  #mayStart(): boolean {
    return isGateOpen(this.#threshold) || this.#refusals >= PATIENCE
  }

  #watch(): Watcher {
    return {
      started: (thread) => {
        emitApart(this, 'worker.init', thread)
        emitApart(this, 'worker.status', thread.status, Status.ACTIVE, Status.READY, thread)
      },
      changed: (thread, state, before) => emitApart(this, 'worker.status', thread.status, state, before, thread),
      message: (thread, result) => this.emit('worker.message', result, thread),
      error: (thread, reason) => this.emit('worker.error', reason, thread),
      messageerror: (thread, error) => emitApart(this, 'worker.messageerror', error, thread),
      ended: (thread) => {
        if (!this.#tasks.complete(thread)) this.#early.add(thread)
      },
      exit: (thread, code) => {
        emitApart(this, 'worker.exit', code, thread)
        this.#startQueued()
      },
    }
  }
}

function checkSize(name: string, value: unknown): number {
  return Math.max(1, Math.floor(checkNumber(name, value)))
}

function checkInterval(name: string, value: unknown): number {
  return Math.min(Math.max(1, checkNumber(name, value)), MAX_INTERVAL)
}

function checked(handler: unknown): Handler {
  checkFunction('callback', handler)
  return handler as Handler
}

function optional(handler: unknown): Handler | undefined {
  return handler === undefined || handler === null ? undefined : checked(handler)
}
