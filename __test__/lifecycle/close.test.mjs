// The end of a pool: close, dispose, destroy, and what may be called when.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { blockUntil, occupy, rejection, until } from '../helpers/pool.mjs'

const CLOSED = 'ERR_THREADMILL_POOL_CLOSED'

/** Names of this process's threads that belong to the pool called `name` (Linux). */
function threadsOf(name) {
  if (process.platform !== 'linux') return []
  const names = readdirSync('/proc/self/task').map((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim()
    } catch {
      return ''
    }
  })
  return names.filter((thread) => thread.startsWith(`threadmill-${name}`.slice(0, 15)))
}

describe('close', () => {
  test('finishes everything that was admitted, then the threads are gone', async () => {
    const pool = new WorkerPool({ threads: 2, name: 'c1' })
    const tasks = Array.from({ length: 200 }, () => pool.kernels.fib(15))
    const gate = await occupy(pool)
    if (process.platform === 'linux') assert.ok(threadsOf('c1').length > 0)
    const closed = pool.close()
    assert.equal(pool.close(), closed, 'the same promise')
    await gate.release()
    await closed
    assert.deepEqual(new Set(await Promise.all(tasks)), new Set([610]))
    await until(() => threadsOf('c1').length === 0)
    assert.equal(pool.isIdle, true)
  })

  test('of a pool that was never used resolves, without a thread', async () => {
    const pool = new WorkerPool({ threads: 4, name: 'c2' })
    await pool.close()
    assert.deepEqual(threadsOf('c2'), [])
  })

  test('await using closes', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const task = pool.kernels.fib(20)
    await pool[Symbol.asyncDispose]()
    assert.equal(await task, 6765)
    await assert.rejects(pool.kernels.fib(1), { code: CLOSED })
  })
})

describe('dispose', () => {
  test('finishes what runs and rejects what waits', async () => {
    const pool = new WorkerPool({ threads: 1 })
    // Long beside the few calls from here to dispose(), which no turn of the event loop interrupts.
    const running = pool.addTask(41, { kernel: 'fib' })
    blockUntil(() => running.worker !== undefined)
    const waiting = Array.from({ length: 10 }, () => rejection(pool.kernels.fib(1)))
    const disposed = pool.dispose()
    for (const error of await Promise.all(waiting)) assert.equal(error.code, CLOSED)
    assert.equal(await running, 165580141)
    await disposed
  })

  test('resolves after every task has been settled', async () => {
    for (let round = 0; round < 5; round++) {
      const pool = new WorkerPool({ threads: 1 })
      let settled = 0
      for (let i = 0; i < 20_000; i++) pool.addTask(27, { kernel: 'fib' }).then(count, count)
      function count() {
        settled++
      }
      await pool.dispose()
      assert.equal(settled, 20_000)
      assert.equal(pool.stats().tasksCompleted + pool.stats().tasksErrored, 20_000)
    }
  })

  test('with force is destroy', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const running = rejection(pool.kernels.fib(60))
    await until(() => pool.stats().busyWorkers === 1)
    await pool.dispose({ force: true })
    assert.equal((await running).code, CLOSED)
    await assert.rejects(new WorkerPool().dispose({ force: 1 }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  })
})

describe('destroy', () => {
  test('rejects everything now and resolves when the kernels have stopped', async () => {
    const pool = new WorkerPool({ threads: 2, name: 'd1' })
    const tasks = Array.from({ length: 50 }, () => rejection(pool.kernels.fib(60)))
    await until(() => pool.stats().busyWorkers === 2)
    const started = performance.now()
    await pool.destroy()
    for (const error of await Promise.all(tasks)) assert.equal(error.code, CLOSED)
    assert.ok(performance.now() - started < 5000)
    await until(() => threadsOf('d1').length === 0)
  })

  test('after close ends it sooner', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const tasks = Array.from({ length: 5 }, () => rejection(pool.kernels.fib(60)))
    const closed = pool.close()
    const destroyed = pool.destroy()
    assert.equal(closed, destroyed)
    await destroyed
    for (const error of await Promise.all(tasks)) assert.equal(error.code, CLOSED)
  })
})

test('whenIdle resolves at once on an idle pool and after the last task otherwise, whether it fails or not', async () => {
  const pool = new WorkerPool({ threads: 1 })
  assert.equal(pool.isIdle, true)
  await pool.whenIdle()
  const order = []
  const bad = pool.kernels.gunzip(new Uint8Array(2)).catch(() => order.push('bad'))
  const good = pool.kernels.fib(15).then(() => order.push('good'))
  assert.equal(pool.isIdle, false)
  const waiters = [pool.whenIdle(), pool.whenIdle()].map((waiter) => waiter.then(() => order.push('idle')))
  await Promise.all([...waiters, bad, good])
  assert.deepEqual(order, ['bad', 'good', 'idle', 'idle'])
  await pool.close()
})

test('a pool that is no longer reachable releases its threads', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc')
  await (async () => {
    const pool = new WorkerPool({ threads: 2, name: 'lost' })
    await Promise.all([pool.kernels.fib(20), pool.kernels.fib(20)])
  })()
  if (process.platform === 'linux') assert.ok(threadsOf('lost').length > 0)
  await until(() => {
    gc()
    return threadsOf('lost').length === 0
  })
})

test('a pool that has ended is let go of, also where its size followed the system', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc')
  const ended = await (async () => {
    const listener = () => {}
    const pool = new WorkerPool().on('drain', listener)
    await pool.kernels.fib(5)
    await pool.close()
    return new WeakRef(listener)
  })()
  // The place of a task keeps its pool until the next task has it.
  const other = new WorkerPool({ threads: 1 })
  t.after(() => other.close())
  await other.kernels.fib(5)
  await until(() => {
    gc()
    return ended.deref() === undefined
  })
})

test('a pool stays alive through a method of its kernels', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc')
  const { fib } = new WorkerPool({ threads: 1 }).kernels
  for (let i = 0; i < 20; i++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(await fib(10), 55)
  }
})

test('ref keeps the process alive until unref, or the end of the pool', async () => {
  for (const end of ['unref', 'close']) {
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool({ threads: 1 })
      console.log(pool.ref().ref() === pool)
      await pool.kernels.fib(3)
      process.on('exit', () => console.log('exit'))
      // Of itself it would not come.
      setTimeout(() => { console.log('${end}'); pool.${end}() }, 20).unref()`
    const { code, stdout, stderr } = await runProgram(source)
    assert.deepEqual([code, stdout, stderr], [0, `true\n${end}\nexit\n`, ''])
  }
})

test('what looks for open handles finds none of pools that are closed, and none that are idle', async () => {
  // As Jest does with --detectOpenHandles: what cannot be asked counts as open.
  const source = `
    import { createHook } from 'node:async_hooks'
    const handles = new Map()
    createHook({
      init: (id, type, _, resource) => handles.set(id, [type, 'hasRef' in resource ? resource : undefined]),
      destroy: (id) => handles.delete(id),
    }).enable()
    const open = () => {
      const others = ['PROMISE', 'TIMERWRAP', 'ELDHISTOGRAM', 'Immediate']
      const isOpen = ([type, resource]) => !others.includes(type) && (resource?.hasRef() ?? true)
      return [...handles.values()].filter(isOpen).map(([type]) => type)
    }
    const { WorkerPool } = await import('threadmill')
    const pool = new WorkerPool('data:text/javascript,export default (input) => input', { maxWorkers: 1 })
    const before = open()
    const task = pool.run(1)
    const during = open()
    await task
    await pool.kernels.fib(10)
    const idle = open()
    await pool.close()
    // What has ended is told of later.
    for (let turn = 0; turn < 100 && open().length > 0; turn++) await new Promise(setImmediate)
    console.log(JSON.stringify({ before, isHeld: during.includes('threadmill'), idle, after: open() }))`
  const { code, stdout, stderr } = await runProgram(source)
  assert.deepEqual([code, stderr], [0, ''])
  assert.deepEqual(JSON.parse(stdout), { before: [], isHeld: true, idle: [], after: [] })
})
