// What belongs to the end of a pool: close with a time limit, and callbacks of onShutdown.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { Gates } from '../helpers/gates.mjs'
import { occupy, rejection, until } from '../helpers/pool.mjs'

const CLOSED = 'ERR_THREADMILL_POOL_CLOSED'
const gatesModule = new URL('../js/fixtures/gates.mjs', import.meta.url)

describe('close with a timeout', () => {
  test('finishes what was admitted when there is time', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const tasks = Array.from({ length: 100 }, () => pool.kernels.fib(15))
    await pool.close({ timeout: 60_000 })
    assert.deepEqual(new Set(await Promise.all(tasks)), new Set([610]))
  })

  test('destroys the pool when the time is over, a kernel that does not end included', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const tasks = Array.from({ length: 3 }, () => rejection(pool.kernels.fib(60)))
    await pool.close({ timeout: 30 })
    for (const error of await Promise.all(tasks)) assert.equal(error.code, CLOSED)
  })

  test('and an entry function that does not return', async () => {
    const gates = new Gates()
    const pool = new WorkerPool(gatesModule, { maxWorkers: 1, workerData: gates.memory })
    const task = pool.addTask({ do: 'block', gate: gates.closed() })
    const running = rejection(task)
    await until(() => task.worker !== undefined)
    const waiting = rejection(pool.run())
    await pool.close({ timeout: 30 })
    assert.equal((await running).code, CLOSED)
    assert.equal((await waiting).code, CLOSED)
  })

  test('the second call gives the same promise, and the sooner end counts', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const task = rejection(pool.kernels.fib(60))
    const closed = pool.close()
    assert.equal(pool.close({ timeout: 2 ** 31 - 1 }), closed)
    assert.equal(pool.close({ timeout: 30 }), closed)
    assert.equal(pool.close({ timeout: Number.POSITIVE_INFINITY }), closed)
    assert.equal(pool.close({ timeout: 60_000 }), closed, 'a later end changes nothing')
    await closed
    assert.equal((await task).code, CLOSED)
  })

  test('of 0 is destroy', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const task = rejection(pool.kernels.fib(60))
    await pool.close({ timeout: 0 })
    assert.equal((await task).code, CLOSED)
  })

  test('after the end does nothing', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const closed = pool.close()
    await closed
    assert.equal(pool.close({ timeout: 5 }), closed)
  })

  test('leaves no timer that keeps the process alive', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool({ threads: 1 })
      pool.kernels.fib(20).then(console.log)
      pool.close({ timeout: 2 ** 31 - 1 })`
    const { code, stdout, stderr, timedOut } = await runProgram(source)
    assert.deepEqual([code, stdout, stderr, timedOut], [0, '6765\n', '', false])
  })

  for (const [options, code] of [
    [{ timeout: -1 }, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [{ timeout: Number.NaN }, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [{ timeout: 2 ** 31 }, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [{ timeout: '5' }, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
    [5, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
  ]) {
    test(`rejects ${JSON.stringify(options)} and leaves the pool open`, async () => {
      const pool = new WorkerPool({ threads: 1 })
      await assert.rejects(pool.close(options), { code })
      assert.equal(await pool.kernels.fib(10), 55)
      await pool.close(Object.create({ timeout: -1 }))
    })
  }
})

/** A module whose worker says goodbye. */
const saying = `data:text/javascript,
  export const workerEntrypoint = (input) => input;
  workerEntrypoint.onWorkerExit = (client) => client.postMessageToPool('log', 'worker says goodbye')`

describe('onShutdown', () => {
  for (const end of ['close', 'dispose']) {
    test(`callbacks run in order, after the last task and before workers end, at ${end}`, async () => {
      const log = []
      const pool = new WorkerPool(saying, { maxWorkers: 1 })
      pool.onMessage('log', (text) => log.push(text))
      pool.on('worker-exit', () => log.push('worker has ended'))
      pool.on('task-complete', () => log.push('task has ended'))
      const callbacks = [
        async () => {
          log.push('first begins')
          await new Promise(setImmediate)
          assert.equal(pool.workers.length, 1, 'the worker is there')
          await assert.rejects(pool.run(2), { code: CLOSED })
          log.push('first ends')
        },
        () => log.push('second'),
      ]
      for (const callback of callbacks) assert.equal(pool.onShutdown(callback), pool)
      const task = pool.addTask(1)
      task.then(() => log.push('task is awaited'))
      await until(() => task.worker !== undefined)
      await pool[end]()
      log.push('pool has ended')
      assert.deepEqual(log, [
        'task has ended',
        'task is awaited',
        'first begins',
        'first ends',
        'second',
        'worker says goodbye',
        'worker has ended',
        'pool has ended',
      ])
    })
  }

  test('who awaits the last task hears of it first, also where nobody asked for its handle', async () => {
    for (const [pool, options] of [
      [new WorkerPool({ threads: 1 }), { kernel: 'echo' }],
      [new WorkerPool(saying, { maxWorkers: 1 }), {}],
    ]) {
      const log = []
      pool.onShutdown(() => log.push('callback'))
      pool.run(1, options).then(() => log.push('task'))
      await pool.close()
      assert.deepEqual(log, ['task', 'callback'])
    }
  })

  test('they run once, at the end of an idle pool too, and at destroy', async () => {
    for (const end of ['close', 'dispose', 'destroy']) {
      for (const pool of [new WorkerPool({ threads: 1 }), new WorkerPool(saying, 1)]) {
        let calls = 0
        pool.onShutdown(() => calls++)
        await Promise.all([pool[end](), pool.close(), pool.destroy()])
        await pool.close()
        assert.equal(calls, 1, end)
      }
    }
  })

  test('close waits for what they give, and the process with it', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool({ threads: 1 })
      pool.onShutdown(() => new Promise((resolve) => setTimeout(resolve, 20).unref()).then(() => console.log('cleaned')))
      pool.close().then(() => console.log('closed'))`
    const { code, stdout, stderr } = await runProgram(source)
    assert.deepEqual([code, stdout, stderr], [0, 'cleaned\nclosed\n', ''])
  })

  test('one that fails is a warning and does not stop the rest', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      process.on('warning', ({ name, message }) => console.log(name, message))
      const pool = new WorkerPool({ threads: 1 })
      pool.onShutdown(() => { throw new Error('thrown') })
      pool.onShutdown(async () => { throw new Error('rejected') })
      pool.onShutdown(() => console.log('third'))
      await pool.close()
      console.log('closed')`
    const { code, stdout, stderr } = await runProgram(source)
    const warnings = ['rejected', 'thrown'].map(
      (message) => `ThreadmillWarning a callback of onShutdown has failed: ${message}`,
    )
    assert.deepEqual([code, stdout.split('\n').sort()], [0, ['', ...warnings, 'closed', 'third']])
    // Where from.
    assert.match(stderr, /Error: thrown\n {4}at/)
  })

  test('one that does not end is awaited for disposeTimeout', async () => {
    const pool = new WorkerPool({ threads: 1, disposeTimeout: 20 })
    let called = false
    pool.onShutdown(() => new Promise(() => {}))
    pool.onShutdown(() => {
      called = true
    })
    await pool.close()
    assert.equal(called, true)
  })

  test('destroy waits for all of them together no longer than that', async () => {
    const pool = new WorkerPool({ threads: 1, disposeTimeout: 100 })
    let calls = 0
    for (let i = 0; i < 100; i++) {
      pool.onShutdown(() => {
        calls++
        return new Promise(() => {})
      })
    }
    const started = performance.now()
    await pool.destroy()
    const elapsed = performance.now() - started
    assert.ok(elapsed < 5000, `${elapsed} ms`)
    assert.equal(calls, 100, 'each is called all the same')
  })

  test('and leaves no timer of those that it did not wait for', async () => {
    const { code, stdout, stderr } = await runProgram(`
      import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool({ threads: 1, disposeTimeout: 200 })
      for (let i = 0; i < 3; i++) pool.onShutdown(() => new Promise(() => {}))
      await pool.destroy()
      console.log(process.getActiveResourcesInfo().includes('Timeout'))`)
    assert.deepEqual([code, stdout, stderr], [0, 'false\n', ''])
  })

  test('destroy does not wait for workers that close has let live for them', async () => {
    const pool = new WorkerPool(saying, { maxWorkers: 1, disposeTimeout: 50 })
    await pool.run(1)
    const begun = new Promise((resolve) => {
      pool.onShutdown(() => {
        resolve()
        return new Promise(() => {})
      })
    })
    const exited = new Promise((resolve) => pool.on('worker-exit', (_worker, code) => resolve(code)))
    pool.close()
    await begun
    await pool.destroy()
    assert.equal(await exited, 1, 'terminated')
  })

  test('the time of close counts while they run', async () => {
    const pool = new WorkerPool(saying, { maxWorkers: 1, disposeTimeout: 2 ** 31 - 1 })
    await pool.run(1)
    // It waits for the end of the worker, which waits for it, until the time is over.
    pool.onShutdown(() => new Promise((resolve) => pool.on('worker-exit', resolve)))
    await pool.close({ timeout: 20 })
    assert.equal(pool.workers.length, 0)
  })

  test('they may be added while the pool is closing, by one of them too, and not when it is over', async () => {
    const log = []
    const pool = new WorkerPool({ threads: 1 })
    const gate = await occupy(pool)
    const closed = pool.close()
    pool.onShutdown(() => {
      log.push('first')
      pool.onShutdown(() => log.push('second'))
    })
    await gate.release()
    await closed
    assert.deepEqual(log, ['first', 'second'])
    assert.throws(() => pool.onShutdown(() => {}), { code: CLOSED })
  })

  test('a pool that nobody can reach calls them too', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      new WorkerPool({ threads: 1 }).onShutdown(() => { console.log('called'); process.exit() })
      setInterval(() => globalThis.gc(), 10)`
    const { code, stdout, stderr } = await runProgram(source, { nodeArgs: ['--expose-gc'] })
    assert.deepEqual([code, stdout, stderr], [0, 'called\n', ''])
  })

  test('only functions', () => {
    const pool = new WorkerPool({ threads: 1 })
    for (const value of [undefined, null, 5, {}, 'exit']) {
      assert.throws(() => pool.onShutdown(value), { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    }
    return pool.close()
  })
})
