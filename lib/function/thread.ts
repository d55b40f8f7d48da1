// Stage: run. Thread: any.
// One run of one function, as an object that tells what becomes of it.
//
// T1. The function is called at most once.
// T2. A run that has begun ends with `exit`, whatever the function and the listeners do.
// T3. What the pool keeps its books by does not go through listeners, which users can remove or precede.

import { EventEmitter } from 'node:events'
import type { FunctionThreadOptions } from '../../function'
import { optionsObject, own } from '../own'
import { BuiltinPromise } from '../promise'
import { soon } from '../timers'
import { emitApart } from './emit'
import { checkFunction } from './options'
import { Status, ThreadStatus } from './status'

/** What a pool hears of its threads, in this order. Only `message` and `error` may throw. */
export interface Watcher {
  started(thread: FunctionThread): void
  /** The state after the start has changed. */
  changed(thread: FunctionThread, state: number, before: number): void
  message(thread: FunctionThread, result: unknown): void
  error(thread: FunctionThread, reason: unknown): void
  messageerror(thread: FunctionThread, error: unknown): void
  /** Before anybody hears of the exit. */
  ended(thread: FunctionThread): void
  exit(thread: FunctionThread, code: number): void
}

/** What has been told of the end, for handlers that come later. */
type Told = 'nothing' | 'message' | 'error' | 'messageerror'

type Handler = (...args: unknown[]) => unknown

const isHandler = (value: unknown): value is Handler => typeof value === 'function'

/** See `FunctionThread` in function.d.ts. */
export class FunctionThread<T = unknown, M = unknown> extends EventEmitter {
  readonly status: ThreadStatus
  meta: M
  #workerFn: (() => unknown) | undefined
  #watcher: Watcher | undefined
  #message: T | undefined
  #error: unknown
  #told: Told = 'nothing'
  #exitCode: number | undefined

  constructor(given: FunctionThreadOptions<T, M>, watcher?: Watcher) {
    const options = optionsObject(given)
    const workerFn = own(options, 'workerFn')
    checkFunction('options.workerFn', workerFn)
    super()
    this.setMaxListeners(0)
    this.#workerFn = workerFn as () => unknown
    this.#watcher = watcher
    this.meta = own(options, 'meta') as M
    this.status = new ThreadStatus()
    // The same object in every event, for the thread's whole life.
    Object.defineProperty(this, 'status', { writable: false, configurable: false })
    this.#turn(Status.READY, this.meta)
  }

  get message(): T | undefined {
    return this.#message
  }

  get error(): unknown {
    return this.#error
  }

  start(): boolean {
    const workerFn = this.#workerFn
    if (workerFn === undefined || !this.status.READY) return false
    // Completed threads are kept, what they ran need not be.
    this.#workerFn = undefined
    this.#turn(Status.ACTIVE)
    emitApart(this, 'init', this)
    this.#watcher?.started(this)
    new BuiltinPromise((resolve) => resolve(workerFn())).then(
      (result) => this.#succeed(result),
      (reason) => this.#fail(reason),
    )
    return true
  }

  // biome-ignore lint/suspicious/noThenProperty: threads can be awaited
  then(onMessage?: unknown, onFailure?: unknown): this {
    const late = this.#told !== 'nothing'
    if (late) {
      soon(() => {
        if (this.#told !== 'message') {
          if (isHandler(onFailure)) onFailure(this.#error)
        } else if (isHandler(onMessage)) onMessage(this.#message)
      })
      return this
    }
    if (isHandler(onMessage)) this.on('message', (result) => onMessage(result))
    if (isHandler(onFailure)) {
      // An `error` that no listener could deal with comes again as `messageerror`.
      let isCalled = false
      const once = (reason: unknown) => {
        if (isCalled) return
        isCalled = true
        onFailure(reason)
      }
      this.on('error', once).on('messageerror', once)
    }
    return this
  }

  catch(onFailure?: unknown): this {
    if (!isHandler(onFailure)) return this
    if (this.#told === 'error' || this.#told === 'messageerror') {
      const kind = this.#told
      soon(() => onFailure(this.#error, kind))
      return this
    }
    this.on('error', (reason) => onFailure(reason, 'error'))
    return this.on('messageerror', (error) => onFailure(error, 'messageerror'))
  }

  finally(onExit?: unknown): this {
    if (!isHandler(onExit)) return this
    const code = this.#exitCode
    if (code === undefined) return this.on('exit', (exitCode) => onExit(exitCode))
    soon(() => onExit(code))
    return this
  }

  #succeed(result: unknown): void {
    this.#message = result as T
    this.#turn(Status.SUCCESS, result)
    this.#told = 'message'
    const fault = this.#tell('message', result)
    if (fault !== undefined) {
      this.#error = fault.thrown
      this.#turn(Status.ERROR, fault.thrown)
      this.#told = 'messageerror'
      this.#tellFault(fault.thrown)
    }
    this.#end()
  }

  #fail(reason: unknown): void {
    this.#error = reason
    this.#turn(Status.ERROR, reason)
    this.#told = 'error'
    // Without any listener, `emit` would throw the reason.
    const isHeard = this.listenerCount('error') > 0
    const fault = isHeard || this.#watcher !== undefined ? this.#tell('error', reason) : { thrown: reason }
    if (fault !== undefined) this.#tellFault(reason)
    this.#end()
  }

  /** Tells the pool and the listeners; the first exception. */
  #tell(event: 'message' | 'error', value: unknown): { readonly thrown: unknown } | undefined {
    let fault: { readonly thrown: unknown } | undefined
    try {
      this.#watcher?.[event](this, value)
    } catch (thrown) {
      fault = { thrown }
    }
    try {
      if (this.listenerCount(event) > 0) this.emit(event, value)
    } catch (thrown) {
      fault ??= { thrown }
    }
    return fault
  }

  #tellFault(error: unknown): void {
    emitApart(this, 'messageerror', error)
    this.#watcher?.messageerror(this, error)
  }

  #end(): void {
    soon(() => {
      const code = this.status.ERROR ? 1 : 0
      this.#exitCode = code
      this.#watcher?.ended(this)
      emitApart(this, 'exit', code)
      this.#watcher?.exit(this, code)
    })
  }

  #turn(state: number, ...extra: unknown[]): void {
    const before = this.status.value
    this.status.value = state
    emitApart(this, 'status', this.status, state, before, ...extra)
    if (before !== Status.INIT && state !== Status.ACTIVE) this.#watcher?.changed(this, state, before)
  }
}
