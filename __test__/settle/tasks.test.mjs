// Task handles, progress, async context, map, statistics.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { blockUntil, occupy, rejection, until } from '../helpers/pool.mjs'

async function withPool(options, body) {
  const pool = new WorkerPool(options)
  try {
    await body(pool)
  } finally {
    await pool.destroy()
  }
}

test('a task handle tells what is known of its task', () =>
  withPool({ threads: 2 }, async (pool) => {
    const meta = { any: () => 'value' }
    const options = { kernel: 'fib', meta, key: 'k' }
    const before = Date.now()
    const task = pool.addTask(20, options)
    assert.equal(task.id, 0)
    assert.equal(task.argument, 20)
    assert.equal(task.options, options)
    assert.equal(task.options.meta, meta)
    assert.ok(task.timestamp >= before && task.timestamp <= Date.now())
    assert.equal(task.pretaskCost, 0)
    assert.equal(await task, 6765)
    assert.ok([0, 1].includes(task.worker.id))
    assert.ok(task.taskCost > 0)
    assert.equal(task.pretaskCost, 0)
    assert.equal(pool.addTask(1, { kernel: 'fib' }).id, 1)
    await pool.kernels.fib(1)
    const last = pool.addTask(1, { kernel: 'fib' })
    // Calls without a handle have no number.
    assert.equal(last.id, 2)
    assert.equal(await last.finally(() => {}), 1)
    assert.equal(await last.catch(() => 5), 1)
    await pool.whenIdle()
  }))

test('a hundred thousand tasks give their own results', () =>
  withPool({ threads: 2 }, async (pool) => {
    const results = await Promise.all(Array.from({ length: 100_000 }, (_, index) => pool.kernels.echo(index)))
    for (const [index, value] of results.entries()) if (value !== index) assert.fail(`${index}: ${value}`)
    await pool.whenIdle()
    const stats = pool.stats()
    assert.equal(stats.tasksCompleted, 100_000)
    assert.equal(stats.tasksAdmitted, 100_000)
    assert.equal(stats.tasksErrored, 0)
    const done = stats.workers.reduce((sum, worker) => sum + worker.tasksCompleted, 0)
    assert.equal(done, 100_000)
  }))

test('numbers keep their value: -0, NaN, infinities', () =>
  withPool({ threads: 1 }, async (pool) => {
    for (const value of [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 2 ** 53]) {
      assert.ok(Object.is(await pool.kernels.echo(value), value), String(value))
    }
  }))

test('a task submitted just before the thread blocks runs meanwhile', () =>
  withPool({ threads: 2 }, async (pool) => {
    await pool.kernels.fib(5)
    const tasks = Array.from({ length: 20 }, () => pool.addTask(15, { kernel: 'fib' }))
    // Not a turn of the event loop passes here, and nothing is settled, but everything is run.
    blockUntil(() => pool.stats().workers.reduce((sum, worker) => sum + worker.tasksCompleted, 0) === 21)
    assert.equal(pool.stats().tasksCompleted, 1)
    await Promise.all(tasks)
  }))

test('long kernels report progress: done, total, fraction, in order and inside the store of the listener', () =>
  withPool({ threads: 1 }, async (pool) => {
    const store = new AsyncLocalStorage()
    const seen = []
    const task = pool.addTask(randomBytes(48 * 1024 * 1024), { kernel: 'gzip', level: 6 })
    store.run('mine', () => task.on('progress', (progress) => seen.push({ ...progress, store: store.getStore() })))
    await task
    assert.ok(seen.length > 0)
    let last = 0
    for (const { done, total, fraction, store } of seen) {
      assert.equal(store, 'mine')
      assert.ok(done >= last && done <= total)
      assert.equal(fraction, done / total)
      last = done
    }
    assert.throws(() => task.on('end', () => {}), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
  }))

test('the async context of the caller holds after await and in callbacks', () =>
  withPool({ threads: 2 }, async (pool) => {
    const store = new AsyncLocalStorage()
    const check = async (name) => {
      await store.run(name, async () => {
        assert.equal(await pool.kernels.fib(10), 55)
        assert.equal(store.getStore(), name)
        await pool.addTask(10, { kernel: 'fib' }).then(() => assert.equal(store.getStore(), name))
        for await (const value of pool.map([1, 2], { kernel: 'fib' })) {
          assert.equal(value, 1)
          assert.equal(store.getStore(), name)
        }
      })
    }
    await Promise.all(['a', 'b', 'c'].map(check))
  }))

describe('map', () => {
  test('gives outputs in the order of the inputs', () =>
    withPool({ threads: 2 }, async (pool) => {
      const inputs = Array.from({ length: 500 }, (_, index) => (index * 7) % 20)
      const outputs = []
      for await (const output of pool.map(inputs, { kernel: 'fib', concurrency: 10 })) outputs.push(output)
      assert.deepEqual(outputs, await Promise.all(inputs.map((input) => pool.kernels.fib(input))))
    }))

  test('unordered gives each output once', () =>
    withPool({ threads: 2 }, async (pool) => {
      const outputs = []
      const inputs = Array.from({ length: 300 }, (_, index) => index)
      for await (const output of pool.map(inputs, { kernel: 'echo', ordered: false })) outputs.push(output)
      assert.deepEqual(
        outputs.sort((a, b) => a - b),
        inputs,
      )
    }))

  test('takes inputs only as fast as outputs are consumed', () =>
    withPool({ threads: 2 }, async (pool) => {
      let taken = 0
      function* inputs() {
        for (;;) yield taken++
      }
      let consumed = 0
      for await (const _ of pool.map(inputs(), { kernel: 'echo', concurrency: 8 })) {
        assert.ok(taken <= consumed + 8 + 1, `${taken} taken, ${consumed} consumed`)
        if (++consumed === 200) break
      }
      await pool.whenIdle()
    }))

  test('never takes more than the pool has room for', () =>
    withPool({ threads: 1, capacity: 3 }, async (pool) => {
      const outputs = []
      for await (const output of pool.map([1, 2, 3, 4, 5, 6, 7, 8], { kernel: 'echo', concurrency: 100 })) {
        outputs.push(output)
      }
      assert.deepEqual(outputs, [1, 2, 3, 4, 5, 6, 7, 8])
    }))

  test('takes async sources and does not hold finished outputs back for a slow one', () =>
    withPool({ threads: 2 }, async (pool) => {
      let release
      const gate = new Promise((resolve) => {
        release = resolve
      })
      async function* inputs() {
        yield 10
        await gate
        yield 11
      }
      const iterator = pool.map(inputs(), { kernel: 'fib' })
      assert.deepEqual(await iterator.next(), { done: false, value: 55 })
      release()
      assert.deepEqual(await iterator.next(), { done: false, value: 89 })
      assert.deepEqual(await iterator.next(), { done: true, value: undefined })
    }))

  test('promises of a synchronous source are awaited, one that rejects ends it in its place', () =>
    withPool({ threads: 1 }, async (pool) => {
      const thenable = {
        // biome-ignore lint/suspicious/noThenProperty: that is the case
        then: (resolve) => resolve(7),
      }
      const outputs = []
      for await (const output of pool.map([Promise.resolve(5), 6, thenable], { kernel: 'fib' })) outputs.push(output)
      assert.deepEqual(outputs, [5, 8, 13])
      let closed = false
      function* inputs() {
        try {
          yield Promise.resolve(5)
          yield Promise.reject(new Error('the second'))
        } finally {
          closed = true
        }
      }
      const iterator = pool.map(inputs(), { kernel: 'fib' })
      assert.deepEqual(await iterator.next(), { done: false, value: 5 })
      assert.equal((await rejection(iterator.next())).message, 'the second')
      assert.equal(closed, true)
      assert.deepEqual(await iterator.next(), { done: true, value: undefined })
      // One that rejects when nobody wants it any more is heard, and unheard.
      let fail
      const left = pool.map([new Promise((_, reject) => (fail = reject))], { kernel: 'fib' })
      const open = left.next()
      await new Promise(setImmediate)
      await left.return()
      assert.deepEqual(await open, { done: true, value: undefined })
      fail(new Error('too late'))
      await new Promise(setImmediate)
    }))

  test('return gives back what it got, as that of an async generator', () =>
    withPool({ threads: 1 }, async (pool) => {
      const map = () => pool.map([1, 2], { kernel: 'fib' })
      for (const value of ['v', undefined, Promise.resolve('v')]) {
        const iterator = map()
        await iterator.next()
        assert.deepEqual(await iterator.return(value), { done: true, value: await value })
        assert.deepEqual(await iterator.next(), { done: true, value: undefined })
      }
      assert.equal(await rejection(map().return(Promise.reject('reason'))), 'reason')
    }))

  test('leaving early cancels what is in progress and closes the source', () =>
    withPool({ threads: 1 }, async (pool) => {
      let closed = false
      function* inputs() {
        try {
          yield 1
          for (;;) yield 60
        } finally {
          closed = true
        }
      }
      for await (const value of pool.map(inputs(), { kernel: 'fib', concurrency: 4 })) {
        assert.equal(value, 1)
        break
      }
      assert.equal(closed, true)
      await pool.whenIdle()
    }))

  test('an abort and the end of the pool end it, whatever the source does', () =>
    withPool({ threads: 1 }, async (pool) => {
      const controller = new AbortController()
      async function* stuck() {
        yield 5
        await new Promise(() => {})
      }
      const iterator = pool.map(stuck(), { kernel: 'fib', signal: controller.signal })
      assert.equal((await iterator.next()).value, 5)
      const pending = rejection(iterator.next())
      controller.abort('enough')
      assert.equal(await pending, 'enough')
      assert.deepEqual(await iterator.next(), { done: true, value: undefined })
      const aborted = pool.map(stuck(), { kernel: 'fib', signal: controller.signal })
      assert.equal(await rejection(aborted.next()), 'enough')
      const returned = pool.map(stuck(), { kernel: 'fib' })
      await returned.next()
      const open = returned.next()
      await returned.return()
      assert.deepEqual(await open, { done: true, value: undefined })
      const ended = pool.map(stuck(), { kernel: 'fib' })
      await ended.next()
      const last = rejection(ended.next())
      await pool.destroy()
      assert.equal((await last).code, 'ERR_THREADMILL_POOL_CLOSED')
    }))

  test('outputs before a refused input come first; options are checked at the call and kept', () =>
    withPool({ threads: 2 }, async (pool) => {
      const options = { kernel: 'fib' }
      const outputs = []
      const error = await rejection(
        (async () => {
          for await (const output of pool.map([20, 10, 'bad'], options)) {
            outputs.push(output)
            options.priority = 'changed'
          }
        })(),
      )
      assert.deepEqual(outputs, [6765, 55])
      assert.equal(error.code, 'ERR_THREADMILL_INVALID_ARG_TYPE')
      assert.throws(() => pool.map([], { kernel: 'fib', priority: 'x' }), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
      assert.throws(() => pool.map([], { kernel: 'fib', transfer: [] }), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
      assert.throws(() => pool.map([], { kernel: 'nope' }), { code: 'ERR_THREADMILL_UNKNOWN_KERNEL' })
    }))

  test('the first failure ends it: of a task, of an input, of the source', () =>
    withPool({ threads: 2 }, async (pool) => {
      const collect = async (inputs) => {
        for await (const _ of pool.map(inputs, { kernel: 'fib', concurrency: 3 }));
      }
      assert.equal((await rejection(collect([1, 2, 'x', 60, 60]))).code, 'ERR_THREADMILL_INVALID_ARG_TYPE')
      const failing = (function* () {
        yield 1
        throw new Error('source')
      })()
      assert.equal((await rejection(collect(failing))).message, 'source')
      await assert.rejects(
        async () => {
          for await (const _ of pool.map([new Uint8Array(5)], { kernel: 'gunzip' }));
        },
        { code: 'ERR_THREADMILL_CORRUPT_DATA' },
      )
      await pool.whenIdle()
    }))
})

describe('statistics', () => {
  test('before, during and after a known load', () =>
    withPool({ threads: 2, name: 'figures' }, async (pool) => {
      const before = pool.stats()
      assert.equal(before.name, 'figures')
      assert.equal(before.poolSize, 2)
      assert.equal(before.availableWorkers, 2)
      assert.equal(before.avgProcessingTime, 0)
      assert.equal(before.load, 0)
      assert.equal(before.sizing.source, 'option')
      assert.ok(before.workers.every((worker) => !worker.started && !worker.busy))
      const gates = [await occupy(pool), await occupy(pool)]
      const waiting = Array.from({ length: 5 }, () => pool.kernels.fib(12))
      const during = pool.stats()
      assert.equal(during.busyWorkers, 2)
      assert.equal(during.availableWorkers, 0)
      assert.equal(during.queueLength, 5)
      assert.equal(during.load, 1)
      assert.deepEqual(
        during.workers.map((worker) => worker.running),
        [['fib'], ['fib']],
      )
      await Promise.all(gates.map((gate) => gate.release()))
      await Promise.all(waiting)
      await rejection(pool.kernels.gunzip(new Uint8Array(3)))
      const after = pool.stats()
      assert.equal(after.tasksCompleted, 5)
      assert.equal(after.tasksErrored, 3)
      assert.equal(after.tasksAdmitted, 8)
      assert.equal(after.queueLength, 0)
      assert.ok(after.avgProcessingTime > 0)
      assert.ok(Math.abs(after.totalProcessingTime / 5 - after.avgProcessingTime) < 1e-9)
      assert.ok(Math.abs(after.avgWaitTime + after.avgRunTime - after.avgProcessingTime) < 1e-6)
      assert.equal(
        after.workerStats.reduce((sum, worker) => sum + worker.tasksCompleted, 0),
        5,
      )
    }))

  test('the default size is what the system grants, and says why', async () => {
    const { availableParallelism } = await import('node:os')
    await withPool({}, async (pool) => {
      const { sizing, poolSize } = pool.stats()
      assert.equal(poolSize, sizing.threads)
      assert.ok(['cpus', 'affinity', 'cgroup'].includes(sizing.source))
      assert.ok(poolSize <= availableParallelism())
      assert.equal(sizing.notes.length, 0)
    })
  })

  test('parallel kernels use idle workers', () =>
    withPool({ threads: 4 }, async (pool) => {
      const array = new Float64Array(4_000_000).map((_, index) => (index * 7919) % 1_000_003)
      const expected = array.slice().sort()
      assert.deepEqual(await pool.kernels.sort(array), expected)
      await until(() => pool.stats().workers.reduce((sum, worker) => sum + worker.helped, 0) > 0)
    }))
})
