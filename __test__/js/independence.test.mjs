// Workers go on while the thread that made the pool is blocked. That thread counts what they do in shared memory and does
// not come back to its event loop before all is done.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { transfer, WorkerPool } from 'threadmill'
import { until } from '../helpers/pool.mjs'

const COUNT = new URL('./fixtures/count.mjs', import.meta.url)
/** Longest that this thread is blocked, ms; only a failure takes that long. */
const LIMIT = 30_000
const TASKS = 2000

/** A pool, with the counter that its tasks add to. */
function counting(t, options) {
  const memory = new SharedArrayBuffer(64)
  const pool = new WorkerPool(COUNT, { maxWorkers: 2, workerData: memory, ...options })
  t.after(() => pool.destroy())
  const [counter, gates] = [new Int32Array(memory, 0, 1), new Int32Array(memory, 4)]
  const open = (gate) => {
    Atomics.store(gates, gate, 1)
    Atomics.notify(gates, gate)
  }
  return { pool, counter, open }
}

/** The same with its workers ready and their tasks measured. */
async function warm(t, options) {
  const { pool, counter, open } = counting(t, options)
  pool.resizeUpTo(2)
  for (const workerAffinity of [0, 1]) await pool.run(0, { workerAffinity, affinityStrength: 'force' })
  await Promise.all(Array.from({ length: 50 }, () => pool.run(0)))
  Atomics.store(counter, 0, 0)
  return { pool, counter, open }
}

/** Ways to block this thread until the counter is there. */
const WAYS = {
  asleep(counter, goal) {
    const end = Date.now() + LIMIT
    for (let seen = Atomics.load(counter, 0); seen < goal; seen = Atomics.load(counter, 0)) {
      Atomics.wait(counter, 0, seen, LIMIT)
      assert.ok(Date.now() < end, `${Atomics.load(counter, 0)} of ${goal} tasks ran while this thread slept`)
    }
  },
  busy(counter, goal) {
    const end = Date.now() + LIMIT
    while (Atomics.load(counter, 0) < goal) {
      assert.ok(Date.now() < end, `${Atomics.load(counter, 0)} of ${goal} tasks ran while this thread was busy`)
    }
  },
}

const numbers = (count) => Array.from({ length: count }, (_, index) => index)

for (const [way, block] of Object.entries(WAYS)) {
  describe(`while the thread of the pool is ${way}`, () => {
    test('tasks that were submitted in this turn run', async (t) => {
      const { pool, counter } = await warm(t)
      const results = numbers(TASKS).map((index) => pool.run(index))
      block(counter, TASKS)
      assert.deepEqual(await Promise.all(results), numbers(TASKS))
    })

    test('tasks that were submitted in the turn before run', async (t) => {
      const { pool, counter } = await warm(t)
      const results = numbers(TASKS).map((index) => pool.run(index))
      await new Promise(setImmediate)
      block(counter, TASKS)
      assert.deepEqual(await Promise.all(results), numbers(TASKS))
    })

    test('workers are launched and begin', async (t) => {
      const { pool, counter } = counting(t)
      const results = numbers(20).map((index) => pool.run(index))
      assert.equal(pool.workers.length, 2)
      block(counter, 20)
      assert.deepEqual(await Promise.all(results), numbers(20))
    })
  })
}

describe('while the thread of the pool sleeps', () => {
  test('inputs of every way but the posted one', async (t) => {
    const { pool, counter } = await warm(t)
    const inputs = [
      'text',
      '\ud800',
      { a: [1] },
      [new Map([[1, 2n]])],
      new Uint8Array(8),
      new Float64Array(20_000),
      null,
    ]
    const results = numbers(50).flatMap(() => inputs.map((input) => pool.run(input)))
    WAYS.asleep(counter, results.length)
    for (const [index, output] of (await Promise.all(results)).entries()) {
      assert.deepEqual(output, inputs[index % inputs.length])
    }
  })

  test('tasks by every option: numbers, keys, priorities, names, timeouts from the start', async (t) => {
    const { pool, counter } = await warm(t)
    const options = [
      { workerAffinity: 0, affinityStrength: 'force' },
      { workerAffinity: 1, affinityStrength: 'strong' },
      { affinityKey: 'some key', affinityStrength: 'force' },
      { priority: 5 },
      { name: 'later' },
      { timeout: 60_000, timeoutFrom: 'start' },
      { key: 'work' },
      { signal: new AbortController().signal },
    ]
    const results = numbers(30).flatMap(() => options.map((each, index) => pool.run(index, each)))
    WAYS.asleep(counter, results.length)
    assert.equal((await Promise.all(results)).length, 240)
  })

  test('tasks measured to be tiny run too, but for the last that wait for the end of the turn', async (t) => {
    const { pool, counter } = await warm(t)
    for (let round = 0; round < 20; round++) await Promise.all(numbers(500).map(() => pool.run(1, { name: 'tiny' })))
    Atomics.store(counter, 0, 0)
    // 10 ms of work at most may wait: 512 tasks of 0.02 ms.
    const now = numbers(TASKS).map((index) => pool.run(index))
    WAYS.asleep(counter, TASKS - 512)
    await Promise.all(now)
    Atomics.store(counter, 0, 0)
    const before = numbers(TASKS).map((index) => pool.run(index))
    await new Promise(setImmediate)
    WAYS.asleep(counter, TASKS)
    await Promise.all(before)
  })

  test('a worker takes what waits for one that is blocked', async (t) => {
    const { pool, counter, open } = await warm(t)
    const blocked = pool.addTask(0, { name: 'block', workerAffinity: 0, affinityStrength: 'force' })
    await until(() => blocked.worker !== undefined)
    const results = numbers(100).map((index) => pool.run(index, { workerAffinity: 0 }))
    WAYS.asleep(counter, 100)
    open(0)
    assert.equal(await blocked, 'released')
    await Promise.all(results)
  })

  test('a worker goes on when the other one crashes', async (t) => {
    const { pool, counter } = await warm(t)
    const crash = pool.run(0, { name: 'crash' })
    const results = numbers(100).map((index) => pool.run(index))
    WAYS.asleep(counter, 100)
    await assert.rejects(crash, { code: 'ERR_THREADMILL_WORKER_CRASHED' })
    assert.deepEqual(await Promise.all(results), numbers(100))
  })

  test('tasks that tasks submit, down to the last', async (t) => {
    const { pool, counter } = await warm(t)
    const sum = pool.run(100, { name: 'tree' })
    WAYS.asleep(counter, 199)
    assert.equal(await sum, 100)
  })

  test('timers of a worker', async (t) => {
    const { pool, counter } = await warm(t)
    await pool.run(0, { name: 'tick' })
    WAYS.asleep(counter, Atomics.load(counter, 0) + 20)
  })

  test('an input that must be posted waits for this thread, and delays no other task', async (t) => {
    const { pool, counter } = await warm(t)
    const bytes = new Uint8Array(3)
    const moved = pool.run(transfer({ bytes }, [bytes.buffer]))
    const others = numbers(100).map((index) => pool.run(index))
    WAYS.asleep(counter, 100)
    assert.deepEqual(await moved, { bytes: new Uint8Array(3) })
    assert.deepEqual(await Promise.all(others), numbers(100))
  })
})
