// Stage: run. Thread: any.
// With `node --watch` (24 on) a thread tells the process by `parentPort` which files it loads; Node's Worker passes that on.

import process from 'node:process'

const KEYS = ['watch:require', 'watch:import']

/** Whether Node has posted that, and no script. */
export function isWatchReport(message: unknown): boolean {
  if (typeof message !== 'object' || message === null || !process.env.WATCH_REPORT_DEPENDENCIES) return false
  return KEYS.some((key) => key in message)
}
