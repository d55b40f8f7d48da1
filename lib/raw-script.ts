// Stage: run. Thread: a JS worker.
// A script without an entry function that listens on `parentPort`: its tasks come as messages of that port, and what it
// posts is their output. The port itself carries nothing, for the pool has one of its own.
//
// R1. The oldest task that was delivered and has no output gets what the script posts next; when there is none, the pool
//     gets it as a message. So it does what was meant for a task that a getter of it has posted the output of.
// R2. What a listener throws, or rejects with, while it is called for a task that has no output yet is the end of that
//     task. Anything else stays what it is in every worker: the end of the thread.
// R3. A task that finds no listener waits for one, as `await once(parentPort, 'message')` in a loop asks for.

import process from 'node:process'
import type { MessagePort } from 'node:worker_threads'
import { settledLater } from './call'
import { rethrow } from './callbacks'
import type { EntryFunction } from './entry-module'
import { prepare } from './marked'
import { BuiltinPromise, isPromise } from './promise'
import { soon } from './timers'
import { isWatchReport } from './watch-mode'

/** What messages of that type are called in `pool.onMessage` and `postMessageToWorker`. */
const TYPE = 'message'
const IS_BUN = 'bun' in process.versions

/** A task that was delivered and has no output. */
interface Open {
  readonly resolve: (output: unknown) => void
  readonly reject: (reason: unknown) => void
}

/** What is needed of the worker. */
export interface RawHost {
  postMessageToPool(type: string, contents: unknown, transfer: readonly object[] | undefined): unknown
  onMessage(type: string, listener: (contents: never) => void): unknown
  /** The script has closed its port: the thread ends when it has nothing else to do. */
  release(): void
}

/** Calls the listeners for a message. */
function emit(port: MessagePort, data: unknown): void {
  // Bun loses what `emit` is given.
  if (IS_BUN) (port as unknown as EventTarget).dispatchEvent(new MessageEvent(TYPE, { data }))
  else port.emit(TYPE, data)
}

type Listener = (this: unknown, ...args: unknown[]) => unknown

/** See the head of this file. */
export class RawScript {
  readonly #port: MessagePort
  readonly #host: RawHost
  readonly #open: Open[] = []
  /** Tasks that were not delivered. */
  readonly #waiting: (readonly [input: unknown, task: Open])[] = []
  readonly #wrappers = new WeakMap<object, Listener>()
  /** The task that listeners are being called for. */
  #delivered: Open | undefined

  /** From now on listeners are called by way of this, and what is posted comes here. */
  constructor(port: MessagePort, host: RawHost) {
    this.#port = port
    this.#host = host
    const { addEventListener, postMessage, removeEventListener } = Object.getPrototypeOf(port) as Record<
      string,
      Listener
    >
    // The other methods, `on` and `once` and `onmessage`, come down to these.
    this.#replace('addEventListener', (type, listener, ...options) => {
      addEventListener?.call(port, type, type === TYPE ? this.#wrapped(listener) : listener, ...options)
      if (type === TYPE && this.#waiting.length > 0) soon(() => this.#deliverWaiting())
    })
    this.#replace('removeEventListener', (type, listener, ...options) => {
      const known = type === TYPE ? this.#wrappers.get(listener as object) : undefined
      removeEventListener?.call(port, type, known ?? listener, ...options)
    })
    this.#replace('postMessage', (value, transfer) => {
      if (isWatchReport(value)) postMessage?.call(port, value)
      else this.#post(value, transfer)
    })
  }

  #replace(name: string, value: (...args: unknown[]) => void): void {
    Object.defineProperty(this.#port, name, { value, configurable: true, writable: true })
  }

  /** What runs its tasks; `undefined` when nobody listens. */
  entry(): EntryFunction | undefined {
    if (this.#port.listenerCount(TYPE) === 0) return undefined
    this.#host.onMessage(TYPE, (contents) => emit(this.#port, contents))
    this.#port.on('close', () => this.#host.release())
    return (input) =>
      new BuiltinPromise((resolve, reject) => {
        this.#waiting.push([input, { resolve, reject }])
        this.#deliverWaiting()
      })
  }

  #deliverWaiting(): void {
    while (this.#waiting.length > 0 && this.#port.listenerCount(TYPE) > 0) {
      const [input, task] = this.#waiting.shift() as [unknown, Open]
      this.#open.push(task)
      const outer = this.#delivered
      this.#delivered = task
      try {
        emit(this.#port, input)
      } finally {
        this.#delivered = outer
      }
    }
  }

  #post(value: unknown, transfer: unknown): void {
    const list = Array.isArray(transfer) ? transfer : (transfer as { transfer?: object[] } | null | undefined)?.transfer
    const [task] = this.#open
    if (task === undefined) {
      this.#host.postMessageToPool(TYPE, value, list)
      return
    }
    // As it is now; when it cannot be cloned the script is told, and the task goes on.
    const output = prepare(value, list)
    const at = this.#open.indexOf(task)
    if (at < 0) {
      // A getter of the value has posted something, which is the output of that task.
      this.#host.postMessageToPool(TYPE, output, undefined)
      return
    }
    this.#open.splice(at, 1)
    task.resolve(output)
  }

  /** Ends a task with an error, unless it has an output. */
  #fail(task: Open, reason: unknown): boolean {
    const at = this.#open.indexOf(task)
    if (at < 0) return false
    this.#open.splice(at, 1)
    task.reject(reason)
    return true
  }

  /** The same function for the same listener, so that the runtime can tell which are the same. */
  #wrapped(listener: unknown): unknown {
    if (typeof listener !== 'function' && (typeof listener !== 'object' || listener === null)) return listener
    const known = this.#wrappers.get(listener)
    if (known !== undefined) return known
    const script = this
    function wrapper(this: unknown, ...args: unknown[]): unknown {
      return script.#call(() =>
        typeof listener === 'function'
          ? (listener as Listener).apply(this, args)
          : (listener as { handleEvent: Listener }).handleEvent(...args),
      )
    }
    this.#wrappers.set(listener, wrapper)
    return wrapper
  }

  #call(listener: () => unknown): unknown {
    const task = this.#delivered
    if (task === undefined) return listener()
    try {
      const result = settledLater(listener())
      if (isPromise(result)) {
        result.catch((error) => {
          if (!this.#fail(task, error)) rethrow(error)
        })
      }
    } catch (error) {
      if (!this.#fail(task, error)) throw error
    }
    return undefined
  }
}
