// Tasks that are measured to be tiny are taken several at a time, and still wait until they begin (J11).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from '../../dist/index.js'
import { rejection, until } from '../helpers/pool.mjs'

const [BLOCK, CRASH, GATE] = [100, 101, 102]

/** Counts its calls by input in shared memory; some inputs make it wait for a gate, or end the worker. */
const code = `
  import { workerData } from 'node:worker_threads'
  const counts = new Int32Array(workerData)
  export default function (input) {
    if (input < 0) return input
    Atomics.add(counts, input, 1)
    if (input === ${CRASH}) process.exit(1)
    if (input === ${BLOCK}) Atomics.wait(counts, ${GATE}, 0)
    return input
  }
  let running = 0
  export async function alone() {
    running++
    await null
    const most = running
    running--
    return most
  }`
const module = `data:text/javascript,${encodeURIComponent(code)}`

/** A pool of one worker that has found out that its tasks are tiny. */
async function quick(options) {
  const counts = new Int32Array(new SharedArrayBuffer(4 * 128))
  const pool = new WorkerPool(module, { maxWorkers: 1, workerData: counts.buffer, ...options })
  await Promise.all(Array.from({ length: 200 }, () => pool.run(-1)))
  const open = () => {
    Atomics.store(counts, GATE, 1)
    Atomics.notify(counts, GATE)
  }
  return { pool, counts, open }
}

/** Tasks for these inputs, submitted in one turn. */
function submit(pool, inputs) {
  // The first one of a turn goes alone while the worker is idle.
  pool.run(-1)
  return inputs.map((input) => pool.addTask(input))
}

describe('what is taken ahead still waits', () => {
  test('it can be cancelled while the worker is at another task, and never runs then', async () => {
    const { pool, counts, open } = await quick()
    const [blocked, first, second] = submit(pool, [BLOCK, 1, 2])
    await until(() => counts[BLOCK] === 1)
    assert.equal(first.worker, undefined)
    assert.equal(first.cancel(), true)
    assert.equal((await rejection(first)).code, 'ERR_THREADMILL_CANCELLED')
    open()
    assert.deepEqual([await blocked, await second], [BLOCK, 2])
    await pool.close()
    assert.deepEqual([...counts.subarray(0, 3)], [0, 0, 1])
  })

  test('another worker takes it', async () => {
    const { pool, counts, open } = await quick({ maxWorkers: 2, taskPerWorker: 1000 })
    const [blocked, ...others] = submit(pool, [BLOCK, 1, 2, 3, 4, 5])
    await until(() => counts[BLOCK] === 1)
    pool.resizeUpTo(2)
    assert.deepEqual(await Promise.all(others), [1, 2, 3, 4, 5])
    assert.ok(others.every((task) => task.worker.id === 1))
    open()
    assert.equal(await blocked, BLOCK)
    await pool.close()
    assert.deepEqual([...counts.subarray(0, 6)], [0, 1, 1, 1, 1, 1])
  })

  test('it yields to a higher priority', async () => {
    const { pool, counts, open } = await quick()
    const ended = []
    const [blocked, ...others] = submit(pool, [BLOCK, 1, 2])
    await until(() => counts[BLOCK] === 1)
    const urgent = pool.addTask(3, { priority: 1 })
    // To tell that, it has to be in the queue.
    assert.equal(urgent.worker, undefined)
    for (const task of [...others, urgent]) task.then((output) => ended.push(output))
    open()
    await Promise.all([blocked, ...others, urgent])
    assert.equal(ended[0], 3)
    await pool.close()
  })

  test('it outlives its worker', async () => {
    const { pool, counts } = await quick()
    const [crashed, ...others] = submit(pool, [CRASH, 1, 2, 3])
    assert.equal((await rejection(crashed)).code, 'ERR_THREADMILL_WORKER_CRASHED')
    assert.deepEqual(await Promise.all(others), [1, 2, 3])
    await pool.close()
    assert.deepEqual([...counts.subarray(0, 4)], [0, 1, 1, 1])
  })

  test('dispose rejects it', async () => {
    const { pool, counts, open } = await quick()
    const [blocked, ...others] = submit(pool, [BLOCK, 1, 2])
    await until(() => counts[BLOCK] === 1)
    const reasons = Promise.all(others.map(rejection))
    const disposed = pool.dispose()
    for (const { code } of await reasons) assert.equal(code, 'ERR_THREADMILL_POOL_CLOSED')
    open()
    assert.equal(await blocked, BLOCK)
    await disposed
    assert.deepEqual([...counts.subarray(0, 3)], [0, 0, 0])
  })
})

test('a task that has ended costs no other its worker when it is given up before its answer was handed over', async () => {
  const { pool, counts, open } = await quick({ cancelGrace: 0 })
  let given = 0
  // Its answer is handed over first where the next one begins late.
  for (let round = 0; given === 0 && round < 200; round++) {
    counts.fill(0)
    const [first, blocked] = submit(pool, [1, BLOCK])
    await until(() => counts[BLOCK] === 1)
    assert.equal(counts[1], 1)
    if (first.cancel()) {
      given++
      assert.equal((await rejection(first)).code, 'ERR_THREADMILL_CANCELLED')
      // What the pool does about it, it has done when it hears of this.
      await pool.kernels.echo(1)
    }
    open()
    assert.equal(await blocked, BLOCK)
    assert.equal(counts[BLOCK], 1)
  }
  assert.equal(given, 1)
  await pool.close()
})

test('tasks that go on in the background do not overlap', async () => {
  const { pool } = await quick()
  for (let round = 0; round < 5; round++) {
    const outputs = await Promise.all(Array.from({ length: 100 }, () => pool.run(0, { name: 'alone' })))
    assert.ok(outputs.every((most) => most === 1))
  }
  await pool.close()
})

test('each of many tasks runs once, whatever becomes of the others', async () => {
  const { pool, counts } = await quick({ maxWorkers: 2 })
  const outcomes = []
  for (let round = 0; round < 200; round++) {
    const tasks = Array.from({ length: 20 }, () => pool.addTask(1))
    const cancelled = tasks.filter((task, index) => index % 3 === round % 3 && task.cancel())
    for (const task of cancelled) assert.equal((await rejection(task)).code, 'ERR_THREADMILL_CANCELLED')
    outcomes.push(...(await Promise.allSettled(tasks)).map(({ status }) => status))
  }
  const fulfilled = outcomes.filter((status) => status === 'fulfilled').length
  await pool.close()
  // One that had begun when it was given up has run as well.
  assert.ok(counts[1] >= fulfilled && counts[1] <= outcomes.length, `${counts[1]} calls, ${fulfilled} outputs`)
})
