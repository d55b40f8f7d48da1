// Events of a pool: what comes, in which order, and what listeners may do.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { WorkerPool } from 'threadmill'

const TASKS = new URL('./fixtures/tasks.mjs', import.meta.url)
const moduleOf = (source) => `data:text/javascript,${encodeURIComponent(source)}`
const cwd = fileURLToPath(new URL('../..', import.meta.url))

function closing(t, pool) {
  t.after(() => pool.close())
  return pool
}

test('one task: launched, added, complete, idle, in this order', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const log = []
  pool.on('worker-launched', (worker) => log.push(`launched ${worker}`))
  pool.on('task-added', (task) => log.push(`added ${task.id} ${task.argument}`))
  pool.on('task-complete', (error, result, task) => {
    log.push(`complete ${task.id} ${error} ${result} ${pool.isIdle} ${task.worker} ${task.taskCost >= 0}`)
  })
  const promise = pool.run(21)
  log.push('called')
  const idle = pool.whenIdle().then(() => log.push('idle'))
  promise.then((value) => log.push(`awaited ${value}`))
  await idle
  assert.deepEqual(log, [
    'launched 0',
    'added 0 21',
    'called',
    'complete 0 undefined 42 true 0 true',
    'awaited 42',
    'idle',
  ])
})

test('every task completes once for the listeners, kernels too, and a task added there delays idle', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 2 }))
  const seen = new Map()
  pool.on('task-complete', (error, _result, task) => {
    seen.set(task.id, (seen.get(task.id) ?? 0) + 1)
    if (task.id === 20) pool.addTask(1)
    if (task.argument?.do === 'throw') assert.equal(error.message, 'no')
  })
  for (let index = 0; index < 10; index++) {
    pool.addTask(index === 3 ? { do: 'throw', message: 'no' } : index)
    pool.run(index, { kernel: 'fib' })
  }
  pool.run({ bytes: new Uint8Array(new SharedArrayBuffer(4)) })
  await pool.whenIdle()
  assert.equal(seen.size, 22)
  assert.ok([...seen.values()].every((count) => count === 1))
})

test('failures that a listener saw are no unhandled rejections, falsy reasons come as errors', () => {
  const script = `
    const { WorkerPool } = require('threadmill')
    const pool = new WorkerPool(${JSON.stringify(fileURLToPath(TASKS))}, { maxWorkers: 1 })
    pool.on('task-complete', (error) => console.log(error instanceof Error, 'reason' in error, error.reason))
    for (const value of [undefined, 0, '']) pool.run({ do: 'throw value', value })
    pool.run({ do: 'throw', message: 'seen' })`
  const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000, cwd })
  const expected = 'true true undefined\ntrue true 0\ntrue true \ntrue false undefined\n'
  assert.deepEqual([child.stdout, child.stderr, child.status], [expected, '', 0])
})

test('what a closed pool refuses is one, with a listener too: that is told of tasks only', () => {
  const script = `
    const { WorkerPool } = require('threadmill')
    process.on('unhandledRejection', ({ code }) => console.log(code))
    const pool = new WorkerPool(${JSON.stringify(fileURLToPath(TASKS))}, { maxWorkers: 1 })
    pool.on('task-complete', (error) => console.log('told', error))
    pool.close().then(() => {
      pool.addTask({ do: 'throw', message: 'x' })
      pool.run({ do: 'throw', message: 'x' })
    })`
  const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000, cwd })
  const closed = 'ERR_THREADMILL_POOL_CLOSED\n'
  assert.deepEqual([child.stdout, child.stderr, child.status], [closed + closed, '', 0])
})

test('without a listener they are', () => {
  const script = `
    const { WorkerPool } = require('threadmill')
    new WorkerPool(${JSON.stringify(fileURLToPath(TASKS))}, { maxWorkers: 1 }).run({ do: 'throw', message: 'unseen' })`
  const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000, cwd })
  assert.equal(child.status, 1)
  assert.match(child.stderr, /unseen/)
})

test('once is once, also where a listener before it makes the same happen again', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.close())
  let isFirst = true
  let other
  let calls = 0
  pool.on('task-added', () => {
    if (!isFirst) return
    isFirst = false
    other = pool.run(2, { kernel: 'fib' })
  })
  pool.once('task-added', () => calls++)
  await pool.run(1, { kernel: 'fib' })
  await other
  assert.equal(calls, 1)
})

test('once, off, and names that are no events', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 3 }))
  const log = []
  const listener = () => log.push('added')
  pool.once('task-added', listener).on('task-added', listener)
  await pool.run(1)
  pool.off('task-added', listener)
  await pool.run(1)
  assert.deepEqual(log, ['added', 'added'])
  pool.once('task-added', listener).removeListener('task-added', listener)
  await pool.run(1)
  assert.equal(log.length, 2)
  assert.throws(
    () => pool.on('finished', listener),
    ({ code, message }) => {
      assert.equal(code, 'ERR_THREADMILL_INVALID_ARG_VALUE')
      // It is taken, but never comes.
      assert.ok(message.includes("'task-added'") && !message.includes("'error'"), message)
      return true
    },
  )
  assert.throws(() => pool.on('task-added', 5), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
})

test('worker-exit tells how a worker ended, and resizeUpTo launches', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 3 }))
  pool.resizeUpTo(2)
  assert.equal(pool.workers.length, 2)
  pool.resizeUpTo(1)
  pool.resizeUpTo(0)
  assert.equal(pool.workers.length, 2)
  pool.resizeUpTo(Number.POSITIVE_INFINITY)
  assert.equal(pool.workers.length, 3)
  const exit = new Promise((resolve) => pool.once('worker-exit', (...args) => resolve(args)))
  await pool.run({ do: 'exit', code: 3 }).catch(() => {})
  const [worker, code, error] = await exit
  assert.equal(worker.lane, 'js')
  assert.equal(code, 3)
  assert.equal(error, undefined)
})

test('workers that the constructor launches are told of to who listens after it', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, 2))
  const launched = []
  pool.on('worker-launched', ({ id }) => launched.push(id))
  assert.deepEqual(launched, [])
  await pool.run(1)
  assert.deepEqual(launched, [0, 1])
})

describe('worker-exit tells why', () => {
  const LATE = moduleOf(`export default (what) => {
    if (what === 'loop') for (;;);
    setImmediate(() => {
      if (what === 'exits 0') process.exit(0)
      if (what === 'exits 1') process.exit(1)
      if (what === 'throws') throw undefined
    })
    if (what === 'sets a code') process.exitCode = 3
    return what
  }`)
  const FAILS_AT_EXIT = moduleOf(`const run = (input) => input
    run.onWorkerExit = () => { throw new Error('no') }
    export default run`)
  /** Exit code and reason of a worker that runs one task, after which the pool is closed where nothing has ended it. */
  async function exitOf(t, module, { input = 1, options = {}, task = {} } = {}) {
    const pool = closing(t, new WorkerPool(module, { maxWorkers: 1, cancelGrace: 0, ...options }))
    const timer = setInterval(() => {}, 1000)
    t.after(() => clearInterval(timer))
    const exit = once(pool, 'worker-exit')
    await pool.run(input, task).catch(() => {})
    if (input === 1 && options.idleTimeout === undefined) await pool.close()
    const [, code, , reason] = await exit
    return [code, reason]
  }
  const STUCK = { input: 'loop', task: { timeout: 20, timeoutFrom: 'start' } }
  const CASES = {
    'its pool is closed': [LATE, {}, [0, 'closed']],
    'it has a code of its own': [LATE, { input: 'sets a code', options: { recycle: { tasks: 1 } } }, [3, 'retired']],
    'it is recycled': [LATE, { input: 2, options: { recycle: { tasks: 1 } } }, [0, 'retired']],
    'it was idle': [LATE, { options: { idleTimeout: 1 } }, [0, 'retired']],
    'it did not end a task that was given up': [LATE, STUCK, [1, 'evicted']],
    'it exits': [LATE, { input: 'exits 1' }, [1, 'crashed']],
    'it exits with 0': [LATE, { input: 'exits 0' }, [0, 'crashed']],
    'it throws undefined': [LATE, { input: 'throws' }, [1, 'crashed']],
    'its end fails': [FAILS_AT_EXIT, {}, [1, 'crashed']],
    'its start fails': [
      new URL('./fixtures/start-fails.mjs', import.meta.url),
      { input: 2 },
      [undefined, 'start-failed'],
    ],
    'it exits while it loads': ['data:text/javascript,process.exit(0)', { input: 2 }, [0, 'start-failed']],
  }
  for (const [name, [module, what, [code, reason]]] of Object.entries(CASES)) {
    test(name, async (t) => {
      const [exitCode, why] = await exitOf(t, module, what)
      assert.equal(why, reason)
      if (code !== undefined) assert.equal(exitCode, code)
    })
  }
})

/** What is told of workers, in order. */
function logOfWorkers(pool) {
  const log = []
  for (const name of ['launched', 'online', 'exit']) pool.on(`worker-${name}`, ({ id }) => log.push(`${name} ${id}`))
  return log
}

test('a worker is online once it has started, before it ends, and so is the one that takes its number', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const log = logOfWorkers(pool)
  const crashed = pool.run({ do: 'exit', code: 3 })
  assert.deepEqual(log, ['launched 0'])
  await assert.rejects(crashed, { code: 'ERR_THREADMILL_WORKER_CRASHED' })
  await pool.run(1)
  await pool.close()
  assert.deepEqual(log, ['launched 0', 'online 0', 'exit 0', 'launched 0', 'online 0', 'exit 0'])
})

test('a worker has the id of its thread until it has ended', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const first = await pool.run({ do: 'who' })
  const [worker] = pool.workers
  assert.equal(worker.threadId, first.threadId)
  const ids = []
  pool.on('worker-exit', ({ threadId }) => ids.push(threadId))
  await assert.rejects(pool.run({ do: 'exit', code: 3 }), { worker: 0, exitCode: 3 })
  assert.deepEqual(ids, [first.threadId])
  const second = await pool.run({ do: 'who' })
  assert.notEqual(second.threadId, first.threadId)
  assert.equal(worker.threadId, second.threadId)
  await pool.close()
  assert.deepEqual(ids, [first.threadId, second.threadId])
  assert.equal(worker.threadId, undefined)
  const kernels = closing(t, new WorkerPool({ threads: 1 }))
  const task = kernels.addTask(5, { kernel: 'fib' })
  await task
  assert.equal(task.worker.threadId, undefined)
})

test('one that waits for its first task is online, too', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const timer = setInterval(() => {}, 1000)
  t.after(() => clearInterval(timer))
  pool.resizeUpTo(1)
  const [worker] = await once(pool, 'worker-online')
  assert.equal(worker, pool.workers[0])
})

test('one whose start fails never is', async () => {
  const pool = new WorkerPool(new URL('./fixtures/start-fails.mjs', import.meta.url), { maxWorkers: 1 })
  const log = logOfWorkers(pool)
  await assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_ENTRY' })
  await pool.close()
  assert.deepEqual(log, ['launched 0', 'exit 0'])
})

test('a listener of worker-online may end the pool', async () => {
  for (const end of ['close', 'dispose', 'destroy']) {
    const pool = new WorkerPool(TASKS, { maxWorkers: 1 })
    const ended = new Promise((resolve) => pool.once('worker-online', () => resolve(pool[end]())))
    await pool.run(1).catch(({ code }) => assert.equal(code, 'ERR_THREADMILL_POOL_CLOSED'))
    await ended
  }
})

test('a task whose input cannot be cloned is told of like any other', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const log = []
  pool.on('task-added', ({ id, arg }) => log.push(['added', id, arg]))
  pool.on('task-complete', (error, result, { id }) => log.push(['complete', id, error.name, result]))
  const cannot = () => {}
  const task = pool.addTask(cannot)
  assert.deepEqual(log, [['added', task.id, cannot]])
  await assert.rejects(task, { name: 'DataCloneError' })
  await assert.rejects(pool.run(cannot), { name: 'DataCloneError' })
  const complete = (id) => ['complete', id, 'DataCloneError', undefined]
  assert.deepEqual(log.slice(1), [complete(task.id), ['added', task.id + 1, cannot], complete(task.id + 1)])
})

test('once of node:events waits for an event of a pool, and removing what is not there does nothing', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const added = once(pool, 'task-added')
  const task = pool.addTask(1)
  assert.deepEqual(await added, [task])
  pool.off('no such event', () => {})
  assert.throws(() => pool.on('no such event', () => {}), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
  await task
})

test('a task is expected to take what tasks of its key have taken, whatever estimators say', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1, inherentCostEstimator: () => 1e6 }))
  const first = pool.addTask(1, { key: 'a' })
  assert.equal(first.taskCost, 1e6)
  await first
  const [next, other] = [pool.addTask(1, { key: 'a' }), pool.addTask(1, { key: 'b' })]
  assert.ok(Math.abs(next.taskCost - first.taskCost) < 1e-3, `${next.taskCost} ${first.taskCost}`)
  assert.equal(other.taskCost, 1e6)
  await Promise.all([next, other])
})
