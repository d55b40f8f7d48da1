// Stage: all. Thread: owner env.
// Looks at intervals whether the heap of the thread that owns a pool exceeds a limit, and does what was asked for then.

import { clearInterval, setInterval } from 'node:timers'
import { getHeapStatistics } from 'node:v8'
import type { HighMemory } from '..'
import { rethrow } from './callbacks'
import type { MemorySettings } from './shell-options'

/** The pool, as seen from here. */
export interface MemoryHost {
  /** Calls listeners of the pool. */
  tell(event: 'high-memory', details: HighMemory): void
  /** Replaces the JS workers, each after its current task. */
  recycle(): void
  /** Calls `listener` when the pool has ended. Returns how to stop that. */
  onRelease(listener: () => void): () => void
}

/** Watches until the pool has ended. */
export function watchMemory(host: MemoryHost, settings: MemorySettings): void {
  const { limit, interval } = settings
  const timer = setInterval(() => {
    const heapUsed = getHeapStatistics().used_heap_size
    if (heapUsed > limit) act(host, settings, { message: 'High memory usage detected', heapUsed, limit })
  }, interval)
  timer.unref()
  host.onRelease(() => clearInterval(timer))
}

function act(host: MemoryHost, { strategy }: MemorySettings, details: HighMemory): void {
  host.tell('high-memory', details)
  if (strategy === 'restart') host.recycle()
  if (typeof strategy !== 'function') return
  const run = async (): Promise<unknown> => strategy(details)
  run().catch(rethrow)
}
