// Tasks that run again after a failure.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { rejection, until } from '../helpers/pool.mjs'
import { control } from './control.mjs'

const BOTH = { limit: 2, delay: 0, on: 'both' }

/** What the pool tells of retries. */
function watch(pool) {
  const retries = []
  pool.on('retry', (task, attempt, error) => retries.push({ task, attempt, error, retries: task.retries }))
  return retries
}

test('a task whose worker crashes twice succeeds with two retries and fails with one', async (t) => {
  const { pool, numbers } = control(t, { maxWorkers: 1 })
  const retries = watch(pool)
  const task = pool.addTask({ do: 'crash', cell: 2, times: 2 }, { retries: { limit: 2, delay: 0 } })
  assert.equal(await task, 'done')
  assert.equal(task.retries, 2)
  assert.deepEqual(
    retries.map(({ attempt, retries: count, error }) => [attempt, count, error.code, error.exitCode]),
    [
      [1, 1, 'ERR_THREADMILL_WORKER_CRASHED', 7],
      [2, 2, 'ERR_THREADMILL_WORKER_CRASHED', 7],
    ],
  )
  assert.equal(retries[0].task, task)
  const error = await rejection(pool.run({ do: 'crash', cell: 4, times: 2 }, { retries: { limit: 1, delay: 0 } }))
  assert.equal(error.code, 'ERR_THREADMILL_WORKER_CRASHED')
  assert.equal(numbers[4], 2)
  assert.deepEqual([pool.stats().tasksCompleted, pool.stats().tasksErrored], [1, 1])
})

test('a poisonous task ends with its retries; the others live on', async (t) => {
  const { pool } = control(t, { maxWorkers: 2 })
  const poison = pool.run({ do: 'crash', cell: 2, times: 1e9 }, { retries: { limit: 6, delay: 0 } })
  const others = Array.from({ length: 20 }, (_, value) => pool.run({ do: 'value', value }, { retries: 10 }))
  assert.equal((await rejection(poison)).code, 'ERR_THREADMILL_WORKER_CRASHED')
  assert.deepEqual(
    await Promise.all(others),
    Array.from({ length: 20 }, (_, value) => value),
  )
})

test('an uncaught exception is the cause of the last failure', async (t) => {
  const { pool } = control(t, { maxWorkers: 1 })
  const error = await rejection(pool.run({ do: 'panic' }, { retries: { limit: 1, delay: 0 } }))
  assert.equal(error.code, 'ERR_THREADMILL_WORKER_CRASHED')
  assert.equal(error.cause.message, 'last words')
})

describe('a task that is given up before it is run again tells why its last run failed', () => {
  const FAILS = { do: 'fail', cell: 2, times: 1e9 }
  const LONG = { limit: 5, delay: 60_000, on: 'error' }

  for (const [how, code, end] of [
    ['cancelled', 'ERR_THREADMILL_CANCELLED', ({ task }) => task.cancel()],
    ['closed', 'ERR_THREADMILL_POOL_CLOSED', ({ pool }) => pool.destroy()],
  ]) {
    test(how, async (t) => {
      const { pool } = control(t, { maxWorkers: 1 })
      const task = pool.addTask(FAILS, { retries: LONG })
      const failed = rejection(task)
      const [, , reason] = await once(pool, 'retry')
      await end({ pool, task })
      const error = await failed
      assert.equal(error.code, code)
      assert.equal(error.cause.message, 'failed on purpose')
      assert.equal(error.cause, reason)
      assert.ok(!Object.keys(error).includes('cause'), 'as that of other errors')
    })
  }

  test('timed out', async (t) => {
    const { pool, numbers } = control(t, { maxWorkers: 1 })
    await pool.run({ do: 'value' })
    const error = await rejection(pool.run(FAILS, { retries: LONG, timeout: 1500 }))
    assert.equal(error.code, 'ERR_THREADMILL_TIMEOUT')
    assert.deepEqual([numbers[2], error.cause.run], [1, 1])
  })

  test('with a reason, that is what it rejects with', async (t) => {
    const { pool } = control(t, { maxWorkers: 1 })
    const task = pool.addTask(FAILS, { retries: LONG })
    const failed = rejection(task)
    await once(pool, 'retry')
    const reason = new Error('enough')
    task.cancel(reason)
    assert.equal(await failed, reason)
    assert.ok(!('cause' in reason))
  })

  test('one that has not failed has none, and not that of who had its place', async (t) => {
    const { pool } = control(t, { maxWorkers: 1 })
    const first = pool.addTask(FAILS, { retries: LONG })
    const failed = rejection(first)
    await once(pool, 'retry')
    first.cancel()
    await failed
    const second = pool.addTask({ do: 'block', cell: 4 })
    second.cancel()
    const error = await rejection(second)
    assert.deepEqual([error.code, 'cause' in error], ['ERR_THREADMILL_CANCELLED', false])
  })
})

describe('at a retry, the handle tells of the run that failed', () => {
  const source = `
    let last
    export default async (how, client) => {
      const before = client.attempt
      const end = performance.now() + 20
      while (performance.now() < end);
      await null
      if (client.attempt !== before) throw new Error('another attempt after the await')
      if (client.attempt < 2) {
        if (how === 'crash') process.exit(3)
        throw Object.assign(new Error('no'), { attempt: before })
      }
      return before
    }`
  const module = `data:text/javascript,${encodeURIComponent(source)}`

  for (const how of ['crash', 'error']) {
    for (const workerConcurrency of [1, 3]) {
      test(`${how}, ${workerConcurrency} at a time`, async (t) => {
        const pool = new WorkerPool(module, { maxWorkers: 1, workerConcurrency, retries: BOTH })
        t.after(() => pool.destroy())
        const seen = []
        pool.on('retry', ({ worker, taskCost }, attempt, error) => {
          assert.ok(taskCost >= 15, `${taskCost} ms`)
          seen.push([worker?.id, attempt, how === 'crash' ? error.worker : error.attempt])
        })
        const task = pool.addTask(how)
        assert.equal(await task, 2)
        assert.deepEqual(
          seen,
          [1, 2].map((attempt) => [0, attempt, how === 'crash' ? 0 : attempt - 1]),
        )
        assert.equal(task.worker.id, 0)
      })
    }
  }

  test('and the worker of the next run once that has begun', async (t) => {
    const gates = new Int32Array(new SharedArrayBuffer(8))
    const text = `import { workerData } from 'node:worker_threads'
      export default (input, client) => {
        if (client.attempt === 0) process.exit(1)
        Atomics.wait(workerData, 0, 0)
        return client.id
      }`
    const options = { maxWorkers: 2, workerData: gates, retries: { limit: 1, delay: 20 } }
    const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(text)}`, options)
    t.after(() => pool.destroy())
    const task = pool.addTask(1, { workerAffinity: 1, affinityStrength: 'force' })
    await once(pool, 'retry')
    assert.equal(task.worker.id, 1)
    await until(() => pool.stats().js.some(({ busy }) => busy))
    assert.equal(task.worker.id, 1)
    Atomics.store(gates, 0, 1)
    Atomics.notify(gates, 0)
    assert.equal(await task, 1)
  })

  test('on the thread that owns the pool, in sub-tasks, and outside tasks', async (t) => {
    const text = `
      export default async function f(what, client) {
        if (what === 'outer') return client.run('inner', { retries: { limit: 3, delay: 0, on: 'error' } })
        if (client.attempt < 3) throw new Error('again')
        return [client.attempt, globalThis.outside]
      }
      f.onWorkerStart = (client) => { globalThis.outside = client.attempt }`
    const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(text)}`, { maxWorkers: 1 })
    t.after(() => pool.destroy())
    const retries = { limit: 3, delay: 0, on: 'error' }
    assert.deepEqual(await pool.run('outer'), [3, 0])
    assert.deepEqual(await pool.run('inner', { retries, workerAffinity: 'main' }), [3, 0])
    const own = new WorkerPool()
    t.after(() => own.destroy())
    const attempts = []
    const flaky = (client) => {
      if (attempts.push(client.attempt) < 3) throw new Error('no')
    }
    await own.run(flaky, { mainThread: true, retries })
    assert.deepEqual(attempts, [0, 1, 2])
  })
})

test('errors are retried when asked for, in the same worker', async (t) => {
  const { pool, launched } = control(t, { maxWorkers: 1 })
  const retries = watch(pool)
  assert.equal(
    (await rejection(pool.run({ do: 'fail', cell: 2, times: 1 }, { retries: 3 }))).message,
    'failed on purpose',
  )
  assert.equal(await pool.run({ do: 'fail', cell: 3, times: 2 }, { retries: BOTH }), 'done')
  assert.deepEqual(
    retries.map(({ attempt, error }) => [attempt, error.message, error.run]),
    [
      [1, 'failed on purpose', 1],
      [2, 'failed on purpose', 2],
    ],
  )
  const error = await rejection(pool.run({ do: 'fail', cell: 4, times: 9 }, { retries: BOTH }))
  assert.deepEqual([error.message, error.run, launched.length], ['failed on purpose', 3, 1])
})

test('the pool has a default, which a task may change', async (t) => {
  const { pool } = control(t, { maxWorkers: 1, retries: { limit: 2, delay: 0, on: 'error' } })
  assert.equal(await pool.run({ do: 'fail', cell: 2, times: 2 }), 'done')
  assert.equal(await pool.addTask({ do: 'fail', cell: 3, times: 3 }, { retries: 3 }), 'done')
  assert.equal((await rejection(pool.run({ do: 'fail', cell: 4, times: 1 }, { retries: 0 }))).run, 1)
})

test('a retry waits for its delay, longer each time, and holds up nobody', async (t) => {
  const { pool } = control(t, { maxWorkers: 1 })
  const retries = watch(pool)
  const started = performance.now()
  const slow = pool.run(
    { do: 'fail', cell: 2, times: 2 },
    { retries: { limit: 2, delay: 60, backoff: 2, on: 'error' } },
  )
  assert.equal(await pool.run({ do: 'value', value: 1 }), 1)
  assert.equal(pool.isIdle, false)
  assert.equal(await slow, 'done')
  // 60 and 120; when each of them is heard of says less.
  assert.ok(performance.now() - started >= 180, `${performance.now() - started}`)
  assert.equal(retries.length, 2)
})

test('a task that waits for its retry can be cancelled, timed out, rejected and finished', async (t) => {
  const { pool } = control(t, { maxWorkers: 1 })
  const retries = watch(pool)
  const options = { retries: { limit: 1, delay: 3_600_000, on: 'error' } }
  const cancelled = pool.addTask({ do: 'fail', cell: 2, times: 1 }, options)
  await until(() => retries.length === 1)
  assert.equal(pool.stats().queueLength, 1)
  assert.equal(cancelled.cancel(), true)
  assert.equal((await rejection(cancelled)).name, 'AbortError')
  const timed = pool.run({ do: 'fail', cell: 3, times: 1 }, { ...options, timeout: 100 })
  assert.equal((await rejection(timed)).code, 'ERR_THREADMILL_TIMEOUT')
  const rejected = pool.run({ do: 'fail', cell: 4, times: 1 }, options)
  await until(() => retries.length === 3)
  const finished = pool.run({ do: 'fail', cell: 5, times: 1 }, { retries: { limit: 1, delay: 20, on: 'error' } })
  const closed = pool.close()
  assert.equal(await finished, 'done')
  const disposed = pool.dispose()
  assert.equal((await rejection(rejected)).code, 'ERR_THREADMILL_POOL_CLOSED')
  await Promise.all([closed, disposed])
})

test('inputs of every kind are sent again, but for what was moved', async (t) => {
  const { pool } = control(t, { maxWorkers: 1 })
  const shared = new SharedArrayBuffer(8)
  const date = new Date(0)
  const values = [7, 'text', new Uint8Array([1, 2]), { a: [1] }, new Map([['date', date]]), shared, 2n ** 70n]
  for (const [index, value] of values.entries()) {
    const task = pool.addTask({ do: 'fail', cell: 10 + index, times: 1, value }, { retries: BOTH })
    assert.deepEqual(await task, value)
    assert.equal(task.retries, 1)
  }
  const buffer = new ArrayBuffer(8)
  const moved = pool.run({ do: 'fail', cell: 9, times: 1, value: buffer }, { retries: BOTH, transfer: [buffer] })
  assert.equal((await rejection(moved)).run, 1)
})

test('tasks that workers submit are retried there', async (t) => {
  const source = `
    let runs = 0
    export const workerEntrypoint = (input, client) => {
      if (input === 'inner') { if (runs++ < 2) throw new Error('inner ' + runs); return runs }
      return client.addTask('inner', { retries: { limit: 2, delay: 0, on: 'error' } })
    }`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  assert.equal(await pool.run('outer'), 3)
})

test('kernels are retried too', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  const retries = watch(pool)
  const corrupt = new Uint8Array([1, 2, 3])
  const error = await rejection(pool.run(corrupt, { kernel: 'gunzip', retries: BOTH }))
  assert.equal(error.code, 'ERR_THREADMILL_CORRUPT_DATA')
  assert.deepEqual(
    retries.map(({ attempt, error: each }) => [attempt, each.code]),
    [
      [1, 'ERR_THREADMILL_CORRUPT_DATA'],
      [2, 'ERR_THREADMILL_CORRUPT_DATA'],
    ],
  )
  const once = await rejection(pool.kernels.gunzip(corrupt, { retries: { limit: 5, delay: 0, on: 'crash' } }))
  assert.equal(once.code, 'ERR_THREADMILL_CORRUPT_DATA')
  assert.equal(retries.length, 2)
})

test('kernels are retried with whatever memory they got, but for what was moved', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  const moved = new Uint8Array(100_000)
  for (const [input, retries, more] of [
    [new Uint8Array(100), 2],
    [new Uint8Array(100_000), 2],
    [new Uint8Array(new SharedArrayBuffer(100_000)), 2],
    [moved, 0, { transfer: [moved.buffer] }],
  ]) {
    const task = pool.addTask(input, { kernel: 'gunzip', retries: { ...BOTH, limit: 2 }, ...more })
    await assert.rejects(task.then())
    assert.equal(task.retries, retries)
  }
  const [sorted, shared] = [new Float64Array(10_000), new Float64Array(new SharedArrayBuffer(80_000))]
  for (const numbers of [sorted, shared]) {
    numbers[0] = 5
    assert.equal((await pool.kernels.sort(numbers, { retries: BOTH }))[9999], 5)
    assert.equal(numbers[0], 5)
  }
})

test('tasks on the owner thread are retried too', async (t) => {
  const pool = new WorkerPool()
  t.after(() => pool.destroy())
  let runs = 0
  const flaky = () => {
    if (runs++ < 2) throw new Error(`run ${runs}`)
    return runs
  }
  assert.equal(await pool.run(flaky, { mainThread: true, retries: BOTH }), 3)
})

test('an error that is marked fatal costs the worker', async (t) => {
  const { pool, numbers, exits } = control(t, { maxWorkers: 1 })
  const { threadId } = await pool.run({ do: 'where' })
  assert.equal((await rejection(pool.run({ do: 'fatal' }))).message, 'of no use any more')
  await until(() => exits.length === 1)
  assert.equal(numbers[0], 1, 'onWorkerExit has run')
  const after = await pool.run({ do: 'where' })
  assert.equal(after.id, 0)
  assert.notEqual(after.threadId, threadId)
})

for (const [retries, name, message] of [
  [-1, 'RangeError', /options\.retries/],
  [1.5, 'RangeError', /options\.retries/],
  ['1', 'TypeError', /options\.retries/],
  [null, 'TypeError', /options\.retries/],
  [{ limit: Number.NaN }, 'RangeError', /options\.retries\.limit/],
  [{ delay: -1 }, 'RangeError', /options\.retries\.delay/],
  [{ backoff: 0.5 }, 'RangeError', /options\.retries\.backoff/],
  [{ on: 'always' }, 'TypeError', /options\.retries\.on/],
  [{ limit: null }, 'TypeError', /options\.retries\.limit/],
  [{ limit: 1, delay: null }, 'TypeError', /options\.retries\.delay/],
  [{ limit: 1, backoff: null }, 'TypeError', /options\.retries\.backoff/],
  [{ limit: 1, on: null }, 'TypeError', /options\.retries\.on/],
]) {
  test(`retries ${JSON.stringify(retries)} is refused`, async (t) => {
    const { pool } = control(t)
    assert.throws(() => control(t, { retries }), { name, message })
    assert.throws(() => pool.addTask({ do: 'where' }, { retries }), { name, message })
    assert.equal(pool.isIdle, true)
  })
}

test('members of retries that are undefined are those of the pool', async (t) => {
  const { pool } = control(t, { maxWorkers: 1, retries: { limit: 2, delay: 0, on: 'error' } })
  const retries = { limit: undefined, delay: undefined, backoff: undefined, on: undefined }
  assert.equal(await pool.run({ do: 'fail', cell: 2, times: 2 }, { retries }), 'done')
})
