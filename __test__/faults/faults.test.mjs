// What one bad task may do to others: nothing. Runs on a debug build of the addon with kernels that misbehave on
// purpose; scripts/test.mjs builds it and points NAPI_RS_NATIVE_LIBRARY_PATH at it.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { rejection, until } from '../helpers/pool.mjs'

async function withPool(options, body) {
  const pool = new WorkerPool(options)
  try {
    await body(pool)
  } finally {
    await pool.destroy()
  }
}

describe('faults', () => {
  test('a panic rejects its own task, and the thread lives on', () =>
    withPool({ threads: 1 }, async (pool) => {
      for (let i = 0; i < 100; i++) {
        const [error, value] = await Promise.all([rejection(pool.kernels.faultPanic(i)), pool.kernels.faultEcho(i)])
        assert.equal(error.code, 'ERR_THREADMILL_KERNEL_PANIC')
        assert.match(error.message, new RegExp(`panic on purpose: ${i} \\(at faults\\.rs:`))
        assert.equal(value, i)
      }
      assert.equal(pool.stats().workers.length, 1)
    }))

  test('a panic in a chunk rejects the task, also when another worker ran it', () =>
    withPool({ threads: 4 }, async (pool) => {
      const errors = await Promise.all(
        Array.from({ length: 64 }, (_, i) => rejection(pool.kernels.faultParallelPanic(i))),
      )
      for (const [i, error] of errors.entries()) assert.match(error.message, new RegExp(`chunk ${i} panics on purpose`))
      assert.equal(await pool.kernels.faultNested(2), 64)
    }))

  test('nothing of a panic is written to stderr', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const error = await new WorkerPool().kernels.faultPanic(1).catch((error) => error)
      console.log(error.code)`
    const { code, stdout, stderr } = await runProgram(source)
    assert.deepEqual([code, stdout, stderr], [0, 'ERR_THREADMILL_KERNEL_PANIC\n', ''])
  })

  for (const threads of [1, 2, 7]) {
    test(`parallel sections inside parallel sections end with ${threads} threads`, () =>
      withPool({ threads }, async (pool) => {
        const values = await Promise.all(Array.from({ length: 30 }, () => pool.kernels.faultNested(3)))
        assert.deepEqual(new Set(values), new Set([512]))
      }))
  }

  test('a kernel that does not look whether it was cancelled settles at once all the same, and is counted', () =>
    withPool({ threads: 1 }, async (pool) => {
      const task = pool.addTask(1500, { kernel: 'faultStubborn' })
      await until(() => task.worker !== undefined)
      const started = performance.now()
      task.cancel()
      assert.equal((await rejection(task)).code, 'ERR_THREADMILL_CANCELLED')
      assert.ok(performance.now() - started < 1000)
      assert.equal(pool.stats().abandoned, 1)
      assert.equal(await pool.kernels.faultEcho(1), 1, 'its worker comes back')
      assert.equal(pool.stats().abandoned, 0)
    }))

  test('messages arrive in order, before the result, at task and pool, in the context of their listeners', () =>
    withPool({ threads: 2 }, async (pool) => {
      const store = new AsyncLocalStorage()
      const [seen, own] = [[], []]
      store.run('pool', () =>
        pool.onMessage('count', ({ index }, origin) => {
          assert.equal(store.getStore(), 'pool')
          assert.ok(String(origin) === '0' || String(origin) === '1')
          seen.push(index)
        }),
      )
      const removed = () => assert.fail('removed')
      pool.onMessage('count', removed).removeMessageListener('count', removed)
      pool.onMessage('Count', () => assert.fail('types compare exactly'))
      const task = pool.addTask(500, { kernel: 'faultPost' })
      task.on('message', (type, { index }) => own.push([type, index]))
      assert.equal(await task, 500)
      assert.deepEqual(
        seen,
        Array.from({ length: 500 }, (_, index) => index),
      )
      assert.deepEqual(
        own,
        seen.map((index) => ['count', index]),
      )
    }))

  test('a listener that throws is an uncaught exception and harms no task', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const caught = []
      process.on('uncaughtException', (error) => caught.push(error.message))
      const pool = new WorkerPool({ threads: 1 })
      pool.onMessage('count', ({ index }) => { throw new Error('listener ' + index) })
      const value = await pool.kernels.faultPost(3)
      await new Promise((resolve) => setImmediate(resolve))
      console.log(value, caught.join())`
    const { code, stdout, stderr } = await runProgram(source)
    assert.deepEqual([code, stdout, stderr], [0, '3 listener 0,listener 1,listener 2\n', ''])
  })
})
