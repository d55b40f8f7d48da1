// Pools of functions: what they are made with, and how tasks come to their slots.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import os from 'node:os'
import { describe, test } from 'node:test'
import { FunctionPool, FunctionThread, Status } from 'threadmill/function'
import { Gate, microtasks, next, record } from '../helpers/function.mjs'
import { failure, metas, quietCpus, WORKER_EVENTS } from './pools.mjs'

quietCpus()

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
    const pool = new FunctionPool({ poolSize: 2, pingInterval: 5, maxThreadThreshold: 50 })
    for (const name of ['poolSize', 'pingInterval', 'maxThreadThreshold']) {
      assert.throws(() => Object.assign(pool, { [name]: '4' }), { name: 'TypeError', message: /^\w+ must be a number/ })
    }
    assert.deepEqual([pool.poolSize, pool.pingInterval, pool.maxThreadThreshold], [2, 5, 50])
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
