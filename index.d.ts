// The public contract of threadmill. Written by hand; the build checks that the implementation satisfies it.

/// <reference types="node" />

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

/** Options of one task. Only own properties count; unknown ones are ignored; `undefined` means the default. */
export interface TaskOptions {
  /**
   * Order among waiting tasks: higher first, equal ones in the order of submission. A running task is never
   * interrupted. A waiting task gains one unit for every 10 s that it waits, so none starves.
   * @default 0
   */
  readonly priority?: Priority | undefined
  /** Index of the native worker (0 to `threads` - 1) that should run the task. */
  readonly workerAffinity?: number | undefined
  /** How tightly `workerAffinity` or `affinityKey` holds. @default 'light' */
  readonly affinityStrength?: AffinityStrength | undefined
  /** Tasks with the same key prefer the same worker, chosen by rendezvous hashing. Not together with `workerAffinity`. */
  readonly affinityKey?: string | undefined
  /** Names "the same work" across tasks: the run time measured for it becomes the expected cost of later ones. @default the kernel's name */
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
  /** Cancels the task; the promise rejects with the signal's reason. An aborted signal rejects before anything is queued. */
  readonly signal?: AbortSignal | undefined
  /**
   * Buffers of the input that are moved instead of copied. They detach at the call. Kernels marked "in place" work in
   * that memory and give it back as their output.
   */
  readonly transfer?: readonly ArrayBuffer[] | undefined
}

/** Task options together with the kernel's own options, in one object. */
export type KernelCallOptions = TaskOptions

/** Options of `run` and `addTask`. */
export interface RunOptions extends TaskOptions {
  /** Name of the kernel to run. The kernel's own options go into the same object. */
  readonly kernel: KernelName
  readonly [option: string]: unknown
}

/** Options of `map`. */
export interface MapOptions extends RunOptions {
  /** Most tasks of this `map` in progress or finished but not yet consumed. Whole number from 1. @default 4 × threads */
  readonly concurrency?: number | undefined
  /** `true`: outputs come in the order of the inputs; `false`: as they finish. @default true */
  readonly ordered?: boolean | undefined
}

/** Options of `new WorkerPool()`. */
export interface WorkerPoolOptions {
  /** Part of the thread names (`threadmill-<name>-<n>`) and of `stats()`. @default 'pool' followed by a number */
  readonly name?: string | undefined
  /**
   * Native workers, 1 to 1024. They start on first use.
   * @default the parallelism that the system grants this process: CPUs, affinity mask, cgroup quota
   */
  readonly threads?: number | undefined
  /** Most tasks admitted and unfinished, 1 to 2^30. Beyond it `run()` rejects with `ERR_THREADMILL_QUEUE_FULL`; `map` waits. @default Infinity */
  readonly capacity?: number | undefined
  /** Default `timeout` of tasks, ms. @default none */
  readonly timeout?: number | undefined
  /** Default `timeoutFrom` of tasks. @default 'submit' */
  readonly timeoutFrom?: 'submit' | 'start' | undefined
  /** Order of waiting tasks of equal priority: as submitted, or by expected cost, longest first. @default 'fifo' */
  readonly schedule?: 'fifo' | 'longest-first' | undefined
  /**
   * Binds native workers to CPU cores: worker i to the i-th core of the list (round robin), or `'compact'` (fill
   * neighbouring cores first), or `'spread'` (one worker per physical core first). Linux and Windows. @default none
   */
  readonly pin?: readonly number[] | 'spread' | 'compact' | undefined
  /** Nice value of the native workers, -20 to 19; below 0 needs a privilege. Linux only, elsewhere ignored. @default none */
  readonly nice?: number | undefined
}

/** Progress of a running kernel, at most about 20 reports a second, none for work below 50 ms. */
export interface Progress {
  /** Units done. */
  readonly done: number
  /** Units in total. */
  readonly total: number
  /** `done / total`, 0 to 1. */
  readonly fraction: number
}

/** A worker as seen from outside. `String(worker)` is its id. */
export interface IWorker {
  /** Number within its lane, from 0. */
  readonly id: number
  /** The lane it belongs to. */
  readonly lane: 'native'
}

/** One submitted task: a promise-like handle. */
export interface Task<T = unknown> extends PromiseLike<T> {
  /** Unique in the pool, in the order of addition, from 0. */
  readonly id: number
  /** The argument, same reference. */
  readonly argument: unknown
  /** Milliseconds since the epoch at submit. */
  readonly timestamp: number
  /** The options given; an empty object when there were none. */
  readonly options: Readonly<Partial<RunOptions>>
  /** The worker that runs or ran it; `undefined` while it waits. */
  readonly worker: IWorker | undefined
  /** Run time in ms: expected (0 when unknown) until it has ended, then measured. */
  readonly taskCost: number
  /** Overhead before the task in ms: 0 on the native lane. */
  readonly pretaskCost: number
  /** A real promise of the outcome. */
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B>
  catch<B = never>(onRejected?: ((reason: any) => B | PromiseLike<B>) | null): Promise<T | B>
  finally(onFinally?: (() => void) | null): Promise<T>
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
  readonly lane: 'native'
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
  /** Names of the tasks it is running. */
  readonly running: readonly string[]
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
  /** Mean time from submit to end of successful tasks, ms; 0 when there are none. */
  readonly avgProcessingTime: number
  /** Sum behind that mean, ms. */
  readonly totalProcessingTime: number
  /** Mean time of successful tasks from submit to start, ms. */
  readonly avgWaitTime: number
  /** Mean time of successful tasks from start to end, ms. */
  readonly avgRunTime: number
  /** Tasks taken from another worker's queue. */
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
    /** What did not work, such as a refused nice value. */
    readonly notes: readonly string[]
  }
  readonly workers: readonly WorkerStats[]
  readonly workerStats: readonly WorkerStats[]
}

/**
 * A pool of native workers that run kernels.
 *
 * An idle pool does not keep the process alive; pending tasks do. A pool that is no longer reachable releases its
 * threads.
 *
 * @example
 * const pool = new WorkerPool()
 * const digest = await pool.kernels.sha256('hello')
 * await pool.close()
 */
export class WorkerPool {
  /**
   * @throws TypeError, RangeError with code `ERR_THREADMILL_INVALID_ARG_TYPE`, `_INVALID_ARG_VALUE` or `_OUT_OF_RANGE`
   */
  constructor(options?: WorkerPoolOptions)

  /** Name of the pool. */
  readonly name: string

  /** One typed method per kernel of this build; own keys list their names. All reject and never throw. */
  readonly kernels: Kernels

  /**
   * Runs a kernel by name; the fast path when no handle is needed.
   *
   * Rejects with `ERR_THREADMILL_UNKNOWN_KERNEL`, `_INVALID_ARG_TYPE`, `_INVALID_ARG_VALUE`, `_OUT_OF_RANGE`,
   * `_QUEUE_FULL` or `_POOL_CLOSED` before anything is queued; later with the kernel's own error, `_TIMEOUT`,
   * `_CANCELLED` or the signal's reason.
   */
  run<K extends KernelName>(input: KernelInput<K>, options: RunOptions & { readonly kernel: K }): Promise<KernelOutput<K>>
  run(input: unknown, options: RunOptions): Promise<unknown>

  /**
   * As `run`, with a handle.
   * @throws what `run` would reject with before anything is queued
   */
  addTask<K extends KernelName>(input: KernelInput<K>, options: RunOptions & { readonly kernel: K }): Task<KernelOutput<K>>
  addTask(input: unknown, options: RunOptions): Task<unknown>

  /**
   * Runs a kernel over every item of an iterable. Takes items only as fast as outputs are consumed. Leaving the loop
   * early cancels what is in progress; the first failure ends the iteration with its error.
   */
  map<K extends KernelName>(
    inputs: Iterable<KernelInput<K>> | AsyncIterable<KernelInput<K>>,
    options: MapOptions & { readonly kernel: K },
  ): AsyncIterableIterator<KernelOutput<K>>
  map(inputs: Iterable<unknown> | AsyncIterable<unknown>, options: MapOptions): AsyncIterableIterator<unknown>

  /** Listens to messages that kernels post. `origin` is the worker that sent it. Types compare exactly. */
  onMessage(type: string, listener: (contents: any, origin: IWorker) => void): this
  /** Removes a listener that `onMessage` added. */
  removeMessageListener(type: string, listener: (contents: any, origin: IWorker) => void): this

  /** Whether no task is waiting or running. */
  readonly isIdle: boolean
  /** Resolves when no task is waiting or running; at once on an idle pool. Failed tasks do not reject it. */
  whenIdle(): Promise<void>

  /** Figures of this moment; its cost does not depend on the number of waiting tasks. */
  stats(): PoolStats

  /** Stops admitting, finishes everything that was admitted, then releases the threads. Repeated calls give the same promise. */
  close(): Promise<void>
  /** Stops admitting, finishes what runs, rejects what waits with `ERR_THREADMILL_POOL_CLOSED`, then releases the threads. `force` is `destroy()`. */
  dispose(options?: { readonly force?: boolean | undefined }): Promise<void>
  /** Stops now: everything unfinished rejects with `ERR_THREADMILL_POOL_CLOSED`; resolves when running kernels have noticed. */
  destroy(): Promise<void>
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
  | 'ERR_THREADMILL_TIMEOUT'
  | 'ERR_THREADMILL_KERNEL_PANIC'
  | 'ERR_THREADMILL_CORRUPT_DATA'
  | 'ERR_THREADMILL_OUTPUT_TOO_LARGE'
  | 'ERR_THREADMILL_INVALID_PATTERN'
  | 'ERR_THREADMILL_INVALID_CSV'
  | 'ERR_THREADMILL_INVALID_HASH'
  | 'ERR_THREADMILL_IO'
  | 'ERR_THREADMILL_SYSTEM'

/** Any error of threadmill that is not about an argument. Match on `code`, not on `instanceof`. */
export class ThreadmillError extends Error {
  constructor(code: ErrorCode, message: string, options?: ErrorOptions)
  readonly code: ErrorCode
  /** For `ERR_THREADMILL_IO`: an Error with the system's `code` (such as `'ENOENT'`), `errno`, `syscall` and `path`. */
  cause?: unknown
}

/** A kernel of this build, or any other string (which is rejected at run time). */
export type KernelName = Extract<keyof Kernels, string>
/** First argument of a kernel. */
export type KernelInput<K extends KernelName> = Parameters<Kernels[K]>[0]
/** Output of a kernel with its default options. */
export type KernelOutput<K extends KernelName> = Awaited<ReturnType<Kernels[K]>>

/** The kernels of the default build. */
export interface Kernels {
  // kernels
}
