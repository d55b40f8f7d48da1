// What the figures of a pool say of tasks that its workers submit.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { until } from '../helpers/pool.mjs'

const MODULE = new URL('./fixtures/accounts.mjs', import.meta.url)
const CLOSED = 'ERR_THREADMILL_POOL_CLOSED'

function poolWith(options) {
  const numbers = new Int32Array(new SharedArrayBuffer(16))
  const pool = new WorkerPool(MODULE, { maxWorkers: 1, threads: 1, workerData: numbers.buffer, ...options })
  return { numbers, pool }
}

function counts(pool) {
  const { tasksAdmitted, tasksCompleted, tasksErrored } = pool.stats()
  return { tasksAdmitted, tasksCompleted, tasksErrored }
}

for (const [isWatched, how] of [false, true].flatMap((is) => ['addTask', 'run'].map((how) => [is, how]))) {
  test(`each task by client.${how} is counted as it ended${isWatched ? ', with listeners' : ''}`, async () => {
    const { pool } = poolWith({ maxWorkers: 2 })
    let ended = 0
    if (isWatched) pool.on('task-complete', () => ended++)
    assert.equal(await pool.run({ do: 'many', count: 100, how }), 150)
    // The core knows it when the task does: nothing has to be reported before.
    assert.deepEqual(counts(pool), { tasksAdmitted: 201, tasksCompleted: 151, tasksErrored: 50 })
    await pool.close()
    assert.deepEqual(counts(pool), { tasksAdmitted: 201, tasksCompleted: 151, tasksErrored: 50 })
    if (isWatched) assert.equal(ended, 201)
  })
}

test('tasks of a worker that ends before it could tell of them are counted too', async () => {
  const { pool } = poolWith()
  for (let round = 1; round <= 3; round++) {
    await assert.rejects(pool.run({ do: 'crash', count: 10 }), { code: 'ERR_THREADMILL_WORKER_CRASHED' })
    await pool.run({ do: 'leaf' })
    await pool.whenIdle()
    const { tasksAdmitted, tasksCompleted, tasksErrored } = counts(pool)
    assert.ok(tasksAdmitted > 2 * round, `${tasksAdmitted} were admitted`)
    assert.equal(tasksCompleted + tasksErrored, tasksAdmitted)
  }
  await pool.close()
  const { tasksAdmitted, tasksCompleted, tasksErrored } = counts(pool)
  assert.equal(tasksCompleted + tasksErrored, tasksAdmitted)
})

test('tasks that a worker submits to a pool that is disposed of are refused, and counted nowhere', async () => {
  const { pool, numbers } = poolWith()
  const late = pool.run({ do: 'late', count: 5 })
  await until(() => Atomics.load(numbers, 0) === 1)
  const disposed = pool.dispose()
  Atomics.store(numbers, 1, 1)
  assert.deepEqual(await late, Array(6).fill(CLOSED))
  await disposed
  assert.deepEqual(counts(pool), { tasksAdmitted: 1, tasksCompleted: 1, tasksErrored: 0 })
})

test('the first task that waits for its own runs again too when its worker is ended for that one', async () => {
  const { pool, numbers } = poolWith()
  assert.equal(await pool.run({ do: 'first', text: 'x'.repeat(1000) }), 'again')
  assert.equal(Atomics.load(numbers, 2), 2)
  await pool.close()
  assert.deepEqual(counts(pool), { tasksAdmitted: 2, tasksCompleted: 1, tasksErrored: 1 })
})
