// Stage: all. Thread: any.
// Modules that not every user needs. Those of pools with an entry module take about as long to load as all the others
// together, so they are loaded with the first such pool, and those for values with the first that is no number; what is beside
// the pools with its first call. What users may have changed by then has been taken before.

import './builtins'
import type { PoolCore } from './core'

let lane: typeof import('./lane-parts') | undefined
let values: typeof import('./payload').parts | undefined

/** What runs tasks on the thread that owns the pool. */
export function mainLane(): typeof import('./main').MainLane {
  return (require('./main') as typeof import('./main')).MainLane
}

/** What counts the bytes of inputs. */
export function byteBudget(): typeof import('./bytes').ByteBudget {
  return (require('./bytes') as typeof import('./bytes')).ByteBudget
}

/** What tells how a pool is. */
export function healthMonitor(): typeof import('./health').HealthMonitor {
  return (require('./health') as typeof import('./health')).HealthMonitor
}

/** What watches memory. */
export function memoryWatch(): typeof import('./memory').watchMemory {
  return (require('./memory') as typeof import('./memory')).watchMemory
}

/** What keeps the costs of a pool. */
export function costFiles(): typeof import('./costs') {
  return require('./costs') as typeof import('./costs')
}

/** What shows the timeline of a pool. */
export function timelines(): typeof import('./timeline/timeline').Timeline {
  return (require('./timeline/timeline') as typeof import('./timeline/timeline')).Timeline
}

/** What writes the timelines of all pools to a file. */
export function traceToFile(pool: PoolCore, name: string): void {
  ;(require('./timeline/file') as typeof import('./timeline/file')).traceToFile(pool, name)
}

/** What belongs to the end of a pool. */
export function shutdown(): typeof import('./shutdown').Shutdown {
  return (require('./shutdown') as typeof import('./shutdown')).Shutdown
}

/** What ends pools by signals. */
export function signalHandlers(): typeof import('./signal-handlers') {
  return require('./signal-handlers') as typeof import('./signal-handlers')
}

/** What `pool.stream()` gives. */
export function taskStream(): typeof import('./stream').TaskStream {
  return (require('./stream') as typeof import('./stream')).TaskStream
}

/** What a tracer is to know of what a task does. */
export function taskContext(carried: string): import('./metrics/context').TaskContext | undefined {
  return (require('./metrics/context') as typeof import('./metrics/context')).taskContext(carried)
}

/** What a JS lane is made of. */
export function laneParts(): typeof import('./lane-parts') {
  lane ??= require('./lane-parts') as typeof import('./lane-parts')
  return lane
}

/** What values are written with and read that are no numbers. */
export function payload(): typeof import('./payload').parts {
  values ??= (require('./payload') as typeof import('./payload')).parts
  return values
}

/** See `runWorker` in index.d.ts. */
export function runWorker(script: unknown, workerData?: unknown, options?: unknown): Promise<never> {
  return (require('./run-worker') as typeof import('./run-worker')).runWorker(script, workerData, options)
}

/** See `waitAsync` in index.d.ts. */
export function waitAsync(array: unknown, index: unknown, value: unknown, timeout?: unknown): Promise<Waited> {
  return (require('./wait-async') as typeof import('./wait-async')).waitAsync(array, index, value, timeout)
}

type Waited = Awaited<ReturnType<typeof import('./wait-async').waitAsync>>

/** See `recommendedPoolSize` in index.d.ts. */
export function recommendedPoolSize(kind?: unknown, cores?: unknown): number {
  return (require('./pool-size') as typeof import('./pool-size')).recommendedPoolSize(kind, cores)
}

/** What is done about a heap that exceeds the limit. */
export function highMemory(): typeof import('./memory').highMemory {
  return (require('./memory') as typeof import('./memory')).highMemory
}
