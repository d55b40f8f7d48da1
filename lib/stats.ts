// Stage: all. Thread: owner env.
// Puts the figures of the core and the counts of this side into one object.

import type { KeyStats, PoolStats, TimeStats, WorkerStats } from '..'
import { native } from './native-owner'

/** Figures of the core that both kinds of workers have. */
type Common =
  | 'id'
  | 'busy'
  | 'started'
  | 'tasksCompleted'
  | 'tasksErrored'
  | 'busyTime'
  | 'steals'
  | 'cpuTime'
  | 'waitTime'
  | 'runTime'

/** What the core reports; see PoolFigures in crates/core. Times in ms. */
export interface Figures {
  queueLength: number
  running: number
  tasksAdmitted: number
  /** Of these, those that workers submitted. */
  guestsCompleted: number
  guestsErrored: number
  steals: number
  abandoned: number
  totalProcessingTime: number
  totalWaitTime: number
  totalRunTime: number
  /** How many tasks these sums are of. */
  timed: number
  waitTime: TimeStats
  runTime: TimeStats
  sizing: Omit<PoolStats['sizing'], 'notes' | 'js' | 'quota'>
  notes: string[]
  /** Most native workers that there may be. */
  mostThreads: number
  workers: Pick<WorkerStats, Common | 'helped' | 'running'>[]
  jsWorkers: (Pick<WorkerStats, Common | 'uptime' | 'messageCount'> & { readonly lastActive: number })[]
}

/** What this side knows, of the tasks that it submitted. */
export interface Counts {
  readonly name: string
  readonly completed: number
  readonly errored: number
  readonly retries: number
  readonly crashCount: number
  /** Bounds of the number of JS workers, where there may be any. */
  readonly bounds: { readonly min: number; readonly max: number } | undefined
  /** Share of the time that the event loop of a JS worker was busy; null when it has no thread. */
  utilization(index: number): number | null
  /** Crashes of the JS worker with that number, and those that failed no task. */
  crashes(index: number): number
  lonelyCrashes(index: number): number
}

/** What is read of the core at one moment. */
interface Reading {
  /** `Figures` as JSON. */
  readonly figures: string
  /** ms */
  readonly uptime: number
  /** CPU quota, as JSON. */
  quota(): string
  /** Figures by key, as JSON. */
  keys(): string
}

/** The figures of a pool, also of one that has left the core. */
export class PoolFigures {
  readonly #handle: number
  readonly #made = native.now()
  /** JSON, from the first time on that somebody asks: to read it takes longer than all else. */
  #quota: string | undefined
  #last: Reading | undefined
  #lastStats: PoolStats | undefined

  constructor(handle: number) {
    this.#handle = handle
  }

  /** The figures of now, or the last ones. */
  stats(counts: Counts): PoolStats {
    if (this.#last === undefined) return poolStats(this.#read(), counts)
    this.#lastStats ??= poolStats(this.#last, counts)
    return this.#lastStats
  }

  /** The core knows nothing of the pool any more after this. */
  leave(): void {
    // Nobody makes them into objects unless they are asked for: whoever awaits the end of the pool waits for this.
    const reading = this.#read()
    const keys = reading.keys()
    this.#last = { ...reading, keys: () => keys }
  }

  #read(): Reading {
    return {
      figures: native.figures(this.#handle),
      quota: () => {
        this.#quota ??= native.cpuQuota()
        return this.#quota
      },
      uptime: native.now() - this.#made,
      // The last ones are those of any snapshot that is asked too late.
      keys: () => this.#last?.keys() ?? native.keyFigures(this.#handle),
    }
  }
}

/** The public figures. */
function poolStats(reading: Reading, counts: Counts): PoolStats {
  const figures: Figures = JSON.parse(reading.figures)
  const native: WorkerStats[] = figures.workers.map((worker) => ({
    ...worker,
    lane: 'native',
    uptime: reading.uptime,
    messageCount: 0,
    errorCount: worker.tasksErrored,
    crashes: 0,
    lastActiveSecs: null,
    eventLoopUtilization: null,
  }))
  const js: WorkerStats[] = figures.jsWorkers.map(({ lastActive, ...worker }) => ({
    ...worker,
    lane: 'js',
    helped: 0,
    running: [],
    errorCount: worker.tasksErrored + counts.lonelyCrashes(worker.id),
    crashes: counts.crashes(worker.id),
    lastActiveSecs: lastActive / 1000,
    eventLoopUtilization: counts.utilization(worker.id),
  }))
  const { bounds } = counts
  const workers = bounds === undefined ? native : js
  const busyWorkers = workers.filter((worker) => worker.busy).length
  // Those that are too many since a resize end after what they run.
  const poolSize = Math.max(bounds?.max ?? native.length, busyWorkers)
  // Means are over the tasks that workers have ended, those that have gone as well; settling them is a moment behind.
  const ended = figures.timed
  const mean = (total: number): number => (ended === 0 ? 0 : total / ended)
  let keys: readonly KeyStats[] | undefined
  return {
    name: counts.name,
    poolSize,
    busyWorkers,
    availableWorkers: poolSize - busyWorkers,
    queueLength: figures.queueLength,
    tasksCompleted: counts.completed + figures.guestsCompleted,
    tasksErrored: counts.errored + figures.guestsErrored,
    tasksAdmitted: figures.tasksAdmitted,
    retries: counts.retries,
    crashes: counts.crashCount,
    avgProcessingTime: mean(figures.totalProcessingTime),
    totalProcessingTime: figures.totalProcessingTime,
    avgWaitTime: mean(figures.totalWaitTime),
    avgRunTime: mean(figures.totalRunTime),
    waitTime: figures.waitTime,
    runTime: figures.runTime,
    // As many as there are keys, so only for those who ask.
    get keys() {
      keys ??= JSON.parse(reading.keys()) as readonly KeyStats[]
      return keys
    },
    steals: figures.steals,
    abandoned: figures.abandoned,
    load: busyWorkers / poolSize,
    sizing: {
      ...figures.sizing,
      quota: JSON.parse(reading.quota()) as number | null,
      js: bounds ?? null,
      notes: figures.notes,
    },
    native,
    js,
    workers,
    workerStats: workers,
  }
}
