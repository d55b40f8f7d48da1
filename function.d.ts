// The public contract of threadmill/function. Written by hand; the build checks that the implementation satisfies it.

/// <reference types="node" />

import type { EventEmitter } from 'node:events'
import type { MessagePort, Worker, WorkerOptions } from 'node:worker_threads'

/**
 * The states of a thread object, as bit flags. `COMPLETED` is `SUCCESS` or `ERROR`; `STARTED` is `ACTIVE` or `COMPLETED`.
 * Frozen.
 */
export declare const Status: {
  readonly INIT: 1
  readonly READY: 2
  readonly ACTIVE: 4
  readonly SUCCESS: 8
  readonly ERROR: 16
  readonly COMPLETED: 24
  readonly STARTED: 28
}

/** The state of a thread object. Each flag is true when any of its bits is set in `value`. */
export declare class ThreadStatus {
  /** Bits of `Status`. @default Status.INIT */
  value: number
  readonly INIT: boolean
  readonly READY: boolean
  readonly ACTIVE: boolean
  readonly SUCCESS: boolean
  readonly ERROR: boolean
  readonly STARTED: boolean
  readonly COMPLETED: boolean
}

/** What `status()` can tell: `remaining` is queued and active, `started` active and completed, `total` all three. */
export type StatusField = 'queued' | 'active' | 'completed' | 'remaining' | 'started' | 'total'

/** Numbers of items. */
export type StatusCountType = 'count'

/** The items themselves. */
export type StatusRawType = 'raw'

/** What `status(fields, 'count')` gives for all fields: numbers of items. */
export type CountStatusResponse = Record<StatusField, number>

/** The state of a pool: what `pool.status('*')` gives. */
export type PoolStatus = CountStatusResponse

/** What `status(fields, decimals)` gives for all fields: shares of `total` in percent, 0 to 100; all 0 in an empty pool. */
export type PercentStatusResponse = Record<StatusField, number>

/** What `status(fields, 'raw')` gives for all fields: arrays of their own, `completed` in the order of completion. */
export type RawStatus<T> = Record<StatusField, T[]>

/** Any answer of `status()` about all fields. */
export type StatusResponse<T> = CountStatusResponse | PercentStatusResponse | RawStatus<T>

/** What `status()` gives for each item. `PERCENT` stands for three decimals; any whole number does for as many. Frozen. */
export declare const StatusType: { readonly RAW: 'raw'; readonly COUNT: 'count'; readonly PERCENT: 3 }

/** All fields of `status()`. */
export declare const StatusAllField: '*'

/**
 * Rounds to so many decimals, halves up: multiplies by 10^precision, rounds as `Math.round` does, divides.
 * @param precision a whole number, negative for tens, hundreds and so on. @default 0
 * @example round(66.6666, 2) // 66.67
 */
export declare function round(num: number, precision?: number): number

/** How pools are asked about what they keep. */
export interface StatusMethods<T> {
  /**
   * How many items there are, or which, or their share.
   * @param fields one field for a single answer; several, or `'*'` for all six, for an object. @default '*'
   * @param type `'count'` for numbers of items; `'raw'` for arrays of the items, which later changes do not touch; a whole
   * number for shares of `total` in percent, rounded to that many decimals, 0 in an empty pool. @default 'count'
   * @throws Error `Invalid status field: "..."`
   * @throws TypeError the type is none of the three
   * @example
   * pool.status('completed', StatusType.PERCENT) // 33.333
   * pool.status(['queued', 'active']) // { queued: 3, active: 2 }
   */
  status(fields?: '*', type?: StatusCountType | number): CountStatusResponse
  status(fields: '*' | undefined, type: StatusRawType): RawStatus<T>
  status(field: StatusField, type?: StatusCountType | number): number
  status(field: StatusField, type: StatusRawType): T[]
  status<F extends StatusField>(fields: readonly F[], type?: StatusCountType | number): Pick<CountStatusResponse, F>
  status<F extends StatusField>(fields: readonly F[], type: StatusRawType): Pick<RawStatus<T>, F>
}

/** What a `TaskPool` tells its emitter: its timer starts, fires, stops; everything is completed. */
export type TaskPoolEvent = 'startPinging' | 'ping' | 'stopPinging' | 'complete'

/** Options of `new TaskPool()`. Only own properties count. */
export interface TaskPoolOptions {
  /** ms between pings; below 1 it counts as 1, above 2^31-1 as that. @default 100 */
  readonly pingInterval?: number | undefined
  /** Most active items; with 0 or less nothing is ever handed out. @default 1 */
  readonly poolSize?: number | undefined
  /** Is told what happens. */
  readonly emitter?: ((event: TaskPoolEvent) => void) | undefined
}

/**
 * The books of a pool: items are queued, active or completed. Items can be any value. Nothing is run here.
 *
 * The timer tells that it is time to look whether something can be started. It keeps the process alive only while
 * something is queued or active.
 */
export declare class TaskPool<T = unknown> {
  /** @throws TypeError */
  constructor(options?: TaskPoolOptions)
  /** ms between pings; counts from the next start of the timer. */
  pingInterval: number
  /** Most active items. */
  poolSize: number
  emitter: ((event: TaskPoolEvent) => void) | undefined
  /**
   * Appends to the queue.
   * @param check takes the item out of the active ones first, if it is there: puts an item back. @default false
   */
  enqueue(item: T, check?: boolean): void
  /** Makes the first queued item active: that item, or `false` when there is none or no slot is free. Starts the timer. */
  next(): T | false
  /**
   * Appends to the completed items, and looks a microtask later whether that was the last one, as `isCompleted(true)` does.
   * @param check only an active item. @default true
   * @returns whether it did
   */
  complete(item: T, check?: boolean): boolean
  /** Whether fewer than `poolSize` items are active. */
  hasAvailableSlot(): boolean
  /** Whether `next()` would give an item. Starts the timer. */
  isReady(): boolean
  /**
   * Whether nothing is queued or active, which is so in a new pool.
   * @param emit stops the timer then, and announces `complete` unless it was announced since the last `enqueue`. @default false
   */
  isCompleted(emit?: boolean): boolean
  /** Forgets the completed items; how many there were. They count in no figure any more. */
  clearCompleted(): number
}
export interface TaskPool<T = unknown> extends StatusMethods<T> {}

/** What a `FunctionThread` is made of. Only own properties count. */
export interface FunctionThreadOptions<T = any, M = any> {
  /** Is called once, on this thread, without arguments. What it throws, or rejects with, is the failure. */
  readonly workerFn: () => T | PromiseLike<T>
  /** Any value; kept by reference. */
  readonly meta?: M
}

/** The name of an event that is none of `Known`: listeners to those have to fit. */
export type OtherEvent<E extends string | symbol, Known> = E extends keyof Known ? never : E

/** Events of a `FunctionThread` with their arguments, in the order of a run. */
export interface FunctionThreadEvents<T = any, M = any> {
  /** The state has changed. Further arguments: the result after success, the failure after an error. */
  status: [status: ThreadStatus, state: number, before: number, ...extra: any[]]
  /** The function is about to be called. */
  init: [thread: FunctionThread<T, M>]
  /** It has succeeded. */
  message: [result: T]
  /** It has failed. */
  error: [reason: any]
  /** A listener of `message` threw, or nobody dealt with `error`. */
  messageerror: [error: any]
  /** It has ended: 0 after success, 1 after an error. Comes last. */
  exit: [code: number]
}

/**
 * One run of one function, as an object with a state and events. The function runs on the thread that calls `start()`;
 * it runs in parallel with others when it awaits work of another thread.
 *
 * Events of a run: `status` and `init` inside `start()`; `status`, then `message` or `error`, when the function has settled;
 * `exit` in a later microtask. A failure that nobody listens for is never thrown. When a listener of `message` throws, the thread
 * turns into an error, `error` is what was thrown, and `messageerror` tells it. What other listeners throw becomes an
 * uncaught exception of its own.
 *
 * A thread can be awaited.
 *
 * @example
 * const thread = new FunctionThread({ workerFn: () => math.fib(42), meta: 'fib(42)' })
 * thread.then((result) => console.log(thread.meta, result)).catch(console.error)
 * thread.start()
 */
export declare class FunctionThread<T = any, M = any> extends EventEmitter {
  /** @throws TypeError `workerFn` is no function */
  constructor(options: FunctionThreadOptions<T, M>)
  /** The same object for the thread's whole life. */
  readonly status: ThreadStatus
  /** What the function gave; `undefined` before that. */
  readonly message: T | undefined
  /** What it failed with; `undefined` before that. */
  readonly error: any
  /** The very value that was given. */
  meta: M
  /** Calls the function if the thread is `READY`, otherwise does nothing; whether it did. At most one run per thread. */
  start(): boolean
  /**
   * Listens for the result. Called on a completed thread, it calls the handler in a microtask with what there was.
   * @param onFailure gets the failure, once; makes `await thread` reject
   * @returns the thread, no new promise
   */
  then(onMessage?: ((result: T) => unknown) | null, onFailure?: ((reason: any) => unknown) | null): this
  /** Listens for failures: `'error'` from the function, `'messageerror'` from listeners. On a completed thread as `then`. */
  catch(onFailure?: ((reason: any, kind: 'error' | 'messageerror') => unknown) | null): this
  /** Listens for the end. On a completed thread as `then`. */
  finally(onExit?: ((code: number) => unknown) | null): this
  on<E extends keyof FunctionThreadEvents>(event: E, listener: (...args: FunctionThreadEvents<T, M>[E]) => void): this
  on<E extends string | symbol>(event: OtherEvent<E, FunctionThreadEvents>, listener: (...args: any[]) => void): this
  once<E extends keyof FunctionThreadEvents>(event: E, listener: (...args: FunctionThreadEvents<T, M>[E]) => void): this
  once<E extends string | symbol>(event: OtherEvent<E, FunctionThreadEvents>, listener: (...args: any[]) => void): this
}

/** Options of `new FunctionPool()`. Only own properties count. */
export interface FunctionPoolOptions {
  /** Most threads active at once, rounded down; below 1 it is 1. @default one less than there are physical cores, at least 1 */
  readonly poolSize?: number | undefined
  /** ms between attempts to start what could not start; below 1 it is 1, above 2^31-1 it is that. @default 100 */
  readonly pingInterval?: number | undefined
  /** Percent; see `FunctionPool.maxThreadThreshold`. @default 98 */
  readonly maxThreadThreshold?: number | undefined
  /** Whether tasks start before `start()` is called. @default true */
  readonly autoStart?: boolean | undefined
  /** Anything else becomes a property of the pool, unless the pool has one of that name. */
  readonly [name: string]: unknown
}

/** Events of a `FunctionPool` with their arguments. */
export interface FunctionPoolEvents {
  /** The thread's function is about to be called. */
  'worker.init': [thread: FunctionThread]
  /** The thread's state has changed. */
  'worker.status': [status: ThreadStatus, state: number, before: number, thread: FunctionThread]
  'worker.message': [result: any, thread: FunctionThread]
  'worker.error': [reason: any, thread: FunctionThread]
  'worker.messageerror': [error: any, thread: FunctionThread]
  /** The thread is completed and its slot free. */
  'worker.exit': [code: number, thread: FunctionThread]
  /** The retry timer runs, which it does while there is work. */
  startPinging: []
  stopPinging: []
  /** Nothing is queued or active any more. */
  complete: []
}

/** What `any` gives when no thread succeeded: `errors` are the failures, `threads` the threads that failed, in order. */
// Not of AggregateError, which `lib: es2020` has not.
export interface NoSuccessError extends Error {
  readonly errors: any[]
  readonly threads: FunctionThread[]
}

/** What the machine is made of. Frozen. */
export interface SystemInfo {
  /** Physical cores. */
  readonly cores: number
  /** Logical cores. */
  readonly threads: number
  /** Total memory, bytes. */
  readonly memory: number
}

/**
 * Runs functions, at most `poolSize` at once, in the order in which they were added. They run on this thread; parallel work
 * is what they await, such as a function of `importWorker`.
 *
 * A task starts while fewer than `poolSize` threads are active and some logical CPU is less busy than
 * `maxThreadThreshold`. When no CPU is, it is tried again every `pingInterval`; a pool that runs nothing starts a task after
 * ten intervals all the same. CPUs whose load is not known hold nothing up.
 *
 * `complete` comes when nothing is queued or active, a microtask after the last exit: what a handler of that thread adds
 * synchronously belongs to the same round. After more tasks it comes again. Completed threads are kept; see
 * `clearCompleted()`. An idle pool does not keep the process alive. A failure that nobody listens for is never thrown.
 *
 * A pool has a method `then`: `await pool`, or to return one from an async function, waits for the first result, or rejects
 * with what `any` gives. It begins to listen a microtask after the `await`, so it misses the result of a synchronous function
 * that has just been added; while nothing is added it is pending. Wrap the pool in an object to pass it on.
 *
 * @example
 * const pool = new FunctionPool({ poolSize: 2 }).then((result, thread) => console.log(thread.meta, result))
 * pool.addTask(() => math.fib(42), 'fib(42)')
 */
export declare class FunctionPool extends EventEmitter {
  /** @throws TypeError */
  constructor(options?: FunctionPoolOptions)
  /** Most threads active at once. Raised, it starts queued tasks at once. @throws TypeError no number */
  poolSize: number
  /** ms between attempts to start what could not start; counts from the next start of the timer. @throws TypeError no number */
  pingInterval: number
  /** A task starts only while some logical CPU is busy for less than this, in percent; 100 or more: always. @throws TypeError no number */
  maxThreadThreshold: number
  /** What the machine is made of. */
  readonly system: SystemInfo
  /**
   * Adds a task and starts it at once if it may start: its thread is `ACTIVE` then, otherwise `READY`.
   * @param workerFn is called without arguments when its turn comes, in the async context of this call; a thunk of
   * `importTaskWorker` fits
   * @param meta any value, kept by reference on `thread.meta`
   * @throws TypeError `workerFn` is no function
   */
  addTask<T>(workerFn: () => T | PromiseLike<T>): FunctionThread<Awaited<T>, undefined>
  addTask<T, M>(workerFn: () => T | PromiseLike<T>, meta: M): FunctionThread<Awaited<T>, M>
  /** The same for functions that give one type at once and another by a promise. */
  addTask<R>(workerFn: () => R): FunctionThread<Awaited<R>, undefined>
  addTask<R, M>(workerFn: () => R, meta: M): FunctionThread<Awaited<R>, M>
  /** Starts a pool made with `autoStart: false`: what was added and what will be. Until then its tasks keep no process alive. */
  start(): this
  /** Whether a task would start now: a slot is free, and some CPU not too busy. */
  hasAvailableThread(): boolean
  /** Whether nothing is queued or active. @param emit as for `TaskPool` @default false */
  isCompleted(emit?: boolean): boolean
  /** Forgets the completed threads; how many there were. They count in no figure any more. */
  clearCompleted(): number
  /**
   * Calls back with every result. With two functions it is what `await` calls: the first result, or when all is completed
   * without one an `AggregateError`, once.
   */
  then(
    onMessage?: ((result: any, thread: FunctionThread) => unknown) | null,
    onFailure?: ((error: any) => unknown) | null,
  ): this
  /** Calls back with every failure: `'error'` from functions, `'messageerror'` from listeners. */
  catch(onFailure: (reason: any, kind: 'error' | 'messageerror', thread: FunctionThread) => unknown): this
  /** Calls back with every exit code: 0 after success, 1 after an error. */
  finally(onExit: (code: number, thread: FunctionThread) => unknown): this
  /** Calls back at every `complete` with all completed threads, in the order of completion. */
  allSettled(onComplete: (threads: FunctionThread[]) => unknown): this
  /** Calls back once: at the first failure with its reason, else at the next `complete` with all completed threads. */
  all(onEnd: (reasonOrThreads: any) => unknown): this
  /** Calls back once: with the first result after this call, or at `complete` with an error that has all reasons; see `NoSuccessError`. */
  any(onEnd: (resultOrError: any, thread: FunctionThread | undefined) => unknown): this
  /** Calls back once: with the first result or failure after this call. */
  race(onFirst: (resultOrReason: any, thread: FunctionThread) => unknown): this
  on<E extends keyof FunctionPoolEvents>(event: E, listener: (...args: FunctionPoolEvents[E]) => void): this
  on<E extends string | symbol>(event: OtherEvent<E, FunctionPoolEvents>, listener: (...args: any[]) => void): this
  once<E extends keyof FunctionPoolEvents>(event: E, listener: (...args: FunctionPoolEvents[E]) => void): this
  once<E extends string | symbol>(event: OtherEvent<E, FunctionPoolEvents>, listener: (...args: any[]) => void): this
}
export interface FunctionPool extends StatusMethods<FunctionThread> {}

/** What `close` posts where the end of a worker cannot be seen otherwise. */
export declare const exitKey: '@@TerminateThread'

/**
 * Whether this runtime tells that a worker has ended: starts one that does nothing. It has ended when the promise resolves.
 * @param delay ms that its `exit` event may take. @default 250
 * @returns `false` also when no worker can be created
 */
export declare function exitEventSupported(delay?: number): Promise<boolean>

/**
 * Closes the port of a worker's script. Posts `exitKey` before if the environment variable `USE_EXIT_FALLBACK` is `'1'`. Does
 * nothing without a port.
 */
export declare function close(parentPort?: MessagePort | null): void

/** Emits an event whose listeners may replace a value; see `asyncEventEmitter`. */
export interface AsyncEventEmitter {
  /**
   * Without listeners, resolves with the value. Otherwise listeners get `(callback, value, ...args)`; the first call of a callback
   * gives the result. When none comes in time, it is the value. Rejects with what a listener throws.
   */
  <T = any>(event: string | symbol, value?: T, ...args: unknown[]): Promise<T>
  /** The same with a time limit of its own, ms. */
  waitFor<T = any>(timeout: number, event: string | symbol, value?: T, ...args: unknown[]): Promise<T>
}

/**
 * A function that emits events of `emitter` and waits for an answer.
 * @param defaultTimeout ms to wait for an answer. @default 1
 * @throws TypeError
 * @example
 * const emit = asyncEventEmitter(emitter)
 * emitter.on('load', (callback, file) => callback(file.toLowerCase()))
 * await emit('load', 'A.TXT') // 'a.txt'
 */
export declare function asyncEventEmitter(emitter: EventEmitter, defaultTimeout?: number): AsyncEventEmitter

/** Begins to watch how busy the CPUs are, which every new pool does by itself. Uses no timer. */
export declare function startProfilingCpu(): void

/** Ends it for all pools: their tasks start however busy the CPUs are, until it begins again. */
export declare function stopProfilingCpu(): void

/**
 * A member of a module as a worker offers it: a function asynchronously, any other value as a function that reads it. A class
 * can neither be called nor sent.
 */
export type PromisifyFunction<F> = F extends (...args: infer P) => infer R
  ? (...args: P) => Promise<Awaited<R>>
  : F extends abstract new (
        ...args: any
      ) => unknown
    ? () => Promise<never>
    : () => Promise<Awaited<F>>

/** A module as a worker offers it: without an export `then`, which would make a promise of it. */
export type PromisifyModule<T> = { readonly [K in keyof T as Exclude<K, 'then'>]: PromisifyFunction<T[K]> }

/** A member of a module whose calls give a function that makes the call. */
export type DeferredPromisifyFunction<F> = F extends (...args: infer P) => infer R
  ? (...args: P) => () => Promise<Awaited<R>>
  : F extends abstract new (
        ...args: any
      ) => unknown
    ? () => () => Promise<never>
    : () => () => Promise<Awaited<F>>

/** A module whose calls give functions that make the calls. */
export type DeferredPromisifyModule<T> = {
  readonly [K in keyof T as Exclude<K, 'then'>]: DeferredPromisifyFunction<T[K]>
}

/** What can be ended. */
export interface Terminable {
  terminate(): void
}

/** The class that workers are made of: `Worker` of `node:worker_threads`, or one that extends it. */
export type WorkerType = typeof Worker

/** A call as it is sent to a worker. */
export interface WorkerMessage {
  /** URL of the module. */
  readonly file: string
  /** Name of the export. */
  readonly name: string
  readonly args: readonly unknown[]
}

/** How calls of imported modules behave. Only own properties count. */
export interface MessageOptions {
  /**
   * ms that a call may take, in a worker of its own with the loading of the module; 0 or `Infinity` for no limit. On expiry the call rejects with `Worker timeout after <n>ms` and its
   * worker is terminated, which rejects the other calls that it has pending. The import rejects likewise when the module
   * has not loaded after this time, or after 30,000 ms if that is longer.
   * @default 30000
   */
  readonly timeout?: number | undefined
  /** Has no effect here. */
  readonly terminate?: boolean | undefined
  /** Name of the function that ends a persistent worker, not `'then'`. It wins over an export of that name. @default 'terminate' */
  readonly terminateKey?: string | undefined
  /** The class that workers are made of. @default Worker of node:worker_threads */
  readonly WorkerType?: WorkerType | undefined
  /** Has no effect here. */
  readonly returnEvent?: boolean | undefined
  /** Whether a persistent worker lets the process end. @default false */
  readonly unref?: boolean | undefined
}

/**
 * Offers the exports of a module; each call, when it is made, runs in a new worker that ends after its reply. No state of the
 * module survives a call. The worker may have been started before the call; it has the environment variables of the call all
 * the same, but what `setEnvironmentData` has set since is not there.
 *
 * Names are known when the promise resolves. An export `then` is left out, as the object would be taken for a promise; when
 * it is a function, the module is what it resolves with, as for `import()`. An exported function becomes one that returns a
 * thunk; calling the thunk starts the worker and gives a promise. Any other export becomes a function without arguments whose
 * thunk reads the value, or calls it if it has become a function. Functions have the exports for `this`. Arguments and results are
 * cloned; a failure rejects with the error as the module threw it, copied, with its own properties, each by itself.
 *
 * @param filename a `URL`, a `file:` or `data:` URL, an absolute path, a path relative to the working directory, or the name of a
 * package or built-in module; a name that a file of the working directory has is that file
 * @param workerOptions options of every worker; `workerData` is not available
 * @returns rejects with the original error when the module cannot be found, parsed or evaluated
 * @example
 * const math = await importTaskWorker<typeof import('./math.js')>(new URL('./math.js', import.meta.url))
 * pool.addTask(math.fib(42))
 */
export declare function importTaskWorker<T = any>(
  filename: string | URL,
  workerOptions?: WorkerOptions,
  messageOptions?: MessageOptions,
): Promise<DeferredPromisifyModule<T>>

/**
 * As `importTaskWorker`, without thunks: `module.fn(a, b)` starts a new worker and gives a promise.
 * @example
 * const math = await importWorker<typeof import('./math.js')>(new URL('./math.js', import.meta.url))
 * await math.fib(42) // 267914296
 */
export declare function importWorker<T = any>(
  filename: string | URL,
  workerOptions?: WorkerOptions,
  messageOptions?: MessageOptions,
): Promise<PromisifyModule<T>>

/**
 * Runs a module in one worker that serves all calls and keeps the module's state, until `terminate()`. Calls are delivered in
 * the order in which they were made and may overlap when functions are asynchronous. The worker keeps the process alive
 * unless `messageOptions.unref` is set. When it dies, pending and later calls reject at once.
 *
 * @returns the exports as `importWorker` gives them, and `terminate`, or what `messageOptions.terminateKey` names: ends the worker
 * at once and gives its exit code
 * @example
 * const counter = await importPersistentWorker<typeof import('./counter.js')>('./counter.js')
 * await counter.increase()
 * await counter.terminate()
 */
export declare function importPersistentWorker<T = any>(
  filename: string | URL,
  workerOptions?: WorkerOptions,
  messageOptions?: MessageOptions & { readonly terminateKey?: 'terminate' | undefined },
): Promise<{ readonly terminate: () => Promise<number> } & PromisifyModule<T & Terminable>>
/** With the name of the terminate function as a type. */
export declare function importPersistentWorker<T = any, K extends string = never>(
  filename: string | URL,
  workerOptions: WorkerOptions | undefined,
  messageOptions: MessageOptions & { readonly terminateKey: K },
): Promise<{ readonly [Key in K]: () => Promise<number> } & PromisifyModule<Omit<T, K>>>
/** Without it: the types do not know then how the worker is ended. */
export declare function importPersistentWorker<T = any>(
  filename: string | URL,
  workerOptions: WorkerOptions | undefined,
  messageOptions: MessageOptions,
): Promise<PromisifyModule<T>>

/** A worker as `workerPromise` gets it. */
export interface ModuleWorker {
  /** Makes the call. @param messageOptions `timeout` in place of that of the import */
  call(message: WorkerMessage, messageOptions?: Pick<MessageOptions, 'timeout'>): Promise<unknown>
  /** Ends the worker at once; its exit code. */
  terminate(): Promise<number>
}

/** Options of `importWorkerProxy`. Only own properties count. */
export interface WorkerProxyOptions {
  /** One worker for all calls, instead of one for each. @default false */
  readonly isPersistent?: boolean | undefined
  /** Whether a call is made at once, instead of by the function that it gives. @default as `isPersistent` */
  readonly executeImmediately?: boolean | undefined
  /** As in `MessageOptions`. */
  readonly terminateKey?: string | undefined
  /** As in `MessageOptions`. */
  readonly WorkerType?: WorkerType | undefined
  /** The script that workers run. @default getWorkerFile() */
  readonly workerFile?: string | URL | undefined
  readonly workerOptions?: WorkerOptions | undefined
  /** Stands between the object and the worker: makes a call, for retries or logs. @default `worker.call(message)` */
  readonly workerPromise?:
    | ((worker: ModuleWorker, message: WorkerMessage, messageOptions: MessageOptions) => unknown)
    | undefined
  readonly messageOptions?: MessageOptions | undefined
}

/** What the three import functions are made of. */
export declare function importWorkerProxy<T = any>(
  filename: string | URL,
  options?: WorkerProxyOptions,
): Promise<PromisifyModule<T> | DeferredPromisifyModule<T>>

/** Replaces the script that the workers of imported modules run. Falsy values are ignored. */
export declare function setWorkerFile(file: string | URL): void

/** The script that the workers of imported modules run. */
export declare function getWorkerFile(): string | URL

/** The `href` of a `URL`; a string unchanged. */
export declare function normalizeFilename(filename: string | URL): string

/** The functions that import modules into workers, under one name. */
export declare const MainThread: Readonly<{
  getWorkerFile: typeof getWorkerFile
  importPersistentWorker: typeof importPersistentWorker
  importTaskWorker: typeof importTaskWorker
  importWorker: typeof importWorker
  importWorkerProxy: typeof importWorkerProxy
  setWorkerFile: typeof setWorkerFile
}>
