// The limit for memory: who is told, and what is done.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { nextEvent } from '../helpers/pool.mjs'

describe('maxMemoryUsage', () => {
  test('tells of more heap than that at every check', async () => {
    const pool = new WorkerPool({ threads: 1, maxMemoryUsage: 1, checkInterval: 10 })
    for (let i = 0; i < 3; i++) {
      const details = await nextEvent(pool, 'high-memory')
      assert.deepEqual([details.message, details.limit], ['High memory usage detected', 1])
      assert.ok(details.heapUsed > 1_000_000 && details.heapUsed < 2 ** 40)
      assert.equal(details.worker, undefined)
    }
    await pool.close()
  })

  test('and of no less', async () => {
    const { heapUsed } = process.memoryUsage()
    const pool = new WorkerPool({ threads: 1, maxMemoryUsage: heapUsed + 2 ** 28, checkInterval: 1 })
    let told = 0
    pool.on('high-memory', () => told++)
    await new Promise((resolve) => setTimeout(resolve, 30))
    assert.equal(told, 0)
    // Kept on the heap: small values, not memory outside of it.
    const kept = Array.from({ length: 2 ** 23 }, (_, i) => ({ i, next: undefined }))
    await nextEvent(pool, 'high-memory')
    assert.equal(kept.length, 2 ** 23)
    await pool.close()
  })

  test('ends with the pool', async () => {
    let told = 0
    const pool = new WorkerPool({ threads: 1, maxMemoryUsage: 1, checkInterval: 1, memoryStrategy: () => told++ })
    await nextEvent(pool, 'high-memory')
    await pool.close()
    told = 0
    await new Promise((resolve) => setTimeout(resolve, 30))
    assert.equal(told, 0)
  })

  test('a function as strategy gets what the event tells; what it throws is an uncaught exception', async () => {
    const { code, stdout, stderr, timedOut } = await runProgram(`
      import { WorkerPool } from 'threadmill'
      const reasons = []
      const timer = setInterval(() => {}, 1000)
      process.on('uncaughtException', (error) => {
        if (reasons.push(error.message) === 2) { console.log(reasons.join()); clearInterval(timer) }
      })
      let calls = 0
      globalThis.pool = new WorkerPool({ threads: 1, maxMemoryUsage: 5, checkInterval: 1, memoryStrategy({ limit }) {
        calls++
        if (calls === 1) throw new Error('thrown ' + limit)
        if (calls === 2) return Promise.reject(new Error('rejected'))
      } })`)
    assert.deepEqual([code, stdout, stderr, timedOut], [0, 'thrown 5,rejected\n', '', false])
  })

  for (const [options, code] of [
    [{ maxMemoryUsage: 0 }, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [{ maxMemoryUsage: 1.5 }, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [{ maxMemoryUsage: Number.POSITIVE_INFINITY }, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [{ maxMemoryUsage: '1G' }, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
    [{ maxMemoryUsage: 5, checkInterval: 0 }, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [{ checkInterval: '5' }, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
    [{ memoryStrategy: 'panic' }, 'ERR_THREADMILL_INVALID_ARG_VALUE'],
  ]) {
    test(`refuses ${Object.entries(options)}`, () => {
      assert.throws(() => new WorkerPool(options), { code, message: /must be .*; got / })
    })
  }

  test('a worker that crashes while it is to be recycled has crashed', async () => {
    const module = `data:text/javascript,export default (input, client) => new Promise(() => {
      client.onMessage('go', () => process.exit(3));
      client.postMessageToPool('begun')
    })`
    const options = { maxMemoryUsage: 1, checkInterval: 5, memoryStrategy: 'restart' }
    const pool = new WorkerPool(module, { maxWorkers: 1, crashLimit: 3, ...options })
    let begun
    pool.onMessage('begun', () => begun())
    const reasons = []
    pool.on('worker-exit', (_worker, _code, _error, reason) => reasons.push(reason))
    const tasks = Array.from({ length: 6 }, () => pool.run(1).catch((error) => error))
    for (let crash = 0; crash < 3; crash++) {
      await new Promise((resolve) => {
        begun = resolve
      })
      // The first of these may have been on its way before the task began.
      for (let check = 0; check < 2; check++) await nextEvent(pool, 'high-memory')
      pool.postMessageToWorkers('go')
    }
    const errors = await Promise.all(tasks)
    for (const { code } of errors) assert.equal(code, 'ERR_THREADMILL_WORKER_CRASHED')
    assert.equal(errors.filter(({ message }) => message.includes('again and again')).length, 3)
    assert.deepEqual(reasons, ['crashed', 'crashed', 'crashed'])
    assert.equal(pool.stats().crashes, 3)
    await pool.close()
  })
})
