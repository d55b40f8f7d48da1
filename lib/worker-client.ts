// Stage: run. Thread: a JS worker.
// What the functions of an entry module are given beside their input: the way back to the pool.

import type { Transferable } from 'node:worker_threads'
import type { Kernels } from '..'
import { Abort, checkProgress, Pace } from './call'
import { checkType, Listeners } from './callbacks'
import { POSTED } from './codecs'
import { payload } from './lazy'
import type { TaskContext } from './metrics/context'
import { native } from './native'
import { rejected } from './promise'
import type { SeatPool } from './seat'
import type { TaskHandle } from './task'

/** A task that runs. */
export interface Running {
  readonly idIndex: number
  readonly idGeneration: number
  /** Made with its first report of progress. */
  pace?: Pace
  /** Made when the task asks for its signal, or is given up. */
  abort?: Abort
  /** What the submitter's tracer is to know of what it does. */
  readonly context: TaskContext | undefined
  /** How often it has been run before. */
  readonly attempt: number
}

/** What the bootstrap of a worker does for its client. */
export interface ClientHost {
  /** The task that the caller belongs to, as far as that can be told; `given`: that of the client in use. */
  currentTask(given?: Running): Running | undefined
  /** The pool as this worker submits to it. */
  takeSeat(): SeatPool
  /** Posts what only `postMessage` can move; the key under which the owner finds it. */
  postValue(value: unknown, list: readonly Transferable[]): number
  /** Hands over the answers of tasks that have ended: they come before what is told from now on. */
  tellEnded(): void
}

// Named by symbols, and hidden: the objects that `of` gives inherit them, as they do what users have put on the client.
const HOST = Symbol('host')
const LISTENERS = Symbol('listeners')
const TASK = Symbol('task')
const OF = Symbol('of')

interface Parts {
  readonly [HOST]: ClientHost
  readonly [LISTENERS]: Listeners
  /** The task that it was given to, if tasks may run beside each other. */
  readonly [TASK]: Running | undefined
  readonly [OF]: new (task: Running) => Client
}

export interface Client extends Parts {}

/** See `IWorkerClient` in index.d.ts. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor defines them
export class Client {
  readonly id: number

  constructor(id: number, host: ClientHost) {
    this.id = id
    function Of(this: { [TASK]: Running }, task: Running): void {
      this[TASK] = task
    }
    Of.prototype = this
    const parts = { [HOST]: host, [LISTENERS]: new Listeners(), [TASK]: undefined, [OF]: Of }
    for (const name of [HOST, LISTENERS, TASK, OF] as const) {
      Object.defineProperty(this, name, { value: parts[name], writable: true })
    }
  }

  /** One for one task, which has what this one has; see J13 in scopes.ts. */
  of(task: Running): Client {
    return new this[OF](task)
  }

  private current(): Running | undefined {
    return this[HOST].currentTask(this[TASK])
  }

  postMessageToPool(type: string, contents?: unknown, transfer?: readonly object[]): this {
    checkType(type)
    const { encoded, list } = payload().encodeMarked(contents, transfer)
    const data = encoded.codec === POSTED ? this[HOST].postValue(encoded.data, list) : encoded.data
    const task = this.current()
    this[HOST].tellEnded()
    native.postToPool(type, encoded.codec, data, task?.idIndex ?? -1, task?.idGeneration ?? 0)
    return this
  }

  progress(done: number, total: number): this {
    checkProgress(done, total)
    const task = this.current()
    if (task === undefined) return this
    task.pace ??= new Pace()
    if (task.pace.isDue(done, total)) native.reportProgress(task.idIndex, task.idGeneration, done, total)
    return this
  }

  get signal(): AbortSignal {
    const task = this.current()
    if (task === undefined) return new Abort().signal
    task.abort ??= new Abort()
    return task.abort.signal
  }

  get attempt(): number {
    return this.current()?.attempt ?? 0
  }

  get kernels(): Kernels {
    return this[HOST].takeSeat().kernels
  }

  onMessage(type: string, listener: (contents: never, client: never) => void): this {
    this[LISTENERS].add(checkType(type), listener)
    return this
  }

  removeMessageListener(type: string, listener: (contents: never, client: never) => void): this {
    this[LISTENERS].remove(checkType(type), listener)
    return this
  }

  run(input?: unknown, options?: object): Promise<never> {
    try {
      return this[HOST].takeSeat().run(input, options) as Promise<never>
    } catch (error) {
      return rejected(error)
    }
  }

  addTask(input?: unknown, options?: object): TaskHandle<never, never> {
    return this[HOST].takeSeat().addTask(input, options) as TaskHandle<never, never>
  }

  static deliver(client: Client, type: string, contents: unknown): void {
    client[LISTENERS].call(type, contents, client)
  }
}
