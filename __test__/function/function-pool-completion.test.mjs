// Pools of functions: when one is completed, and the methods that register callbacks.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FunctionPool, StatusType } from 'threadmill/function'
import { Gate, microtasks, next, record } from '../helpers/function.mjs'
import { failure, metas, quietCpus } from './pools.mjs'

quietCpus()

describe('completion', () => {
  test('a new pool is completed and announces nothing by itself', async () => {
    const pool = new FunctionPool()
    const seen = record(pool, ['complete'])
    assert.equal(pool.isCompleted(), true)
    await microtasks()
    assert.deepEqual(seen, [])
  })

  const places = {
    'a message listener': ({ thread, add }) => thread.once('message', add),
    'then of the thread': ({ thread, add }) => thread.then(add),
    'an exit listener': ({ thread, add }) => thread.once('exit', add),
    'finally of the thread': ({ thread, add }) => thread.finally(add),
    'worker.message': ({ pool, add }) => pool.once('worker.message', add),
    'worker.exit': ({ pool, add }) => pool.once('worker.exit', add),
    'race of the pool': ({ pool, add }) => pool.race(add),
  }
  for (const [place, attach] of Object.entries(places)) {
    test(`a task added in ${place} belongs to the same round`, async () => {
      const pool = new FunctionPool({ poolSize: 1 })
      const rounds = []
      pool.allSettled((threads) => rounds.push(metas(threads)))
      const thread = pool.addTask(async () => 1, 'first')
      attach({ pool, thread, add: () => void pool.addTask(async () => 2, 'second') })
      await next(pool, 'complete')
      await microtasks()
      assert.deepEqual(rounds, [['first', 'second']])
    })
  }

  for (const event of ['error', 'worker.error']) {
    test(`a task added in a listener of ${event} belongs to the same round`, async () => {
      const pool = new FunctionPool({ poolSize: 1 })
      const rounds = []
      pool.allSettled((threads) => rounds.push(threads.length))
      const thread = pool.addTask(() => Promise.reject(failure))
      const emitter = event === 'error' ? thread : pool
      emitter.once(event, () => pool.addTask(async () => 2))
      await next(pool, 'complete')
      await microtasks()
      assert.deepEqual(rounds, [2])
    })
  }

  test('a later task starts another round, and completed threads add up', async () => {
    const pool = new FunctionPool({ poolSize: 2 })
    const rounds = []
    pool.allSettled((threads) => rounds.push(metas(threads)))
    for (const meta of ['a', 'b', 'c', 'd']) pool.addTask(async () => {}, meta)
    await next(pool, 'complete')
    await microtasks()
    pool.addTask(async () => {}, 'e')
    await next(pool, 'complete')
    assert.deepEqual(rounds, [
      ['a', 'b', 'c', 'd'],
      ['a', 'b', 'c', 'd', 'e'],
    ])
    assert.equal(pool.status('completed'), 5)
    assert.equal(pool.status('completed', StatusType.PERCENT), 100)
  })

  test('isCompleted(true) announces it once', async () => {
    const pool = new FunctionPool()
    pool.addTask(async () => {})
    await next(pool, 'complete')
    const seen = record(pool, ['complete'])
    assert.equal(pool.isCompleted(true), true)
    assert.deepEqual(seen, [])
  })

  test('clearCompleted forgets completed threads', async () => {
    const pool = new FunctionPool()
    pool.addTask(async () => {})
    await next(pool, 'complete')
    const held = pool.status('completed', 'raw')
    assert.deepEqual([pool.clearCompleted(), pool.status('total'), held.length], [1, 0, 1])
    const rounds = []
    pool.allSettled((threads) => rounds.push(metas(threads)))
    pool.addTask(async () => {}, 'later')
    await next(pool, 'complete')
    assert.deepEqual(rounds, [['later']])
  })
})

describe('registration', () => {
  /** A pool with one slot, after `tasks` have run. */
  async function run(register, ...tasks) {
    const pool = new FunctionPool({ poolSize: 1 })
    register(pool)
    const threads = tasks.map((task) => pool.addTask(task))
    await next(pool, 'complete')
    return { pool, threads }
  }
  const fail = (reason) => () => Promise.reject(reason)

  test('every method returns the pool and calls nothing at once', () => {
    const pool = new FunctionPool()
    for (const name of ['then', 'catch', 'finally', 'allSettled', 'all', 'any', 'race']) {
      assert.equal(
        pool[name](() => assert.fail('called')),
        pool,
      )
      if (name !== 'then')
        assert.throws(() => pool[name](), { name: 'TypeError', message: /^callback must be a function/ })
    }
  })

  test('then takes callbacks that are left out, and none that is no function', async () => {
    const pool = new FunctionPool()
    for (const none of [[], [undefined], [null], [null, null], [undefined, null]])
      assert.equal(pool.then(...none), pool)
    assert.deepEqual(pool.eventNames(), [])
    for (const wrong of [[5], [{}, () => {}], [null, 'text'], [() => {}, false]]) {
      assert.throws(() => pool.then(...wrong), { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    }
    const failed = new Promise((resolve) => pool.then(null, resolve))
    pool.addTask(fail('reason'))
    assert.deepEqual((await failed).errors, ['reason'])
  })

  test('then, catch and finally call back every time, with the thread', async () => {
    const calls = []
    const { threads } = await run(
      (pool) => {
        pool
          .then((...args) => calls.push(['then', ...args]))
          .catch((...args) => calls.push(['catch', ...args]))
          .finally((...args) => calls.push(['finally', ...args]))
      },
      () => 1,
      fail(failure),
      () => 2,
    )
    assert.deepEqual(calls, [
      ['then', 1, threads[0]],
      ['finally', 0, threads[0]],
      ['catch', failure, 'error', threads[1]],
      ['finally', 1, threads[1]],
      ['then', 2, threads[2]],
      ['finally', 0, threads[2]],
    ])
  })

  test('catch calls back for messageerror', async () => {
    const calls = []
    const { threads } = await run(
      (pool) =>
        pool
          .catch((...args) => calls.push(args))
          .then(() => {
            throw failure
          }),
      () => 1,
    )
    assert.deepEqual(calls, [[failure, 'messageerror', threads[0]]])
  })

  test('they may be registered after tasks were added', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const calls = []
    pool.addTask(() => 1)
    pool.then((result) => calls.push(result)).allSettled((threads) => calls.push(threads.length))
    await next(pool, 'complete')
    await microtasks()
    assert.deepEqual(calls, [1, 1])
  })

  test('all gives the first failure once, or all threads', async () => {
    const calls = []
    const { pool } = await run(
      (pool) => pool.all((value) => calls.push(value)),
      () => 1,
      fail(failure),
      fail('other'),
    )
    assert.deepEqual(calls.splice(0), [failure])
    assert.deepEqual(pool.eventNames(), [])
    const { pool: second, threads } = await run(
      (pool) => pool.all((value) => calls.push(value)),
      () => 1,
      () => 2,
    )
    assert.deepEqual(calls.splice(0), [threads])
    assert.deepEqual(second.eventNames(), [])
    const faulty = await run(
      (pool) =>
        pool
          .all((value) => calls.push(value))
          .then(() => {
            throw failure
          }),
      () => 1,
    )
    assert.deepEqual(calls, [failure])
    assert.deepEqual(faulty.pool.eventNames(), ['worker.message'])
  })

  test('any gives the first result once', async () => {
    const calls = []
    const { pool, threads } = await run(
      (pool) => pool.any((...args) => calls.push(args)),
      fail(failure),
      () => 1,
      () => 2,
    )
    assert.deepEqual(calls, [[1, threads[1]]])
    assert.deepEqual(pool.eventNames(), [])
  })

  test('any gives an error with all reasons when no thread succeeded', async () => {
    const calls = []
    const { pool, threads } = await run((pool) => pool.any((...args) => calls.push(args)), fail('a'), fail('b'))
    assert.equal(calls.length, 1)
    const [error, thread] = calls[0]
    assert.ok(error instanceof AggregateError)
    assert.equal(error.message, 'No threads completed successfully')
    assert.deepEqual(error.errors, ['a', 'b'])
    assert.deepEqual(error.threads, threads)
    assert.equal(thread, undefined)
    assert.deepEqual(pool.eventNames(), [])
  })

  test('race gives the first result or failure once', async () => {
    const calls = []
    for (const [expected, ...tasks] of [
      [1, () => 1, fail(failure)],
      [failure, fail(failure), () => 1],
    ]) {
      const { pool, threads } = await run((pool) => pool.race((...args) => calls.push(args)), ...tasks)
      assert.deepEqual(calls.splice(0), [[expected, threads[0]]])
      assert.deepEqual(pool.eventNames(), [])
    }
  })

  test('race and any wait for what comes after they were registered', async () => {
    const calls = []
    const { pool } = await run(
      () => {},
      () => 1,
    )
    pool.race((result) => calls.push(['race', result])).any((result) => calls.push(['any', result]))
    await microtasks()
    assert.deepEqual(calls, [])
    pool.addTask(() => 2)
    await microtasks()
    assert.deepEqual(calls, [
      ['race', 2],
      ['any', 2],
    ])
  })

  test('callbacks are called in the order of registration: race before then, for the same thread', async () => {
    const pool = new FunctionPool({ poolSize: 2 })
    const calls = []
    pool.race((_result, thread) => calls.push(['race', thread.meta]))
    pool.then((_result, thread) => calls.push(['then', thread.meta]))
    const [a, b] = [new Gate(), new Gate()]
    pool.addTask(a.fn, 'a')
    pool.addTask(b.fn, 'b')
    b.open()
    await microtasks()
    a.open()
    await microtasks()
    assert.deepEqual(calls, [
      ['race', 'b'],
      ['then', 'b'],
      ['then', 'a'],
    ])
  })

  test('a pool can be awaited, which leaves no listeners', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    pool.addTask(fail(failure))
    pool.addTask(() => 5)
    assert.equal(await pool, 5)
    assert.deepEqual(pool.eventNames(), [])
    await microtasks()
    pool.addTask(fail(failure))
    await assert.rejects(Promise.resolve(pool), { name: 'AggregateError', errors: [failure, failure] })
    assert.deepEqual(pool.eventNames(), [])
  })
})
