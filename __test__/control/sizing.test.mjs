// The number of workers: least and most, idle ones that end, resizing while tasks run, and workers that are used up.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { blockUntil, occupy, rejection, until } from '../helpers/pool.mjs'
import { control } from './control.mjs'

const require = createRequire(import.meta.url)
const FORCE = { affinityStrength: 'force' }
const alive = (pool) => pool.workers.map(({ id }) => id).sort()

/** Occupies a worker until `release` is called. */
async function block({ pool, numbers }, cell, options) {
  const begun = numbers[cell]
  const task = pool.addTask({ do: 'block', cell }, options)
  await until(() => numbers[cell] === begun + 1)
  return () => {
    Atomics.store(numbers, cell + 1, 1)
    Atomics.notify(numbers, cell + 1)
    return task
  }
}

describe('the least and the most', () => {
  test('the least are launched at construction and stay', async (t) => {
    const { pool, launched, exits } = control(t, { minWorkers: 2, maxWorkers: 3, idleTimeout: 20 })
    assert.deepEqual(alive(pool), [0, 1])
    const tasks = Array.from({ length: 12 }, () => pool.run({ do: 'where' }))
    await Promise.all(tasks)
    assert.deepEqual(launched.sort(), [0, 1, 2])
    await until(() => exits.length === 1)
    assert.equal(alive(pool).length, 2)
    assert.deepEqual(pool.stats().sizing.js, { min: 2, max: 3 })
  })

  test('a crash does not leave fewer', async (t) => {
    const { pool, exits, launched } = control(t, { minWorkers: 2, maxWorkers: 2 })
    await rejection(pool.run({ do: 'crash', cell: 2, times: 9 }))
    await until(() => exits.length === 1 && launched.length === 3)
    assert.deepEqual(alive(pool), [0, 1])
  })

  test('a number of workers is both', async (t) => {
    const { pool } = control(t, {})
    assert.deepEqual(pool.stats().sizing.js.min, 0)
    const fixed = new WorkerPool(new URL('./fixtures/control.mjs', import.meta.url), 2)
    t.after(() => fixed.destroy())
    assert.deepEqual(fixed.stats().sizing.js, { min: 2, max: 2 })
  })

  for (const [options, name] of [
    [{ minWorkers: 3, maxWorkers: 2 }, 'RangeError'],
    [{ minWorkers: -1 }, 'RangeError'],
    [{ minWorkers: 1.5 }, 'RangeError'],
    [{ minWorkers: '1' }, 'TypeError'],
    [{ idleTimeout: -1 }, 'RangeError'],
    [{ idleTimeout: Number.NaN }, 'RangeError'],
    [{ idleTimeout: null }, 'TypeError'],
    [{ recycle: 5 }, 'TypeError'],
    [{ recycle: { tasks: 0 } }, 'RangeError'],
    [{ recycle: { heapBytes: 0.5 } }, 'RangeError'],
    [{ recycle: { heapGrowth: 0.5 } }, 'RangeError'],
  ]) {
    test(`${JSON.stringify(options)} is refused`, (t) => {
      assert.throws(() => control(t, options), { name, message: new RegExp(`options\\.${Object.keys(options)[0]}`) })
    })
  }

  test('a least above the default most raises that', (t) => {
    const { pool } = control(t, { minWorkers: 70, idleTimeout: 0 })
    assert.equal(pool.stats().sizing.js.max, 70)
  })
})

describe('idle workers', () => {
  test('end after their time, say goodbye, and come back when they are needed', async (t) => {
    const { pool, numbers, exits, launched } = control(t, { maxWorkers: 1, idleTimeout: 20 })
    const { threadId } = await pool.run({ do: 'where' })
    await until(() => exits.length === 1)
    assert.deepEqual([exits[0].code, numbers[0], alive(pool)], [0, 1, []])
    const after = await pool.run({ do: 'where' })
    assert.equal(after.id, 0)
    assert.notEqual(after.threadId, threadId)
    assert.equal(launched.length, 2)
  })

  test('beyond the least end, and no others', async (t) => {
    const lane = control(t, { minWorkers: 2, maxWorkers: 4, idleTimeout: 100 })
    const { pool, launched, exits } = lane
    const releases = []
    for (const cell of [2, 4, 6, 8]) releases.push(await block(lane, cell))
    await Promise.all(releases.map((release) => release()))
    await until(() => exits.length >= 2)
    // One more than those would have been replaced by now.
    assert.deepEqual([launched.length, exits.length, alive(pool).length], [4, 2, 2])
  })

  test('never end while they run something, or in a pool that keeps them', async (t) => {
    const pools = control(t, { maxWorkers: 2, idleTimeout: 1 })
    const release = await block(pools, 2)
    await pools.pool.run({ do: 'where' })
    await until(() => pools.exits.length === 1)
    assert.deepEqual(alive(pools.pool), [0])
    assert.equal(await release(), 'released')
    await until(() => pools.exits.length === 2)
    const kept = control(t, { maxWorkers: 1, idleTimeout: Number.POSITIVE_INFINITY })
    const { threadId } = await kept.pool.run({ do: 'where' })
    assert.equal((await kept.pool.run({ do: 'where' })).threadId, threadId)
  })

  test('tasks race with the end of their workers: none is lost', async (t) => {
    const { pool, exits } = control(t, { maxWorkers: 2, idleTimeout: 0 })
    for (let round = 0; round < 60 || exits.length < 5; round++) {
      const values = await Promise.all([1, 2, 3].map((value) => pool.run({ do: 'value', value })))
      assert.deepEqual(values, [1, 2, 3])
      if (round % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 7))
    }
  })

  test('a task forced to one that has ended brings it back', async (t) => {
    const { pool, exits } = control(t, { maxWorkers: 3, idleTimeout: 10 })
    assert.equal((await pool.run({ do: 'where' }, { workerAffinity: 2, ...FORCE })).id, 2)
    await until(() => exits.length === 3)
    assert.equal((await pool.run({ do: 'where' }, { workerAffinity: 2, ...FORCE })).id, 2)
  })

  test('a task may be forced by a worker to one that was never launched', async (t) => {
    const source = `export const workerEntrypoint = (input, client) => input === undefined
      ? client.addTask('inner', { workerAffinity: 2, affinityStrength: 'force' }) : client.id`
    const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 3 })
    t.after(() => pool.destroy())
    assert.equal(await pool.run(), 2)
  })
})

describe('by load', () => {
  test('a pool grows above its threshold, not at it, and shrinks below the other', async (t) => {
    const options = { minWorkers: 1, maxWorkers: 4, idleTimeout: 10, autoScale: { grow: 0.5, shrink: 0.5 } }
    const pools = control(t, options)
    const { pool, launched, exits } = pools
    const first = await block(pools, 2)
    assert.deepEqual(launched, [0], 'nobody was busy at that submission')
    const second = await block(pools, 4)
    assert.deepEqual(launched, [0, 1], 'for the task; then one of two was busy, which is the threshold')
    assert.equal(await pool.run({ do: 'value', value: 1 }), 1)
    assert.deepEqual(launched, [0, 1, 2, 3], 'for the task; and because two of three were busy')
    await until(() => pool.stats().js.every(({ started }) => started))
    await pool.run({ do: 'value', value: 1 })
    assert.equal(exits.length, 0, 'two of four is the threshold')
    await Promise.all([first(), second()])
    await until(() => exits.length === 3)
  })

  for (const [autoScale, name] of [
    [1, 'TypeError'],
    [{ grow: 1.1 }, 'RangeError'],
    [{ grow: 0.1, shrink: 0.2 }, 'RangeError'],
    [{ shrink: '0' }, 'TypeError'],
  ]) {
    test(`autoScale ${JSON.stringify(autoScale)} is refused`, (t) => {
      assert.throws(() => control(t, { autoScale }), { name, message: /options\.autoScale/ })
    })
  }
})

test('autoScale shrinks below where it grows, if nothing else is said', async (t) => {
  const { pool } = control(t, { autoScale: { grow: 0.1 } })
  assert.equal(await pool.run({ do: 'value', value: 1 }), 1)
})

describe('resize', () => {
  test('tasks with an affinity launch none beyond the most, and those forced to one that is there run there', async (t) => {
    const source =
      'data:text/javascript,export default ([cells, at], { id }) => { Atomics.wait(cells, at, 0); return id }'
    const pool = new WorkerPool(source, 4)
    t.after(() => pool.destroy())
    const cells = new Int32Array(new SharedArrayBuffer(8))
    const open = (at) => {
      Atomics.store(cells, at, 1)
      Atomics.notify(cells, at)
    }
    const on = (workerAffinity, affinityStrength = 'force') => ({ workerAffinity, affinityStrength })
    open(1)
    await Promise.all([0, 1, 2, 3].map((id) => pool.run([cells, 1], on(id))))
    // They run nothing else meanwhile, so the others end.
    const busy = [2, 3].map((id) => pool.run([cells, 0], on(id)))
    await until(() => pool.stats().busyWorkers === 2)
    const ended = new Promise((resolve) => {
      let count = 0
      pool.on('worker-exit', () => ++count === 2 && resolve())
    })
    pool.resize({ min: 2, max: 2 })
    await ended
    const ids = () => pool.workers.map(({ id }) => id).join()
    assert.equal(ids(), '2,3')
    open(0)
    assert.deepEqual(await Promise.all(busy), [2, 3])
    for (const strength of ['light', 'strong']) {
      assert.ok([2, 3].includes(await pool.run([cells, 1], on(1, strength))))
      assert.equal(ids(), '2,3')
    }
    assert.equal(await pool.run([cells, 1], on(3)), 3)
    await assert.rejects(pool.run([cells, 1], on(4)), {
      code: 'ERR_THREADMILL_OUT_OF_RANGE',
      message: /from 0 to 1, -1 or 'main'; got 4/,
    })
    // One that has to be launched for a task ends again.
    assert.equal(await pool.run([cells, 1], on(1)), 1)
    await until(() => pool.workers.length === 2)
  })

  test('ends workers that still load before those that are ready', async (t) => {
    // The first thread loads at once, the others wait.
    const source = `import { threadId, workerData } from 'node:worker_threads'
      if (Atomics.add(workerData, 0, 1) > 0) Atomics.wait(workerData, 1, 0)
      export default () => threadId`
    const workerData = new Int32Array(new SharedArrayBuffer(8))
    const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 3, workerData })
    t.after(() => pool.destroy())
    const threadId = await pool.run()
    pool.resizeUpTo(3)
    await until(() => workerData[0] === 3)
    pool.resize({ min: 1, max: 1 })
    // Those that load never end by themselves.
    assert.equal(await pool.run(undefined, { timeout: 5000 }), threadId)
    assert.equal(pool.workers[0].threadId, threadId)
  })

  test('to more workers serves what waits', async (t) => {
    const pools = control(t, { maxWorkers: 1 })
    const release = await block(pools, 2)
    const waiting = [1, 2, 3].map((value) => pools.pool.run({ do: 'value', value }))
    pools.pool.resize({ max: 2 })
    assert.deepEqual(await Promise.all(waiting), [1, 2, 3])
    assert.deepEqual(pools.pool.stats().sizing.js, { min: 0, max: 2 })
    assert.equal(await release(), 'released')
  })

  test('to fewer ends idle ones first, and no task that runs', async (t) => {
    const pools = control(t, { maxWorkers: 3, minWorkers: 3 })
    const releases = [
      await block(pools, 2, { workerAffinity: 0, ...FORCE }),
      await block(pools, 4, { workerAffinity: 2, ...FORCE }),
    ]
    // One that still loads would be terminated.
    await pools.pool.run({ do: 'where' }, { workerAffinity: 1, ...FORCE })
    pools.pool.resize({ min: 0, max: 1 })
    await until(() => pools.exits.length === 1)
    assert.deepEqual(alive(pools.pool), [0, 2])
    const waiting = pools.pool.run({ do: 'where' })
    assert.deepEqual(await Promise.all(releases.map((release) => release())), ['released', 'released'])
    assert.equal((await waiting).id, 0)
    await until(() => pools.exits.length === 2)
    assert.deepEqual(alive(pools.pool), [0])
    assert.ok(pools.exits.every(({ code }) => code === 0))
  })

  test('to a lower least lets idle ones end', async (t) => {
    const { pool, exits } = control(t, { minWorkers: 2, maxWorkers: 2, idleTimeout: 20 })
    await Promise.all([0, 1].map((id) => pool.run({ do: 'where' }, { workerAffinity: id, ...FORCE })))
    pool.resize({ min: 0 })
    await until(() => exits.length === 2)
    assert.deepEqual(alive(pool), [])
  })

  test('up and down again and again, while tasks run, loses none', async (t) => {
    const { pool } = control(t, { maxWorkers: 1 })
    const results = []
    for (let round = 0; round < 12; round++) {
      pool.resize({ max: 1 + (round % 3) })
      for (let value = 0; value < 20; value++) results.push(pool.run({ do: 'value', value }))
      await results.at(-10)
    }
    const values = await Promise.all(results)
    assert.ok(values.every((value, index) => value === index % 20))
  })

  test('to fewer ends a worker that has loaded, and has not been heard of yet', async (t) => {
    const { pool, numbers, exits } = control(t, { minWorkers: 2, maxWorkers: 2 })
    const forced = (id) => ({ ...FORCE, workerAffinity: id })
    const tasks = [0, 1].map((id) => pool.run({ do: 'fail', cell: 2, times: 0 }, forced(id)))
    // Hands them over. Then both have loaded, and this thread has not heard of it.
    pool.stats()
    blockUntil(() => numbers[2] === 2)
    pool.resize({ min: 1, max: 1 })
    assert.deepEqual(await Promise.all(tasks), ['done', 'done'])
    await until(() => exits.length === 1)
    assert.equal(alive(pool).length, 1)
  })

  test('to fewer than are busy counts those as workers', async (t) => {
    const lane = control(t, { minWorkers: 2, maxWorkers: 2 })
    const releases = [await block(lane, 2), await block(lane, 4)]
    lane.pool.resize({ min: 1, max: 1 })
    const { poolSize, busyWorkers, availableWorkers, load } = lane.pool.stats()
    assert.deepEqual(
      { poolSize, busyWorkers, availableWorkers, load },
      { poolSize: 2, busyWorkers: 2, availableWorkers: 0, load: 1 },
    )
    await Promise.all(releases.map((release) => release()))
  })

  test('of native workers', async (t) => {
    const pool = new WorkerPool({ threads: 2 })
    t.after(() => pool.destroy())
    const [first, second] = [await occupy(pool), await occupy(pool)]
    pool.resize({ max: 1 })
    assert.deepEqual([pool.stats().poolSize, pool.workers.length], [2, 1])
    await first.release()
    await second.release()
    await until(() => pool.stats().poolSize === 1)
    assert.deepEqual(await Promise.all([5, 10].map((n) => pool.kernels.fib(n))), [5, 55])
    assert.throws(() => pool.addTask(5, { kernel: 'fib', workerAffinity: 1 }), { name: 'RangeError' })
    pool.resize({ max: 2 })
    const task = pool.addTask(5, { kernel: 'fib', workerAffinity: 1, ...FORCE })
    assert.equal(await task, 5)
    assert.equal(task.worker.id, 1)
  })

  test('with bad bounds, or of a pool that is closed, is refused', async (t) => {
    const { pool } = control(t, { maxWorkers: 2 })
    const kernels = new WorkerPool({ threads: 1 })
    t.after(() => kernels.destroy())
    for (const [bounds, name, message] of [
      [undefined, undefined, undefined],
      [5, 'TypeError', /bounds must be/],
      [{ min: 3 }, 'RangeError', /bounds\.min/],
      [{ max: 0 }, 'RangeError', /bounds\.max/],
      [{ max: 1025 }, 'RangeError', /bounds\.max/],
      [{ min: 1.5 }, 'RangeError', /bounds\.min/],
      [{ max: '1' }, 'TypeError', /bounds\.max/],
    ]) {
      if (name === undefined) pool.resize({})
      else assert.throws(() => pool.resize(bounds), { name, message })
    }
    assert.throws(() => kernels.resize({ max: 1024 }), { name: 'RangeError', message: /bounds\.max/ })
    assert.deepEqual(pool.stats().sizing.js, { min: 0, max: 2 })
    await pool.close()
    assert.throws(() => pool.resize({ max: 1 }), { code: 'ERR_THREADMILL_POOL_CLOSED' })
  })

  test('pools whose size nobody chose follow what the system grants', async (t) => {
    const { look, grantedThreads } = require(path.resolve('dist/quota.js'))
    const granted = grantedThreads()
    t.after(() => look(granted))
    const following = control(t, {}).pool
    const chosen = control(t, { maxWorkers: 2 }).pool
    const kernels = new WorkerPool()
    t.after(() => kernels.destroy())
    assert.equal(following.stats().sizing.js.max, granted)
    look(granted + 3)
    assert.equal(following.stats().sizing.js.max, granted + 3)
    assert.equal(chosen.stats().sizing.js.max, 2)
    look(1)
    assert.equal(following.stats().sizing.js.max, 1)
    assert.equal(kernels.stats().sizing.threads, 1)
    following.resize({ max: 5 })
    look(granted)
    assert.equal(following.stats().sizing.js.max, 5)
    assert.equal(kernels.stats().sizing.threads, granted)
  })
})

describe('workers that are used up', () => {
  test('after their tasks are replaced under the same number', async (t) => {
    const { pool, numbers, exits } = control(t, { maxWorkers: 1, recycle: { tasks: 3 } })
    const threads = []
    for (let index = 0; index < 9; index++) threads.push((await pool.run({ do: 'where' })).threadId)
    assert.deepEqual(
      threads.map((thread) => threads.indexOf(thread)),
      [0, 0, 0, 3, 3, 3, 6, 6, 6],
    )
    await until(() => exits.length === 3)
    assert.equal(numbers[0], 3, 'each said goodbye')
    assert.ok(exits.every(({ id, code }) => id === 0 && code === 0))
  })

  test('many tasks at once run across replacements, each once', async (t) => {
    const { pool } = control(t, { maxWorkers: 2, recycle: { tasks: 5 }, workerConcurrency: 2 })
    const values = await Promise.all(Array.from({ length: 60 }, (_, value) => pool.run({ do: 'value', value })))
    assert.deepEqual(
      values,
      Array.from({ length: 60 }, (_, value) => value),
    )
  })

  test('serve the tasks that their own wait for first', async (t) => {
    const source = `export const workerEntrypoint = async (depth, client) =>
      depth === 0 ? 1 : (await Promise.all([client.addTask(depth - 1), client.addTask(depth - 1)])).reduce((a, b) => a + b)`
    const module = `data:text/javascript,${encodeURIComponent(source)}`
    const pool = new WorkerPool(module, { maxWorkers: 1, recycle: { tasks: 1 } })
    t.after(() => pool.destroy())
    const exits = []
    pool.on('worker-exit', (_, code) => exits.push(code))
    assert.deepEqual(await Promise.all([pool.run(3), pool.run(2)]), [8, 4])
    await until(() => exits.length > 0)
    assert.ok(exits.every((code) => code === 0))
  })

  for (const [name, recycle] of [
    ['when their heap is too big', { heapBytes: 96 * 2 ** 20 }],
    ['when their heap has grown', { heapGrowth: 8 }],
  ]) {
    test(name, async (t) => {
      const { pool, exits } = control(t, { maxWorkers: 1, recycle })
      const { threadId } = await pool.run({ do: 'where' })
      let last = threadId
      for (let round = 0; round < 100 && last === threadId; round++) {
        last = await pool.run({ do: 'hoard', bytes: 8 * 2 ** 20 })
      }
      assert.notEqual(last, threadId)
      assert.equal(exits[0].code, 0)
    })
  }
})
