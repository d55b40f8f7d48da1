// Pools of functions: order, events, completion, registration methods, and what they do to the process.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import os from 'node:os'
import process from 'node:process'
import { after, beforeEach, describe, test } from 'node:test'
import { FunctionPool, FunctionThread, Status, StatusType } from 'threadmill/function'
import { runProgram } from '../helpers/child.mjs'
import { Cpus, Gate, microtasks, next, record, uncaught } from '../helpers/function.mjs'

const failure = new Error('failure')
const WORKER_EVENTS = ['init', 'status', 'message', 'error', 'messageerror', 'exit'].map((name) => `worker.${name}`)

let cpus
beforeEach(() => {
  cpus = new Cpus()
})
after(() => cpus.restore())

const metas = (threads) => threads.map((thread) => thread.meta)

describe('constructor', () => {
  test('defaults', () => {
    const pool = new FunctionPool()
    assert.ok(pool instanceof EventEmitter)
    assert.equal(pool.poolSize, Math.max(pool.system.cores - 1, 1))
    assert.deepEqual([pool.pingInterval, pool.maxThreadThreshold], [100, 98])
    assert.deepEqual(new FunctionPool({ poolSize: undefined }).poolSize, pool.poolSize)
  })

  test('numbers are readable and writable, and at least 1', () => {
    const pool = new FunctionPool({ poolSize: 3, pingInterval: 7, maxThreadThreshold: 50 })
    assert.deepEqual([pool.poolSize, pool.pingInterval, pool.maxThreadThreshold], [3, 7, 50])
    for (const value of [0, -5, 0.5, Number.NEGATIVE_INFINITY]) {
      const small = new FunctionPool({ poolSize: value, pingInterval: value })
      assert.deepEqual([small.poolSize, small.pingInterval], [1, 1])
      Object.assign(pool, { poolSize: value, pingInterval: value })
      assert.deepEqual([pool.poolSize, pool.pingInterval], [1, 1])
    }
    Object.assign(pool, { poolSize: 2.9, pingInterval: Number.POSITIVE_INFINITY, maxThreadThreshold: -1 })
    assert.deepEqual([pool.poolSize, pool.pingInterval, pool.maxThreadThreshold], [2, 2 ** 31 - 1, -1])
    pool.poolSize = Number.POSITIVE_INFINITY
    assert.equal(pool.poolSize, Number.POSITIVE_INFINITY)
  })

  const wrong = { poolSize: ['2', null, Number.NaN], pingInterval: ['x', Number.NaN], maxThreadThreshold: ['98', null] }
  for (const [name, values] of Object.entries({ ...wrong, autoStart: [1, null] })) {
    test(`a wrong ${name} throws`, () => {
      for (const value of values) {
        const expected = { name: 'TypeError', message: new RegExp(`^options\\.${name} must be a .*; got `) }
        assert.throws(() => new FunctionPool({ [name]: value }), expected)
      }
    })
  }

  test('a wrong assignment throws and changes nothing', () => {
    const pool = new FunctionPool({ poolSize: 2, pingInterval: 5 })
    for (const name of ['poolSize', 'pingInterval']) {
      assert.throws(() => Object.assign(pool, { [name]: '4' }), { name: 'TypeError', message: /^\w+ must be a number/ })
    }
    assert.deepEqual([pool.poolSize, pool.pingInterval], [2, 5])
  })

  test('options that are no object throw', () => {
    for (const options of [null, 5, []]) assert.throws(() => new FunctionPool(options), TypeError)
  })

  test('other keys become properties, unless the pool has one of that name', () => {
    const label = {}
    const own = { ['__proto__']: { polluted: true } }
    const names = ['addTask', 'on', 'then', 'status', 'system', 'start', 'constructor', 'toString', '_events']
    const pool = new FunctionPool({ label, ...own, ...Object.fromEntries(names.map((name) => [name, 'replaced'])) })
    assert.equal(pool.label, label)
    for (const name of names) assert.notEqual(pool[name], 'replaced')
    assert.equal(pool.polluted, undefined)
    assert.ok(pool instanceof FunctionPool)
    assert.equal(new FunctionPool(Object.create({ inherited: 1 })).inherited, undefined)
  })

  test('system tells what the machine is made of', () => {
    const { system } = new FunctionPool()
    assert.deepEqual(Object.keys(system), ['cores', 'threads', 'memory'])
    assert.equal(system.threads, os.cpus().length)
    assert.ok(Number.isInteger(system.cores) && system.cores >= 1 && system.cores <= system.threads)
    assert.ok(Math.abs(system.memory - os.totalmem()) <= os.totalmem() / 100)
    assert.throws(() => {
      new FunctionPool().system = {}
    }, TypeError)
    assert.ok(Object.isFrozen(system))
  })
})

describe('addTask', () => {
  test('starts synchronously while a slot is free, in the order of the calls', async () => {
    const pool = new FunctionPool({ poolSize: 2 })
    const gates = Array.from({ length: 4 }, () => new Gate())
    const threads = gates.map((gate, index) => pool.addTask(gate.fn, index))
    assert.ok(threads.every((thread) => thread instanceof FunctionThread))
    assert.deepEqual(
      threads.map((thread) => thread.status.value),
      [Status.ACTIVE, Status.ACTIVE, Status.READY, Status.READY],
    )
    const calls = () => gates.map((gate) => gate.calls)
    assert.deepEqual(calls(), [1, 1, 0, 0])
    gates[1].open()
    await microtasks()
    assert.deepEqual(calls(), [1, 1, 1, 0])
    gates[0].open()
    await microtasks()
    assert.deepEqual(calls(), [1, 1, 1, 1])
    gates[3].open()
    await microtasks()
    gates[2].open()
    await microtasks()
    assert.deepEqual(metas(pool.status('completed', 'raw')), [1, 0, 3, 2])
  })

  test('meta is kept as it is', () => {
    const pool = new FunctionPool({ autoStart: false })
    const object = { meta: 1 }
    assert.equal(pool.addTask(() => {}, object).meta, object)
    assert.equal(pool.addTask(() => {}, 'text').meta, 'text')
    assert.equal(pool.addTask(() => {}).meta, undefined)
  })

  for (const value of [undefined, null, 'text', {}, Promise.resolve()]) {
    test(`${String(value)} instead of a function throws and leaves the pool as it was`, () => {
      const pool = new FunctionPool()
      const events = record(pool, ['startPinging', ...WORKER_EVENTS])
      assert.throws(() => pool.addTask(value), { name: 'TypeError', message: /^workerFn must be a function/ })
      assert.deepEqual(pool.status(), { queued: 0, active: 0, completed: 0, remaining: 0, started: 0, total: 0 })
      assert.deepEqual(events, [])
    })
  }

  test('a function that throws at once frees its slot', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const seen = record(pool, ['worker.error', 'worker.exit', 'complete'], ([value]) => [value])
    pool.addTask(() => {
      throw failure
    })
    const second = pool.addTask(() => 'plain value')
    await next(pool, 'complete')
    assert.equal(second.message, 'plain value')
    assert.deepEqual(seen, [
      ['worker.error', failure],
      ['worker.exit', 1],
      ['worker.exit', 0],
      ['complete', undefined],
    ])
  })

  test('a function sees the async context of its addTask', async () => {
    const storage = new AsyncLocalStorage()
    const pool = new FunctionPool({ poolSize: 1 })
    for (const name of ['a', 'b', 'c']) storage.run(name, () => pool.addTask(async () => storage.getStore(), name))
    await next(pool, 'complete')
    for (const thread of pool.status('completed', 'raw')) assert.equal(thread.message, thread.meta)
  })

  test('a thread that the user starts before its turn runs once and leaves no slot occupied', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const [first, early, running] = [new Gate(), new Gate(), new Gate()]
    pool.addTask(first.fn)
    const ended = pool.addTask(early.fn)
    const active = pool.addTask(running.fn)
    assert.deepEqual([ended.start(), active.start()], [true, true])
    early.open()
    await microtasks()
    assert.ok(ended.status.SUCCESS)
    first.open()
    await microtasks()
    assert.deepEqual(pool.status(['queued', 'active', 'completed']), { queued: 0, active: 1, completed: 2 })
    const complete = next(pool, 'complete')
    running.open()
    await complete
    assert.deepEqual([first.calls, early.calls, running.calls], [1, 1, 1])
    assert.deepEqual(pool.status(['queued', 'active', 'completed']), { queued: 0, active: 0, completed: 3 })
  })

  test('removing all listeners of a thread does not disturb the pool', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const events = record(pool, ['worker.message', 'complete'], ([value]) => [value])
    pool.addTask(async () => 1).removeAllListeners()
    await next(pool, 'complete')
    assert.deepEqual(events, [
      ['worker.message', 1],
      ['complete', undefined],
    ])
  })
})

describe('autoStart', () => {
  test('false keeps tasks until start()', async () => {
    const pool = new FunctionPool({ autoStart: false, poolSize: 1 })
    const gate = new Gate()
    const thread = pool.addTask(gate.fn)
    assert.deepEqual([thread.status.READY, gate.calls], [true, 0])
    assert.equal(pool.start(), pool)
    assert.equal(gate.calls, 1)
    pool.addTask(async () => {})
    gate.open()
    await next(pool, 'complete')
    assert.equal(pool.status('completed'), 2)
    assert.ok(pool.addTask(async () => {}).status.ACTIVE)
    pool.start()
    await next(pool, 'complete')
  })
})

describe('slots', () => {
  test('hasAvailableThread tells whether one is free', async () => {
    const pool = new FunctionPool({ poolSize: 2 })
    const gates = [new Gate(), new Gate()]
    assert.equal(pool.hasAvailableThread(), true)
    pool.addTask(gates[0].fn)
    assert.equal(pool.hasAvailableThread(), true)
    pool.addTask(gates[1].fn)
    assert.equal(pool.hasAvailableThread(), false)
    gates[0].open()
    await microtasks()
    assert.equal(pool.hasAvailableThread(), true)
    gates[1].open()
    await microtasks()
  })

  test('a larger poolSize starts queued tasks at once', async () => {
    const pool = new FunctionPool({ poolSize: 1 })
    const gates = Array.from({ length: 4 }, () => new Gate())
    for (const gate of gates) pool.addTask(gate.fn)
    pool.poolSize = 3
    assert.deepEqual(
      gates.map((gate) => gate.calls),
      [1, 1, 1, 0],
    )
    pool.poolSize = 1
    gates[0].open()
    gates[1].open()
    await microtasks()
    assert.equal(gates[3].calls, 0)
    gates[2].open()
    await microtasks()
    assert.equal(gates[3].calls, 1)
    gates[3].open()
    await microtasks()
  })
})

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

describe('the process', () => {
  const program = (body) => `import { FunctionPool } from 'threadmill/function'\n${body}`

  test('an idle pool lets it end, and so does an import', async () => {
    const bodies = [
      '',
      'new FunctionPool({ pingInterval: 1 }).hasAvailableThread()',
      'new FunctionPool({ pingInterval: 1 }).addTask(async () => {})',
      'new FunctionPool({ pingInterval: 1, autoStart: false }).addTask(async () => {})',
    ]
    for (const body of bodies) {
      const { code, timedOut, stderr } = await runProgram(program(body), { limit: 20_000 })
      assert.deepEqual([code, timedOut, stderr], [0, false, ''], body)
    }
  })

  test('active and queued work keeps it alive', async () => {
    const source = program(`
      const pool = new FunctionPool({ poolSize: 1, maxThreadThreshold: 100 })
      const timer = setTimeout(() => open(), 300).unref()
      let open
      pool.addTask(() => new Promise((resolve) => { open = resolve }))
      pool.addTask(async () => 'second')
      pool.then((result) => console.log(result)).allSettled((threads) => console.log('done', threads.length))`)
    const { code, stdout, stderr } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([code, stdout, stderr], [0, 'undefined\nsecond\ndone 2\n', ''])
  })

  test('nothing is installed on it, and its environment stays', async () => {
    const source = `
      const state = () => JSON.stringify([process.eventNames().map(String), process.env, process.listenerCount('SIGINT')])
      const before = state()
      const { FunctionPool } = await import('threadmill/function')
      const pool = new FunctionPool()
      pool.addTask(async () => {})
      await new Promise((resolve) => pool.allSettled(resolve))
      if (state() !== before) throw new Error(state())`
    const { code, stderr } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([code, stderr], [0, ''])
  })

  test('an import loads no addon', async () => {
    const source = `
      import { createRequire } from 'node:module'
      import 'threadmill/function'
      console.log(Object.keys(createRequire(import.meta.url).cache).filter((file) => file.endsWith('.node')).length)`
    const { stdout } = await runProgram(source, { limit: 20_000 })
    assert.equal(stdout, '0\n')
  })
})

describe('many tasks', () => {
  for (const poolSize of [1, 16, Number.POSITIVE_INFINITY]) {
    test(`100 000 trivial tasks start in their order with ${poolSize} slots`, async () => {
      const pool = new FunctionPool({ poolSize })
      const count = 100_000
      let started = 0
      const complete = next(pool, 'complete')
      const time = performance.now()
      for (let number = 0; number < count; number++) {
        pool.addTask(() => {
          assert.ok(started === number)
          started++
        })
      }
      await complete
      assert.deepEqual(pool.status(['queued', 'active', 'completed']), { queued: 0, active: 0, completed: count })
      assert.ok(pool.status('completed', 'raw').every((thread) => thread.status.SUCCESS))
      // Quadratic cost is minutes.
      assert.ok(performance.now() - time < 30_000)
    })
  }

  test('a queue that empties itself without new calls does not recurse', async () => {
    const pool = new FunctionPool({ poolSize: 1, autoStart: false })
    for (let number = 0; number < 50_000; number++) pool.addTask(() => number)
    pool.start()
    await next(pool, 'complete')
    assert.equal(pool.status('completed'), 50_000)
  })
})
