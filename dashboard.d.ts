// The public contract of threadmill/dashboard. Written by hand; the build checks that the implementation satisfies it.

/// <reference types="node" />

import type { PoolStats, WorkerPool } from './index'

/** Any pool. */
export type AnyPool = WorkerPool<any, any>

/** Options of `serveDashboard`. Only own properties count; unknown ones are ignored; `undefined` means the default. */
export interface DashboardOptions {
  /** Port, 0 to 65535; 0 is one that is free. @default 0 */
  readonly port?: number | undefined
  /** Name or address that is listened on. @default '127.0.0.1' */
  readonly host?: string | undefined
  /**
   * What every request has to bring: 16 to 256 letters, digits, `-`, `.`, `_` or `~`.
   * @default none on loopback without `allowActions`, else one of 256 random bits
   */
  readonly token?: string | undefined
  /** Whether tasks can be cancelled and workers recycled from the page. @default false */
  readonly allowActions?: boolean | undefined
  /** Milliseconds from one set of figures to the next, 100 to 60,000. @default 1000 */
  readonly interval?: number | undefined
}

/** A task that a worker runs. */
export interface RunningTask {
  /** Number of the worker in its lane; -1 for the thread that owns the pool. */
  readonly worker: number
  readonly lane: 'native' | 'js'
  /** `task.id`; missing when the task was submitted while nobody looked, or by a worker. */
  readonly id?: number
  /** Its `key`, else the export or kernel that it names; missing when nothing is known of it. */
  readonly name?: string
  /** Milliseconds since the epoch when it was first seen running, up to `interval` ms after it began; as `id`. */
  readonly since?: number
}

/** One pool in `DashboardData`. */
export interface DashboardPool {
  /** Name of the pool; when another pool has it, or it is `.` or `..`, followed by `#2`, `#3` and so on. */
  readonly name: string
  /** `'closing'`: it admits nothing any more. */
  readonly state: 'open' | 'closing' | 'closed'
  /** What `pool.stats()` gives. */
  readonly stats: PoolStats
  /** What busy workers run, one entry per task; a busy worker of which nothing is known has one as well. */
  readonly running: readonly RunningTask[]
}

/** The JSON of `GET /stats`, and of each event of `GET /events`. */
export interface DashboardData {
  /** Milliseconds since the epoch. */
  readonly time: number
  /** ms */
  readonly interval: number
  readonly allowActions: boolean
  /** Of the process: sizes in bytes, all threads together but for the heap, which is that of the thread that serves. */
  readonly process: {
    readonly pid: number
    /** ms */
    readonly uptime: number
    /** 0 where the system does not tell. */
    readonly rss: number
    readonly heapUsed: number
    readonly heapTotal: number
    readonly external: number
  }
  readonly pools: readonly DashboardPool[]
}

/** A dashboard that is served. */
export interface Dashboard extends AsyncDisposable {
  /** Address of the page, with the token if there is one. */
  readonly url: string
  readonly port: number
  /** What requests have to bring; `undefined` for nothing. */
  readonly token: string | undefined
  /**
   * Shows another pool; does nothing for one that is shown, and after `close`.
   * @throws TypeError with code `ERR_THREADMILL_INVALID_ARG_TYPE`
   */
  add(pool: AnyPool): void
  /**
   * Shows a pool no longer, open or closed.
   * @returns whether it was shown
   */
  remove(pool: AnyPool): boolean
  /** Stops listening and cuts all connections. The pools go on. Repeated calls give the same promise. */
  close(): Promise<void>
}

/**
 * Serves a page that shows pools while they work: `GET /` is the page, `GET /stats` its figures as JSON,
 * `GET /events` the same as server-sent events, one per `interval`. See `docs/dashboard.md` for what is let in.
 *
 * It never keeps the process alive, also not while a page is open. The pools are held until they are removed or it is closed.
 * While nobody looks it costs nothing; while somebody does, tasks get handles as with a listener for `task-added`.
 *
 * Rejects with a TypeError or RangeError, code `ERR_THREADMILL_INVALID_ARG_TYPE`, `_INVALID_ARG_VALUE` or `_OUT_OF_RANGE`,
 * before anything listens; with `ERR_THREADMILL_IO` when the system refuses the address or port (`error.cause` has why).
 * @param pools one, or any number of them
 * @example
 * const dashboard = await serveDashboard(pool, { port: 9000 })
 * console.log(dashboard.url) // http://127.0.0.1:9000/
 */
export function serveDashboard(pools: AnyPool | Iterable<AnyPool>, options?: DashboardOptions): Promise<Dashboard>
