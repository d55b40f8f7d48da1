// The public contract of threadmill/metrics, and of what `diagnostics_channel` tells. Written by hand; the build checks that
// the implementation satisfies it.

import type { WorkerExitReason, WorkerPool } from './index.js'

/** One pool or several, with different names. */
export type Pools = WorkerPool<any, any> | Iterable<WorkerPool<any, any>>

/** Ends what `registerMetrics` or `instrument` has begun. */
export interface Reporter {
  /**
   * Reports on these pools no more, but for those that another call reports on, too. Again, it does nothing. Pools that have ended
   * are left out by themselves.
   */
  stop(): void
}

/** The package prom-client, version 15. */
export interface PrometheusClient {
  readonly Gauge: abstract new (...args: any[]) => object
  readonly Counter: abstract new (...args: any[]) => object
  readonly Summary: abstract new (...args: any[]) => object
}

/** A `Registry` of prom-client. */
export interface PrometheusRegistry {
  registerMetric(metric: any): void
  getSingleMetric(name: string): any
  removeSingleMetric(name: string): void
}

/** Options of `registerMetrics`. Only own properties count; `undefined` means the default. */
export interface RegisterMetricsOptions {
  /** What the metrics are made with. @default require('prom-client'), as found from threadmill */
  readonly client?: PrometheusClient | undefined
  /** What the names of all metrics begin with. @default 'threadmill_' */
  readonly prefix?: string | undefined
}

/**
 * Registers metrics of pools in a registry of prom-client. They are read from `pool.stats()` when the registry is scraped;
 * between scrapes they cost nothing. Called again for the same registry and prefix, it adds the pools to those metrics; a pool
 * that is being closed gives way to another one of its name. Names and labels are in `docs/metrics.md`. After `registry.clear()` it begins anew, with the pools that it is given.
 *
 * A pool that has ended is in no later scrape; with the last one the metrics leave the registry.
 * @param registry `register` of prom-client, or a `Registry` of yours
 * @throws TypeError for the arguments, and for pools of the same name; ThreadmillError `ERR_THREADMILL_NOT_SUPPORTED` when
 * prom-client is not installed, `ERR_THREADMILL_POOL_CLOSED` for a pool that has ended; what prom-client throws for names that
 * are taken
 * @example
 * registerMetrics(register, pool) // register of prom-client
 * const text = await register.metrics()
 */
export function registerMetrics(registry: PrometheusRegistry, pools: Pools, options?: RegisterMetricsOptions): Reporter

/** A `Tracer` of `@opentelemetry/api`. */
export interface Tracer {
  startSpan(name: string, options?: any, context?: any): object
}

/** A `Meter` of `@opentelemetry/api`. */
export interface Meter {
  createObservableCounter(name: string, options?: any): object
  createObservableGauge(name: string, options?: any): object
  createObservableUpDownCounter(name: string, options?: any): object
  addBatchObservableCallback(callback: any, observables: any[]): void
  removeBatchObservableCallback(callback: any, observables: any[]): void
}

/** What `instrument` reports to: at least one of both. Only own properties count. */
export type InstrumentOptions =
  | { readonly tracer: Tracer; readonly meter?: Meter | undefined }
  | { readonly tracer?: Tracer | undefined; readonly meter: Meter }

/**
 * Reports pools to OpenTelemetry: with `meter`, observable instruments, read from `pool.stats()` when they are collected; with
 * `tracer`, a span for each task that is submitted from now on.
 *
 * A span begins at submit as a child of the active span and ends when the task is settled, with its error if it has
 * one. In a worker it is active while the entry function runs, so that spans made there with `@opentelemetry/api` are its
 * children, and those of tasks that the function submits are. For that the worker needs a tracer provider and a context
 * manager of its own, registered for instance in `onWorkerStart`. Called again for a pool, the later tracer takes the place of the
 * earlier one until it is stopped. What a tracer throws is warned of once, and harms no task.
 * @throws TypeError for the arguments, and for pools of one name that a meter would report on, also by several calls, unless one is
 * being closed; ThreadmillError `ERR_THREADMILL_NOT_SUPPORTED` when
 * there is a tracer and `@opentelemetry/api` is not installed, `ERR_THREADMILL_POOL_CLOSED` for a pool that has ended
 * @example
 * instrument({ tracer: trace.getTracer('app'), meter: metrics.getMeter('app') }, [pool, other])
 */
export function instrument(options: InstrumentOptions, pools: Pools): Reporter

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
  readonly 'threadmill:task:end': TaskMessage & {
    readonly succeeded: boolean
    /** What it was rejected with; `undefined` when it succeeded. */
    readonly error: unknown
    /** Number of the worker that ran it, -1 for the thread that owns the pool; `undefined` when none did. */
    readonly worker: number | undefined
    /** Milliseconds since `threadmill:task:submit`. */
    readonly elapsed: number
    /** Of these, those in which it ran, runs that failed included; 0 when it did not. */
    readonly runTime: number
    /** How often it was run again. */
    readonly retries: number
  }
  /** A run of a task of this thread has failed with `error`, and it is run again for the `attempt`th time. */
  readonly 'threadmill:task:retry': TaskMessage & { readonly attempt: number; readonly error: unknown }
  /** A JS worker was created. */
  readonly 'threadmill:worker:launch': { readonly pool: string; readonly lane: 'js'; readonly worker: number }
  /** It has loaded the module, and takes tasks. */
  readonly 'threadmill:worker:online': { readonly pool: string; readonly lane: 'js'; readonly worker: number }
  /** A JS worker has ended. */
  readonly 'threadmill:worker:exit': {
    readonly pool: string
    readonly lane: 'js'
    readonly worker: number
    readonly exitCode: number
    /** The error that ended it, if there was one. */
    readonly error: unknown
    readonly reason: WorkerExitReason
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
