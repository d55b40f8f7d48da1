// Workers of the JS lane: launching, affinity, messages, crashes, the end.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { WorkerPool } from 'threadmill'
import { Gates } from '../helpers/gates.mjs'
import { until } from '../helpers/pool.mjs'

const TASKS = new URL('./fixtures/tasks.mjs', import.meta.url)
/** Closes the pool after the test. */
function closing(t, pool) {
  t.after(() => pool.close())
  return pool
}
const fixture = (name) => new URL(`./fixtures/${name}`, import.meta.url)

test('workers are launched as tasks ask for them, up to the limit', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 3, taskPerWorker: 2 }))
  assert.equal(pool.workers.length, 0)
  const tasks = [pool.run(1), pool.run(1)]
  assert.equal(pool.workers.length, 1)
  tasks.push(pool.run(1))
  assert.equal(pool.workers.length, 2)
  for (let count = 0; count < 20; count++) tasks.push(pool.run(1))
  assert.equal(pool.workers.length, 3)
  await Promise.all(tasks)
  assert.equal(pool.workers.length, 3)
})

test('a number of workers launches them at once', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, 2))
  assert.deepEqual(
    pool.workers.map((worker) => worker.id),
    [0, 1],
  )
  assert.equal(await pool.run(2), 4)
})

test('each of n workers gets one of the first tasks, however quick they are', async (t) => {
  const raw = new URL('../sharing/fixtures/raw.cjs', import.meta.url)
  for (const [module, input] of [
    [TASKS, { do: 'who' }],
    [raw, 0],
  ]) {
    for (const workers of [4, { minWorkers: 4, maxWorkers: 4 }]) {
      const pool = closing(t, new WorkerPool(module, workers))
      const outputs = await Promise.all(Array.from({ length: 100 }, () => pool.run(input)))
      assert.equal(new Set(outputs.map(({ id, threadId }) => id ?? threadId)).size, 4)
    }
  }
  const pool = closing(t, new WorkerPool(TASKS, 3))
  const ids = []
  for (let count = 0; count < 3; count++) ids.push((await pool.run({ do: 'who' })).id)
  assert.deepEqual(ids, [0, 1, 2])
})

test('forced affinity holds, an index that cannot be is refused or ignored', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 3 }))
  const options = { workerAffinity: 2, affinityStrength: 'force' }
  const tasks = Array.from({ length: 50 }, () => pool.run({ do: 'who' }, options))
  for (const { id } of await Promise.all(tasks)) assert.equal(id, 2)
  await assert.rejects(pool.run(1, { workerAffinity: 3, affinityStrength: 'force' }), {
    code: 'ERR_THREADMILL_OUT_OF_RANGE',
  })
  assert.equal(await pool.run(1, { workerAffinity: 3 }), 2)
})

test('the same affinityKey goes to the same worker while it can', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, 3))
  await Promise.all([0, 1, 2].map((index) => pool.run(0, { workerAffinity: index, affinityStrength: 'force' })))
  const run = (affinityKey) => pool.run({ do: 'who' }, { affinityKey, affinityStrength: 'force' })
  for (const key of ['a', 'b', 'c', 'd']) {
    const ids = (await Promise.all([run(key), run(key), run(key)])).map(({ id }) => id)
    assert.equal(new Set(ids).size, 1, `${key}: ${ids}`)
  }
})

test('an idle worker takes what waits behind a long task', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, 2))
  await Promise.all([0, 1].map((index) => pool.run(0, { workerAffinity: index, affinityStrength: 'force' })))
  const order = []
  const long = pool.run({ do: 'spin', ms: 300 }, { workerAffinity: 0 }).then(() => order.push('long'))
  const short = Array.from({ length: 10 }, () => pool.run(1, { workerAffinity: 0 }).then(() => order.push('short')))
  await Promise.all([long, ...short])
  assert.equal(order.at(-1), 'long')
})

test('messages before the start wait for onWorkerStart, and come in order with tasks', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const first = pool.run(1)
  pool.postMessageToWorkers('note', 'early')
  pool.workers[0].postMessageToWorker('note', { n: 2 })
  pool.postMessageToWorkers('__proto__', 'nobody listens')
  await first
  assert.deepEqual(await pool.run({ do: 'heard' }), ['early', { n: 2 }])
  assert.throws(() => pool.postMessageToWorkers('note', () => {}), { name: 'DataCloneError' })
  assert.throws(() => pool.postMessageToWorkers(5), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
})

/** A pool of one worker, which is replaced, and the numbers that its workers share. */
function replacing(t, options) {
  const numbers = new Int32Array(new SharedArrayBuffer(16))
  const settings = { minWorkers: 1, maxWorkers: 1, disposeTimeout: 2 ** 31 - 1, ...options }
  const pool = new WorkerPool(fixture('replaced.mjs'), { workerData: numbers.buffer, ...settings })
  t.after(() => pool.destroy())
  const open = (gate) => {
    Atomics.store(numbers, gate, 1)
    Atomics.notify(numbers, gate)
  }
  return { pool, numbers, open }
}

/** Posts messages in each way there is; what is heard of them. */
function postAll(pool) {
  const [worker] = pool.workers
  worker.postMessageToWorker('note', 1)
  pool.postMessageToWorkers('note', { n: 2 })
  const bytes = new Uint8Array([3])
  worker.postMessageToWorker('note', bytes, [bytes.buffer])
  assert.equal(bytes.length, 0)
  const list = [new Uint8Array([4])]
  worker.postMessageToWorker('note', list)
  pool.postMessageToWorkers('note', list[0])
  list[0][0] = 5
  return [1, { n: 2 }, new Uint8Array([3]), [new Uint8Array([4])], new Uint8Array([4])]
}

for (const [title, recycle] of Object.entries({ tasks: { tasks: 1 }, heap: { heapBytes: 1 } })) {
  test(`messages to a worker that has been told to go are its replacement's: used up by ${title}`, async (t) => {
    const { pool, open } = replacing(t, { recycle })
    let leaving = 0
    pool.onMessage('leaving', () => leaving++)
    assert.deepEqual(await pool.run(1), [])
    await until(() => leaving === 1)
    const heard = postAll(pool)
    const next = pool.run(1)
    open(1)
    assert.deepEqual(await next, heard)
    await pool.close()
  })
}

test("messages to a worker that is ended for a task that was given up are its replacement's", async (t) => {
  const { pool, numbers, open } = replacing(t)
  const task = pool.addTask('block')
  await until(() => Atomics.load(numbers, 2) === 1)
  task.cancel()
  await assert.rejects(task.then(), { code: 'ERR_THREADMILL_CANCELLED' })
  const heard = postAll(pool)
  assert.deepEqual(await pool.run(1), heard)
  open(1)
  await pool.close()
})

test('no message to a worker that is replaced is lost, whenever it comes', async (t) => {
  const { pool, numbers, open } = replacing(t, { recycle: { tasks: 3 } })
  open(1)
  let sent = 0
  await pool.run(1)
  for (let round = 0; round < 150; round++) {
    for (let count = 0; count < 3; count++) {
      pool.workers[0].postMessageToWorker('note', sent++)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await pool.run(1)
    pool.workers[0].postMessageToWorker('note', sent++)
  }
  await pool.run(1)
  await until(() => Atomics.load(numbers, 0) >= sent)
  assert.equal(Atomics.load(numbers, 0), sent)
  await pool.close()
})

test('messages of a task arrive before its result, with their origin, and those of the hooks arrive', async () => {
  const pool = new WorkerPool(TASKS, { maxWorkers: 1 })
  const log = []
  const log2 = (type) => (contents, origin) => log.push([type, contents, origin.id])
  for (const type of ['started', 'exiting', 'error', '__proto__']) pool.onMessage(type, log2(type))
  await pool.run({ do: 'post', type: 'error', contents: [1, { two: 2 }, undefined] }).then(() => log.push('done'))
  await pool.run({ do: 'post', type: '__proto__', contents: ['x'] })
  assert.deepEqual(log, [
    ['started', 0, 0],
    ['error', 1, 0],
    ['error', { two: 2 }, 0],
    ['error', undefined, 0],
    'done',
    ['__proto__', 'x', 0],
  ])
  await pool.close()
  assert.deepEqual(log.at(-1), ['exiting', { id: 0, tasks: 2 }, 0])
})

test('a crash fails the task that ran, with cause and exit code, and no other', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const before = await pool.run({ do: 'who' })
  const crash = pool.run({ do: 'exit', code: 7 })
  const others = [pool.run(1), pool.run(2, { workerAffinity: 0, affinityStrength: 'force' })]
  const error = await crash.catch((reason) => reason)
  assert.equal(error.code, 'ERR_THREADMILL_WORKER_CRASHED')
  assert.equal(error.exitCode, 7)
  assert.deepEqual(await Promise.all(others), [2, 4])
  const after = await pool.run({ do: 'who' })
  assert.equal(after.id, 0, 'the replacement keeps the number')
  assert.notEqual(after.threadId, before.threadId)
  const uncaught = await pool.run({ do: 'uncaught' }).catch((reason) => reason)
  assert.equal(uncaught.code, 'ERR_THREADMILL_WORKER_CRASHED')
  assert.equal(uncaught.cause.message, 'out of a timer')
  assert.equal(await pool.run(3), 6)
})

test('three crashes in a row reject what waits, and the pool lives on', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const crashes = Array.from({ length: 3 }, () => pool.run({ do: 'exit', code: 1 }))
  const waiting = pool.run(1)
  for (const { reason } of await Promise.allSettled([...crashes, waiting])) {
    assert.equal(reason.code, 'ERR_THREADMILL_WORKER_CRASHED')
  }
  assert.equal(await pool.run(3), 6)
})

test('a running task can be cancelled and timed out; the worker goes on with the next', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const task = pool.addTask({ do: 'later', ms: 50, value: 1 })
  await pool.run(0, { name: 'shout' }).catch(() => {})
  const slow = pool.addTask({ do: 'later', ms: 50, value: 1 })
  while (slow.worker === undefined) await new Promise(setImmediate)
  assert.equal(slow.cancel('enough'), true)
  assert.equal(await slow.then().catch((reason) => reason), 'enough')
  assert.equal(await task, 1)
  await assert.rejects(pool.run({ do: 'later', ms: 1000, value: 1 }, { timeout: 20 }), {
    code: 'ERR_THREADMILL_TIMEOUT',
  })
  const controller = new AbortController()
  const aborted = pool.run({ do: 'later', ms: 1000 }, { signal: controller.signal })
  controller.abort(new RangeError('mine'))
  await assert.rejects(aborted, { name: 'RangeError' })
  assert.equal(await pool.run(3), 6)
})

test('close finishes everything, dispose what runs, destroy nothing', async () => {
  const closing = new WorkerPool(TASKS, { maxWorkers: 1 })
  const all = Array.from({ length: 20 }, (_, index) => closing.run(index))
  const closed = closing.close()
  await assert.rejects(closing.run(1), { code: 'ERR_THREADMILL_POOL_CLOSED' })
  assert.equal((await Promise.all(all)).at(-1), 38)
  await closed

  const gates = new Gates()
  const disposing = new WorkerPool(fixture('gates.mjs'), { maxWorkers: 1, workerData: gates.memory })
  const held = await gates.hold(disposing, 0)
  const waiting = disposing.run()
  const disposed = disposing.dispose()
  await assert.rejects(waiting, { code: 'ERR_THREADMILL_POOL_CLOSED' })
  assert.equal((await held.release()).id, 0)
  await disposed

  const destroying = new WorkerPool(TASKS, { maxWorkers: 2 })
  const lost = [destroying.run({ do: 'later', ms: 60_000 }), destroying.run(1)]
  const destroyed = destroying.destroy()
  for (const { reason } of await Promise.allSettled(lost)) assert.equal(reason.code, 'ERR_THREADMILL_POOL_CLOSED')
  await destroyed
})

test('a worker that will not go is terminated after disposeTimeout', async () => {
  const pool = new WorkerPool(fixture('stays.mjs'), { maxWorkers: 1, disposeTimeout: 50 })
  assert.equal(await pool.run('x'), 'x')
  await pool.close()
})

test('workerData is what the entry module sees', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1, workerData: { level: 3 } }))
  assert.deepEqual(await pool.run({ do: 'data' }), { level: 3 })
})

test('an idle pool lets the process end, a pending task does not', () => {
  const tasks = fileURLToPath(TASKS)
  const script = `
    const { WorkerPool } = require('threadmill')
    const pool = new WorkerPool(${JSON.stringify(tasks)}, { maxWorkers: 2 })
    pool.run({ do: 'later', ms: 100, value: 'late' }).then(console.log)`
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000, cwd })
  assert.deepEqual([child.stdout, child.stderr, child.status], ['late\n', '', 0])
})

test('a pool in a worker that is terminated at any moment', async () => {
  const code = `
    const { WorkerPool } = require('threadmill')
    const { parentPort } = require('node:worker_threads')
    const pool = new WorkerPool(${JSON.stringify(fileURLToPath(TASKS))}, { maxWorkers: 2 })
    for (let index = 0; index < 1000; index++) pool.run(index)
    pool.run(1).then(() => parentPort.postMessage('one'))
    setInterval(() => { for (let index = 0; index < 100; index++) pool.run(index) }, 0)`
  for (let round = 0; round < 5; round++) {
    const worker = new Worker(code, { eval: true })
    if (round % 2 === 0) await once(worker, 'message')
    else await once(worker, 'online')
    await worker.terminate()
  }
})
