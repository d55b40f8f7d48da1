// How workers end that are no longer needed, whatever the modules of users have done to them.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { until } from '../helpers/pool.mjs'

const MODULE = new URL('./fixtures/goodbye.mjs', import.meta.url)
const [BEGUN, ABORTED, ENDED, GOODBYE] = [1, 2, 3, 4]

/** A pool of one worker, what its workers have noted, and their exit codes. */
function open(t, options) {
  const notes = new Int32Array(new SharedArrayBuffer(4096))
  const pool = new WorkerPool(MODULE, { maxWorkers: 1, workerData: notes.buffer, ...options })
  t.after(() => pool.destroy())
  const exits = []
  pool.on('worker-exit', (_worker, code, error) => exits.push(error ?? code))
  return { pool, exits, noted: () => [...notes.subarray(1, 1 + Atomics.load(notes, 0))] }
}

describe('process.exit was replaced, by a function that throws', () => {
  for (const task of ['replace exit', 'handle rejections']) {
    const ends = {
      close: (pool) => pool.close(),
      dispose: (pool) => pool.dispose(),
      'a smaller pool': (pool) => pool.resize({ min: 1, max: 1 }),
    }
    for (const [title, end] of Object.entries(ends)) {
      test(`${task}, ${title}`, async (t) => {
        const { pool, exits, noted } = open(t, { maxWorkers: 2, minWorkers: 2, disposeTimeout: 2 ** 31 - 1 })
        const tasks = [0, 1].map((workerAffinity) => pool.run(task, { workerAffinity, affinityStrength: 'force' }))
        await Promise.all(tasks)
        await end(pool)
        await pool.close()
        assert.deepEqual(exits, [0, 0])
        assert.deepEqual(noted(), [GOODBYE, GOODBYE])
      })
    }

    test(`${task}, a worker for each task`, async (t) => {
      const { pool, exits, noted } = open(t, { recycle: { tasks: 1 }, disposeTimeout: 2 ** 31 - 1 })
      for (let count = 0; count < 3; count++) await pool.run(task)
      await pool.close()
      assert.deepEqual(exits, [0, 0, 0])
      assert.deepEqual(noted(), [GOODBYE, GOODBYE, GOODBYE])
    })
  }
})

test('a worker that is used up when its pool is closed says goodbye once', async (t) => {
  for (let round = 0; round < 20; round++) {
    const { pool, exits, noted } = open(t, { maxWorkers: 2, recycle: { tasks: 1 } })
    await Promise.all([pool.run(1), pool.run(2)])
    await pool.close()
    assert.deepEqual(
      [noted(), exits],
      [
        [GOODBYE, GOODBYE],
        [0, 0],
      ],
    )
  }
})

describe('the pool ends while a task that was given up has its grace', () => {
  for (const [title, end] of [
    ['close', (pool) => pool.close()],
    ['dispose', (pool) => pool.dispose()],
    ['close after it is idle', (pool) => pool.whenIdle().then(() => pool.close())],
  ]) {
    test(`${title}: it ends before the worker says goodbye`, async (t) => {
      const { pool, exits, noted } = open(t, { cancelGrace: 2 ** 31 - 1, disposeTimeout: 2 ** 31 - 1 })
      const task = pool.addTask('linger')
      await until(() => noted().length > 0)
      task.cancel()
      await assert.rejects(task.then(), { code: 'ERR_THREADMILL_CANCELLED' })
      await end(pool)
      assert.deepEqual([noted(), exits], [[BEGUN, ABORTED, ENDED, GOODBYE], [0]])
    })
  }

  for (const [title, options] of [
    ['its grace is over', { cancelGrace: 1, disposeTimeout: 2 ** 31 - 1 }],
    ['the time that workers have for their end is over', { cancelGrace: Number.POSITIVE_INFINITY, disposeTimeout: 1 }],
  ]) {
    test(`it is terminated when ${title}`, async (t) => {
      const { pool, exits, noted } = open(t, options)
      const task = pool.addTask('stay')
      await until(() => noted().length > 0)
      task.cancel()
      await assert.rejects(task.then(), { code: 'ERR_THREADMILL_CANCELLED' })
      await pool.close()
      assert.deepEqual([noted(), exits], [[BEGUN], [1]])
    })
  }
})

test('timers that a task has replaced hold up no other task', async (t) => {
  for (const workerConcurrency of [1, 4]) {
    const { pool } = open(t, { workerConcurrency })
    await pool.run('replace timers')
    await Promise.all(Array.from({ length: 4 }, () => pool.run('take long')))
    await pool.close()
  }
})
