// Stage: all. Thread: any.
// What `process.memoryUsage()` says, also where that throws: it opens a file for the resident memory of the process, and there may
// be no descriptor left, or no such file.

import process from 'node:process'

/** Test runners replace it. */
const { memoryUsage } = process

/** Bytes: resident memory of the process, 0 where it is not known; heap of this thread, and what belongs to that outside of it. */
export interface ProcessMemory {
  readonly rss: number
  readonly heapUsed: number
  readonly heapTotal: number
  readonly external: number
}

export function processMemory(): ProcessMemory {
  try {
    return memoryUsage.call(process)
  } catch {
    // Opens no file, but is more than most threads need.
    const { getHeapStatistics } = require('node:v8') as typeof import('node:v8')
    const { used_heap_size, total_heap_size, external_memory } = getHeapStatistics()
    return { rss: 0, heapUsed: used_heap_size, heapTotal: total_heap_size, external: external_memory }
  }
}
