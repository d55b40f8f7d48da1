// Tasks on the thread that owns the pool, beside each other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { rejection } from '../helpers/pool.mjs'

const on = { mainThread: true }

/** A pool whose next tasks come in one exchange, if they are submitted at once. */
async function together(t, options) {
  const pool = new WorkerPool({ threads: 1, workerConcurrency: 3, ...options })
  t.after(() => pool.close())
  await pool.run(() => {}, on)
  return pool
}

test('one that another has cancelled, or whose pool it has destroyed, does not begin (J17)', async (t) => {
  const ways = {
    CANCELLED: (_pool, task) => assert.equal(task.cancel(), true),
    POOL_CLOSED: (pool) => {
      pool.destroy()
    },
  }
  for (const [code, way] of Object.entries(ways)) {
    const pool = await together(t)
    const begun = []
    let second
    const first = pool.run(() => {
      begun.push('first')
      way(pool, second)
    }, on)
    first.catch(() => {})
    second = pool.addTask(() => begun.push('second'), on)
    assert.equal((await rejection(second)).code, `ERR_THREADMILL_${code}`)
    assert.deepEqual(begun, ['first'], code)
    if (code === 'POOL_CLOSED') continue
    await first
    // They hold no room either.
    const running = Array.from({ length: 3 }, () => pool.run(() => begun.push('next'), on))
    await Promise.all(running)
    assert.equal(pool.stats().busyWorkers, 0)
  }
})
