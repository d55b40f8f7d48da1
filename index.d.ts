// The public contract of threadmill. Written by hand; the build checks that the implementation satisfies it.

/// <reference types="node" />

import type { Duplex, Readable } from 'node:stream'
import type { ResourceLimits, WorkerOptions } from 'node:worker_threads'

export * from './function'

/** Memory that a kernel can read as bytes. A `Buffer` is one of them. */
export type BytesLike = ArrayBuffer | SharedArrayBuffer | ArrayBufferView

/** Any typed array except `Float16Array`, which not every supported runtime has. */
export type NumericArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array

/**
 * A typed array over an `ArrayBuffer` of its own, as every output is: it can be transferred, and given to web APIs. Since
 * TypeScript 5.7 that is `Uint8Array<ArrayBuffer>`; older ones do not read it, what `slice` gives they do.
 */
export type OwnArray<T extends NumericArray> = ReturnType<T['slice']>

/**
 * How tightly a task is held to its worker:
 *
 * - `'light'` (0): it runs there if that worker gets to it; an idle worker may take it.
 * - `'strong'` (1): it is moved only when that worker's load exceeds twice the average load.
 * - `'force'` (2): it runs there and nowhere else, also when it has to wait.
 *
 * @default 'light'
 */
export type AffinityStrength = 'light' | 'strong' | 'force' | 0 | 1 | 2

/** A number, higher runs first, fractions and negatives allowed; or `'high'` (1), `'normal'` (0), `'low'` (0). */
export type Priority = number | 'high' | 'normal' | 'low'

/**
 * When a task is run again; see `TaskOptions.retries`. The defaults are those of a pool; a task has what it leaves out from
 * its pool, and a number in place of the object leaves out all but `limit`.
 */
export interface RetryOptions {
  /** How often it is run again at most, 0 to 2^31-1. @default 0 */
  readonly limit?: number | undefined
  /** Milliseconds before the first time it is run again, 0 to 2^31-1. @default 1000 */
  readonly delay?: number | undefined
  /** Each later delay is that many times the one before, 1 to 1000; at most a day. @default 1 */
  readonly backoff?: number | undefined
  /**
   * After which failures: `'crash'`, its worker ended while the task ran, or the kernel panicked; `'error'`, the function or
   * kernel failed; or `'both'`.
   * @default 'crash'
   */
  readonly on?: 'crash' | 'error' | 'both' | undefined
}

/**
 * Options of one task, for a kernel or an entry function; see `KernelCallOptions` and `EntryTaskOptions`. Only own properties
 * count; unknown ones are ignored; `undefined` means the default.
 */
export interface TaskOptions {
  /**
   * Order among waiting tasks: higher first, equal ones in the order of submission. A running task is never
   * interrupted. A waiting task gains one unit for every 10 s that it waits, so none starves.
   * @default 0
   */
  readonly priority?: Priority | undefined
  /** Number of the worker that should run the task; for an entry function also `'main'`, the thread that owns the pool. */
  readonly workerAffinity?: number | 'main' | undefined
  /** Same as `workerAffinity: 'main'`: the entry function is called on this thread, with the input itself. @default false */
  readonly mainThread?: boolean | undefined
  /** How tightly `workerAffinity` or `affinityKey` holds. @default 'light' */
  readonly affinityStrength?: AffinityStrength | undefined
  /**
   * Tasks with the same key prefer the same worker, chosen by rendezvous hashing when the key is first seen; it moves only when
   * that worker goes. Refused together with the number of a worker; with a number that is ignored it counts, with `'main'` it
   * does not.
   */
  readonly affinityKey?: string | undefined
  /**
   * Names "the same work" across tasks: `schedule: 'longest-first'` orders later ones by the run time measured for it, and
   * `stats().keys` tells it. @default the kernel's name
   */
  readonly key?: string | undefined
  /** Any value; stays on this side, unchanged, on `task.options.meta`. */
  readonly meta?: unknown
  /**
   * Milliseconds, counted from submit (see `timeoutFrom`), after which the task rejects with
   * `ERR_THREADMILL_TIMEOUT`, whether it waits or runs. A running kernel stops at its next check.
   * Range above 0 to 2^31-1; `Infinity` for none. @default the pool's `timeout`
   */
  readonly timeout?: number | undefined
  /** Where the timeout starts to count. @default the pool's `timeoutFrom`, which is 'submit' */
  readonly timeoutFrom?: 'submit' | 'start' | undefined
  /**
   * How often the task is run again when it fails: a number, or more of it in an object. It keeps its place among waiting
   * tasks and its `timeout`; one that counts from the start counts anew. A task whose input was moved (`transfer`) is not
   * run again. What was given up is not either: its error (timed out, cancelled without a reason, pool closed) has the failure of
   * its last run as `cause`.
   * @default the pool's `retries`, which is 0
   */
  readonly retries?: number | RetryOptions | undefined
  /**
   * What happens to the worker of a JS task that is given up (`timeout`, `signal`, `cancel`) while it runs: `client.signal`
   * of the task is aborted, and when the task has not ended that many milliseconds later, its worker is terminated and
   * replaced; 0 is at once, `Infinity` never. Other tasks that run there run again elsewhere, but for those whose input was moved,
   * which reject with `ERR_THREADMILL_WORKER_CRASHED`. Kernels are asked to stop and never terminated. On the thread that made
   * the pool, the next task begins then.
   * @default the pool's `cancelGrace`, which is 0
   */
  readonly cancelGrace?: number | undefined
  /** Cancels the task; the promise rejects with the signal's reason. An aborted signal rejects before anything is queued. */
  readonly signal?: AbortSignal | undefined
  /**
   * Buffers of the input that are moved instead of copied. They detach at the call. Kernels marked "in place" work in
   * that memory and give it back as their output. A `SharedArrayBuffer` is refused when the task is submitted: the type of a
   * view tells it from an `ArrayBuffer` only since TypeScript 5.7, and only where it is written out.
   */
  readonly transfer?: readonly ArrayBufferLike[] | undefined
}

/** Options of a task for a kernel, which native workers alone run. The kernel's own options stand in the same object. */
export interface KernelCallOptions extends Omit<TaskOptions, 'workerAffinity' | 'mainThread'> {
  /** Number of the native worker that should run the kernel; one that does not exist is out of range, whatever the strength. */
  readonly workerAffinity?: number | undefined
  readonly mainThread?: false | undefined
}

/** Options of `run` and `addTask`: the kernel's name, its own options and the task options, in one object. */
export type RunOptions<K extends KernelName = KernelName> = {
  /** Name of the kernel to run. */
  readonly kernel: K
} & KernelOptions<K>

/** Options for a kernel whose name is known at run time only. */
export type DynamicRunOptions<N extends string = string> = KernelCallOptions & {
  /** Name of the kernel to run. */
  readonly kernel: string extends N ? N : never
  readonly [option: string]: unknown
}

/** Options of `map`, beside those of `run`. `transfer` makes no sense for many inputs and is refused; the function marks one. */
export interface MapOptions {
  /**
   * Most tasks of this `map` in progress or finished but not yet consumed. Whole number from 1 to 2^30.
   * @default 4 × the most workers: `threads`, or in a pool with a module `maxWorkers`, for kernels too; 32 × while its
   * tasks are measured to take less than 0.02 ms
   */
  readonly concurrency?: number | undefined
  /** `true`: outputs come in the order of the inputs; `false`: as they finish. @default true */
  readonly ordered?: boolean | undefined
  readonly transfer?: undefined
}

/** Inputs of `map`. Promises that a synchronous iterable gives are awaited, as `for await` does. */
export type Inputs<T> = Iterable<T | PromiseLike<T>> | AsyncIterable<T>

/** Options of a pool without a module. */
export interface NativePoolOptions {
  /**
   * Part of the thread names (`threadmill-<name>-<n>`, of which Linux keeps 15 characters) and of `stats()`; not empty, without NUL.
   * @default 'pool' followed by a number
   */
  readonly name?: string | undefined
  /**
   * Native workers, 1 to 1024. They start on first use.
   * @default the parallelism that the system grants this process: CPUs, affinity mask, cgroup quota
   */
  readonly threads?: number | undefined
  /** Most tasks admitted and unfinished, 1 to 2^30. Beyond it `run()` rejects with `ERR_THREADMILL_QUEUE_FULL`; `map` waits. @default Infinity */
  readonly capacity?: number | undefined
  /**
   * Most bytes of inputs admitted and unfinished, 1 to 2^53-1: of strings (two a character), memory that is not shared,
   * what is moved, and what values become when they are encoded for a JS worker. A task that is alone is always admitted.
   * Beyond it `run()` rejects with `ERR_THREADMILL_QUEUE_FULL`; `map`, `stream` and `ready()` wait. Inputs of tasks that
   * tasks submit do not count. @default Infinity
   */
  readonly capacityBytes?: number | undefined
  /** Default `timeout` of tasks, ms. @default none */
  readonly timeout?: number | undefined
  /** Default `timeoutFrom` of tasks. @default 'submit' */
  readonly timeoutFrom?: 'submit' | 'start' | undefined
  /** Default `retries` of tasks. @default 0 */
  readonly retries?: number | RetryOptions | undefined
  /** Order of waiting tasks of equal priority: as submitted, or by expected cost, longest first. @default 'fifo' */
  readonly schedule?: 'fifo' | 'longest-first' | undefined
  /**
   * A file that keeps what tasks take, by `key`, for later processes: read here, written when the pool has ended or its
   * process exits. With `schedule: 'longest-first'` the very first tasks of a process are in order then. It is made, with
   * its folders, when it does not exist; several pools may share it. It has 10,000 keys at most, those used last.
   * `ERR_THREADMILL_INVALID_ARG_VALUE` is thrown for a file that no pool has written, `ERR_THREADMILL_IO` for one that
   * cannot be read. @default none
   */
  readonly costs?: string | URL | undefined
  /**
   * Binds native workers to CPU cores: worker i to the i-th core of the list (round robin), or `'compact'` (fill
   * neighbouring cores first), or `'spread'` (one worker per physical core first). Numbers are 0 to 1023; a worker whose core
   * does not exist is not bound, and `stats().sizing.notes` says so. Linux and Windows. @default none
   */
  readonly pin?: readonly number[] | 'spread' | 'compact' | undefined
  /**
   * Milliseconds that each callback of `onShutdown` has, and a JS worker for `onWorkerExit` before it is terminated; what
   * was given up and has its `cancelGrace` ends within that time, too.
   * 0 to 2^31-1. @default 5000
   */
  readonly disposeTimeout?: number | undefined
  /** Calls `installSignalHandlers()`, or with these signals. Main thread only. @default false */
  readonly handleSignals?: boolean | readonly NodeJS.Signals[] | undefined
  /**
   * Bytes of JavaScript heap, 1 to 2^53-1. Every `checkInterval` ms at which more is in use, `high-memory` is fired and
   * `memoryStrategy` followed: `'warn'` leaves it at that, `'restart'` replaces each JS worker after its current task, a
   * function is called with what the event tells. @default none: nothing is watched
   */
  readonly maxMemoryUsage?: number | undefined
  /** Milliseconds, 1 to 2^31-1. @default 5000 */
  readonly checkInterval?: number | undefined
  /** @default 'warn' */
  readonly memoryStrategy?: 'warn' | 'restart' | ((details: HighMemory) => unknown) | undefined
  /** Tasks that one JS worker, or the thread that owns the pool, has in progress at a time, 1 to 1024. @default 1 */
  readonly workerConcurrency?: number | undefined
  /** @deprecated old spelling of `workerConcurrency`, which counts where both are given */
  readonly workerConcurency?: number | undefined
  /**
   * Whether workers that have nothing to do give memory back. A JS worker collects its garbage, which the engine does only when
   * memory is needed: once after tasks, when it has rested for 1 s and 0.1 s for each MiB of its heap, or 30 s if that has not
   * grown; it takes about 1 ms per MiB. Other workers that are idle take what comes meanwhile; without them it waits. When all
   * native workers have rested for 1 s, after tasks with more than 32 MiB of inputs and outputs, the C library is asked to give
   * back what it has (`malloc_trim`; glibc only). @default true
   */
  readonly trimWhenIdle?: boolean | undefined
  /** Nice value of the native workers, -20 to 19; below 0 needs a privilege. Linux only, elsewhere ignored. @default none */
  readonly nice?: number | undefined
}

/** The entry function of a module: called once for each task, in a worker. Its hooks are properties of it. */
export interface WorkerEntryPoint<T = any, U = any> {
  (input: T, client: IWorkerClient): U | PromiseLike<U>
  /** Once in each worker, before its first task and message; awaited. */
  onWorkerStart?: ((client: IWorkerClient) => unknown) | undefined
  /** Once in each worker that ends in order, after its last task and message; awaited for `disposeTimeout` ms. */
  onWorkerExit?: ((client: IWorkerClient) => unknown) | undefined
  /** Before each call of the function, with its input; awaited. What it takes is `task.pretaskCost`. */
  preTask?: ((input: T, client: IWorkerClient) => unknown) | undefined
}

/** Another name of `WorkerEntryPoint`. */
export type ProcessFunc<T = any, U = any> = WorkerEntryPoint<T, U>

/**
 * What entry functions and their hooks get as `client`: the same object for all tasks of a worker. Only a function that
 * gives its outputs at once while other tasks of its worker wait may get one of its own, which inherits all that this one has.
 * `T`: input of the entry function.
 */
export interface IWorkerClient<T = any> {
  /** Number of this worker; -1 on the thread that owns the pool. */
  readonly id: number
  /**
   * Of the task that runs: aborted when it is given up, with a `ThreadmillError` of code `ERR_THREADMILL_TIMEOUT` or
   * `ERR_THREADMILL_CANCELLED` for reason. Read it before the first `await`, or at any time while only one task runs. A task that
   * ends in time keeps its worker; see `cancelGrace`. Outside a task it is a signal that is never aborted.
   */
  readonly signal: AbortSignal
  /** Of the task that runs: how often it has been run before, as `retries` of the task says. Read it as `signal`; 0 outside a task. */
  readonly attempt: number
  /**
   * Submits a task to the worker's own pool, by default with a light affinity to this worker; the fast path when no handle
   * is needed. It settles here, without the thread that made the pool. Waiting for it never deadlocks: while tasks that a
   * worker submitted are unsettled, its own unfinished tasks do not count against `workerConcurrency`. Inputs and outputs
   * that only `postMessage` can move go by way of the thread that made the pool, and wait while it is busy.
   *
   * Rejects with what `pool.run` rejects with, but for the `cause` of `ERR_THREADMILL_WORKER_CRASHED` where a worker submits.
   */
  run<U = any>(input: unknown, options: NamedTaskOptions): Promise<U>
  run<I extends T = T, U = any>(input: I, options?: EntryTaskOptions): Promise<U>
  /** Where `undefined` is an input. */
  run<U = any>(this: TakesNoInput<T>): Promise<U>
  run<E extends HashEncoding | undefined = 'hex'>(
    input: string | BytesLike,
    options: { readonly kernel: DigestAlgorithm } & HashOptions<E> & KernelCallOptions,
  ): Promise<HashOutput<E>>
  run<T extends Float32Array | Float64Array>(
    input: MatmulInput<T>,
    options: { readonly kernel: 'matmul' } & KernelCallOptions,
  ): Promise<SameKind<T>>
  run<T extends Float32Array | Float64Array>(
    input: FftInput<T>,
    options: { readonly kernel: 'fft' | 'ifft' } & KernelCallOptions,
  ): Promise<FftResult<T>>
  run<T extends NumericArray>(
    input: T,
    options: { readonly kernel: 'sort' } & KernelCallOptions & SortOptions,
  ): Promise<SameKind<T>>
  run<N extends string>(input: unknown, options: DynamicRunOptions<N>): Promise<unknown>
  // Last, for the last one is what explains a mistake.
  run<K extends KernelName>(input: KernelInput<K>, options: RunOptions<K>): Promise<KernelOutput<K>>
  /**
   * As `run`, with a handle.
   * @throws what `pool.addTask` throws
   */
  addTask<U = any>(input: unknown, options: NamedTaskOptions): Task<unknown, U>
  addTask<I extends T = T, U = any>(input: I, options?: EntryTaskOptions): Task<I, U>
  /** Where `undefined` is an input. */
  addTask<U = any>(this: TakesNoInput<T>): Task<T, U>
  addTask<E extends HashEncoding | undefined = 'hex'>(
    input: string | BytesLike,
    options: { readonly kernel: DigestAlgorithm } & HashOptions<E> & KernelCallOptions,
  ): Task<string | BytesLike, HashOutput<E>>
  addTask<T extends Float32Array | Float64Array>(
    input: MatmulInput<T>,
    options: { readonly kernel: 'matmul' } & KernelCallOptions,
  ): Task<MatmulInput<T>, SameKind<T>>
  addTask<T extends Float32Array | Float64Array>(
    input: FftInput<T>,
    options: { readonly kernel: 'fft' | 'ifft' } & KernelCallOptions,
  ): Task<FftInput<T>, FftResult<T>>
  addTask<T extends NumericArray>(
    input: T,
    options: { readonly kernel: 'sort' } & KernelCallOptions & SortOptions,
  ): Task<T, SameKind<T>>
  addTask<N extends string>(input: unknown, options: DynamicRunOptions<N>): Task<unknown>
  addTask<K extends KernelName>(input: KernelInput<K>, options: RunOptions<K>): Task<KernelInput<K>, KernelOutput<K>>
  /** The kernels of the pool: they run on its native workers and settle here. */
  readonly kernels: Kernels
  /**
   * Sends a message that `pool.onMessage` hears, and `task.on('message')` of the running task, before that task completes.
   * On the thread that made the pool nothing is copied or moved.
   * @param transfer what of the contents is moved instead of copied
   * @throws DataCloneError
   */
  postMessageToPool(type: string, contents?: unknown, transfer?: readonly object[]): this
  /**
   * Tells `task.on('progress')` of the running task how far it is, units done of units in total. Reports less than 50 ms
   * after the last one are left out, unless all is done. Outside a task it does nothing; so it does when several tasks run
   * at the same time and the call comes from none of them.
   * @param done Finite, from 0 on. More than `total` counts as all.
   * @param total Finite, from 0 on.
   * @throws TypeError, RangeError
   */
  progress(done: number, total: number): this
  /** Listens to messages for this worker. Those sent before `onWorkerStart` has finished wait for it. */
  onMessage(type: string, listener: (contents: any, client: IWorkerClient) => void): this
  removeMessageListener(type: string, listener: (contents: any, client: IWorkerClient) => void): this
}

/** The part of a client that submits tasks with a handle. */
export type ITaskPool<T = any> = Pick<IWorkerClient<T>, 'addTask'>

/** Loads, 0 to 1, at which a pool grows and shrinks; at exactly these it does neither. */
export interface AutoScaleOptions {
  /** @default 0.8 */
  readonly grow?: number | undefined
  /** Not above `grow`. @default 0.2, or `grow` where that is less */
  readonly shrink?: number | undefined
}

/** When a JS worker is used up. */
export interface RecycleOptions {
  /** After that many tasks, 1 to 2^30. */
  readonly tasks?: number | undefined
  /** When its heap holds that many bytes after a task, garbage included. */
  readonly heapBytes?: number | undefined
  /** When its heap holds that many times what it held after its first task, 1 to 10^6. */
  readonly heapGrowth?: number | undefined
}

/** Options of a pool with a module. `T`: input of the entry function, `U`: its output. */
export interface WorkerPoolOptions<T = any, U = any> extends NativePoolOptions {
  /** The entry function, for its types and for tasks on the thread that owns the pool; workers load the module. */
  readonly entryPoint?: WorkerEntryPoint<T, U> | undefined
  /** Export to use. @default the first function of `workerEntrypoint`, `processTask` and the default export */
  readonly entrypointSymbol?: string | undefined
  /**
   * Least JS workers, 0 to `maxWorkers`: launched at construction and kept. Unless the longest tasks go first, each gets one of
   * the first tasks that ask for no worker. @default 0
   */
  readonly minWorkers?: number | undefined
  /** Most JS workers, 1 to 1024. @default the parallelism that the system grants this process, or `minWorkers` if that is more */
  readonly maxWorkers?: number | undefined
  /** Milliseconds without a task after which a worker beyond `minWorkers` ends, 0 to 2^31-1, or `Infinity`. @default 60000 */
  readonly idleTimeout?: number | undefined
  /**
   * Sizes by load too, which is busy workers / workers: at a submission another worker is launched while the load is above
   * `grow`, and idle ones end only while it is below `shrink`. `true` is `{ grow: 0.8, shrink: 0.2 }`. @default false
   */
  readonly autoScale?: boolean | AutoScaleOptions | undefined
  /** Default `cancelGrace` of tasks, ms. @default 0 */
  readonly cancelGrace?: number | undefined
  /**
   * Crashes of workers in a row, without a task that succeeded, after which what waits is rejected with
   * `ERR_THREADMILL_WORKER_CRASHED`: 1 to 2^31-1, or `Infinity` for never. Those whose task is run again do not count. What
   * is submitted later launches workers again, and another row begins. @default 3
   */
  readonly crashLimit?: number | undefined
  /** When a worker is replaced after the tasks that it runs. `onWorkerExit` runs; the new one keeps the number. @default never */
  readonly recycle?: RecycleOptions | undefined
  /** Another worker is launched while unfinished tasks exceed workers × this, whole, 1 to 2^30. @default 1 */
  readonly taskPerWorker?: number | undefined
  /** As for `new Worker`. */
  readonly env?: WorkerOptions['env'] | undefined
  readonly argv?: readonly unknown[] | undefined
  readonly execArgv?: readonly string[] | undefined
  readonly resourceLimits?: ResourceLimits | undefined
  /** Whether what workers write to stdout is read from `worker.stdout`, instead of going to this thread's. @default false */
  readonly stdout?: boolean | undefined
  /** The same for stderr. @default false */
  readonly stderr?: boolean | undefined
  /**
   * Whether workers take tasks that were not assigned to them. `false`: each task goes to the least loaded worker when it
   * is submitted, and stays there. @default true
   */
  readonly eager?: boolean | undefined
  /**
   * Expected run time of a task in ms, asked once at submit; what was measured for the `key` of a task counts more. It
   * matters for `schedule: 'longest-first'` and for placement. What throws or is no number from 0 counts as 0. The task is not
   * queued yet, and cannot be cancelled from here. It is asked of tasks of the entry function that workers are to run. Of tasks that
   * workers submit only what was measured for their `key` counts: they
   * do not come by this thread.
   */
  readonly inherentCostEstimator?: ((task: Task<any, any>) => number) | undefined
  /**
   * What a task costs in ms on a worker on top of that, asked at submit for each worker that was launched. The task goes
   * where load and cost together are least; an idle worker may still take it.
   */
  readonly workerCostEstimator?: ((task: Task<any, any>, worker: IWorker) => number) | undefined
  /** What `workerData` of `node:worker_threads` is in the entry module. */
  readonly workerData?: unknown
}

/** Another name of `WorkerPoolOptions`. */
export type JsPoolOptions<T = any, U = any> = WorkerPoolOptions<T, U>

/** Options of a task for the entry function. */
export interface EntryTaskOptions extends Omit<TaskOptions, 'transfer' | 'workerAffinity'> {
  /**
   * Number of the JS worker that should run the task, or `'main'` (-1) for the thread that owns the pool. From `maxWorkers` on it
   * is ignored, or out of range with `affinityStrength: 'force'`.
   */
  readonly workerAffinity?: number | 'main' | undefined
  /** What of the input is moved instead of copied: ArrayBuffers, MessagePorts and other transferable objects. They detach at the call. */
  readonly transfer?: readonly object[] | undefined
  /** Another export of the entry module to call. */
  readonly name?: string | undefined
  readonly kernel?: undefined
}

/** Options of a task for another export of the entry module, whose types only the caller knows. */
export type NamedTaskOptions = EntryTaskOptions & { readonly name: string }

/** Options of a task for the thread that owns the pool. */
export type MainTaskOptions = EntryTaskOptions & ({ readonly mainThread: true } | { readonly workerAffinity: 'main' })

/**
 * Marks a value that a task gets or gives: what `list` names is moved instead of copied, and detaches here. It marks a whole input,
 * output or message: as a part of one it cannot be cloned. For inputs
 * `transfer` in the options of the task does the same. Nothing moves between tasks of the thread that owns the pool and that
 * thread: they get and give the value itself.
 * @param list ArrayBuffers, MessagePorts and other transferable objects within `value`; for kernels only ArrayBuffers
 * @throws TypeError
 */
export function transfer<T>(value: T, list: readonly object[]): T

/** Options of `runWorker`, beside those of `new Worker`. Only own properties count; `undefined` means the default. */
export interface RunWorkerOptions extends Omit<WorkerOptions, 'workerData' | 'transferList'> {
  /** Ends the worker and rejects with the signal's reason. An aborted signal rejects before a worker is made. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds from the call, above 0 to 2^31-1, or `Infinity` for none. @default Infinity */
  readonly timeout?: number | undefined
  /** What of `workerData` is moved instead of copied: ArrayBuffers, MessagePorts. They detach at the call. @default none */
  readonly transferList?: readonly object[] | undefined
}

/**
 * Runs a script in a worker of its own, without a pool, and gives the first value that it posts with
 * `parentPort.postMessage`. The worker is ended then, whatever else it has to do.
 *
 * Settles when the worker's thread has ended; after an abort or the timeout at once. A started worker keeps the process
 * alive until it has ended. What it writes to its streams just before its message may be lost, as with `worker.terminate()`.
 * @param script a path (relative to the working directory, or absolute), a `file:` or `data:` URL; with `eval: true` the
 * source of a CommonJS script
 * @param workerData what `workerData` of `node:worker_threads` is in the script: cloned, shared memory shared. @default undefined
 * @throws Nothing: it rejects. With the error that the script did not catch; with `ERR_THREADMILL_WORKER_CRASHED` and
 * `exitCode` when it ended without a message; with `ERR_THREADMILL_TIMEOUT` (name `TimeoutError`) or the signal's reason;
 * with the error of reading a message that this thread cannot read; with a `DataCloneError` for `workerData`; with what
 * `new Worker` throws for its options; with a TypeError or RangeError for the arguments
 * @example
 * const { sum } = await runWorker('./sum.js', { numbers: [1, 2, 3] }, { timeout: 5000 })
 */
export function runWorker<T = any>(script: string | URL, workerData?: unknown, options?: RunWorkerOptions): Promise<T>

/**
 * Waits until another thread calls `Atomics.notify` for an element of shared memory, as `Atomics.wait` does, without
 * blocking this thread. While it waits it keeps the process alive, which `Atomics.waitAsync` does not.
 *
 * Resolves with `'not-equal'` when the element was not `value` at the call, with `'timed-out'` after the timeout, else with
 * `'ok'`.
 * @param array over a SharedArrayBuffer
 * @param index of the element
 * @param value that the element is expected to have, of 32 bits with sign (a bigint of 64 bits for a BigInt64Array)
 * @param timeout ms from 0. @default Infinity
 * @throws Nothing: it rejects with a TypeError or RangeError, code `ERR_THREADMILL_INVALID_ARG_TYPE`, `_INVALID_ARG_VALUE`
 * or `_OUT_OF_RANGE`
 * @example
 * const flags = new Int32Array(new SharedArrayBuffer(4))
 * const done = waitAsync(flags, 0, 0)
 * await pool.run(flags) // the task calls Atomics.store(flags, 0, 1) and Atomics.notify(flags, 0)
 * await done // 'ok'
 */
export function waitAsync(
  array: Int32Array,
  index: number,
  value: number,
  timeout?: number,
): Promise<'ok' | 'not-equal' | 'timed-out'>
export function waitAsync(
  array: BigInt64Array,
  index: number,
  value: bigint,
  timeout?: number,
): Promise<'ok' | 'not-equal' | 'timed-out'>

/**
 * How many workers fit a kind of work, for `maxWorkers` or `threads`:
 *
 * - `'cpu'`: as many as cores;
 * - `'cpu-reserve'`: one less, at least 1, which leaves a core to this thread;
 * - `'mixed'`: twice as many, for tasks that wait half of their time;
 * - `'short'`: half of them, at least 2, for tasks that end within a few milliseconds.
 * @param kind @default 'cpu'
 * @param cores whole, 1 to 65,536. @default `os.availableParallelism()`
 * @throws TypeError, RangeError
 */
export function recommendedPoolSize(kind?: 'cpu' | 'cpu-reserve' | 'mixed' | 'short', cores?: number): number

/**
 * Why the thread of a JS worker has ended:
 *
 * - `'closed'`: its pool ends;
 * - `'retired'`: it was recycled, idle for `idleTimeout`, or more than the pool is to have, and ended after its last task;
 * - `'evicted'`: it was ended because of a task that was given up and did not end within `cancelGrace`;
 * - `'start-failed'`: it could not load the module, `onWorkerStart` failed, or it ended before both were done;
 * - `'crashed'`: it ended by itself, by `process.exit`, for want of memory, or by an error that nobody caught, also when it had been
 *   told to end, as when `onWorkerExit` fails.
 */
export type WorkerExitReason = 'closed' | 'retired' | 'evicted' | 'start-failed' | 'crashed'

/** Listeners of a pool's events, by name; see `pool.on`. */
export interface PoolEvents {
  // Tasks of kernels come here, too, so results are unknown. These are methods, so that a listener for a pool which runs its
  // entry function alone may say what that gives.
  'task-added'(task: Task): void
  'task-complete'(error: any, result: unknown, task: Task): void
  /**
   * A run of a task of this thread has failed with `error`, and it is run again for the `attempt`th time. `task.worker` is the worker
   * of that run and `task.taskCost` what it took.
   */
  retry(task: Task, attempt: number, error: any): void
  'worker-launched': (worker: IWorker) => void
  'worker-online': (worker: IWorker) => void
  'worker-exit': (worker: IWorker, exitCode: number, error: unknown, reason: WorkerExitReason) => void
  /** What waits has been rejected with `error`: no worker can use the entry module, or they crash again and again. */
  broken: (error: ThreadmillError) => void
  drain: () => void
  health: (stats: PoolStats) => void
  'health-alert': (alert: HealthAlert) => void
  'high-memory': (details: HighMemory) => void
}

/** Options of `pool.trace.start()`. */
export interface TraceOptions {
  /** Records kept for each thread, 32 bytes each: a power of two, 2^6 to 2^22. The oldest ones are overwritten. @default 32768 */
  readonly capacity?: number | undefined
}

/** One event of a trace, in the trace-event format of Chrome. */
export interface TraceEvent {
  readonly name: string
  /**
   * `M` metadata; `B` and `E` begin and end of a slice; `s`, `t` and `f` begin, step and end of an arrow; `i` an instant; `C` a
   * counter.
   */
  readonly ph: 'M' | 'B' | 'E' | 's' | 't' | 'f' | 'i' | 'C'
  /** `'task'`, `'submit'`, `'stall'`, `'steal'`, `'park'`, `'wake'`, `'cancel'` or `'crash'`; none for metadata and counters. */
  readonly cat?: string
  /** Microseconds on a monotonic clock that all pools of a process share; 0 for metadata. */
  readonly ts: number
  /** Number of the pool in this process. */
  readonly pid: number
  /** Number of the track: 1 is the thread that owns the pool, each worker has one or more of its own. */
  readonly tid: number
  /** Of an arrow: the same for all its events. */
  readonly id?: number
  readonly bp?: 'e'
  readonly s?: 't'
  readonly args?: Readonly<Record<string, unknown>>
}

/** A timeline that https://ui.perfetto.dev and chrome://tracing open, once it is written as JSON. */
export interface Trace {
  /** Metadata first, then by time. */
  readonly traceEvents: readonly TraceEvent[]
  readonly displayTimeUnit: 'ms'
  readonly otherData: {
    /** Records that were overwritten before they were read; what they told is missing. */
    readonly lost: number
  }
}

/** Records what happens in a pool. */
export interface PoolTrace {
  /**
   * Begins to record. Also while the pool is closing.
   * @throws TypeError, RangeError; ThreadmillError `ERR_THREADMILL_TRACE_STARTED` when it records already,
   * `ERR_THREADMILL_POOL_CLOSED` when the pool has ended
   */
  start(options?: TraceOptions): void
  /**
   * Ends it. What was recorded can be had once, also after the pool has ended.
   * @throws ThreadmillError `ERR_THREADMILL_TRACE_NOT_STARTED`
   */
  stop(): Trace
}

/** Options of `startHealthMonitoring`. */
export interface HealthOptions {
  /** Milliseconds from one report to the next, 1 to 2^31-1. @default 5000 */
  readonly interval?: number | undefined
  /** Whether reports are printed with `console.log`, in five lines. @default false */
  readonly log?: boolean | undefined
  /** An alert is raised when more tasks wait than workers × this, from 0. @default 5 */
  readonly alert?: number | undefined
}

/** What `health-alert` tells. */
export interface HealthAlert {
  readonly type: 'queue-backlog'
  readonly message: string
  readonly stats: PoolStats
}

/** What `high-memory` tells. */
export interface HighMemory {
  readonly message: string
  /** Bytes of JavaScript heap in use. */
  readonly heapUsed: number
  /** The limit, bytes. */
  readonly limit: number
  /** Whose heap it is; `undefined` for that of the thread that owns the pool. */
  readonly worker?: IWorker | undefined
}

/** Names of the events of a pool. */
export type PoolEvent = keyof PoolEvents

/** Progress of a running task: of a kernel at most about 20 reports a second, none for work below 50 ms. */
export interface Progress {
  /** Units done. */
  readonly done: number
  /** Units in total. */
  readonly total: number
  /** `done / total`, 0 to 1; 0 when `total` is 0. */
  readonly fraction: number
}

/** A worker as seen from outside. `String(worker)` is its id. */
export interface IWorker {
  /** Its number, as text. */
  toString(): string
  /** Number within its lane, from 0; -1 for the thread that owns the pool. */
  readonly id: number
  /** The lane it belongs to. */
  readonly lane: 'native' | 'js'
  /**
   * `threadId` of its thread, as `node:worker_threads` counts them: another one whenever the worker is replaced. `undefined` before
   * and after, of native workers, and in a worker.
   */
  readonly threadId: number | undefined
  /**
   * Sends a message to a JS worker, where `client.onMessage` hears it; native workers hear none. Messages for
   * one worker arrive in order, and before tasks that were submitted after them. Those for one that has retired are dropped,
   * and those for one that is being replaced kept for the next one.
   * @param transfer what of the contents is moved instead of copied
   * @throws DataCloneError
   */
  postMessageToWorker(type: string, contents?: unknown, transfer?: readonly object[]): this
  /**
   * What it writes, in a pool with `stdout: true`; else `null`. It goes on when the worker is replaced. While somebody reads and
   * more than about 1 MiB has not been read, the worker's `process.stdout` asks whoever writes to wait.
   */
  readonly stdout: Readable | null
  /** The same for stderr. */
  readonly stderr: Readable | null
}

/** One submitted task: a promise-like handle. `T`: its argument, `U`: its output. */
export interface Task<T = any, U = unknown> extends PromiseLike<U> {
  /** Unique among the handles of the pool, in the order of addition, from 0. */
  readonly id: number
  /** The argument, same reference. */
  readonly argument: T
  /** Second name of `argument`. */
  readonly arg: T
  /** Milliseconds since the epoch at submit. */
  readonly timestamp: number
  /** The options given; an empty object when there were none. */
  readonly options: Readonly<TaskOptions & { readonly kernel?: string; readonly [option: string]: unknown }>
  /**
   * The worker that runs it or ran it last; `undefined` before it has begun, and of a task that was given back because its worker
   * was ended for another one, until it begins again.
   */
  readonly worker: IWorker | undefined
  /**
   * Run time in ms: expected until a run has ended, then measured, unless it never ran. Expected is what tasks of its `key` have
   * taken, else what an estimator says, else the mean of the kernel or the entry function, 0 when unknown. In a worker, keys are
   * not asked.
   */
  readonly taskCost: number
  /** Time of `preTask` in ms: 0 until it has ended, and on the native lane. */
  readonly pretaskCost: number
  /** How often it has been run again; see `TaskOptions.retries`. */
  readonly retries: number
  /** A real promise of the outcome. */
  then<A = U, B = never>(
    onFulfilled?: ((value: U) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B>
  catch<B = never>(onRejected?: ((reason: any) => B | PromiseLike<B>) | null): Promise<U | B>
  finally(onFinally?: (() => void) | null): Promise<U>
  /**
   * Gives the task up: a waiting one never runs, a running kernel stops at its next check. The promise rejects with
   * `reason` when one is given, else with `ERR_THREADMILL_CANCELLED` (name `AbortError`).
   * @returns whether this call cancelled it; `false` when it was already settled
   */
  cancel(reason?: unknown): boolean
  /** Progress of this task. A listener that throws is rethrown as an uncaught exception. */
  on(event: 'progress', listener: (progress: Progress) => void): this
  /** Messages of this task: its type and contents. */
  on(event: 'message', listener: (type: string, contents: unknown) => void): this
  off(event: 'progress' | 'message', listener: (...args: any[]) => void): this
}

/** Figures of one worker. */
export interface WorkerStats {
  readonly id: number
  readonly lane: 'native' | 'js'
  /** Whether it is running a task or helping with one. */
  readonly busy: boolean
  /** Whether its thread exists. */
  readonly started: boolean
  /** Tasks that it ended with an output. */
  readonly tasksCompleted: number
  /** Tasks that it ended with an error. */
  readonly tasksErrored: number
  /** Time spent in tasks, ms. */
  readonly busyTime: number
  /** Tasks that it took from other workers. */
  readonly steals: number
  /** Chunks that it ran for tasks of other workers. */
  readonly helped: number
  /** Names of the kernels it is running. */
  readonly running: readonly string[]
  /** Milliseconds since a JS worker was launched; for a native one, since the pool was made. */
  readonly uptime: number
  /** Messages that a JS worker has posted. */
  readonly messageCount: number
  /** Tasks that it ended with an error; for a JS worker also how often its thread crashed and failed none. */
  readonly errorCount: number
  /** How often the thread of a JS worker has crashed or could not start; 0 for a native one. */
  readonly crashes: number
  /** Seconds since the last answer or message of a JS worker, or since its launch; `null` for a native one. */
  readonly lastActiveSecs: number | null
  /** CPU time of its thread, ms; `null` while it has none, and where the system does not tell (Linux does). */
  readonly cpuTime: number | null
  /** Share of the time that the event loop of a JS worker was busy since its launch, 0 to 1; `null` otherwise. */
  readonly eventLoopUtilization: number | null
  /** From submit to start, of its successful tasks. */
  readonly waitTime: TimeStats
  /** From start to end, of its successful tasks. */
  readonly runTime: TimeStats
}

/** Times of successful tasks, ms, from an HDR histogram: within 1 %, to 0.1 µs at best. All 0 before the first. */
export interface TimeStats {
  /** Tasks. */
  readonly count: number
  readonly mean: number
  readonly min: number
  readonly max: number
  /** Median. */
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
}

/** Times of the tasks with one key. */
export interface KeyStats {
  /**
   * The `key` of the tasks; that of tasks without one is the name of their kernel, `'entry'`, or for those on the thread that
   * owns the pool `"entry on the owner's thread"`.
   */
  readonly key: string
  readonly waitTime: TimeStats
  readonly runTime: TimeStats
}

/** Figures of a pool at one moment. */
export interface PoolStats {
  readonly name: string
  /** Workers, also those whose threads have not started yet. */
  readonly poolSize: number
  readonly busyWorkers: number
  readonly availableWorkers: number
  /** Waiting tasks. */
  readonly queueLength: number
  /** Tasks that ended with an output. */
  readonly tasksCompleted: number
  /** Tasks that ended with an error, a cancellation or a timeout. */
  readonly tasksErrored: number
  /** Tasks admitted so far. */
  readonly tasksAdmitted: number
  /** Runs of tasks of this thread that failed and were begun again; see `TaskOptions.retries`. */
  readonly retries: number
  /** JS workers that ended without being asked to, those that could not load the module or start among them. */
  readonly crashes: number
  /** Mean time from submit to end of successful tasks, without runs that were begun again, ms; 0 when there are none. */
  readonly avgProcessingTime: number
  /** Sum behind that mean, ms. */
  readonly totalProcessingTime: number
  /** Mean time of successful tasks from submit to start, ms. */
  readonly avgWaitTime: number
  /** Mean time of successful tasks from start to end, ms. */
  readonly avgRunTime: number
  /** From submit to start, of all successful tasks, and between their runs. */
  readonly waitTime: TimeStats
  /** From start to end, of all successful tasks; of the last run. */
  readonly runTime: TimeStats
  /** The same by key, for the first 256 keys; read when it is asked for first. */
  readonly keys: readonly KeyStats[]
  /** Tasks that workers took from the queues of others, of both lanes and also by workers that have gone. */
  readonly steals: number
  /** Kernels that were given up and still run. */
  readonly abandoned: number
  /** busy / workers, 0 to 1. */
  readonly load: number
  /** Why the native lane has that many workers. */
  readonly sizing: {
    readonly threads: number
    /** What decided. */
    readonly source: 'option' | 'cpus' | 'affinity' | 'cgroup'
    /** CPUs online. */
    readonly cpus: number
    /** CPUs in this process's affinity mask. */
    readonly affinity: number
    /** cgroup CPU quota in cores, `null` when there is none. */
    readonly quota: number | null
    /** Least and most JS workers; `null` in a pool without a module. */
    readonly js: { readonly min: number; readonly max: number } | null
    /** What does not work, such as a refused nice value, or a thread that the system has not granted yet. */
    readonly notes: readonly string[]
  }
  /** Native workers. */
  readonly native: readonly WorkerStats[]
  /** JS workers that exist. */
  readonly js: readonly WorkerStats[]
  /** Those of the lane that the pool is for: `js` in a pool with a module, else `native`. */
  readonly workers: readonly WorkerStats[]
  readonly workerStats: readonly WorkerStats[]
}

/**
 * A pool of native workers that run kernels and, with a module, of JS workers that run its entry function.
 *
 * An idle pool does not keep the process alive; pending tasks do. A pool that is no longer reachable releases its
 * threads. Its own listeners and callbacks (`on`, `onMessage`, `onShutdown`) keep it reachable when they refer to it, or when
 * another function of their scope does.
 *
 * @example
 * const pool = new WorkerPool()
 * const digest = await pool.kernels.sha256('hello')
 * await pool.close()
 */
export const WorkerPool: {
  /**
   * A pool of native workers.
   * @throws TypeError, RangeError with code `ERR_THREADMILL_INVALID_ARG_TYPE`, `_INVALID_ARG_VALUE` or `_OUT_OF_RANGE`
   */
  new <_ extends undefined>(options?: NativePoolOptions): WorkerPool<never, never>
  /**
   * What a class that extends `WorkerPool` without types takes, where all of these make one type. No call comes here: it fits
   * the one above, whose type argument keeps that from such classes.
   */
  new (options?: NativePoolOptions): WorkerPool<any, any>
  /**
   * A pool whose JS workers load `module` and call its entry function; kernels run as well. `module`: absolute path,
   * `file:` or `data:` URL, or from the working directory a relative path or a package name. A number of workers instead of
   * options launches that many at once. A module without an entry function that listens on `parentPort` while it loads
   * gets its tasks as messages there, and what it posts next is their output: see `docs/sharing.md`.
   */
  new <T = any, U = any>(module: string | URL, options?: WorkerPoolOptions<T, U> | number): WorkerPool<T, U>
  /**
   * The same for a function that carries `modulePath`, an absolute path or `file:` URL, and, if it is not the entry by name,
   * `moduleSymbol`.
   */
  new <T = any, U = any>(
    entry: WorkerEntryPoint<T, U> & EntryPlace,
    options?: WorkerPoolOptions<T, U> | number,
  ): WorkerPool<T, U>
  /** The same for a function that returns promises and other values, of which no output can be inferred one by one. */
  new <T, R>(
    module: string | URL,
    options: Omit<WorkerPoolOptions, 'entryPoint'> & { readonly entryPoint: (input: T, client: IWorkerClient) => R },
  ): WorkerPool<T, Awaited<R>>
  new <T, R>(
    entry: ((input: T, client: IWorkerClient) => R) & EntryPlace,
    options?: Omit<WorkerPoolOptions, 'entryPoint'> | number,
  ): WorkerPool<T, Awaited<R>>
  // Takes nothing that the others do not: the last one is what explains a mistake.
  new (module: string | URL, options?: WorkerPoolOptions | number): WorkerPool<any, any>
  readonly prototype: WorkerPool
}

/** Where the module of an entry function is, and the name of its export. */
export interface EntryPlace {
  readonly modulePath: string
  readonly moduleSymbol?: string | undefined
}

/** Input of an export other than the entry: anything, but none in a pool without a module. */
export type NamedInput<T> = [T] extends [never] ? never : unknown

/** What `this` has to be for a call without an input: anything where `undefined` is an input, else nothing fits. */
export type TakesNoInput<T> = [T & undefined] extends [never] ? never : unknown

export interface WorkerPool<T = any, U = any> {
  /** Name of the pool. */
  readonly name: string

  /** One typed method per kernel of this build; own keys list their names. All reject and never throw. */
  readonly kernels: Kernels

  /**
   * Runs the entry function of the pool's module, or a kernel by name (`options.kernel`); the fast path when no handle is
   * needed.
   *
   * Rejects with `ERR_THREADMILL_UNKNOWN_KERNEL`, `_INVALID_ARG_TYPE`, `_INVALID_ARG_VALUE`, `_OUT_OF_RANGE`,
   * `_QUEUE_FULL` or `_POOL_CLOSED` before anything is queued, and with `_ENTRY` once it is known that the module cannot be
   * used; later with the error of the kernel or entry function, `_TIMEOUT`, `_CANCELLED` or the signal's reason, `_ENTRY`,
   * `_WORKER_CRASHED`, or `_POOL_CLOSED` when the pool is disposed of or destroyed.
   */
  run<R = any>(input: NamedInput<T>, options: NamedTaskOptions): Promise<R>
  run(input: T, options?: EntryTaskOptions): Promise<U>
  /** Where `undefined` is an input. */
  run(this: TakesNoInput<T>): Promise<U>
  run<E extends HashEncoding | undefined = 'hex'>(
    input: string | BytesLike,
    options: { readonly kernel: DigestAlgorithm } & HashOptions<E> & KernelCallOptions,
  ): Promise<HashOutput<E>>
  run<T extends Float32Array | Float64Array>(
    input: MatmulInput<T>,
    options: { readonly kernel: 'matmul' } & KernelCallOptions,
  ): Promise<SameKind<T>>
  run<T extends Float32Array | Float64Array>(
    input: FftInput<T>,
    options: { readonly kernel: 'fft' | 'ifft' } & KernelCallOptions,
  ): Promise<FftResult<T>>
  run<T extends NumericArray>(
    input: T,
    options: { readonly kernel: 'sort' } & KernelCallOptions & SortOptions,
  ): Promise<SameKind<T>>
  run<N extends string>(input: unknown, options: DynamicRunOptions<N>): Promise<unknown>
  /** In a pool without a module: calls a function on this thread, when its turn has come. */
  run<R>(
    this: WorkerPool<never, never>,
    call: (client: IWorkerClient) => R,
    options: MainTaskOptions,
  ): Promise<Awaited<R>>
  // Last, for the last one is what explains a mistake.
  run<K extends KernelName>(input: KernelInput<K>, options: RunOptions<K>): Promise<KernelOutput<K>>

  /**
   * As `run`, with a handle.
   * @throws what is wrong with the call, and `ERR_THREADMILL_QUEUE_FULL`. The handle rejects where the pool is closed or cannot run
   * the task, the signal has been aborted, and an input or `transfer` for the entry function cannot be cloned or moved
   */
  addTask<R = any>(input: NamedInput<T>, options: NamedTaskOptions): Task<unknown, R>
  addTask(input: T, options?: EntryTaskOptions): Task<T, U>
  /** Where `undefined` is an input. */
  addTask(this: TakesNoInput<T>): Task<T, U>
  addTask<E extends HashEncoding | undefined = 'hex'>(
    input: string | BytesLike,
    options: { readonly kernel: DigestAlgorithm } & HashOptions<E> & KernelCallOptions,
  ): Task<string | BytesLike, HashOutput<E>>
  addTask<T extends Float32Array | Float64Array>(
    input: MatmulInput<T>,
    options: { readonly kernel: 'matmul' } & KernelCallOptions,
  ): Task<MatmulInput<T>, SameKind<T>>
  addTask<T extends Float32Array | Float64Array>(
    input: FftInput<T>,
    options: { readonly kernel: 'fft' | 'ifft' } & KernelCallOptions,
  ): Task<FftInput<T>, FftResult<T>>
  addTask<T extends NumericArray>(
    input: T,
    options: { readonly kernel: 'sort' } & KernelCallOptions & SortOptions,
  ): Task<T, SameKind<T>>
  addTask<N extends string>(input: unknown, options: DynamicRunOptions<N>): Task<unknown>
  addTask<R>(
    this: WorkerPool<never, never>,
    call: (client: IWorkerClient) => R,
    options: MainTaskOptions,
  ): Task<(client: IWorkerClient) => R, Awaited<R>>
  addTask<K extends KernelName>(input: KernelInput<K>, options: RunOptions<K>): Task<KernelInput<K>, KernelOutput<K>>

  /**
   * Runs the entry function, or a kernel, over every item of an iterable. Takes items only as fast as outputs are
   * consumed. Leaving the loop early cancels what is in progress; the first failure ends the iteration with its error, after the outputs of the
   * inputs before it when `ordered`. An abort of `signal` ends it at once. Inputs are taken, and their tasks submitted, in the async
   * context of this call.
   * @throws what `run` would reject with because of its options, and for inputs that are not iterable
   */
  map<R = any>(inputs: Inputs<NamedInput<T>>, options: NamedTaskOptions & MapOptions): AsyncIterableIterator<R>
  map(inputs: Inputs<T>, options?: EntryTaskOptions & MapOptions): AsyncIterableIterator<U>
  map<E extends HashEncoding | undefined = 'hex'>(
    inputs: Inputs<string | BytesLike>,
    options: { readonly kernel: DigestAlgorithm } & HashOptions<E> & KernelCallOptions & MapOptions,
  ): AsyncIterableIterator<HashOutput<E>>
  map<T extends Float32Array | Float64Array>(
    inputs: Inputs<MatmulInput<T>>,
    options: { readonly kernel: 'matmul' } & KernelCallOptions & MapOptions,
  ): AsyncIterableIterator<SameKind<T>>
  map<T extends Float32Array | Float64Array>(
    inputs: Inputs<FftInput<T>>,
    options: { readonly kernel: 'fft' | 'ifft' } & KernelCallOptions & MapOptions,
  ): AsyncIterableIterator<FftResult<T>>
  map<T extends NumericArray>(
    inputs: Inputs<T>,
    options: { readonly kernel: 'sort' } & KernelCallOptions & SortOptions & MapOptions,
  ): AsyncIterableIterator<SameKind<T>>
  map<N extends string>(
    inputs: Inputs<unknown>,
    options: DynamicRunOptions<N> & MapOptions,
  ): AsyncIterableIterator<unknown>
  map<K extends KernelName>(
    inputs: Inputs<KernelInput<K>>,
    options: RunOptions<K> & MapOptions,
  ): AsyncIterableIterator<KernelOutput<K>>

  /**
   * A Duplex in object mode for `pipeline`: inputs are written, outputs are read, in order unless `ordered: false`. A write
   * is held up while `concurrency` inputs are in progress. Destroying it cancels what is in progress; the first failure
   * destroys it. An output that is null or undefined fails it, for streams cannot carry one.
   */
  stream(options?: EntryTaskOptions & MapOptions): Duplex
  stream<N extends string>(options: DynamicRunOptions<N> & MapOptions): Duplex
  stream<K extends KernelName>(options: RunOptions<K> & MapOptions): Duplex

  /** Listens to messages that kernels and workers post. `origin` is the worker that sent it. Types compare exactly. */
  onMessage(type: string, listener: (contents: any, origin: IWorker) => void): this
  /** Removes a listener that `onMessage` added. */
  removeMessageListener(type: string, listener: (contents: any, origin: IWorker) => void): this

  /**
   * Events, synchronous in the thread of the pool:
   *
   * - `task-added`: a task was submitted, within the call;
   * - `task-complete`: exactly once per task, after its promise was settled and before `whenIdle` resolves; `error` is
   *   `undefined` on success, and an `Error` with the `reason` when a task failed with a falsy one. A failure that a
   *   listener has been told of is no unhandled rejection;
   * - `worker-launched`: a JS worker was created; it can be sent messages at once;
   * - `worker-online`: it has loaded the module, `onWorkerStart` has ended, and it takes tasks; once per thread. It may come
   *   after the end of its first task;
   * - `worker-exit`: a JS worker has ended; `error` is what it did not catch, or why it could not be started, and `reason` why
   *   it has ended, whatever the code and the error are;
   * - `drain`: the pool was full, or had refused a task for want of room, and has room again; once per fullness;
   * - `health` and `health-alert`: see `startHealthMonitoring`;
   * - `high-memory`: see `maxMemoryUsage`.
   *
   * A listener that throws is rethrown as an uncaught exception.
   */
  on<E extends PoolEvent>(event: E, listener: PoolEvents[E]): this
  once<E extends PoolEvent>(event: E, listener: PoolEvents[E]): this
  off(event: PoolEvent, listener: (...args: any[]) => void): this
  removeListener(event: PoolEvent, listener: (...args: any[]) => void): this

  /**
   * Sets the least and most workers, of the kind that the pool is for, while it works. Workers are launched up to the least
   * at once; those beyond the most end after the tasks that they run, and what waits for them goes to others. What is left
   * out stays as it is. Native workers are as many as `max`, which may not exceed the larger of `threads` and the CPUs of the process; a
   * kernel that is forced to one that goes, and has not begun, rejects with `ERR_THREADMILL_OUT_OF_RANGE`. A pool whose
   * size nobody chose follows the CPUs and the cgroup quota of the process until then, looking every 5 s.
   * @throws TypeError, RangeError; ThreadmillError `ERR_THREADMILL_POOL_CLOSED`
   */
  resize(bounds: { readonly min?: number | undefined; readonly max?: number | undefined }): void
  /**
   * Launches JS workers until `workers`, `maxWorkers` at most, exist. Never ends one. Does nothing from the end of the pool on.
   * @param workers whole, or `Infinity`; for less than there are, and NaN, nothing happens
   * @throws TypeError, RangeError
   */
  resizeUpTo(workers: number): void

  /**
   * Sends a message to every JS worker that exists, and to functions on this thread once one has run.
   * @param transfer what of the contents is moved, while one of these exists at most; on this thread nothing is moved
   * @throws DataCloneError; TypeError `ERR_THREADMILL_INVALID_ARG_VALUE` for what cannot be moved to several workers
   */
  postMessageToWorkers(type: string, contents?: unknown, transfer?: readonly object[]): this
  /** The workers: JS workers that exist in a pool with a module, else the native ones. */
  readonly workers: readonly IWorker[]

  /** Whether no task is waiting or running. */
  readonly isIdle: boolean
  /** Resolves when no task is waiting or running; at once on an idle pool. Failed tasks do not reject it. */
  whenIdle(): Promise<void>
  /** Keeps the process alive also while the pool is idle, until its end is asked for. */
  ref(): this
  /** Takes `ref()` back; unfinished tasks keep the process alive all the same. */
  unref(): this

  /**
   * Resolves when there is room below `capacity` and `capacityBytes`, at once when there is; after a refusal for want of
   * bytes, when there is room for what was refused. Those who wait are told in turn, as many as there is room for; who has
   * not submitted anything when the microtasks of that turn are done leaves the room to the next. Another caller may take it
   * first.
   *
   * Rejects with `ERR_THREADMILL_POOL_CLOSED` when the pool admits nothing any more; with a TypeError for the options.
   * @param options.signal leaves the line when it aborts; the promise rejects with its reason
   * @example
   * for (const input of inputs) {
   *   await pool.ready()
   *   // With `capacityBytes` it may be refused all the same: see docs/lifecycle.md.
   *   pool.run(input).then(use, report)
   * }
   */
  ready(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>

  /** Figures of this moment; its cost does not depend on the number of waiting tasks. */
  stats(): PoolStats

  /**
   * Fires `health` with `stats()` at intervals until it is stopped or the pool has ended, and `health-alert` when more tasks
   * wait than its workers can be expected to do soon. Called again, it replaces the interval. It does not keep the process
   * alive.
   * @param options the interval in ms, or options
   * @throws TypeError, RangeError; ThreadmillError `ERR_THREADMILL_POOL_CLOSED`
   */
  startHealthMonitoring(options?: number | HealthOptions): this
  /** Stops it; does nothing when it is not on. */
  stopHealthMonitoring(): this

  /**
   * The timeline of the pool: which worker runs which task when. With `THREADMILL_TRACE=file` in the environment, every pool of
   * the process is recorded from its creation on and written to that file, whatever is done here.
   * @example
   * pool.trace.start()
   * await pool.kernels.primesUpTo(1e7)
   * await writeFile('trace.json', JSON.stringify(pool.trace.stop()))
   */
  readonly trace: PoolTrace

  /**
   * Stops admitting, finishes everything that was admitted, then releases the threads. What tasks submit meanwhile is
   * finished, too. Repeated calls give the same promise.
   * When the pool has not ended after `timeout` ms (0 to 2^31-1, or `Infinity`), it is destroyed; of several calls the earliest end counts.
   */
  close(options?: { readonly timeout?: number | undefined }): Promise<void>
  /** Stops admitting, finishes what runs, rejects what waits with `ERR_THREADMILL_POOL_CLOSED`, then releases the threads. `force` is `destroy()`. */
  dispose(options?: { readonly force?: boolean | undefined }): Promise<void>
  /** Stops now: everything unfinished rejects with `ERR_THREADMILL_POOL_CLOSED`; resolves when running kernels have noticed. */
  destroy(): Promise<void>
  /**
   * Calls `callback` once at the end of the pool, after the last task and, unless the pool is destroyed, before its JS
   * workers end. Callbacks are awaited in the order of registration, `disposeTimeout` each; when the pool is destroyed, all
   * of them together. One that fails becomes a warning of the process, and the others are called all the same.
   * @throws ThreadmillError `ERR_THREADMILL_POOL_CLOSED` when the workers have been told to end
   */
  onShutdown(callback: () => unknown): this
  /**
   * Ends the pool when one of these signals comes: the first one closes it, together with all pools that asked for that
   * signal, and when they have ended the process ends by the signal. A second signal destroys them, a third one ends the
   * process at once. When others listen to the signal too, also with `once`, ending the process is left to them. `process` has one
   * listener per signal, until the last of these pools has ended.
   * @param signals @default ['SIGTERM', 'SIGINT']
   * @throws TypeError; ThreadmillError `ERR_THREADMILL_POOL_CLOSED`, `ERR_THREADMILL_NOT_SUPPORTED` in a worker thread
   */
  installSignalHandlers(signals?: readonly NodeJS.Signals[]): this
  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** What a kernel takes and gives, for people and for forms. */
export interface KernelInfo {
  readonly name: string
  readonly group: 'hash' | 'compress' | 'password' | 'numeric' | 'text' | 'demo'
  readonly summary: string
  readonly input: KernelSchema
  readonly options: readonly KernelField[]
  /** The output as a TypeScript type. */
  readonly output: string
  /** Whether a transferred input is worked on in place and comes back as the output. */
  readonly inPlace: boolean
  /** Whether it spreads over idle workers. */
  readonly parallel: boolean
}

export interface KernelField {
  readonly name: string
  readonly schema: KernelSchema
  readonly required: boolean
}

export type KernelSchema =
  | { readonly type: 'number'; readonly min: number | null; readonly max: number | null; readonly integer: boolean }
  | { readonly type: 'string'; readonly minLength: number }
  | { readonly type: 'boolean' }
  | { readonly type: 'bytes' }
  | { readonly type: 'text' }
  | { readonly type: 'typedArray'; readonly kinds: readonly string[] }
  | { readonly type: 'oneOf'; readonly values: readonly string[] }
  | { readonly type: 'list'; readonly items: KernelSchema }
  | { readonly type: 'object'; readonly fields: readonly KernelField[] }

/**
 * Describes a kernel.
 * @returns `undefined` for a name that this build does not have
 */
export function kernelInfo(name: string): KernelInfo | undefined

/** Every code that threadmill itself gives an error; `docs/errors.md` has cause and remedy of each. */
export type ErrorCode =
  | 'ERR_THREADMILL_INVALID_ARG_TYPE'
  | 'ERR_THREADMILL_INVALID_ARG_VALUE'
  | 'ERR_THREADMILL_OUT_OF_RANGE'
  | 'ERR_THREADMILL_UNKNOWN_KERNEL'
  | 'ERR_THREADMILL_POOL_CLOSED'
  | 'ERR_THREADMILL_QUEUE_FULL'
  | 'ERR_THREADMILL_CANCELLED'
  | 'ERR_THREADMILL_WORKER_CRASHED'
  | 'ERR_THREADMILL_ENTRY'
  | 'ERR_THREADMILL_TIMEOUT'
  | 'ERR_THREADMILL_KERNEL_PANIC'
  | 'ERR_THREADMILL_CORRUPT_DATA'
  | 'ERR_THREADMILL_OUTPUT_TOO_LARGE'
  | 'ERR_THREADMILL_INVALID_PATTERN'
  | 'ERR_THREADMILL_INVALID_CSV'
  | 'ERR_THREADMILL_INVALID_HASH'
  | 'ERR_THREADMILL_IO'
  | 'ERR_THREADMILL_SYSTEM'
  | 'ERR_THREADMILL_INTERNAL'
  | 'ERR_THREADMILL_NOT_SUPPORTED'
  | 'ERR_THREADMILL_TRACE_STARTED'
  | 'ERR_THREADMILL_TRACE_NOT_STARTED'

/** Whether this is the main thread of the process: that of `node:worker_threads`. */
export const isMainThread: boolean

/** Any error of threadmill that is not about an argument. Match on `code`, not on `instanceof`. */
export class ThreadmillError extends Error {
  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown })
  readonly code: ErrorCode
  /**
   * Of `ERR_THREADMILL_WORKER_CRASHED`, unless the worker was ended because of another task, and of `ERR_THREADMILL_ENTRY` where the
   * thread has ended: its exit code.
   */
  readonly exitCode?: number | undefined
  /** Of `ERR_THREADMILL_WORKER_CRASHED`: the number of the worker that has ended. */
  readonly worker?: number | undefined
  /** For `ERR_THREADMILL_IO`: an Error with the system's `code` (such as `'ENOENT'`), `errno`, `syscall` and `path`. */
  cause?: unknown
}

/** Names of the kernels of the default build. */
export type KernelName = Extract<keyof Kernels, string>
/** Options of a kernel, with the task options. */
export type KernelOptions<K extends KernelName> = NonNullable<Parameters<Kernels[K]>[1]>
/** First argument of a kernel. */
export type KernelInput<K extends KernelName> = Parameters<Kernels[K]>[0]
/** Output of a kernel with its default options. */
export type KernelOutput<K extends KernelName> = K extends DigestAlgorithm ? string : Awaited<ReturnType<Kernels[K]>>

/** How a digest is given: hexadecimal digits, standard base64 with padding, or bytes. */
export type HashEncoding = 'hex' | 'base64' | 'buffer'

/** What a hash with this encoding gives. */
export type HashOutput<E extends HashEncoding | undefined> = E extends 'buffer' ? OwnArray<Uint8Array> : string

/** Options of `sha256`, `sha512`, `blake3` and `hashFile`. */
export interface HashOptions<E extends HashEncoding | undefined = HashEncoding> {
  /** How the digest is given. @default 'hex' */
  readonly encoding?: E | undefined
}

/** Options of `xxh3`. */
export interface Xxh3Options {
  /** Whole, 0 to 2^53 - 1. Another seed gives another, unrelated hash. @default 0 */
  readonly seed?: number | undefined
}

/** Options of `crc32`. */
export interface Crc32Options {
  /** Checksum of the bytes before these, whole, 0 to 2^32 - 1. @default 0 */
  readonly initial?: number | undefined
}

/** Hash kernels that give a digest, by `hashFile` too. */
export type DigestAlgorithm = 'sha256' | 'sha512' | 'blake3'

/** Input of `hashFile`. */
export interface HashFileInput<A extends DigestAlgorithm | 'xxh3' | 'crc32' = DigestAlgorithm | 'xxh3' | 'crc32'> {
  /** A path, relative to the working directory of the process, or a `file:` URL. Symbolic links are followed. */
  readonly path: string | URL
  /** Name of the hash kernel. */
  readonly algorithm: A
}

/** Options of all decompressors. */
export interface DecompressOptions {
  /**
   * Most bytes of output, whole, 1 to 2^53 - 1. One byte more rejects with `ERR_THREADMILL_OUTPUT_TOO_LARGE` before
   * the memory is used. @default 2^30 (1 GiB)
   */
  readonly maxOutputLength?: number | undefined
}

/** Options of `gzip`. */
export interface GzipOptions {
  /** Effort, whole, 0 (stored) to 9. @default 6 */
  readonly level?: number | undefined
}

/** Options of `zstd`. */
export interface ZstdOptions {
  /** Effort, whole, -7 (fastest) to 19; 0 means 3. @default 3 */
  readonly level?: number | undefined
}

/** Options of `brotli`. */
export interface BrotliOptions {
  /** Effort, whole, 0 to 11. The default takes seconds per megabyte. @default 11 */
  readonly quality?: number | undefined
  /** Logarithm of the window size in bytes, whole, 10 to 24. @default 22 */
  readonly lgwin?: number | undefined
}

/** Options of `argon2Hash`. */
export interface Argon2Options {
  /** Memory in KiB, whole, 8 times `parallelism` to 4,194,304 (4 GiB). @default 19456 (19 MiB) */
  readonly memoryCost?: number | undefined
  /** Passes over the memory, whole, 1 to 65,535. @default 2 */
  readonly timeCost?: number | undefined
  /** Lanes, whole, 1 to 255. They are computed one after the other on one worker. @default 1 */
  readonly parallelism?: number | undefined
  /** Bytes of output, whole, 10 to 64. @default 32 */
  readonly hashLength?: number | undefined
  /** 8 to 48 bytes, for tests and migrations only. @default 16 random bytes */
  readonly salt?: BytesLike | undefined
}

/** Options of `bcryptHash`. */
export interface BcryptOptions {
  /** Logarithm of the number of rounds, whole, 4 to 31. @default 12 */
  readonly cost?: number | undefined
}

/** Input of `argon2Verify` and `bcryptVerify`. */
export interface PasswordVerifyInput {
  /** The password that somebody gave. */
  readonly password: string | BytesLike
  /** The string that the hash kernel, or another library, gave for the right one. */
  readonly hash: string
}

/** The plain class of a typed array: `Uint8Array` for a `Buffer`, else the class itself. */
export type SameKind<T extends NumericArray> = T extends Int8Array
  ? OwnArray<Int8Array>
  : T extends Uint8ClampedArray
    ? OwnArray<Uint8ClampedArray>
    : T extends Uint8Array
      ? OwnArray<Uint8Array>
      : T extends Int16Array
        ? OwnArray<Int16Array>
        : T extends Uint16Array
          ? OwnArray<Uint16Array>
          : T extends Int32Array
            ? OwnArray<Int32Array>
            : T extends Uint32Array
              ? OwnArray<Uint32Array>
              : T extends Float32Array
                ? OwnArray<Float32Array>
                : T extends Float64Array
                  ? OwnArray<Float64Array>
                  : T extends BigInt64Array
                    ? OwnArray<BigInt64Array>
                    : OwnArray<BigUint64Array>

/** Options of `sort` and `argsort`. */
export interface SortOptions {
  /** Largest first; NaN then comes before everything. @default false */
  readonly descending?: boolean | undefined
}

/** Options of `stats`. */
export interface StatsOptions {
  /** Quantiles to compute, each from 0 (minimum) to 1 (maximum); 0.5 is the median. @default [] */
  readonly quantiles?: readonly number[] | Float32Array | Float64Array | undefined
}

/** Output of `stats`. If any element is NaN, every member but `count` is NaN. */
export interface StatsResult {
  /** Number of elements, NaN included. */
  count: number
  /** Sum, with compensation for rounding. 0 for an empty input. */
  sum: number
  /** `sum / count`. NaN for an empty input. */
  mean: number
  /** Variance of the population (division by `count`). NaN for an empty input, or when an element is infinite. */
  variance: number
  /** Variance of a sample (division by `count - 1`). NaN below two elements, or when an element is infinite. */
  sampleVariance: number
  /** Smallest element. NaN for an empty input. */
  min: number
  /** Largest element. NaN for an empty input. */
  max: number
  /** One number for each of `options.quantiles`, in their order; NaN for an empty input. */
  quantiles: number[]
}

/** Options of `histogram`. */
export interface HistogramOptions {
  /** Number of bins, whole, 1 to 2^24. @default 10 */
  readonly bins?: number | undefined
  /** Lower edge of the first bin, finite, at most `max`. @default the smallest finite element */
  readonly min?: number | undefined
  /** Upper edge of the last bin, finite, at least `min`. @default the largest finite element */
  readonly max?: number | undefined
}

/** Output of `histogram`. */
export interface HistogramResult {
  /** Elements per bin. A `Float64Array` only when the input has 2^32 elements or more. */
  counts: OwnArray<Uint32Array> | OwnArray<Float64Array>
  /** `bins + 1` edges in ascending order. */
  edges: OwnArray<Float64Array>
}

/** Input of `matmul`. All matrices are row by row: element (i, j) of `a` is `a[i * k + j]`. */
export interface MatmulInput<T extends Float32Array | Float64Array> {
  /** The left factor: exactly `m * k` elements. */
  readonly a: T
  /** The right factor: exactly `k * n` elements, of the same class as `a`. */
  readonly b: T
  /** Rows of `a` and of the product. Whole, 0 to 2^32-1; `m * n` is at most 2^30. */
  readonly m: number
  /** Columns of `a`, rows of `b`. Whole, 0 to 2^32-1. */
  readonly k: number
  /** Columns of `b` and of the product. Whole, 0 to 2^32-1; `m * n` is at most 2^30. */
  readonly n: number
}

/** Input of `fft` and `ifft`. */
export interface FftInput<T extends Float32Array | Float64Array> {
  /** Real parts, at most 2^28 elements. */
  readonly re: T
  /** Imaginary parts, of the same class and length. @default zeros */
  readonly im?: T | undefined
}

/** Output of `fft` and `ifft`: as many elements as the input. */
export interface FftResult<T extends Float32Array | Float64Array> {
  /** Real parts. */
  re: SameKind<T>
  /** Imaginary parts. */
  im: SameKind<T>
}

/** Input of `topK`. */
export interface TopKInput {
  /** Rows of `dim` numbers one after the other; at most 2^32-1 rows. */
  readonly matrix: Float32Array
  /** Numbers per row. Whole, 1 to 2^32-1. */
  readonly dim: number
  /** The vector to compare with: exactly `dim` elements. */
  readonly query: Float32Array
  /** Rows to find. Whole, 1 to 2^32-1; more than there are rows gives all of them. */
  readonly k: number
  /**
   * How rows are compared: `'cosine'` (of the angle, larger is nearer; a zero vector scores 0), `'dot'` (inner product,
   * larger is nearer), `'euclidean'` (distance, smaller is nearer). @default 'cosine'
   */
  readonly metric?: 'cosine' | 'dot' | 'euclidean' | undefined
}

/** Output of `topK`: best first, equal scores by ascending index, NaN last. */
export interface TopKResult {
  /** Row numbers. */
  indices: OwnArray<Uint32Array>
  /** The score of each of these rows; for `'euclidean'` its distance. */
  scores: OwnArray<Float32Array>
}

/** Input of `regexFind` and `regexCount`. */
export interface RegexInput {
  /** A string, or bytes of any content. */
  readonly text: string | BytesLike
  /** A pattern in the syntax of Rust's regex crate, at most 262,144 bytes of UTF-8. */
  readonly pattern: string
  /**
   * Any of `i` (ignore case), `m` (`^` and `$` at every line), `s` (`.` matches newlines), `x` (spaces and comments in
   * the pattern); `g` and `u` change nothing. @default ''
   */
  readonly flags?: string | undefined
}

/** Options of `regexFind`. */
export interface RegexFindOptions {
  /** Most matches, whole, 0 to 2^32 - 1. @default all */
  readonly limit?: number | undefined
}

/** Where a match is, in UTF-16 code units of a string or bytes of bytes. */
export interface TextMatch {
  /** Offset of its first unit. */
  start: number
  /** Offset after its last unit; equal to `start` for an empty match. */
  end: number
}

/** Input of `fuzzyTopK`. */
export interface FuzzyTopKInput {
  /** Characters to find in this order; at most 1024 bytes of UTF-8. */
  readonly query: string
  /** The strings to choose from. */
  readonly candidates: readonly string[]
  /** Most results, whole, 0 to 2^32 - 1. */
  readonly k: number
}

/** One candidate that matches. */
export interface FuzzyMatch {
  /** Its index in `candidates`. */
  index: number
  /** The higher the better. Comparable within one result only. */
  score: number
}

/** Options of `csvParse`. */
export interface CsvParseOptions<T extends 'auto' | 'string' = 'auto' | 'string'> {
  /** One ASCII character, but no quote and no line end. @default ',' */
  readonly delimiter?: string | undefined
  /** Whether the first row has the names. @default true */
  readonly header?: boolean | undefined
  /** `'auto'`: columns of numbers become `Float64Array`s. `'string'`: all columns are strings. @default 'auto' */
  readonly types?: T | undefined
}

/** Output of `csvParse`. */
export interface CsvTable<Column = OwnArray<Float64Array> | string[]> {
  /** The columns by name, in their order except for names that are array indices. Empty cells are NaN or `''`. */
  columns: Record<string, Column>
  /** Number of rows, that of the names not counted. */
  rows: number
}

/** Input of `mandelbrot`. */
export interface MandelbrotView {
  /** Pixels per row, whole, at least 1. `width * height` is at most 2^28. */
  readonly width: number
  /** Rows, whole, at least 1. */
  readonly height: number
  /** Real part of the middle of the view, finite. @default -0.5 */
  readonly centerX?: number | undefined
  /** Imaginary part of the middle of the view, finite. @default 0 */
  readonly centerY?: number | undefined
  /** Width of the view in the complex plane, positive. @default 3.5 */
  readonly scale?: number | undefined
  /** Most steps per pixel, whole, 1 to 2^32 - 1. @default 256 */
  readonly maxIterations?: number | undefined
}

/** The kernels of the default build. */
export interface Kernels {
  // hash

  /**
   * SHA-256 of a string (as UTF-8) or of bytes, 32 bytes long.
   *
   * Bytes are copied, shared or, with `transfer`, moved. Cancel is checked every 256 KiB; progress counts bytes.
   * @param input The string or the bytes.
   * @param options `encoding`, and task options.
   * @returns The digest in the encoding that was asked for.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_INVALID_ARG_VALUE`.
   * @example
   * await pool.kernels.sha256('abc') // 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
   */
  sha256<E extends HashEncoding | undefined = 'hex'>(
    input: string | BytesLike,
    options?: KernelCallOptions & HashOptions<E>,
  ): Promise<HashOutput<E>>

  /**
   * SHA-512 of a string (as UTF-8) or of bytes, 64 bytes long. Otherwise as `sha256`.
   * @returns The digest in the encoding that was asked for.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_INVALID_ARG_VALUE`.
   */
  sha512<E extends HashEncoding | undefined = 'hex'>(
    input: string | BytesLike,
    options?: KernelCallOptions & HashOptions<E>,
  ): Promise<HashOutput<E>>

  /**
   * BLAKE3 of a string (as UTF-8) or of bytes, 32 bytes long. The fastest of the cryptographic hashes here, on one
   * worker. Otherwise as `sha256`.
   * @returns The digest in the encoding that was asked for.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_INVALID_ARG_VALUE`.
   */
  blake3<E extends HashEncoding | undefined = 'hex'>(
    input: string | BytesLike,
    options?: KernelCallOptions & HashOptions<E>,
  ): Promise<HashOutput<E>>

  /**
   * XXH3, 64 bits, of a string (as UTF-8) or of bytes. Fast and well distributed; not for security.
   * @param options `seed`, and task options.
   * @returns A bigint from 0 to 2^64 - 1.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_OUT_OF_RANGE`.
   * @example
   * await pool.kernels.xxh3('abc') // 0x78af5f94892f3950n
   */
  xxh3(input: string | BytesLike, options?: KernelCallOptions & Xxh3Options): Promise<bigint>

  /**
   * CRC-32 of a string (as UTF-8) or of bytes, as in gzip and `zlib.crc32`. Finds accidents; not for security.
   * @param options `initial`, and task options.
   * @returns A number from 0 to 2^32 - 1.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_OUT_OF_RANGE`.
   * @example
   * const initial = await pool.kernels.crc32('1234')
   * await pool.kernels.crc32('56789', { initial }) // 0xcbf43926, that of '123456789'
   */
  crc32(input: string | BytesLike, options?: KernelCallOptions & Crc32Options): Promise<number>

  /**
   * Hash of a file, read as a stream on the native worker: the bytes never cross JavaScript, and a file of any length
   * takes 256 KiB of memory. Only regular files are read.
   *
   * Cancel is checked before every read of 256 KiB; progress counts bytes.
   * @param input `path`, and `algorithm`: the hash kernel whose output it gives.
   * @param options `encoding` for `sha256`, `sha512` and `blake3`, and task options.
   * @returns The digest; a bigint for `xxh3`, a number for `crc32`.
   * @throws `ERR_THREADMILL_IO` with the system's error as `cause` (`EISDIR` for a folder);
   * `ERR_THREADMILL_INVALID_ARG_VALUE` for a FIFO, device or socket; `ERR_THREADMILL_INVALID_ARG_TYPE`.
   * @example
   * await pool.kernels.hashFile({ path: 'package.json', algorithm: 'blake3' })
   */
  hashFile(input: HashFileInput<'xxh3'>, options?: KernelCallOptions & HashOptions): Promise<bigint>
  hashFile(input: HashFileInput<'crc32'>, options?: KernelCallOptions & HashOptions): Promise<number>
  hashFile<E extends HashEncoding | undefined = 'hex'>(
    input: HashFileInput<DigestAlgorithm>,
    options?: KernelCallOptions & HashOptions<E>,
  ): Promise<HashOutput<E>>
  hashFile(
    input: HashFileInput,
    options?: KernelCallOptions & HashOptions,
  ): Promise<string | OwnArray<Uint8Array> | bigint | number>

  // compress

  /**
   * Compresses a string (as UTF-8) or bytes to one gzip member.
   *
   * Cancel is checked every 64 KiB of input, as for all compressors; progress counts bytes of input.
   * @returns The compressed bytes.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_OUT_OF_RANGE`.
   * @example
   * const packed = await pool.kernels.gzip('text', { level: 9 })
   */
  gzip(input: string | BytesLike, options?: KernelCallOptions & GzipOptions): Promise<OwnArray<Uint8Array>>

  /**
   * Decompresses one or more gzip members. What follows a member is treated as by `zlib.gunzipSync`.
   * @returns The decompressed bytes.
   * @throws `ERR_THREADMILL_CORRUPT_DATA`, `ERR_THREADMILL_OUTPUT_TOO_LARGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`,
   * `ERR_THREADMILL_OUT_OF_RANGE`.
   */
  gunzip(input: BytesLike, options?: KernelCallOptions & DecompressOptions): Promise<OwnArray<Uint8Array>>

  /**
   * Compresses a string (as UTF-8) or bytes to one Zstandard frame with content size and checksum.
   * @returns The compressed bytes.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_OUT_OF_RANGE`.
   */
  zstd(input: string | BytesLike, options?: KernelCallOptions & ZstdOptions): Promise<OwnArray<Uint8Array>>

  /**
   * Decompresses one or more Zstandard frames, with windows up to 128 MiB and without dictionaries.
   * @returns The decompressed bytes.
   * @throws `ERR_THREADMILL_CORRUPT_DATA`, `ERR_THREADMILL_OUTPUT_TOO_LARGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`,
   * `ERR_THREADMILL_OUT_OF_RANGE`.
   */
  unzstd(input: BytesLike, options?: KernelCallOptions & DecompressOptions): Promise<OwnArray<Uint8Array>>

  /**
   * Compresses a string (as UTF-8) or bytes to a Brotli stream.
   *
   * At quality 9 and above, up to half a second passes between two cancel checks; at 11, with text that repeats itself in long pieces,
   * some seconds.
   * @returns The compressed bytes.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_OUT_OF_RANGE`.
   */
  brotli(input: string | BytesLike, options?: KernelCallOptions & BrotliOptions): Promise<OwnArray<Uint8Array>>

  /**
   * Decompresses a Brotli stream. What follows it is ignored, as by `zlib.brotliDecompressSync`.
   * @returns The decompressed bytes.
   * @throws `ERR_THREADMILL_CORRUPT_DATA`, `ERR_THREADMILL_OUTPUT_TOO_LARGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`,
   * `ERR_THREADMILL_OUT_OF_RANGE`.
   */
  unbrotli(input: BytesLike, options?: KernelCallOptions & DecompressOptions): Promise<OwnArray<Uint8Array>>

  /**
   * Compresses a string (as UTF-8) or bytes to one LZ4 frame with content size and checksum.
   * @returns The compressed bytes.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`.
   */
  lz4(input: string | BytesLike, options?: KernelCallOptions): Promise<OwnArray<Uint8Array>>

  /**
   * Decompresses one or more LZ4 frames, without dictionaries.
   * @returns The decompressed bytes.
   * @throws `ERR_THREADMILL_CORRUPT_DATA`, `ERR_THREADMILL_OUTPUT_TOO_LARGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`,
   * `ERR_THREADMILL_OUT_OF_RANGE`.
   */
  unlz4(input: BytesLike, options?: KernelCallOptions & DecompressOptions): Promise<OwnArray<Uint8Array>>

  // password

  /**
   * Argon2id hash of a password as a PHC string, with a random salt.
   *
   * Runs to its end once begun: a cancel or timeout settles the promise at once, but the worker stays busy until the
   * hash is done. No progress.
   * @param password A string (as UTF-8) or bytes.
   * @param options Costs, and task options.
   * @returns `$argon2id$v=19$m=...,t=...,p=...$salt$output`
   * @throws `ERR_THREADMILL_OUT_OF_RANGE` for costs, `ERR_THREADMILL_INVALID_ARG_VALUE` for the length of the salt,
   * `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_SYSTEM` when there is not that much memory.
   * @example
   * const hash = await pool.kernels.argon2Hash('correct horse')
   * await pool.kernels.argon2Verify({ password: 'correct horse', hash }) // true
   */
  argon2Hash(password: string | BytesLike, options?: KernelCallOptions & Argon2Options): Promise<string>

  /**
   * Whether a password belongs to a PHC string of argon2id, argon2i or argon2d. Cancel as for `argon2Hash`.
   * @throws `ERR_THREADMILL_INVALID_HASH` when the string does not parse or has costs beyond those of `argon2Hash`,
   * `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_SYSTEM`.
   */
  argon2Verify(input: PasswordVerifyInput, options?: KernelCallOptions): Promise<boolean>

  /**
   * bcrypt hash of a password of at most 72 bytes, with a random salt.
   *
   * Cancel is checked every 16 rounds, about every millisecond; progress counts rounds.
   * @param password A string (as UTF-8) or bytes.
   * @param options `cost`, and task options.
   * @returns `$2b$`, the cost, `$`, and 53 characters of salt and output.
   * @throws `ERR_THREADMILL_INVALID_ARG_VALUE` for a longer password, `ERR_THREADMILL_OUT_OF_RANGE` for the cost,
   * `ERR_THREADMILL_INVALID_ARG_TYPE`.
   */
  bcryptHash(password: string | BytesLike, options?: KernelCallOptions & BcryptOptions): Promise<string>

  /**
   * Whether a password of at most 72 bytes belongs to a bcrypt string (`$2a$`, `$2b$` or `$2y$`). Cancel and progress
   * as for `bcryptHash`.
   * @throws `ERR_THREADMILL_INVALID_HASH` when the string does not parse, `ERR_THREADMILL_INVALID_ARG_VALUE` for a
   * longer password, `ERR_THREADMILL_INVALID_ARG_TYPE`.
   */
  bcryptVerify(input: PasswordVerifyInput, options?: KernelCallOptions): Promise<boolean>

  // numeric

  /**
   * Sorts numbers in the order of `TypedArray.prototype.sort`: by value, -0 before 0, NaN last. In place for a buffer in
   * `transfer`, which comes back as the output; otherwise the input is left alone. Parallel.
   *
   * @param input A typed array of any kind.
   * @returns The sorted elements, in an array of the same kind.
   * @example
   * const sorted = await pool.kernels.sort(values, { transfer: [values.buffer] })
   */
  sort<T extends NumericArray>(input: T, options?: KernelCallOptions & SortOptions): Promise<SameKind<T>>

  /**
   * Gives the indices that would sort the input in the order of `sort`. Equal elements keep the order of their indices,
   * also with `descending`; all NaN are equal. Parallel.
   *
   * Rejects with `ERR_THREADMILL_OUT_OF_RANGE` above 2^32-1 elements.
   *
   * @param input A typed array of any kind.
   * @example
   * const order = await pool.kernels.argsort(prices, { descending: true })
   */
  argsort(input: NumericArray, options?: KernelCallOptions & SortOptions): Promise<OwnArray<Uint32Array>>

  /**
   * Describes numbers: count, sum, mean, variances, extremes and quantiles. Parallel; the result has the same bits
   * whatever the number of threads. Quantiles interpolate linearly between neighbours (type 7, as numpy does by
   * default).
   *
   * Rejects with `ERR_THREADMILL_OUT_OF_RANGE` for a quantile outside 0 to 1.
   *
   * @param input A typed array of any kind; bigints are taken as the nearest double.
   * @example
   * const { mean, quantiles: [median] } = await pool.kernels.stats(samples, { quantiles: [0.5] })
   */
  stats(input: NumericArray, options?: KernelCallOptions & StatsOptions): Promise<StatsResult>

  /**
   * Counts numbers in equal bins, with the conventions of numpy: a bin holds its lower edge and not its upper one, the
   * last bin holds both. Elements outside of the edges, and NaN, are ignored. Parallel.
   *
   * Rejects with `ERR_THREADMILL_OUT_OF_RANGE` when `min` exceeds `max` or an option is outside its range.
   *
   * @param input A typed array of any kind; bigints are taken as the nearest double.
   * @example
   * const { counts, edges } = await pool.kernels.histogram(samples, { bins: 20, min: 0, max: 1 })
   */
  histogram(input: NumericArray, options?: KernelCallOptions & HistogramOptions): Promise<HistogramResult>

  /**
   * Multiplies an `m` by `k` matrix with a `k` by `n` matrix. Parallel.
   *
   * Rejects with `ERR_THREADMILL_INVALID_ARG_VALUE` when a factor has another number of elements than its shape, with
   * `ERR_THREADMILL_INVALID_ARG_TYPE` when the factors are of different classes, and with
   * `ERR_THREADMILL_OUT_OF_RANGE` when the product would have more than 2^30 elements.
   *
   * @returns `m * n` elements, row by row, of the class of the factors.
   * @example
   * const product = await pool.kernels.matmul({ a, b, m: 2, k: 3, n: 2 })
   */
  matmul(input: MatmulInput<Float32Array>, options?: KernelCallOptions): Promise<OwnArray<Float32Array>>
  matmul(input: MatmulInput<Float64Array>, options?: KernelCallOptions): Promise<OwnArray<Float64Array>>

  /**
   * Gives the discrete Fourier transform of samples, of any number: element k is the sum of x[j] * exp(-2 pi i j k / n).
   * In place for buffers in `transfer`. Parallel above 65536 elements.
   *
   * Rejects with `ERR_THREADMILL_INVALID_ARG_VALUE` when `re` and `im` differ in length, with
   * `ERR_THREADMILL_INVALID_ARG_TYPE` when they differ in class, and with `ERR_THREADMILL_OUT_OF_RANGE` above 2^28
   * elements.
   *
   * @example
   * const { re, im } = await pool.kernels.fft({ re: samples })
   */
  fft(input: FftInput<Float32Array>, options?: KernelCallOptions): Promise<FftResult<Float32Array>>
  fft(input: FftInput<Float64Array>, options?: KernelCallOptions): Promise<FftResult<Float64Array>>

  /**
   * The inverse of `fft`: element j is the sum of X[k] * exp(2 pi i j k / n), divided by n. In place for buffers in
   * `transfer`. Parallel above 65536 elements. Rejects as `fft` does.
   *
   * @example
   * const samples = (await pool.kernels.ifft({ re, im })).re
   */
  ifft(input: FftInput<Float32Array>, options?: KernelCallOptions): Promise<FftResult<Float32Array>>
  ifft(input: FftInput<Float64Array>, options?: KernelCallOptions): Promise<FftResult<Float64Array>>

  /**
   * Finds the `k` rows of a matrix that are nearest to a query vector, by comparing with all of them. Parallel.
   *
   * Rejects with `ERR_THREADMILL_INVALID_ARG_VALUE` when `query` has not `dim` elements or `matrix` has a broken row.
   *
   * @example
   * const { indices, scores } = await pool.kernels.topK({ matrix: embeddings, dim: 384, query, k: 10 })
   */
  topK(input: TopKInput, options?: KernelCallOptions): Promise<TopKResult>

  // text

  /**
   * Start and end of every match of a regular expression, in order, without overlaps.
   *
   * The syntax is that of Rust's regex crate: linear time, no look-around, no backreferences. Cancel is checked at
   * every match and, for patterns that cannot match a newline, every 64 KiB; else one search runs to its end.
   * Progress counts bytes of UTF-8.
   * @returns Offsets in UTF-16 code units for a string, in bytes for bytes.
   * @throws `ERR_THREADMILL_INVALID_PATTERN`, `ERR_THREADMILL_INVALID_ARG_VALUE` for a flag,
   * `ERR_THREADMILL_OUT_OF_RANGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_SYSTEM` when there is no memory
   * for the matches.
   * @example
   * await pool.kernels.regexFind({ text: 'one two', pattern: '\\w+' }) // [{ start: 0, end: 3 }, { start: 4, end: 7 }]
   */
  regexFind(input: RegexInput, options?: KernelCallOptions & RegexFindOptions): Promise<TextMatch[]>

  /**
   * How often a regular expression matches: the length of what `regexFind` gives. Idle workers help when no match can
   * hold a newline. Otherwise as `regexFind`.
   * @throws `ERR_THREADMILL_INVALID_PATTERN`, `ERR_THREADMILL_INVALID_ARG_VALUE` for a flag,
   * `ERR_THREADMILL_INVALID_ARG_TYPE`.
   */
  regexCount(input: RegexInput, options?: KernelCallOptions): Promise<number>

  /**
   * The candidates that match a query best, as in the file finder of an editor. Idle workers help.
   *
   * A candidate matches when it has all characters of the query in their order. Case counts only if the query has an
   * upper-case letter. Progress counts candidates.
   * @returns At most `k`, best first, ties by the lower index; candidates that do not match are left out.
   * @throws `ERR_THREADMILL_INVALID_ARG_VALUE` for a longer query, `ERR_THREADMILL_OUT_OF_RANGE`,
   * `ERR_THREADMILL_INVALID_ARG_TYPE`.
   * @example
   * const best = await pool.kernels.fuzzyTopK({ query: 'fb', candidates: ['fooBar', 'prelude'], k: 10 })
   * best[0].index // 0
   */
  fuzzyTopK(input: FuzzyTopKInput, options?: KernelCallOptions): Promise<FuzzyMatch[]>

  /**
   * Parses comma-separated values (RFC 4180) into columns.
   *
   * Cancel is checked every 64 KiB; progress counts bytes of UTF-8, and starts anew when a column that began with
   * numbers has to be read again as strings.
   * @throws `ERR_THREADMILL_INVALID_CSV` with the line, `ERR_THREADMILL_INVALID_ARG_VALUE` for the options,
   * `ERR_THREADMILL_INVALID_ARG_TYPE`.
   * @example
   * await pool.kernels.csvParse('name,size\na,1\nb,2\n')
   * // { columns: { name: ['a', 'b'], size: Float64Array [1, 2] }, rows: 2 }
   */
  csvParse(
    input: string | BytesLike,
    options: KernelCallOptions & CsvParseOptions<'string'> & { readonly types: 'string' },
  ): Promise<CsvTable<string[]>>
  csvParse(input: string | BytesLike, options?: KernelCallOptions & CsvParseOptions): Promise<CsvTable>

  // demo

  /**
   * Gives back the number it gets, NaN, infinities and -0 included; measures what a call costs.
   * @throws `ERR_THREADMILL_INVALID_ARG_TYPE`.
   */
  echo(value: number, options?: KernelCallOptions): Promise<number>

  /**
   * Fibonacci number by plain double recursion; work of a known size.
   *
   * Cancel is checked about every millisecond.
   * @param n Whole, at most 60. Everything up to 2 gives 1.
   * @throws `ERR_THREADMILL_OUT_OF_RANGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`.
   * @example
   * await pool.kernels.fib(10) // 55
   */
  fib(n: number, options?: KernelCallOptions): Promise<number>

  /**
   * Tribonacci number by plain triple recursion; work of a known size.
   *
   * Cancel is checked about every millisecond.
   * @param n Whole, at most 60. Everything up to 1 gives itself.
   * @throws `ERR_THREADMILL_OUT_OF_RANGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`.
   * @example
   * await pool.kernels.tribonacci(10) // 68
   */
  tribonacci(n: number, options?: KernelCallOptions): Promise<number>

  /**
   * All primes up to `n` in ascending order. Idle workers help.
   * @param n Whole, 0 to 2^32 - 1.
   * @throws `ERR_THREADMILL_OUT_OF_RANGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_SYSTEM` when there is no
   * memory for the result.
   * @example
   * await pool.kernels.primesUpTo(10) // Uint32Array [2, 3, 5, 7]
   */
  primesUpTo(n: number, options?: KernelCallOptions): Promise<OwnArray<Uint32Array>>

  /**
   * Pi by the series of Nilakantha, added up term by term, rounded to `decimals` digits.
   *
   * The time grows tenfold with every three decimals; cancel is checked every 65,536 terms.
   * @param decimals Whole, 0 to 30.
   * @throws `ERR_THREADMILL_OUT_OF_RANGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`.
   * @example
   * await pool.kernels.estimatePi(5) // 3.14159
   */
  estimatePi(decimals: number, options?: KernelCallOptions): Promise<number>

  /**
   * Iteration counts of a view of the Mandelbrot set, row by row from the top. Idle workers help.
   * @returns `width * height` counts; `maxIterations` for points of the set.
   * @throws `ERR_THREADMILL_OUT_OF_RANGE`, `ERR_THREADMILL_INVALID_ARG_TYPE`, `ERR_THREADMILL_SYSTEM` when there is no
   * memory for the result.
   */
  mandelbrot(view: MandelbrotView, options?: KernelCallOptions): Promise<OwnArray<Uint32Array>>
}
