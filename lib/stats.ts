// Stage: all. Thread: owner env.
// Puts the figures of the core and the counts of this side into one object.

import type { PoolStats, WorkerStats } from '..'

/** What the core reports; see PoolFigures in crates/core. Times in ms. */
export interface Figures {
  queueLength: number
  running: number
  tasksAdmitted: number
  abandoned: number
  totalProcessingTime: number
  totalWaitTime: number
  totalRunTime: number
  sizing: Omit<PoolStats['sizing'], 'notes'>
  notes: string[]
  workers: Omit<WorkerStats, 'lane'>[]
  jsWorkers: Omit<WorkerStats, 'lane' | 'helped' | 'running'>[]
}

/** Counts of settled tasks. */
export interface Counts {
  readonly name: string
  readonly completed: number
  readonly errored: number
  /** Most JS workers; 0 in a pool without a module. */
  readonly maxWorkers: number
}

/** The public figures. */
export function poolStats(figures: Figures, counts: Counts): PoolStats {
  const native: WorkerStats[] = figures.workers.map((worker) => ({ ...worker, lane: 'native' }))
  const js: WorkerStats[] = figures.jsWorkers.map((worker) => ({ ...worker, lane: 'js', helped: 0, running: [] }))
  const workers = counts.maxWorkers > 0 ? js : native
  const poolSize = counts.maxWorkers > 0 ? counts.maxWorkers : native.length
  const busyWorkers = workers.filter((worker) => worker.busy).length
  // Means are over the tasks that workers have ended; settling them is a moment behind.
  const ended = [...native, ...js].reduce((sum, worker) => sum + worker.tasksCompleted, 0)
  const mean = (total: number): number => (ended === 0 ? 0 : total / ended)
  return {
    name: counts.name,
    poolSize,
    busyWorkers,
    availableWorkers: poolSize - busyWorkers,
    queueLength: figures.queueLength,
    tasksCompleted: counts.completed,
    tasksErrored: counts.errored,
    tasksAdmitted: figures.tasksAdmitted,
    avgProcessingTime: mean(figures.totalProcessingTime),
    totalProcessingTime: figures.totalProcessingTime,
    avgWaitTime: mean(figures.totalWaitTime),
    avgRunTime: mean(figures.totalRunTime),
    steals: workers.reduce((sum, worker) => sum + worker.steals, 0),
    abandoned: figures.abandoned,
    load: busyWorkers / poolSize,
    sizing: { ...figures.sizing, notes: figures.notes },
    native,
    js,
    workers,
    workerStats: workers,
  }
}
