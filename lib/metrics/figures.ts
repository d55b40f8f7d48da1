// Stage: all. Thread: owner env.
// What is reported of a pool, by the names that it has elsewhere. Times in s.

import type { PoolStats, TimeStats, WorkerStats } from '../..'

/** Lane and worker, where a value is about one. */
export type Labels = Readonly<Record<string, string>>

export interface Value {
  readonly labels: Labels
  readonly value: number
}

/** One figure. */
export interface Figure {
  /** `counter`: it never falls, but for a worker whose thread has been replaced. `sum`: those of several pools add up. */
  readonly kind: 'counter' | 'sum' | 'share'
  /** For Prometheus, without the prefix. */
  readonly name: string
  /** For OpenTelemetry, without the prefix; `undefined` when it has no place there. */
  readonly instrument: string | undefined
  readonly unit: string
  readonly help: string
  read(stats: PoolStats): readonly Value[]
}

/** Times of tasks. */
export interface TimeFigure {
  readonly name: string
  readonly instrument: string
  readonly help: string
  read(stats: PoolStats): TimeStats
}

export const QUANTILES = [
  ['0.5', 'p50'],
  ['0.9', 'p90'],
  ['0.99', 'p99'],
  ['0.999', 'p999'],
] as const

const LANES = ['native', 'js'] as const

function one(value: number): Value[] {
  return [{ labels: {}, value }]
}

function byLane(read: (workers: readonly WorkerStats[], stats: PoolStats) => number) {
  return (stats: PoolStats): Value[] =>
    LANES.filter((lane) => lane === 'native' || stats.sizing.js !== null).map((lane) => ({
      labels: { lane },
      value: read(stats[lane], stats),
    }))
}

function byWorker(read: (worker: WorkerStats) => number | null) {
  return (stats: PoolStats): Value[] =>
    [...stats.native, ...stats.js].flatMap((worker) => {
      const value = read(worker)
      return value === null ? [] : [{ labels: { lane: worker.lane, worker: String(worker.id) }, value }]
    })
}

/** Bounds of the JS lane; the native one is to have as many workers as it may have. */
function bound(which: 'min' | 'max') {
  return ({ sizing }: PoolStats): Value[] => [
    { labels: { lane: 'native' }, value: sizing.threads },
    ...(sizing.js === null ? [] : [{ labels: { lane: 'js' }, value: sizing.js[which] }]),
  ]
}

export const FIGURES: readonly Figure[] = [
  {
    kind: 'sum',
    name: 'workers',
    instrument: 'worker.count',
    unit: '{worker}',
    help: 'Workers that exist; native ones also before their threads have started.',
    read: byLane((workers) => workers.length),
  },
  {
    kind: 'sum',
    name: 'workers_busy',
    instrument: 'worker.busy',
    unit: '{worker}',
    help: 'Workers that run a task or help with one.',
    read: byLane((workers) => workers.filter((worker) => worker.busy).length),
  },
  {
    kind: 'sum',
    name: 'workers_min',
    instrument: 'worker.min',
    unit: '{worker}',
    help: 'Least workers.',
    read: bound('min'),
  },
  {
    kind: 'sum',
    name: 'workers_max',
    instrument: 'worker.max',
    unit: '{worker}',
    help: 'Most workers.',
    read: bound('max'),
  },
  {
    kind: 'share',
    name: 'utilization_ratio',
    instrument: 'pool.utilization',
    unit: '1',
    help: 'Busy workers / workers of the lane that the pool is for, 0 to 1.',
    read: (stats) => one(stats.load),
  },
  {
    kind: 'sum',
    name: 'tasks_queued',
    instrument: 'task.queued',
    unit: '{task}',
    help: 'Tasks that wait for a worker.',
    read: (stats) => one(stats.queueLength),
  },
  {
    kind: 'sum',
    name: 'kernels_abandoned',
    instrument: 'kernel.abandoned',
    unit: '{task}',
    help: 'Kernels that were given up and still run.',
    read: (stats) => one(stats.abandoned),
  },
  {
    kind: 'counter',
    name: 'tasks_admitted_total',
    instrument: 'task.admitted',
    unit: '{task}',
    help: 'Tasks admitted.',
    read: (stats) => one(stats.tasksAdmitted),
  },
  {
    kind: 'counter',
    name: 'tasks_completed_total',
    instrument: 'task.completed',
    unit: '{task}',
    help: 'Tasks that ended with an output.',
    read: (stats) => one(stats.tasksCompleted),
  },
  {
    kind: 'counter',
    name: 'tasks_errored_total',
    instrument: 'task.errored',
    unit: '{task}',
    help: 'Tasks that ended with an error, a cancellation or a timeout.',
    read: (stats) => one(stats.tasksErrored),
  },
  {
    kind: 'counter',
    name: 'task_retries_total',
    instrument: 'task.retries',
    unit: '{run}',
    help: 'Runs of tasks that failed and were begun again.',
    read: (stats) => one(stats.retries),
  },
  {
    kind: 'counter',
    name: 'worker_crashes_total',
    instrument: 'worker.crashes',
    unit: '{crash}',
    help: 'JS workers that ended without being asked to.',
    read: (stats) => one(stats.crashes),
  },
  {
    kind: 'counter',
    name: 'worker_tasks_completed_total',
    instrument: 'worker.task.completed',
    unit: '{task}',
    help: 'Tasks that the worker ended with an output.',
    read: byWorker((worker) => worker.tasksCompleted),
  },
  {
    kind: 'counter',
    name: 'worker_tasks_errored_total',
    instrument: 'worker.task.errored',
    unit: '{task}',
    help: 'Tasks that the worker ended with an error.',
    read: byWorker((worker) => worker.tasksErrored),
  },
  {
    kind: 'counter',
    name: 'worker_steals_total',
    instrument: 'worker.steals',
    unit: '{task}',
    help: 'Tasks that the worker took from others.',
    read: byWorker((worker) => worker.steals),
  },
  {
    kind: 'counter',
    name: 'worker_busy_seconds_total',
    instrument: 'worker.busy_time',
    unit: 's',
    help: 'Time that the worker spent in tasks.',
    read: byWorker((worker) => worker.busyTime / 1000),
  },
  {
    kind: 'counter',
    name: 'worker_cpu_seconds_total',
    // There a counter may not begin anew, as this one does with the thread.
    instrument: undefined,
    unit: 's',
    help: 'CPU time of the thread of the worker.',
    read: byWorker((worker) => worker.cpuTime && worker.cpuTime / 1000),
  },
  {
    kind: 'share',
    name: 'worker_event_loop_utilization_ratio',
    instrument: 'worker.event_loop.utilization',
    unit: '1',
    help: 'Share of the time that the event loop of the worker was busy, 0 to 1.',
    read: byWorker((worker) => worker.eventLoopUtilization),
  },
]

export const TIMES: readonly TimeFigure[] = [
  {
    name: 'task_wait_seconds',
    instrument: 'task.wait_time',
    help: 'Time of successful tasks from submit to start.',
    read: (stats) => stats.waitTime,
  },
  {
    name: 'task_run_seconds',
    instrument: 'task.run_time',
    help: 'Time of successful tasks from start to end.',
    read: (stats) => stats.runTime,
  },
]

/** All of these times together, s. */
export function totalOf({ count, mean }: TimeStats): number {
  return (mean * count) / 1000
}
