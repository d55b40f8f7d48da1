// Shared memory in tasks: by reference both ways, atomic, and worth waiting for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool, waitAsync } from 'threadmill'

const ATOMICS = new URL('./fixtures/atomics.mjs', import.meta.url)

/** Numbers in memory of 4 KiB. */
const shared = () => new Int32Array(new SharedArrayBuffer(4096))

function poolOf(t, options) {
  const pool = new WorkerPool(ATOMICS, options)
  t.after(() => pool.destroy())
  return pool
}

/** Resolves when `workers` tasks of `wait` say that they are about to wait. */
async function waiting(numbers, index, workers) {
  for (;;) {
    const seen = Atomics.load(numbers, index + 1)
    if (seen >= workers) return
    await waitAsync(numbers, index + 1, seen)
  }
}

/** Wakes who waits at `index`: one that has said so may not have begun. */
async function wake(numbers, index, workers) {
  for (let woken = 0; woken < workers; ) {
    woken += Atomics.notify(numbers, index)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('memory of this thread is seen by tasks, and what they write is seen here', async (t) => {
  const pool = poolOf(t, { maxWorkers: 2 })
  const numbers = shared()
  numbers[0] = 123
  assert.equal(await pool.run({ do: 'add', numbers, amount: 1 }), 123)
  assert.equal(numbers[0], 124)
  numbers[5] = 7
  assert.equal(await pool.run({ do: 'add', numbers, index: 5, amount: 1 }), 7)
})

test('memory of a worker is seen here, and what is written here is seen there', async (t) => {
  const pool = poolOf(t, { maxWorkers: 1 })
  const numbers = await pool.run({ do: 'make', value: 5 })
  assert.equal(numbers[0], 5)
  Atomics.store(numbers, 0, 6)
  assert.equal(await pool.run({ do: 'read' }), 6)
})

test('workerData shares memory with every worker', async (t) => {
  const numbers = shared()
  const module = `data:text/javascript,
    import { workerData } from 'node:worker_threads';
    export default (amount, client) => Atomics.add(workerData, client.id, amount)`
  const pool = new WorkerPool(module, { maxWorkers: 2, workerData: numbers })
  t.after(() => pool.destroy())
  for (const workerAffinity of [0, 1]) await pool.run(workerAffinity + 1, { workerAffinity, affinityStrength: 'force' })
  assert.deepEqual([...numbers.subarray(0, 2)], [1, 2])
})

test('a task that is blocked in a wait is woken by another one, with the sum', async (t) => {
  const pool = poolOf(t, 2)
  const numbers = shared()
  Atomics.store(numbers, 0, 100)
  Atomics.add(numbers, 0, 50)
  const blocked = pool.run(
    { do: 'wait', numbers, index: 2, value: 0 },
    { workerAffinity: 0, affinityStrength: 'force' },
  )
  await waiting(numbers, 2, 1)
  const other = { workerAffinity: 1, affinityStrength: 'force' }
  assert.equal(await pool.run({ do: 'add', numbers, amount: 25 }, other), 150)
  // It may have said so and not have begun: then nobody is woken, and the value is what it waits for.
  while ((await pool.run({ do: 'set', numbers, index: 2, value: 0 }, other)) === 0);
  assert.equal(await blocked, 'ok')
  assert.equal(Atomics.load(numbers, 0), 175)
})

test('this thread wakes tasks that wait', async (t) => {
  const pool = poolOf(t, 3)
  const numbers = shared()
  const blocked = [0, 1].map(() => pool.run({ do: 'wait', numbers, value: 0 }))
  await waiting(numbers, 0, 2)
  await wake(numbers, 0, 2)
  assert.deepEqual(await Promise.all(blocked), ['ok', 'ok'])
})

test('what a wait ends with passes unchanged, and other tasks complete meanwhile', async (t) => {
  const pool = poolOf(t, 2)
  const numbers = shared()
  assert.equal(await pool.run({ do: 'wait', numbers, value: 5 }), 'not-equal')
  const start = performance.now()
  let ended = false
  const blocked = pool.run({ do: 'wait', numbers, value: 0, timeout: 1000 }).finally(() => {
    ended = true
  })
  await waiting(numbers, 0, 1)
  for (let round = 0; round < 20; round++) assert.equal(await pool.run({}), 'done')
  assert.equal(ended, false, 'nobody waited for the one that waits')
  assert.equal(await blocked, 'timed-out')
  assert.ok(performance.now() - start >= 990)
})

test('eight tasks count to 800,000 in one cell', async (t) => {
  const pool = poolOf(t, 4)
  const numbers = shared()
  await Promise.all(Array.from({ length: 8 }, () => pool.run({ do: 'count', numbers, rounds: 100_000 })))
  assert.equal(numbers[0], 800_000)
})

test('kernels read shared memory where it is', async (t) => {
  const pool = poolOf(t, { maxWorkers: 1 })
  const bytes = new Uint8Array(new SharedArrayBuffer(1024))
  const before = await pool.kernels.sha256(bytes)
  await pool.run({ do: 'add', numbers: new Int32Array(bytes.buffer), amount: 1 })
  assert.notEqual(await pool.kernels.sha256(bytes), before)
  assert.equal(await pool.kernels.sha256(bytes), await pool.kernels.sha256(Uint8Array.from(bytes)))
})
