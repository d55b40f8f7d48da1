// Stage: all. Thread: owner env.
// Modules that not every owner of pools needs. Those of pools with an entry module take about as long to load as all the others
// together, so they are loaded with the first such pool; what is beside the pools with its first call.

import type { PoolCore } from './core'
import { part } from './refused'

let lane: typeof import('./lane-parts') | undefined

/** What runs tasks on the thread that owns the pool. */
export function mainLane(): typeof import('./main').MainLane {
  return part(() => require('./main') as typeof import('./main')).MainLane
}

/** What counts the bytes of inputs. */
export function byteBudget(): typeof import('./bytes').ByteBudget {
  return part(() => require('./bytes') as typeof import('./bytes')).ByteBudget
}

/** What tells how a pool is. */
export function healthMonitor(): typeof import('./health').HealthMonitor {
  return part(() => require('./health') as typeof import('./health')).HealthMonitor
}

/** What watches memory. */
export function memoryWatch(): typeof import('./memory').watchMemory {
  return part(() => require('./memory') as typeof import('./memory')).watchMemory
}

/** What keeps the costs of a pool. */
export function costFiles(): typeof import('./costs') {
  return part(() => require('./costs') as typeof import('./costs'))
}

/** What shows the timeline of a pool. */
export function timelines(): typeof import('./timeline/timeline').Timeline {
  return part(() => require('./timeline/timeline') as typeof import('./timeline/timeline')).Timeline
}

/** What writes the timelines of all pools to a file. */
export function traceToFile(pool: PoolCore, name: string): void {
  part(() => require('./timeline/file') as typeof import('./timeline/file')).traceToFile(pool, name)
}

/** What belongs to the end of a pool. */
export function shutdown(): typeof import('./shutdown').Shutdown {
  return part(() => require('./shutdown') as typeof import('./shutdown')).Shutdown
}

/** What ends pools by signals. */
export function signalHandlers(): typeof import('./signal-handlers') {
  return part(() => require('./signal-handlers') as typeof import('./signal-handlers'))
}

/** What `pool.stream()` gives. */
export function taskStream(): typeof import('./stream').TaskStream {
  return part(() => require('./stream') as typeof import('./stream')).TaskStream
}

/** What a JS lane is made of. */
export function laneParts(): typeof import('./lane-parts') {
  lane ??= part(() => require('./lane-parts') as typeof import('./lane-parts'))
  return lane
}

/** See `runWorker` in index.d.ts. */
export async function runWorker(script: unknown, workerData?: unknown, options?: unknown): Promise<never> {
  return part(() => require('./run-worker') as typeof import('./run-worker')).runWorker(script, workerData, options)
}

/** See `waitAsync` in index.d.ts. */
export async function waitAsync(array: unknown, index: unknown, value: unknown, timeout?: unknown): Promise<Waited> {
  return part(() => require('./wait-async') as typeof import('./wait-async')).waitAsync(array, index, value, timeout)
}

type Waited = Awaited<ReturnType<typeof import('./wait-async').waitAsync>>

/** See `recommendedPoolSize` in index.d.ts. */
export function recommendedPoolSize(kind?: unknown, cores?: unknown): number {
  return part(() => require('./pool-size') as typeof import('./pool-size')).recommendedPoolSize(kind, cores)
}

/** What is done about a heap that exceeds the limit. */
export function highMemory(): typeof import('./memory').highMemory {
  return part(() => require('./memory') as typeof import('./memory')).highMemory
}
