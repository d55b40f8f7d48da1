// Order, priority, affinity, deadlines and cancellation on the native lane.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { blockUntil, occupy, rejection, until } from '../helpers/pool.mjs'

/** Runs `body` with a pool of its own. */
async function withPool(options, body) {
  const pool = new WorkerPool(options)
  try {
    await body(pool)
  } finally {
    await pool.destroy()
  }
}

describe('order', () => {
  test('equal priority runs in the order of submission', () =>
    withPool({ threads: 1 }, async (pool) => {
      const gate = await occupy(pool)
      const order = []
      const tasks = Array.from({ length: 300 }, (_, index) => pool.kernels.fib(index % 5).then(() => order.push(index)))
      await gate.release()
      await Promise.all(tasks)
      assert.deepEqual(
        order,
        Array.from({ length: 300 }, (_, index) => index),
      )
    }))

  test('higher priority runs first, equal ones in the order of submission', () =>
    withPool({ threads: 1 }, async (pool) => {
      const gate = await occupy(pool)
      const order = []
      const tasks = [0, 5, 1, 5, -1, 0.5, 'high', 'low', 'normal'].map((priority, index) =>
        pool.kernels.fib(1, { priority }).then(() => order.push(index)),
      )
      await gate.release()
      await Promise.all(tasks)
      assert.deepEqual(order, [1, 3, 2, 6, 5, 0, 7, 8, 4])
    }))

  test('longest-first runs the tasks of the costliest key first', () =>
    withPool({ threads: 1, schedule: 'longest-first' }, async (pool) => {
      // What each key costs is measured, so a thread that is kept waiting makes a small kernel cost more than a big one.
      const costs = {}
      for (const [key, n] of Object.entries({ long: 27, short: 5, middle: 22 })) {
        const task = pool.addTask(n, { kernel: 'fib', key })
        await task
        costs[key] = task.taskCost
      }
      const gate = await occupy(pool)
      const order = []
      const keys = ['short', 'middle', 'long', 'short', 'long']
      const tasks = keys.map((key, index) => pool.kernels.fib(1, { key }).then(() => order.push(index)))
      await gate.release()
      await Promise.all(tasks)
      assert.deepEqual(
        order,
        [0, 1, 2, 3, 4].sort((a, b) => costs[keys[b]] - costs[keys[a]]),
      )
    }))
})

describe('affinity', () => {
  test('a forced task runs only on its worker, also when it has to wait', () =>
    withPool({ threads: 3 }, async (pool) => {
      const gate = await occupy(pool, { workerAffinity: 1, affinityStrength: 'force' })
      assert.equal(gate.worker.id, 1)
      const forced = Array.from({ length: 20 }, () =>
        pool.addTask(5, { kernel: 'fib', workerAffinity: 1, affinityStrength: 2 }),
      )
      await Promise.all(Array.from({ length: 50 }, () => pool.kernels.fib(5)))
      assert.ok(forced.every((task) => task.worker === undefined))
      await gate.release()
      await Promise.all(forced)
      assert.ok(forced.every((task) => task.worker.id === 1))
      assert.equal(String(forced[0].worker), '1')
      assert.equal(forced[0].worker.lane, 'native')
    }))

  test('a light task is taken by an idle worker when its own is busy', () =>
    withPool({ threads: 2 }, async (pool) => {
      const gate = await occupy(pool, { workerAffinity: 0, affinityStrength: 'force' })
      const light = pool.addTask(5, { kernel: 'fib', workerAffinity: 0 })
      await light
      assert.equal(light.worker.id, 1)
      await gate.release()
    }))

  test('a light task runs on its worker if that gets to it', () =>
    withPool({ threads: 4 }, async (pool) => {
      const workers = [0, 1, 2, 3]
      for (const own of workers) {
        const gates = []
        for (const worker of workers) {
          gates.push(await occupy(pool, { workerAffinity: worker, affinityStrength: 'force' }))
        }
        const tasks = workers.map((worker) => pool.addTask(5, { kernel: 'fib', workerAffinity: worker }))
        const ended = []
        for (const [worker, task] of tasks.entries()) task.then(() => ended.push(worker))
        // The others are busy, so it comes to all four; to its own before those of the others.
        await gates[own].release()
        await Promise.all(tasks)
        assert.equal(ended[0], own)
        assert.ok(tasks.every((task) => task.worker.id === own))
        for (const gate of gates) if (gate !== gates[own]) await gate.release()
      }
    }))

  test('a strong task waits for its worker while the loads are balanced', () =>
    withPool({ threads: 2 }, async (pool) => {
      const gates = [
        await occupy(pool, { workerAffinity: 0, affinityStrength: 'force' }),
        await occupy(pool, { workerAffinity: 1, affinityStrength: 'force' }),
      ]
      const strong = pool.addTask(5, { kernel: 'fib', workerAffinity: 0, affinityStrength: 'strong' })
      await gates[1].release()
      await Promise.all(Array.from({ length: 20 }, () => pool.kernels.fib(3)))
      await gates[0].release()
      await strong
      assert.equal(strong.worker.id, 0)
    }))

  test('tasks with the same affinityKey run on the same worker, different keys spread', () =>
    withPool({ threads: 4 }, async (pool) => {
      const workers = new Map()
      for (let round = 0; round < 5; round++) {
        for (let key = 0; key < 40; key++) {
          const task = pool.addTask(3, { kernel: 'fib', affinityKey: `key-${key}`, affinityStrength: 'force' })
          await task
          if (round === 0) workers.set(key, task.worker.id)
          assert.equal(task.worker.id, workers.get(key))
        }
      }
      assert.equal(new Set(workers.values()).size, 4)
    }))

  test('many short tasks behind a long one are done before it ends', () =>
    withPool({ threads: 2 }, async (pool) => {
      const gate = await occupy(pool, { workerAffinity: 0, affinityStrength: 'force' })
      const short = Array.from({ length: 100 }, () => pool.kernels.fib(5, { workerAffinity: 0 }))
      await Promise.all(short)
      assert.equal(gate.task.worker.id, 0)
      assert.ok(pool.stats().steals > 0)
      await gate.release()
    }))
})

describe('deadlines', () => {
  test('a waiting task that expires rejects and never runs', () =>
    withPool({ threads: 1 }, async (pool) => {
      const gate = await occupy(pool)
      const task = pool.addTask(1, { kernel: 'fib', timeout: 30 })
      const error = await rejection(task)
      assert.equal(error.code, 'ERR_THREADMILL_TIMEOUT')
      assert.equal(error.name, 'TimeoutError')
      assert.equal(error.message, 'Task timeout')
      assert.equal(task.worker, undefined)
      assert.equal(pool.stats().queueLength, 0)
      await gate.release()
    }))

  test('a running kernel that expires rejects, stops, and frees its worker', () =>
    withPool({ threads: 1, timeout: 50 }, async (pool) => {
      await assert.rejects(pool.kernels.fib(60), { code: 'ERR_THREADMILL_TIMEOUT' })
      assert.equal(await pool.kernels.fib(10, { timeout: Number.POSITIVE_INFINITY }), 55)
    }))

  test("timeoutFrom: 'start' does not count the wait", () =>
    withPool({ threads: 1 }, async (pool) => {
      const gate = await occupy(pool)
      const patient = pool.kernels.fib(60, { timeout: 40, timeoutFrom: 'start' })
      await assert.rejects(pool.kernels.fib(1, { timeout: 80 }), { code: 'ERR_THREADMILL_TIMEOUT' })
      assert.equal(pool.stats().queueLength, 1, 'the other one still waits')
      await gate.release()
      await assert.rejects(patient, { code: 'ERR_THREADMILL_TIMEOUT' })
    }))

  test('many deadlines at once all fire, in spite of a blocked main thread', () =>
    withPool({ threads: 2 }, async (pool) => {
      const gates = [await occupy(pool), await occupy(pool)]
      const tasks = Array.from({ length: 500 }, (_, index) =>
        rejection(pool.kernels.fib(1, { timeout: 1 + (index % 50) })),
      )
      // No turn of the event loop passes here: whoever empties the queue is not this thread.
      blockUntil(() => pool.stats().queueLength === 0)
      for (const error of await Promise.all(tasks)) assert.equal(error.code, 'ERR_THREADMILL_TIMEOUT')
      await Promise.all(gates.map((gate) => gate.release()))
    }))
})

describe('cancellation', () => {
  test('a waiting task never runs', () =>
    withPool({ threads: 1 }, async (pool) => {
      const gate = await occupy(pool)
      const tasks = Array.from({ length: 50 }, () => pool.addTask(1, { kernel: 'fib' }))
      for (const task of tasks) assert.equal(task.cancel(), true)
      for (const task of tasks) {
        const error = await rejection(task)
        assert.equal(error.name, 'AbortError')
        assert.equal(error.code, 'ERR_THREADMILL_CANCELLED')
        assert.equal(task.worker, undefined)
        assert.equal(task.cancel(), false, 'only once')
      }
      await gate.release()
    }))

  test('a running kernel is told to stop; its promise rejects with the reason', () =>
    withPool({ threads: 1 }, async (pool) => {
      const { task } = await occupyUnguarded(pool)
      const reason = { any: 'value' }
      assert.equal(task.cancel(reason), true)
      assert.equal(await rejection(task), reason)
      assert.equal(await pool.kernels.fib(10), 55)
    }))

  test('a falsy reason rejects too', () =>
    withPool({ threads: 1 }, async (pool) => {
      for (const reason of [null, 0, '', false]) {
        const { task } = await occupyUnguarded(pool)
        task.cancel(reason)
        assert.equal(await rejection(task), reason)
      }
    }))

  test('a signal cancels a waiting and a running task, and is not listened to afterwards', () =>
    withPool({ threads: 1 }, async (pool) => {
      const controller = new AbortController()
      const running = rejection(pool.kernels.fib(60, { signal: controller.signal }))
      const waiting = rejection(pool.kernels.fib(1, { signal: controller.signal }))
      await until(() => pool.stats().busyWorkers === 1)
      const reason = new Error('enough')
      controller.abort(reason)
      assert.equal(await running, reason)
      assert.equal(await waiting, reason)
      const { getEventListeners } = await import('node:events')
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
      const fresh = new AbortController()
      assert.equal(await pool.kernels.fib(10, { signal: fresh.signal }), 55)
      assert.equal(getEventListeners(fresh.signal, 'abort').length, 0)
    }))

  test('cancelling after the end does nothing', () =>
    withPool({ threads: 1 }, async (pool) => {
      const task = pool.addTask(10, { kernel: 'fib' })
      assert.equal(await task, 55)
      assert.equal(task.cancel(), false)
      assert.equal(await task, 55)
    }))

  test('cancelling races with completion: every task settles once, one way or the other', () =>
    withPool({ threads: 2 }, async (pool) => {
      let cancelled = 0
      for (let round = 0; round < 200; round++) {
        const tasks = Array.from({ length: 20 }, (_, index) => pool.addTask(index % 12, { kernel: 'fib' }))
        const outcomes = tasks.map((task, index) => {
          const won = index % 2 === 0 && task.cancel()
          return Promise.resolve(task).then(
            () => assert.equal(won, false),
            (error) => {
              assert.equal(won, true)
              assert.equal(error.code, 'ERR_THREADMILL_CANCELLED')
              cancelled++
            },
          )
        })
        await Promise.all(outcomes)
      }
      assert.ok(cancelled > 0)
      assert.equal(pool.isIdle, true)
    }))
})

/** A running kernel whose rejection the test awaits itself. */
async function occupyUnguarded(pool) {
  const task = pool.addTask(60, { kernel: 'fib' })
  await until(() => task.worker !== undefined)
  return { task }
}
