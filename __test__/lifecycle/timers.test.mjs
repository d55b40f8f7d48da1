// Intervals of pools: none is left when they have ended.
import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import { test } from 'node:test'
import timers from 'node:timers'

const open = new Set()
const { clearInterval, setInterval } = timers
timers.setInterval = (...args) => {
  const timer = setInterval(...args)
  open.add(timer)
  return timer
}
timers.clearInterval = (timer) => {
  open.delete(timer)
  clearInterval(timer)
}
syncBuiltinESMExports()
// It takes them when it is loaded.
const { WorkerPool } = await import('threadmill')

const MODULE = 'data:text/javascript,export default (input) => input'

for (const [what, make, options] of [
  ['that looks at what the system grants', () => new WorkerPool(), { kernel: 'echo' }],
  ['that looks for idle workers', () => new WorkerPool(MODULE, { maxWorkers: 1, threads: 1, idleTimeout: 60_000 })],
  [
    'that a trace has begun',
    () => {
      const pool = new WorkerPool({ threads: 1 })
      pool.trace.start()
      return pool
    },
    { kernel: 'echo' },
  ],
  ['that looks at memory', () => new WorkerPool({ threads: 1, maxMemoryUsage: 2 ** 40 }), { kernel: 'echo' }],
]) {
  test(`one ${what} ends with its pool, and begins anew with the next`, async () => {
    assert.equal(open.size, 0)
    for (let pools = 0; pools < 2; pools++) {
      const pool = make()
      // One of them begins after the first results.
      for (let tasks = 0; open.size === 0 && tasks < 10_000; tasks++) await pool.run(5, options)
      assert.equal(open.size, 1)
      await pool.close()
      assert.equal(open.size, 0)
    }
  })
}
