// The books of a pool and what status() tells of them.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { round, StatusAllField, StatusType, TaskPool } from 'threadmill/function'
import { runProgram } from '../helpers/child.mjs'
import { microtasks } from '../helpers/function.mjs'

/** A pool with the names of the events that it told. */
function watched(options) {
  const events = []
  return { events, pool: new TaskPool({ ...options, emitter: (event) => events.push(event) }) }
}

/** A pool with two queued, two active and three completed items. */
function filled() {
  const pool = new TaskPool({ poolSize: 3 })
  for (const item of ['c1', 'c2', 'c3']) pool.complete(item, false)
  for (const item of ['a1', 'a2', 'q1', 'q2']) pool.enqueue(item)
  pool.next()
  pool.next()
  return pool
}

/** Ends the timer of a pool. */
function finish(pool) {
  pool.poolSize = Number.POSITIVE_INFINITY
  while (pool.status('queued') > 0) pool.next()
  for (const item of pool.status('active', 'raw')) pool.complete(item)
  pool.isCompleted(true)
}

describe('constructor', () => {
  test('defaults are an interval of 100 ms, one slot and no emitter', () => {
    for (const pool of [new TaskPool(), new TaskPool({}), new TaskPool({ poolSize: undefined })]) {
      assert.deepEqual([pool.pingInterval, pool.poolSize, pool.emitter], [100, 1, undefined])
    }
  })

  test('options are plain properties that can be assigned, and are not clamped', () => {
    const emitter = () => {}
    const pool = new TaskPool({ pingInterval: 0, poolSize: 0, emitter })
    assert.deepEqual([pool.pingInterval, pool.poolSize, pool.emitter], [0, 0, emitter])
    Object.assign(pool, { pingInterval: 7, poolSize: 2, emitter: undefined })
    assert.deepEqual([pool.pingInterval, pool.poolSize, pool.emitter], [7, 2, undefined])
  })

  test('only own options count', () => {
    assert.equal(new TaskPool(Object.create({ poolSize: 5 })).poolSize, 1)
  })

  for (const options of [null, 5, { poolSize: '2' }, { pingInterval: Number.NaN }, { emitter: 'x' }]) {
    test(`${JSON.stringify(options)} throws`, () => {
      assert.throws(() => new TaskPool(options), { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    })
  }
})

describe('items', () => {
  test('any value is handed out in the order of the queue', () => {
    const circular = {}
    circular.self = circular
    const promise = Promise.reject(new Error('unused'))
    promise.catch(() => {})
    const items = [undefined, null, Symbol('s'), 'toString', '__proto__', 'constructor', circular, promise, 0, '', 'x']
    const pool = new TaskPool({ poolSize: items.length })
    for (const item of items) pool.enqueue(item)
    assert.deepEqual(
      items.map(() => pool.next()),
      items,
    )
    assert.equal(pool.next(), false)
    for (const item of items) assert.equal(pool.complete(item), true)
    assert.deepEqual(pool.status('completed', 'raw'), items)
    pool.isCompleted(true)
  })

  test('next gives false without a free slot', () => {
    const pool = new TaskPool({ poolSize: 1 })
    pool.enqueue('a')
    pool.enqueue('b')
    assert.deepEqual([pool.next(), pool.next(), pool.hasAvailableSlot()], ['a', false, false])
    pool.complete('a')
    assert.deepEqual([pool.hasAvailableSlot(), pool.next()], [true, 'b'])
    finish(pool)
  })

  test('with no slot nothing is ever handed out', () => {
    for (const poolSize of [0, -1]) {
      const pool = new TaskPool({ poolSize })
      pool.enqueue('a')
      assert.deepEqual([pool.next(), pool.hasAvailableSlot(), pool.isReady()], [false, false, false])
      finish(pool)
    }
  })

  test('the queue may hold an item twice', () => {
    const pool = new TaskPool()
    pool.enqueue('a')
    pool.enqueue('a')
    assert.equal(pool.status('queued'), 2)
  })

  test('enqueue with check puts an active item back, at the end', () => {
    const pool = new TaskPool({ poolSize: 1 })
    pool.enqueue('a')
    pool.enqueue('b')
    pool.next()
    pool.enqueue('a', true)
    assert.deepEqual(pool.status(['queued', 'active'], 'raw'), { queued: ['b', 'a'], active: [] })
    pool.next()
    pool.enqueue('b')
    assert.deepEqual(pool.status(['queued', 'active'], 'raw'), { queued: ['a', 'b'], active: ['b'] })
    pool.enqueue('new', true)
    assert.equal(pool.status('total'), 4)
    finish(pool)
  })

  test('complete takes active items only, unless it is told not to check', () => {
    const pool = new TaskPool()
    pool.enqueue('a')
    assert.deepEqual([pool.complete('a'), pool.status('completed')], [false, 0])
    pool.next()
    assert.deepEqual([pool.complete('a'), pool.complete('a')], [true, false])
    assert.equal(pool.complete('other', false), true)
    assert.deepEqual(pool.status('*', 'raw').completed, ['a', 'other'])
    pool.isCompleted(true)
  })

  test('isReady tells whether an item and a slot are there', () => {
    const pool = new TaskPool()
    assert.equal(pool.isReady(), false)
    pool.enqueue('a')
    assert.equal(pool.isReady(), true)
    pool.enqueue('b')
    pool.next()
    assert.equal(pool.isReady(), false)
    finish(pool)
  })

  test('clearCompleted forgets the completed items', () => {
    const pool = filled()
    assert.deepEqual([pool.clearCompleted(), pool.clearCompleted()], [3, 0])
    assert.deepEqual(pool.status(['completed', 'total']), { completed: 0, total: 4 })
    finish(pool)
  })

  test('a long queue takes time in proportion to its length', () => {
    const pool = new TaskPool({ poolSize: Number.POSITIVE_INFINITY })
    const length = 300_000
    for (let item = 0; item < length; item++) pool.enqueue(item)
    const started = performance.now()
    for (let item = 0; item < length; item++) assert.ok(pool.next() === item)
    // Quadratic cost is minutes.
    assert.ok(performance.now() - started < 10_000)
    assert.deepEqual(pool.status(['queued', 'active']), { queued: 0, active: length })
    finish(pool)
  })
})

describe('completion', () => {
  test('a new pool is completed', () => {
    assert.equal(new TaskPool().isCompleted(), true)
  })

  test('queued and active items keep it from being completed', () => {
    const pool = new TaskPool()
    pool.enqueue('a')
    assert.equal(pool.isCompleted(true), false)
    pool.next()
    assert.equal(pool.isCompleted(true), false)
    pool.complete('a')
    assert.equal(pool.isCompleted(), true)
    finish(pool)
  })

  test('it is announced once for each drain, a microtask after the last item', async () => {
    const { pool, events } = watched()
    pool.enqueue('a')
    pool.next()
    pool.complete('a')
    assert.deepEqual(events, ['startPinging'])
    await Promise.resolve()
    assert.deepEqual(events.splice(0), ['startPinging', 'stopPinging', 'complete'])
    assert.equal(pool.isCompleted(true), true)
    assert.deepEqual(events, [])
    pool.enqueue('b')
    pool.next()
    pool.complete('b')
    await microtasks()
    assert.deepEqual(events, ['startPinging', 'stopPinging', 'complete'])
  })

  test('what is added before the microtask prevents it', async () => {
    const { pool, events } = watched()
    pool.enqueue('a')
    pool.next()
    pool.complete('a')
    pool.enqueue('b')
    await microtasks()
    assert.deepEqual(events, ['startPinging'])
    finish(pool)
  })

  test('isCompleted without emit announces nothing and leaves the timer', () => {
    const { pool, events } = watched()
    pool.isReady()
    assert.equal(pool.isCompleted(), true)
    assert.deepEqual(events, ['startPinging'])
    pool.isCompleted(true)
    assert.deepEqual(events, ['startPinging', 'stopPinging', 'complete'])
  })
})

describe('timer', () => {
  for (const name of ['next', 'isReady']) {
    test(`${name} starts it, once`, () => {
      const { pool, events } = watched()
      pool[name]()
      pool[name]()
      assert.deepEqual(events, ['startPinging'])
      pool.isCompleted(true)
    })
  }

  test('enqueue and the questions do not start it', () => {
    const { pool, events } = watched()
    pool.enqueue('a')
    pool.hasAvailableSlot()
    pool.status()
    pool.isCompleted()
    assert.deepEqual(events, [])
  })

  test('it pings each interval, and a new interval counts from its next start', async () => {
    const pool = new TaskPool({ pingInterval: 1 })
    const pings = (count, pool) =>
      new Promise((resolve) => {
        pool.emitter = (event) => {
          if (event === 'ping' && --count === 0) resolve()
        }
      })
    pool.enqueue('a')
    const three = pings(3, pool)
    pool.next()
    await three
    // More than a timer can wait for.
    pool.pingInterval = 2 ** 31
    await pings(3, pool)
    pool.complete('a')
    await microtasks()
    let pinged = false
    pool.emitter = (event) => {
      pinged ||= event === 'ping'
    }
    pool.enqueue('b')
    pool.next()
    const clock = new TaskPool({ pingInterval: 1 })
    clock.enqueue('a')
    clock.next()
    await pings(10, clock)
    assert.equal(pinged, false)
    finish(clock)
    finish(pool)
  })

  test('it keeps the process alive only with work', async () => {
    const program = (body) => `
      import { TaskPool } from 'threadmill/function'
      const pool = new TaskPool({ pingInterval: 1, emitter: (event) => tell(event) })
      let pings = 0
      let tell = () => {}
      ${body}`
    const idle = await runProgram(program('pool.isReady()'), { limit: 20_000 })
    assert.deepEqual([idle.code, idle.timedOut, idle.stderr], [0, false, ''])
    const late = await runProgram(
      program(`
        pool.isReady()
        pool.enqueue('a')
        tell = () => {
          if (++pings < 5) return
          console.log(pool.next(), pool.complete('a'))
          tell = () => {}
        }`),
      { limit: 20_000 },
    )
    assert.deepEqual([late.code, late.stdout.trim(), late.stderr], [0, 'a true', ''])
  })
})

describe('status', () => {
  test('constants', () => {
    assert.deepEqual(StatusType, { RAW: 'raw', COUNT: 'count', PERCENT: 3 })
    assert.ok(Object.isFrozen(StatusType))
    assert.equal(StatusAllField, '*')
  })

  test('counts of all fields are what it gives by default', () => {
    const pool = filled()
    const counts = { queued: 2, active: 2, completed: 3, remaining: 4, started: 5, total: 7 }
    for (const answer of [pool.status(), pool.status('*'), pool.status(StatusAllField, StatusType.COUNT)]) {
      assert.deepEqual(answer, counts)
    }
    assert.deepEqual(pool.status(undefined, 'count'), counts)
    finish(pool)
  })

  test('raw gives the items, remaining, started and total in their order', () => {
    const pool = filled()
    assert.deepEqual(pool.status('*', StatusType.RAW), {
      queued: ['q1', 'q2'],
      active: ['a1', 'a2'],
      completed: ['c1', 'c2', 'c3'],
      remaining: ['q1', 'q2', 'a1', 'a2'],
      started: ['a1', 'a2', 'c1', 'c2', 'c3'],
      total: ['q1', 'q2', 'a1', 'a2', 'c1', 'c2', 'c3'],
    })
    finish(pool)
  })

  test('one name gives a value, several an object with those keys', () => {
    const pool = filled()
    assert.equal(pool.status('started'), 5)
    assert.deepEqual(pool.status('queued', 'raw'), ['q1', 'q2'])
    assert.equal(pool.status('queued', 0), 29)
    assert.deepEqual(pool.status(['active', 'total'], 1), { active: 28.6, total: 100 })
    assert.deepEqual(pool.status([]), {})
    finish(pool)
  })

  test('any whole number is a number of decimals', () => {
    const pool = new TaskPool()
    pool.enqueue('a')
    pool.enqueue('b')
    pool.complete('c', false)
    assert.equal(pool.status('completed', StatusType.PERCENT), 33.333)
    assert.equal(pool.status('queued', 3), 66.667)
    assert.equal(pool.status('queued', 0), 67)
    assert.equal(pool.status('queued', -1), 70)
    assert.equal(pool.status('active', 3), 0)
    pool.complete('d', false)
    pool.complete('e', false)
    pool.complete('f', false)
    pool.complete('g', false)
    pool.complete('h', false)
    assert.equal(pool.status('completed', 3), 75)
  })

  test('shares of an empty pool are 0', () => {
    assert.deepEqual(Object.values(new TaskPool().status('*', 3)), [0, 0, 0, 0, 0, 0])
  })

  test('arrays that were handed out do not change, and changing them changes nothing', () => {
    const pool = filled()
    const before = pool.status('*', 'raw')
    const copy = structuredClone(before)
    pool.enqueue('more')
    pool.complete('a1')
    assert.deepEqual(before, copy)
    for (const items of Object.values(pool.status('*', 'raw'))) items.length = 0
    assert.equal(pool.status('total'), 8)
    finish(pool)
  })

  for (const field of ['bogus', '', 'toString', '__proto__', 'constructor', 5, null, Symbol('s'), {}]) {
    test(`the field ${String(field)} throws`, () => {
      const pool = new TaskPool()
      const expected = (error) =>
        error instanceof Error && error.message.startsWith(`Invalid status field: "${String(field)}"`)
      assert.throws(() => pool.status(field), expected)
      assert.throws(() => pool.status(['queued', field], 'raw'), expected)
    })
  }

  test('an array with * or a hole throws', () => {
    assert.throws(() => new TaskPool().status(['*']), /^Error: Invalid status field: "\*"/)
    assert.throws(() => new TaskPool().status(new Array(1)), /^Error: Invalid status field: "undefined"/)
  })

  for (const type of ['percent', 1.5, Number.NaN, Number.POSITIVE_INFINITY, null, {}, '3']) {
    test(`the type ${type} throws`, () => {
      const expected = { name: 'TypeError', message: /'raw', 'count' or a whole number/ }
      assert.throws(() => new TaskPool().status('*', type), expected)
      assert.throws(() => new TaskPool().status('total', type), expected)
    })
  }
})

test('round rounds halves up', () => {
  const cases = [
    [1.235, 2, 1.24],
    [66.66666, 3, 66.667],
    [33.33333, 3, 33.333],
    [66.6, 0, 67],
    [66.6, undefined, 67],
    [-1.5, 0, -1],
    [2.5, 0, 3],
    [1234, -2, 1200],
    [1234, -400, 0],
    [0.1, 400, 0.1],
    [Number.NaN, 2, Number.NaN],
  ]
  for (const [number, precision, expected] of cases) assert.equal(round(number, precision), expected)
})
