// Stage: all. Thread: owner env.
// Looks at intervals whether the heap of the thread that owns a pool exceeds a limit, and does what was asked for when that
// heap or a worker's does.

import { getHeapStatistics } from 'node:v8'
import type { HighMemory, IWorker } from '..'
import { rethrow } from './callbacks'
import type { MemorySettings } from './shell-options'
import { clearInterval, setInterval } from './timers'

/** The pool, as seen from here. */
export interface MemoryHost {
  /** Calls listeners of the pool. */
  tell(event: 'high-memory', details: HighMemory): void
  /** Replaces a JS worker after its current task, or all of them. */
  recycle(worker: IWorker | undefined): void
  /** Calls `listener` when the pool has ended. Returns how to stop that. */
  onRelease(listener: () => void): () => void
}

/** Watches until the pool has ended. */
export function watchMemory(host: MemoryHost, settings: MemorySettings): void {
  const { limit, interval } = settings
  const timer = setInterval(() => {
    const heapUsed = getHeapStatistics().used_heap_size
    if (heapUsed > limit) highMemory(host, settings, heapUsed)
  }, interval)
  timer.unref()
  host.onRelease(() => clearInterval(timer))
}

/** A heap exceeds the limit: that of the owner's thread, or a worker's. */
export function highMemory(
  host: MemoryHost,
  { limit, strategy }: MemorySettings,
  heapUsed: number,
  worker?: IWorker,
): void {
  const details: HighMemory = { message: 'High memory usage detected', heapUsed, limit, worker }
  host.tell('high-memory', details)
  if (strategy === 'restart') host.recycle(worker)
  if (typeof strategy !== 'function') return
  const run = async (): Promise<unknown> => strategy(details)
  run().catch(rethrow)
}
