// Pools of functions: their events, in which order, and what listeners that throw do.
import assert from 'node:assert/strict'
import process from 'node:process'
import { describe, test } from 'node:test'
import { FunctionPool, Status } from 'threadmill/function'
import { Gate, microtasks, next, record, uncaught } from '../helpers/function.mjs'
import { failure, quietCpus, WORKER_EVENTS } from './pools.mjs'

quietCpus()

describe('events', () => {
  test('of a thread that succeeds and one that fails, in order', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const seen = record(pool, WORKER_EVENTS)
    const gate = new Gate()
    const thread = pool.addTask(gate.fn, 'x')
    const { status } = thread
    assert.deepEqual(seen.splice(0), [
      ['worker.init', thread],
      ['worker.status', status, Status.ACTIVE, Status.READY, thread],
    ])
    gate.open(5)
    await microtasks()
    assert.deepEqual(seen.splice(0), [
      ['worker.status', status, Status.SUCCESS, Status.ACTIVE, thread],
      ['worker.message', 5, thread],
      ['worker.exit', 0, thread],
    ])
    const failing = pool.addTask(() => Promise.reject(failure))
    await microtasks()
    assert.deepEqual(seen, [
      ['worker.init', failing],
      ['worker.status', failing.status, Status.ACTIVE, Status.READY, failing],
      ['worker.status', failing.status, Status.ERROR, Status.ACTIVE, failing],
      ['worker.error', failure, failing],
      ['worker.exit', 1, failing],
    ])
  })

  test('a failure that nobody hears is thrown nowhere', async () => {
    const pool = new FunctionPool()
    const thrown = await uncaught(async () => {
      pool.addTask(() => Promise.reject(failure))
      await next(pool, 'complete')
    })
    assert.deepEqual(thrown, [])
    assert.deepEqual(pool.listenerCount('error'), 0)
  })

  test('a worker.message listener that throws turns the thread into an error', async () => {
    const pool = new FunctionPool()
    const seen = record(pool, ['worker.messageerror', 'worker.error', 'worker.exit'], ([value]) => [value])
    pool.on('worker.message', () => {
      throw failure
    })
    const own = []
    const thread = pool.addTask(() => 'result').on('messageerror', (error) => own.push(error))
    await next(pool, 'complete')
    assert.deepEqual(seen, [
      ['worker.messageerror', failure],
      ['worker.exit', 1],
    ])
    assert.deepEqual([own, thread.error, thread.message], [[failure], failure, 'result'])
    assert.ok(thread.status.ERROR)
  })

  test('a message listener of the thread that throws is a messageerror of the pool', async () => {
    const pool = new FunctionPool()
    const seen = record(pool, ['worker.message', 'worker.messageerror', 'worker.exit'], ([value]) => [value])
    pool
      .addTask(() => 5)
      .on('message', () => {
        throw failure
      })
    await next(pool, 'complete')
    assert.deepEqual(seen, [
      ['worker.message', 5],
      ['worker.messageerror', failure],
      ['worker.exit', 1],
    ])
  })

  test('a worker.error listener that throws gives a messageerror with the failure', async () => {
    const pool = new FunctionPool()
    const seen = record(pool, ['worker.messageerror', 'worker.exit'], ([value]) => [value])
    pool.on('worker.error', () => {
      throw new Error('listener')
    })
    pool.addTask(() => Promise.reject(failure))
    await next(pool, 'complete')
    assert.deepEqual(seen, [
      ['worker.messageerror', failure],
      ['worker.exit', 1],
    ])
  })

  for (const event of ['worker.init', 'worker.status', 'worker.exit', 'startPinging', 'stopPinging', 'complete']) {
    test(`what a listener of ${event} throws is an uncaught exception, and the pool goes on`, async () => {
      const pool = new FunctionPool({ poolSize: 1 })
      pool.once(event, () => {
        throw failure
      })
      const thrown = await uncaught(async () => {
        pool.addTask(async () => 1)
        pool.addTask(async () => 2)
        await microtasks()
      })
      assert.deepEqual(thrown, [failure])
      assert.deepEqual(pool.status(['queued', 'active', 'completed']), { queued: 0, active: 0, completed: 2 })
      assert.equal(pool.isCompleted(), true)
    })
  }

  test('what an exit listener of a thread throws does not keep its slot', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const thrown = await uncaught(async () => {
      pool
        .addTask(async () => 1)
        .prependListener('exit', () => {
          throw failure
        })
      const second = pool.addTask(async () => 2)
      await next(pool, 'complete')
      assert.equal(second.message, 2)
    })
    assert.deepEqual(thrown, [failure])
  })

  test('on exit the thread is completed, then worker.exit comes, then the next starts', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const gate = new Gate()
    const order = []
    const first = pool.addTask(async () => {})
    const second = pool.addTask(gate.fn)
    pool.once('worker.exit', () => order.push(['exit', pool.status('completed', 'raw')[0] === first, gate.calls]))
    pool.on('worker.init', (thread) => order.push(['init', thread === second]))
    pool.on('complete', () => order.push(['complete']))
    await microtasks()
    assert.deepEqual(order, [
      ['exit', true, 0],
      ['init', true],
    ])
    gate.open()
    await microtasks()
    assert.deepEqual(order[2], ['complete'])
  })

  test('who hears of the exit of a thread finds its slot free', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const thread = pool.addTask(async () => {})
    assert.equal(pool.status('active'), 1)
    const active = []
    thread.on('exit', () => active.push(pool.status('active')))
    await microtasks()
    assert.deepEqual(active, [0])
  })

  test('the retry timer runs while there is work', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const seen = record(pool, ['startPinging', 'stopPinging', 'complete'])
    pool.hasAvailableThread()
    pool.status()
    pool.isCompleted()
    pool.poolSize = 2
    assert.deepEqual(seen, [])
    pool.addTask(async () => {})
    pool.addTask(async () => {})
    pool.addTask(async () => {})
    assert.deepEqual(seen, [['startPinging']])
    await next(pool, 'complete')
    assert.deepEqual(seen, [['startPinging'], ['stopPinging'], ['complete']])
  })

  test('many listeners give no warning', async () => {
    const warnings = []
    const listener = (warning) => warnings.push(warning)
    process.on('warning', listener)
    const pool = new FunctionPool({ autoStart: false })
    const thread = pool.addTask(() => {})
    for (let count = 0; count < 50; count++) {
      pool.then(() => {})
      pool.allSettled(() => {})
      thread.then(() => {})
    }
    await microtasks()
    process.off('warning', listener)
    assert.deepEqual(warnings, [])
  })
})
