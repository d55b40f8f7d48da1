// Tasks that workers submit, told to a thread that somebody has listen to their events and that is slower than they are (J12 in
// lib/seat.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { WorkerPool } from 'threadmill'

/** 50 lines of sub-tasks, one after the other each, until so many have been submitted or `stop` is set. */
const MODULE = `data:text/javascript,export const leaf = (input) => input; export default async ([most, done], client) => {
  let count = 0;
  const line = async () => {
    while (count < most && Atomics.load(done, 1) === 0) await client.run(count++, { name: 'leaf' });
  };
  await Promise.all(Array.from({ length: 50 }, line));
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
  return count
}`

function poolOf(t) {
  const pool = new WorkerPool(MODULE, { maxWorkers: 2 })
  t.after(() => pool.destroy())
  const cells = new Int32Array(new SharedArrayBuffer(8))
  return { pool, cells }
}

const spin = (milliseconds) => {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

test('what it has not been told of is bounded, and it is told of all', { timeout: 60_000 }, async (t) => {
  const { pool, cells } = poolOf(t)
  let told = 0
  let most = 0
  pool.on('task-complete', () => {
    if (++told % 500 === 0) most = Math.max(most, pool.stats().tasksCompleted - told)
    spin(0.05)
  })
  const task = pool.run([20_000, cells])
  assert.equal(await task, 20_000)
  await pool.close()
  assert.equal(told, 20_000 + 1)
  // What is on its way, and what a worker tells of at a time, comes on top.
  assert.ok(most < 8000, `${most}`)
})

test('the tasks go on, slowly, while it does not listen at all', { timeout: 60_000 }, async (t) => {
  const { pool, cells } = poolOf(t)
  let told = 0
  pool.on('task-complete', () => told++)
  const task = pool.run([5000, cells])
  Atomics.wait(cells, 0, 0)
  assert.equal(told, 0)
  assert.equal(await task, 5000)
  await pool.close()
  assert.equal(told, 5000 + 1)
})

test('a pool that is destroyed does not tell of them', { timeout: 60_000 }, async (t) => {
  const { pool, cells } = poolOf(t)
  let told = 0
  pool.on('task-complete', () => {
    told++
    spin(0.2)
  })
  const task = pool.run([Number.POSITIVE_INFINITY, cells])
  while (pool.stats().tasksCompleted - told < 1000) await setTimeout(5)
  const before = told
  await Promise.all([pool.destroy(), assert.rejects(task)])
  assert.ok(told - before < 500, `${told - before} more`)
})

test('a pool that was destroyed while it was told of tasks counts each of them once', { timeout: 60_000 }, async () => {
  for (let round = 0; round < 30; round++) {
    const pool = new WorkerPool(MODULE, { maxWorkers: 2 })
    const cells = new Int32Array(new SharedArrayBuffer(8))
    let added = 0
    const enough = new Promise((resolve) => {
      pool.on('task-added', () => ++added === 200 + 20 * round && resolve())
    })
    pool.on('task-complete', () => {})
    const task = pool.run([1_000_000, cells]).catch(({ code }) => code)
    await enough
    await pool.destroy()
    assert.equal(await task, 'ERR_THREADMILL_POOL_CLOSED')
    const { tasksAdmitted, tasksCompleted, tasksErrored } = pool.stats()
    assert.deepEqual([pool.isIdle, tasksCompleted + tasksErrored], [true, tasksAdmitted], `round ${round}`)
  }
})
