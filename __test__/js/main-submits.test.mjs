// What tasks on the thread that owns the pool submit (J16 in lib/main-seat.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { rejection } from '../helpers/pool.mjs'
import { workerEntrypoint } from './fixtures/main.mjs'

const MAIN = new URL('./fixtures/main.mjs', import.meta.url)
const FULL = 'ERR_THREADMILL_QUEUE_FULL'
const CLOSED = 'ERR_THREADMILL_POOL_CLOSED'
const on = { mainThread: true }

/** A promise, and what resolves it. */
function gate() {
  let open
  const opened = new Promise((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** A task that goes on when `opened` resolves, and submits by every way. */
const submitting = (opened) => async (client) => {
  await opened
  return [
    (await client.addTask({ a: 1 })).id,
    await client.run((inner) => inner.id, on),
    await client.run(10, { kernel: 'fib' }),
    await client.addTask(10, { kernel: 'fib' }),
    await client.kernels.fib(10),
    (await client.kernels.sha256('a')).length,
  ]
}
const submitted = [0, -1, 55, 55, 55, 64]

test('a pool that closes admits it until the last task has settled', async () => {
  const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, maxWorkers: 1 })
  const { opened, open } = gate()
  let saved
  const task = pool.run((client) => {
    saved = client
    return submitting(opened)(client)
  }, on)
  const closed = pool.close()
  assert.equal((await rejection(pool.run(1, on))).code, CLOSED, 'the owner has no tasks any more')
  open()
  assert.deepEqual(await task, submitted)
  assert.equal((await rejection(saved.run(1))).code, CLOSED)
  assert.equal((await rejection(saved.addTask(10, { kernel: 'fib' }))).code, CLOSED)
  saved.addTask(1)
  assert.equal((await rejection(saved.kernels.fib(10))).code, CLOSED)
  await closed
})

test('a pool that is disposed of or destroyed refuses it', async () => {
  for (const end of ['dispose', 'destroy']) {
    const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, maxWorkers: 1 })
    const refused = gate()
    const task = pool.run(async (client) => {
      pool[end]()
      const submit = [client.run(1), client.run(1, on), client.run(10, { kernel: 'fib' }), client.kernels.fib(10)]
      const reasons = await Promise.all(submit.map((promise) => rejection(promise)))
      refused.open(reasons.map((reason) => reason.code))
    }, on)
    task.catch(() => {})
    assert.deepEqual(await refused.opened, Array(4).fill(CLOSED), end)
    await pool[end]()
  }
})

test('room is not asked for, and what has none is refused as ever', async () => {
  for (const limit of [{ capacity: 1 }, { capacityBytes: 10 }]) {
    const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, maxWorkers: 1, ...limit })
    const ended = []
    pool.on('task-complete', (_error, _result, task) => ended.push(task.id))
    const long = 'x'.repeat(100)
    const body = async (client) => {
      const outputs = await submitting(undefined)(client)
      const { input } = await client.run(long)
      const digest = await client.kernels.sha256(long)
      const refused = await rejection(pool.kernels.sha256(long))
      return [...outputs, input.length, digest.length, refused.code]
    }
    assert.deepEqual(await pool.run(body, on), [...submitted, 100, 64, FULL])
    assert.equal(new Set(ended).size, 9, 'they have events and numbers of the pool')
    assert.equal(pool.stats().tasksCompleted, 9)
    await pool.close()
  }
})
