// What `diagnostics_channel` tells: the public contract. Written by hand; the build checks that the implementation satisfies it.

/** What all messages about a task tell. */
export interface TaskMessage {
  /** Name of the pool. */
  readonly pool: string
  /** The `id` of the task. */
  readonly id: number
  /** The kind of workers that it is for. */
  readonly lane: 'native' | 'js'
  /** Name of its kernel; `undefined` for an entry function. */
  readonly kernel: string | undefined
  /** The export that was asked for; `undefined` for the entry function itself, and for kernels. */
  readonly name: string | undefined
  /** Milliseconds since the epoch at submit. */
  readonly timestamp: number
}

/** Messages of `diagnostics_channel`, by channel. They are published on the thread that owns the pool. */
export interface ChannelMessages {
  /** A task was submitted, within the call. One that a worker submits is told of when this thread hears of it. */
  readonly 'threadmill:task:submit': TaskMessage
  /** It is settled: exactly once for each task that was submitted while a task channel had subscribers. */
  readonly 'threadmill:task:settle': TaskMessage & {
    readonly succeeded: boolean
    /** What it was rejected with; `undefined` when it succeeded. */
    readonly error: unknown
    /** Number of the worker that ran it, -1 for the thread that owns the pool; `undefined` when none did. */
    readonly worker: number | undefined
    /** Milliseconds since `threadmill:task:submit`. */
    readonly elapsed: number
    /** Of these, those in which it ran; 0 when it did not. */
    readonly runTime: number
    /** How often it was run again. */
    readonly retries: number
  }
  /** A run of a task of this thread has failed with `error`, and it is run again for the `attempt`th time. */
  readonly 'threadmill:task:retry': TaskMessage & { readonly attempt: number; readonly error: unknown }
  /** A JS worker was created. */
  readonly 'threadmill:worker:launch': { readonly pool: string; readonly lane: 'js'; readonly worker: number }
  /** A JS worker has ended. */
  readonly 'threadmill:worker:exit': {
    readonly pool: string
    readonly lane: 'js'
    readonly worker: number
    readonly exitCode: number
    /** The error that ended it, if there was one. */
    readonly error: unknown
  }
  /** A pool was made. */
  readonly 'threadmill:pool:create': {
    readonly pool: string
    /** Native workers. */
    readonly threads: number
    /** Most JS workers; 0 without a module. */
    readonly maxWorkers: number
  }
  /** A pool has ended, and all of its workers with it. */
  readonly 'threadmill:pool:close': {
    readonly pool: string
    readonly tasksCompleted: number
    readonly tasksErrored: number
  }
}
