// Stage: all. Thread: owner env.
// The figures of all pools at one moment, as they are sent.

import type { DashboardData } from '../../dashboard'
import { processMemory } from '../process-memory'
import type { DashboardSettings } from './options'
import type { WatchedPool } from './watch'

/** See `DashboardData` in dashboard.d.ts. */
export function snapshot(pools: Iterable<WatchedPool>, settings: DashboardSettings): DashboardData {
  const { interval, allowActions } = settings
  const { rss, heapUsed, heapTotal, external } = processMemory()
  const time = Date.now()
  return {
    time,
    interval,
    allowActions,
    process: { pid: process.pid, uptime: process.uptime() * 1000, rss, heapUsed, heapTotal, external },
    pools: Array.from(pools, (pool) => pool.snapshot(time)),
  }
}
