// Tasks that a worker has submitted when it ends: none is lost with one that ends in order, and none is left behind by one
// that does not.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { until } from '../helpers/pool.mjs'

const MODULE = new URL('./fixtures/orphans.mjs', import.meta.url)
const FORCE = { affinityStrength: 'force' }
const CRASHED = { code: 'ERR_THREADMILL_WORKER_CRASHED' }

function open(t, options) {
  const runs = new Int32Array(new SharedArrayBuffer(8))
  const pool = new WorkerPool(MODULE, { maxWorkers: 1, workerData: runs.buffer, ...options })
  t.after(() => pool.destroy())
  return { pool, runs }
}

/** Fails unless the pool has nothing to do, does what it is given, and ends. */
async function worksOn(pool) {
  await pool.whenIdle()
  assert.equal(pool.isIdle, true)
  await until(() => pool.stats().busyWorkers === 0)
  assert.equal(pool.stats().queueLength, 0)
  assert.equal(await pool.run(['echo', 'next']), 'next')
  assert.equal(pool.isIdle, true)
  await pool.close()
}

/** Cancels a task on worker 0, which is terminated for it, when the one that it awaits has begun. */
async function cancelParent(pool, runs, sub) {
  const parent = pool.addTask(['wait', sub], { workerAffinity: 0, ...FORCE, cancelGrace: 0 })
  await until(() => runs[0] === 1)
  parent.cancel()
  await assert.rejects(parent.then(), { code: 'ERR_THREADMILL_CANCELLED' })
}

describe('the worker crashes', () => {
  for (const workerConcurrency of [1, 2, 4]) {
    test(`what it had taken of its own goes with it (${workerConcurrency} at once)`, async (t) => {
      const { pool } = open(t, { workerConcurrency })
      for (let round = 0; round < 5; round++) {
        await assert.rejects(pool.run(['all', ['die', 'echo', 'echo', 'echo', 'echo']]), CRASHED)
        await pool.run(['echo', 1])
      }
      await worksOn(pool)
    })
  }

  test('what another worker has taken ahead goes, too', async (t) => {
    const { pool } = open(t, { maxWorkers: 2, minWorkers: 2 })
    const at = (workerAffinity) => ({ workerAffinity, ...FORCE })
    await Promise.all([pool.run(['echo', 1], at(0)), pool.run(['echo', 1], at(1))])
    await assert.rejects(pool.run(['all', [...Array(100).fill('echo'), 'die']], at(0)), CRASHED)
    await worksOn(pool)
  })
})

describe('the worker is ended because of a task that was given up', () => {
  for (const [title, retries] of [
    ['what it submitted does not run again', 0],
    ['nor with retries', { limit: 5, delay: 0, on: 'both' }],
  ]) {
    test(title, async (t) => {
      const { pool, runs } = open(t, { retries })
      await cancelParent(pool, runs, ['hang', 0])
      await worksOn(pool)
      assert.equal(runs[0], 1)
    })
  }

  test('what runs elsewhere is given up, and ends in its grace', async (t) => {
    const { pool, runs } = open(t, { maxWorkers: 2, minWorkers: 2, cancelGrace: 2 ** 31 - 1 })
    await cancelParent(pool, runs, ['stay', 1])
    await worksOn(pool)
    assert.equal(runs[1], 1)
  })

  test('or is ended with its worker', async (t) => {
    const { pool, runs } = open(t, { maxWorkers: 2, minWorkers: 2 })
    await cancelParent(pool, runs, ['hang', 1])
    await worksOn(pool)
  })
})

describe('the worker ends in order', () => {
  for (const [title, options] of [
    ['used up after each task', { recycle: { tasks: 1 } }],
    ['used up after two', { recycle: { tasks: 2 } }],
    ['without a task for a moment', { idleTimeout: 0 }],
  ]) {
    for (const maxWorkers of [1, 2]) {
      test(`tasks that nobody awaits are not lost: ${title}, ${maxWorkers} workers`, async (t) => {
        const { pool } = open(t, { maxWorkers, ...options })
        const seen = []
        pool.on('task-complete', (error, output) => seen.push(error ?? output))
        for (let round = 1; round <= 5; round++) {
          await pool.run('abcdef', { name: 'discover' })
          await pool.whenIdle()
          assert.deepEqual(seen.splice(0).sort(), ['abcdef', 'bcdef', 'cdef', 'def', 'ef', 'f'])
        }
        await pool.close()
      })
    }
  }

  test('nor those of one that there is no place for any more', async (t) => {
    const { pool } = open(t, { maxWorkers: 2, minWorkers: 2 })
    const seen = []
    pool.on('task-complete', (error, output) => seen.push(error ?? output))
    await pool.run(['leave', [1, 2, 3, 4, 5]], { workerAffinity: 1, ...FORCE })
    pool.resize({ min: 1, max: 1 })
    await pool.whenIdle()
    assert.deepEqual(seen.sort(), [1, 2, 3, 4, 5, undefined])
    await pool.close()
  })

  test('nor when the pool is closed', async (t) => {
    const { pool } = open(t, { recycle: { tasks: 1 } })
    const seen = []
    pool.on('task-complete', (error, output) => seen.push(error ?? output))
    await pool.run(['leave', [1, 2, 3]])
    await pool.close()
    assert.deepEqual(seen.sort(), [1, 2, 3, undefined])
  })
})

describe('who listens comes and goes', () => {
  test('a task that was told of is told the end of', async (t) => {
    const { pool } = open(t, { idleTimeout: 0, capacity: 1 })
    for (let round = 0; round < 3; round++) {
      let told
      const first = new Promise((resolve) => pool.once('task-complete', resolve))
      pool.on('task-added', function noted(task) {
        if (task.options.name !== 'leaf') return
        told = task
        pool.off('task-added', noted)
      })
      assert.deepEqual(await pool.run(['takes', [1, 20]]), [1, 20])
      await first
      assert.equal(await told, 1)
      await pool.whenIdle()
      await until(() => pool.workers.length === 0)
      assert.equal(pool.isIdle, true)
    }
    await pool.close()
  })
})
