// Tasks that are given up while they run: the signal that they get, and what becomes of their worker.
import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { blockUntil, rejection, until } from '../helpers/pool.mjs'
import { control } from './control.mjs'

test('a task that never ends is timed out, its worker replaced, and the next one runs on a new thread', async (t) => {
  const { pool } = control(t, { maxWorkers: 1 })
  const { threadId } = await pool.run({ do: 'where' })
  const stuck = pool.run({ do: 'block', cell: 2 }, { timeout: 200 })
  const error = await rejection(stuck)
  assert.deepEqual([error.name, error.code, error.message], ['TimeoutError', 'ERR_THREADMILL_TIMEOUT', 'Task timeout'])
  const after = await pool.run({ do: 'where' })
  assert.equal(after.id, 0)
  assert.notEqual(after.threadId, threadId)
})

test('with a grace a task that heeds its signal keeps its worker', async (t) => {
  const { pool, numbers, launched } = control(t, { maxWorkers: 1 })
  const messages = []
  pool.onMessage('aborted', (contents) => messages.push(contents))
  const { threadId } = await pool.run({ do: 'where' })
  const timed = pool.run({ do: 'heed', cell: 2 }, { timeout: 50, cancelGrace: 60_000 })
  assert.equal((await rejection(timed)).code, 'ERR_THREADMILL_TIMEOUT')
  assert.equal((await pool.run({ do: 'where' })).threadId, threadId)
  const cancelled = pool.addTask({ do: 'heed', cell: 4 }, { cancelGrace: Number.POSITIVE_INFINITY })
  await until(() => numbers[4] === 1)
  assert.equal(cancelled.cancel(new Error('mine')), true)
  assert.equal((await rejection(cancelled)).message, 'mine')
  assert.equal((await pool.run({ do: 'where' })).threadId, threadId)
  await until(() => messages.length === 2)
  assert.deepEqual(messages, [
    { name: 'TimeoutError', code: 'ERR_THREADMILL_TIMEOUT' },
    { name: 'AbortError', code: 'ERR_THREADMILL_CANCELLED' },
  ])
  assert.deepEqual([numbers[3], numbers[5], launched.length], [1, 1, 1])
})

test('after the grace the worker of a task that goes on is ended', async (t) => {
  const { pool, numbers, exits } = control(t, { maxWorkers: 1, cancelGrace: 30 })
  const { threadId } = await pool.run({ do: 'where' })
  const controller = new AbortController()
  const stuck = pool.run({ do: 'block', cell: 2 }, { signal: controller.signal })
  await until(() => numbers[2] === 1)
  controller.abort()
  assert.equal((await rejection(stuck)).name, 'AbortError')
  await until(() => exits.length === 1)
  assert.notEqual((await pool.run({ do: 'where' })).threadId, threadId)
})

test('with an endless grace the worker stays, and others are launched beside it', async (t) => {
  const { pool, numbers, exits } = control(t, { maxWorkers: 2, cancelGrace: Number.POSITIVE_INFINITY })
  const stuck = pool.addTask({ do: 'block', cell: 2 })
  await until(() => numbers[2] === 1)
  assert.equal(stuck.cancel(), true)
  await rejection(stuck)
  assert.equal((await pool.run({ do: 'where' })).id, 1)
  assert.deepEqual(exits, [])
  Atomics.store(numbers, 3, 1)
  Atomics.notify(numbers, 3)
  assert.equal((await pool.run({ do: 'where' }, { workerAffinity: 0, affinityStrength: 'force' })).id, 0)
})

test('so are they for tasks that wait already', async (t) => {
  const grace = Number.POSITIVE_INFINITY
  const { pool, numbers, launched } = control(t, { maxWorkers: 2, taskPerWorker: 10, cancelGrace: grace })
  const stuck = pool.addTask({ do: 'block', cell: 2 })
  await until(() => numbers[2] === 1)
  const waiting = pool.addTask({ do: 'value', value: 'waited' })
  assert.deepEqual(launched, [0])
  stuck.cancel()
  await rejection(stuck)
  assert.equal(await waiting, 'waited')
  assert.equal(waiting.worker.id, 1)
  Atomics.store(numbers, 3, 1)
  Atomics.notify(numbers, 3)
})

test('what runs beside a task that was given up runs again elsewhere; what was moved cannot', async (t) => {
  const { pool, numbers } = control(t, { maxWorkers: 1, workerConcurrency: 4 })
  const began = []
  pool.onMessage('began', (value) => began.push(value))
  assert.equal((await rejection(pool.run({ do: 'panic' }))).cause.message, 'last words')
  const other = pool.run({ do: 'linger', cell: 2, value: 'other' })
  // Has to be posted, and is copied.
  const key = createSecretKey(Buffer.from('secret'))
  const posted = pool.run({ do: 'linger', cell: 2, value: 'posted', key })
  const bytes = new Uint8Array([1, 2, 3])
  const moved = pool.run({ do: 'linger', cell: 2, value: bytes }, { transfer: [bytes.buffer] })
  const stuck = pool.addTask({ do: 'linger', cell: 4, value: 'stuck' })
  await until(() => numbers[2] === 3 && numbers[4] === 1)
  assert.equal(stuck.cancel(), true)
  assert.equal((await rejection(stuck)).name, 'AbortError')
  const error = await rejection(moved)
  assert.equal(error.code, 'ERR_THREADMILL_WORKER_CRASHED')
  assert.equal(error.cause, undefined, 'that of the crash before is none')
  await until(() => numbers[2] === 5)
  Atomics.store(numbers, 3, 1)
  Atomics.notify(numbers, 3)
  assert.deepEqual(await Promise.all([other, posted]), ['other', 'posted'])
  for (const each of ['other', 'posted']) assert.equal(began.filter((value) => value === each).length, 2)
})

test('a time from the start counts anew for what runs again for the sake of another task', async (t) => {
  const { pool, numbers } = control(t, { maxWorkers: 1, workerConcurrency: 2 })
  const limit = 4000
  const other = pool.run({ do: 'linger', cell: 2, value: 'other' }, { timeout: limit, timeoutFrom: 'start' })
  const stuck = pool.addTask({ do: 'linger', cell: 4, value: 'stuck' })
  const given = rejection(stuck)
  await until(() => numbers[2] === 1 && numbers[4] === 1)
  const begun = performance.now()
  await until(() => performance.now() > begun + limit / 2)
  stuck.cancel()
  assert.equal((await given).name, 'AbortError')
  // The time of the first run is over now, and half of that of the second one.
  await until(() => numbers[2] === 2 && performance.now() > begun + limit)
  Atomics.store(numbers, 3, 1)
  Atomics.notify(numbers, 3)
  assert.equal(await other, 'other')
})

test('a queued task times out on time and never runs', async (t) => {
  const { pool, numbers } = control(t, { maxWorkers: 1 })
  const running = pool.run({ do: 'block', cell: 2 })
  await until(() => numbers[2] === 1)
  const queued = pool.run({ do: 'fail', cell: 4, times: 0 }, { timeout: 30 })
  assert.equal((await rejection(queued)).code, 'ERR_THREADMILL_TIMEOUT')
  Atomics.store(numbers, 3, 1)
  Atomics.notify(numbers, 3)
  assert.equal(await running, 'released')
  await pool.run({ do: 'where' })
  assert.equal(numbers[4], 0)
})

test('a task on the owner thread gets the signal too', async (t) => {
  const pool = new WorkerPool()
  t.after(() => pool.destroy())
  let signal
  const task = pool.addTask(
    (client) =>
      new Promise((resolve) => {
        signal = client.signal
        signal.addEventListener('abort', resolve)
      }),
    { mainThread: true },
  )
  await until(() => signal !== undefined)
  assert.equal(task.cancel(), true)
  await rejection(task)
  await until(() => signal.aborted)
  assert.equal(signal.reason.code, 'ERR_THREADMILL_CANCELLED')
})

test('a signal outside of a task is never aborted, and each task has its own', async (t) => {
  const { pool, numbers } = control(t, { maxWorkers: 1, workerConcurrency: 2 })
  const first = pool.addTask({ do: 'heed', cell: 2 }, { cancelGrace: 60_000 })
  const second = pool.addTask({ do: 'heed', cell: 4 }, { cancelGrace: 60_000 })
  await until(() => numbers[2] === 1 && numbers[4] === 1)
  assert.equal(first.cancel(), true)
  await rejection(first)
  await until(() => numbers[3] === 1)
  assert.equal(numbers[5], 0)
  assert.equal(second.cancel(), true)
  await rejection(second)
  await until(() => numbers[5] === 1)
})

for (const [value, name] of [
  [-1, 'RangeError'],
  [Number.NaN, 'RangeError'],
  ['1', 'TypeError'],
  [2 ** 31, 'RangeError'],
]) {
  test(`cancelGrace ${String(value)} is refused`, async (t) => {
    const { pool } = control(t)
    assert.throws(() => control(t, { cancelGrace: value }), { name })
    assert.throws(() => pool.addTask({ do: 'where' }, { cancelGrace: value }), {
      name,
      message: /options\.cancelGrace/,
    })
  })
}

test('a task that begins while its worker is about to be ended is left alone', async (t) => {
  const { pool, numbers, exits } = control(t, { maxWorkers: 1 })
  const { native } = createRequire(import.meta.url)('../../dist/native-owner.js')
  const { runsTask } = native
  t.after(() => Object.assign(native, { runsTask }))
  let asked = 0
  native.runsTask = (...args) => {
    const runs = runsTask(...args)
    if (++asked === 1) {
      // The task that was given up ends now, and the next one begins.
      Atomics.store(numbers, 3, 1)
      Atomics.notify(numbers, 3)
      blockUntil(() => numbers[4] === 1)
    }
    return runs
  }
  const late = pool.addTask({ do: 'linger', cell: 2 })
  const next = pool.run({ do: 'block', cell: 4 })
  await until(() => numbers[2] === 1)
  late.cancel()
  assert.equal((await rejection(late)).code, 'ERR_THREADMILL_CANCELLED')
  await until(() => asked > 0)
  Atomics.store(numbers, 5, 1)
  Atomics.notify(numbers, 5)
  assert.equal(await next, 'released')
  await until(() => exits.length === 1)
  assert.equal(await pool.run({ do: 'value', value: 1 }), 1)
})

test('a signal that aborts where its task is told of as ended means no other task', async (t) => {
  const kernels = new WorkerPool({ threads: 1 })
  const pool = new WorkerPool('data:text/javascript,export default (input) => input', { maxWorkers: 1 })
  t.after(() => Promise.all([kernels.close(), pool.close()]))
  // A number; a value that goes by way of a port; a kernel; one that fails.
  const cases = [
    [pool, 1, {}],
    [pool, new Blob(['x']), {}],
    [kernels, 1, { kernel: 'fib' }],
    [kernels, new Uint8Array(8), { kernel: 'gunzip' }],
  ]
  for (const [host, input, options] of cases) {
    const controller = new AbortController()
    let others
    host.once('task-complete', () => {
      // One of them gets the place that the task had.
      others = Array.from({ length: 64 }, () => host.run(2, host === kernels ? { kernel: 'fib' } : {}))
      controller.abort(new Error('of the first task'))
    })
    await Promise.allSettled([host.run(input, { ...options, signal: controller.signal })])
    assert.deepEqual(await Promise.all(others), Array(64).fill(host === kernels ? 1 : 2))
  }
})

test('a cancel that comes while a worker takes the task over is not lost', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  let lost = 0
  // The moment is short: one cancel in some thousands met it.
  for (let round = 0; round < 30_000; round++) {
    const task = pool.addTask(60, { kernel: 'fib' })
    task.catch(() => {})
    // It is handed over after some microtasks, and a worker wakes up some microseconds later.
    for (let turn = 0; turn < 6; turn++) await undefined
    const until = performance.now() + (round % 120) / 1000
    while (performance.now() < until);
    if (!task.cancel()) lost++
    if (round % 200 === 0) await new Promise(setImmediate)
  }
  assert.equal(lost, 0)
})

test('a kernel that is given up has run until then, on that worker', async (t) => {
  const { pool } = control(t, {})
  for (const end of ['cancel', 'timeout']) {
    const task = pool.addTask(60, { kernel: 'fib', ...(end === 'timeout' ? { timeout: 2000 } : {}) })
    const failed = rejection(task)
    await until(() => pool.stats().native[0].running.includes('fib'))
    const seen = performance.now()
    if (end === 'cancel') {
      blockUntil(() => performance.now() - seen > 5)
      task.cancel()
    }
    await failed
    const elapsed = performance.now() - seen
    assert.deepEqual([task.worker.lane, task.worker.id], ['native', 0])
    assert.ok(task.taskCost > 4 && task.taskCost < elapsed + 2000, `${end}: ${task.taskCost} of ${elapsed} ms`)
    await until(() => pool.stats().abandoned === 0)
  }
})
