// Tasks on the thread that owns the pool.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { test } from 'node:test'
import { isMainThread, Worker } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { rejection, until } from '../helpers/pool.mjs'
import { log, workerEntrypoint } from './fixtures/main.mjs'

const MAIN = new URL('./fixtures/main.mjs', import.meta.url)

test('they run here, with the very input and output, after onWorkerStart and before onWorkerExit', async () => {
  const pool = new WorkerPool(MAIN, { maxWorkers: 1 })
  const heard = []
  pool.onMessage('started', (contents, origin) => heard.push(`started ${contents} ${origin}`))
  pool.onMessage('exited', (contents, origin) => heard.push(`exited ${contents} ${origin}`))
  log.length = 0
  const input = { a: 1 }
  for (const options of [{ mainThread: true }, { workerAffinity: 'main' }, { workerAffinity: -1 }]) {
    const task = pool.addTask(input, { ...options, affinityStrength: 'light' })
    const output = await task
    assert.deepEqual([output.isMainThread, output.id, output.started], [true, -1, 1])
    assert.equal(output.input, input)
    assert.deepEqual([task.worker.id, String(task.worker), task.worker.lane], [-1, '-1', 'js'])
    assert.ok(task.taskCost >= 0)
  }
  assert.deepEqual(pool.workers, [], 'no worker was launched for them')
  assert.equal(await pool.run(() => isMainThread, { mainThread: true }), true)
  assert.equal(await pool.run('x', { mainThread: true, name: 'other' }), 'other x')
  pool.postMessageToWorkers('hi', 'there')
  assert.equal((await pool.run(1)).isMainThread, false, 'others run in a worker')
  await pool.close()
  assert.deepEqual(log, ['start', 'there', 'exit'])
  assert.deepEqual(
    heard,
    ['started -1 -1', 'started 0 0', 'exited -1 -1', 'exited 0 0'].sort((a, b) => heard.indexOf(a) - heard.indexOf(b)),
  )
  assert.equal(heard.length, 4)
})

test('workerConcurrency holds, priority and order too', async () => {
  for (const workerConcurrency of [1, 3]) {
    const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, maxWorkers: 1, workerConcurrency })
    let open
    const wait = new Promise((resolve) => {
      open = resolve
    })
    const running = Array.from({ length: 5 }, () => pool.run({ wait }, { mainThread: true }))
    const order = []
    const later = [1, 2, 3].map((n) =>
      pool.run(() => order.push(n), { mainThread: true, priority: n === 3 ? 'high' : 'normal' }),
    )
    // The first ones have begun when a turn of the event loop has passed.
    await new Promise((resolve) => setTimeout(resolve, 20))
    open()
    await Promise.all([...running, ...later])
    assert.deepEqual(order, [3, 1, 2])
    assert.equal(pool.stats().tasksCompleted, 8)
    await pool.close()
  }
})

test('failures of every kind reject; a plain value is fine', async () => {
  const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint })
  const on = { mainThread: true }
  const own = new RangeError('mine')
  assert.equal(await rejection(pool.run({ fail: own }, on)), own)
  assert.equal(await rejection(pool.run({ fail: '' }, on)), '')
  const thrower = () => {
    throw own
  }
  assert.equal(await rejection(pool.run(thrower, on)), own)
  assert.equal(await pool.run(() => 5, on), 5)
  // biome-ignore lint/suspicious/noThenProperty: the point of it
  const thenable = { then: (ok) => ok(6) }
  assert.equal(await pool.run(() => thenable, on), 6)
  assert.throws(() => pool.addTask(1, { mainThread: 1 }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  assert.throws(() => pool.addTask(1, { workerAffinity: 'Main' }), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
  await pool.close()
})

test('they are cancelled, time out and end with the pool like others', async () => {
  const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint })
  const on = { mainThread: true }
  const never = new Promise(() => {})
  const running = pool.addTask({ wait: never }, on)
  const waiting = pool.addTask(1, on)
  assert.equal((await rejection(pool.run({ wait: never }, { ...on, timeout: 20 }))).code, 'ERR_THREADMILL_TIMEOUT')
  assert.equal(waiting.cancel('no'), true)
  assert.equal(await rejection(waiting), 'no')
  const controller = new AbortController()
  const aborted = pool.run(1, { ...on, signal: controller.signal })
  controller.abort('stop')
  assert.equal(await rejection(aborted), 'stop')
  const last = pool.addTask(2, on)
  const ended = pool.destroy()
  assert.equal((await rejection(running)).code, 'ERR_THREADMILL_POOL_CLOSED')
  assert.equal((await rejection(last)).code, 'ERR_THREADMILL_POOL_CLOSED')
  await ended
})

test('one that was given up and does not end holds up no other, once its grace is over', async () => {
  const on = { mainThread: true }
  for (const [cancelGrace, options] of [
    [0, on],
    [20, on],
    [Number.POSITIVE_INFINITY, { ...on, cancelGrace: 0 }],
  ]) {
    const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, cancelGrace })
    let open
    const wait = new Promise((resolve) => {
      open = resolve
    })
    const ended = []
    pool.on('task-complete', (error) => ended.push(error?.code))
    let hasBegun = false
    const stuck = pool.addTask(() => {
      hasBegun = true
      return wait
    }, options)
    await until(() => hasBegun)
    stuck.cancel()
    assert.equal((await rejection(stuck.then())).code, 'ERR_THREADMILL_CANCELLED')
    assert.equal((await pool.run(1, on)).input, 1)
    // It ends after all, and nobody hears of it.
    open()
    assert.equal((await pool.run(2, on)).input, 2)
    assert.deepEqual(ended, ['ERR_THREADMILL_CANCELLED', undefined, undefined])
    const { tasksCompleted, tasksErrored, busyWorkers } = pool.stats()
    assert.deepEqual([tasksCompleted, tasksErrored, busyWorkers], [2, 1, 0])
    await pool.close()
  }
})

test('one that was given up and has its grace is waited for', async () => {
  const on = { mainThread: true }
  for (const [cancelGrace, options] of [
    [Number.POSITIVE_INFINITY, on],
    [0, { ...on, cancelGrace: 2 ** 31 - 1 }],
  ]) {
    const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, cancelGrace })
    const order = []
    let open
    const wait = new Promise((resolve) => {
      open = resolve
    })
    let signal
    const first = pool.addTask(async (client) => {
      signal = client.signal
      await wait
      order.push('first')
    }, options)
    await until(() => signal !== undefined)
    first.cancel()
    const next = pool.run(() => order.push('next'), on)
    await assert.rejects(first.then(), { code: 'ERR_THREADMILL_CANCELLED' })
    await until(() => signal.aborted)
    assert.deepEqual(order, [])
    open()
    await next
    assert.deepEqual(order, ['first', 'next'])
    await pool.close()
  }
})

test('the end of the pool does not wait for one that was given up', async () => {
  const pool = new WorkerPool({ threads: 1 })
  let hasBegun = false
  const body = () => {
    hasBegun = true
    return new Promise(() => {})
  }
  const task = pool.addTask(body, { mainThread: true })
  await until(() => hasBegun)
  task.cancel()
  assert.equal((await rejection(task)).code, 'ERR_THREADMILL_CANCELLED')
  await pool.close()
})

test('an onWorkerExit that has returned leaves no timer', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, disposeTimeout: 60_000 })
  await pool.run(1, { mainThread: true })
  await pool.close()
  assert.ok(timers() <= before)
})

test('a module that cannot be used fails these tasks, and only these', async () => {
  const source = `import { isMainThread } from 'node:worker_threads';
    export const workerEntrypoint = (input) => input;
    workerEntrypoint.onWorkerStart = () => { if (isMainThread) throw new Error('not here') }`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
  const error = await rejection(pool.run(1, { mainThread: true }))
  assert.deepEqual(
    [error.code, /^onWorkerStart of entry module .* failed: not here$/.test(error.message)],
    ['ERR_THREADMILL_ENTRY', true],
  )
  assert.equal((await rejection(pool.run(1, { mainThread: true }))).code, 'ERR_THREADMILL_ENTRY')
  assert.equal(await pool.run(1), 1)
  await pool.close()
})

test('a pool without a module calls the function that it is given', async () => {
  const pool = new WorkerPool({ threads: 1 })
  assert.equal(await pool.run((client) => client.id, { mainThread: true }), -1)
  const digest = await pool.addTask(async (client) => client.kernels.sha256('a'), { workerAffinity: 'main' })
  assert.match(digest, /^[0-9a-f]{64}$/)
  assert.equal((await rejection(pool.run(1, { mainThread: true }))).code, 'ERR_THREADMILL_INVALID_ARG_TYPE')
  await pool.close()
})

test('tasks that they add do not deadlock, and have no affinity', async () => {
  const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, maxWorkers: 1 })
  const nested = async (client) => {
    const here = await client.addTask((inner) => inner.id, { mainThread: true })
    const there = await client.addTask({ a: 1 })
    const promised = await client.run((inner) => inner.id, { mainThread: true })
    const refused = await client.run({ a: 1 }, { priority: 'none' }).catch((error) => error.code)
    return [here, there.id, promised, refused]
  }
  const refusal = 'ERR_THREADMILL_INVALID_ARG_VALUE'
  assert.deepEqual(await pool.run(nested, { mainThread: true }), [-1, 0, -1, refusal])
  await pool.close()
})

test('progress, messages and the async context of the call reach their task', async () => {
  const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint })
  const storage = new AsyncLocalStorage()
  const heard = []
  const body = async (client) => {
    client.progress(1, 2)
    client.postMessageToPool('note', 'text')
    client.progress(2, 2)
    await null
    return storage.getStore()
  }
  const task = storage.run('context', () => pool.addTask(body, { mainThread: true }))
  task.on('progress', ({ fraction }) => heard.push(fraction))
  task.on('message', (type, contents) => heard.push(`${type} ${contents}`))
  pool.onMessage('note', (contents, origin) => heard.push(`pool ${contents} ${origin.id}`))
  assert.equal(await task, 'context')
  assert.deepEqual(heard, [0.5, 'note text', 'pool text -1', 1])
  await pool.close()
})

test('what is marked to be moved is there itself, without the mark', async () => {
  const pool = new WorkerPool(MAIN, { entryPoint: workerEntrypoint, maxWorkers: 1 })
  const bytes = new Uint8Array(8)
  const marked = () => transfer(bytes, [bytes.buffer])
  const heard = []
  pool.onMessage('bytes', (contents) => heard.push(contents))
  const body = (client) => {
    client.onMessage('back', (contents) => heard.push(contents))
    client.postMessageToPool('bytes', marked())
    return marked()
  }
  const task = pool.addTask(body, { mainThread: true })
  task.on('message', (_type, contents) => heard.push(contents))
  assert.equal(await task, bytes)
  task.worker.postMessageToWorker('back', marked())
  await until(() => heard.length === 3)
  for (const contents of heard) assert.equal(contents, bytes)
  const given = pool.addTask(marked(), { mainThread: true })
  assert.equal(given.argument, bytes)
  assert.equal((await given).input, bytes)
  assert.equal(bytes.length, 8)
  await pool.close()
})

test('in a pool that a worker made, they run in that worker', async () => {
  const source = `
    const { WorkerPool } = require('threadmill')
    const { parentPort, threadId } = require('node:worker_threads')
    const pool = new WorkerPool()
    pool.run(() => require('node:worker_threads').threadId === threadId, { mainThread: true })
      .then(async (same) => { await pool.close(); parentPort.postMessage(same) })`
  const worker = new Worker(source, { eval: true })
  // Its last message may come with its end.
  const [[same]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  assert.equal(same, true)
})

test('messages come after the tasks before them that there is room for, and before those after them', async (t) => {
  const source = `const seen = []
    const f = (x) => (x === 'seen' ? seen.splice(0).join(' ') : void seen.push('task' + x))
    f.onWorkerStart = (client) => { client.onMessage('said', (x) => seen.push('message' + x)) }
    export default f`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  for (const options of [{ mainThread: true }, { workerAffinity: 0 }]) {
    await pool.run('seen', options)
    for (let round = 0; round < 20; round++) {
      const tasks = [pool.run(1, options)]
      pool.postMessageToWorkers('said', 2)
      tasks.push(pool.run(3, options))
      pool.postMessageToWorkers('said', 4)
      pool.postMessageToWorkers('said', 5)
      tasks.push(pool.run(6, options))
      await Promise.all(tasks)
      const seen = (await pool.run('seen', options)).split(' ')
      const without = (left) => seen.filter((name) => name !== left).join(' ')
      // There may be no room for the third yet when the fourth comes.
      assert.equal(without('task3'), 'task1 message2 message4 message5 task6')
      assert.ok(seen.indexOf('task3') > seen.indexOf('message2') && seen.indexOf('task3') < seen.indexOf('task6'))
    }
  }
})

test('messages that were sent before close() are heard before onWorkerExit', async () => {
  const pool = new WorkerPool(
    `data:text/javascript,const heard = []; const f = () => heard; f.onWorkerStart = (client) => { client.onMessage('said', (x) => heard.push(x)) }; f.onWorkerExit = () => { heard.push('exit') }; export default f`,
    { maxWorkers: 1 },
  )
  const heard = await pool.run(0, { mainThread: true })
  for (const n of [1, 2, 3]) pool.postMessageToWorkers('said', n)
  await pool.close()
  assert.deepEqual(heard, [1, 2, 3, 'exit'])
})
