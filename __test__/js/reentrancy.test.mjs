// Calls of the pool from inside its own calls: listeners of events, and getters of inputs and options.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'

const CRASHES = new URL('./fixtures/crashes.mjs', import.meta.url)
const CLOSED = 'ERR_THREADMILL_POOL_CLOSED'

function ending(t, options) {
  const pool = new WorkerPool(CRASHES, { maxWorkers: 1, threads: 1, ...options })
  t.after(() => pool.destroy())
  return pool
}

describe('ids stay unique and in the order of addition', () => {
  const NESTED = {
    'in a listener of worker-launched': (pool, nested) => {
      pool.once('worker-launched', nested)
      return pool.addTask(1)
    },
    'in a listener of task-added': (pool, nested) => {
      pool.once('task-added', nested)
      return pool.addTask(1)
    },
    'in a getter of the input': (pool, nested) =>
      pool.addTask({
        get input() {
          nested()
          return 1
        },
      }),
    'in a getter of the options': (pool, nested) =>
      pool.addTask(1, {
        get priority() {
          nested()
          return 1
        },
      }),
  }
  for (const [title, add] of Object.entries(NESTED)) {
    test(title, async (t) => {
      const pool = ending(t)
      const tasks = []
      const nested = () => {
        if (tasks.length === 0) tasks.push(pool.addTask('nested'))
      }
      tasks.push(add(pool, nested), pool.addTask('last'))
      await Promise.all(tasks)
      assert.deepEqual(tasks.map(({ id }) => id).sort(), [0, 1, 2])
      assert.equal(tasks[2].id, 2)
      await pool.close()
    })
  }
})

describe('the end of a pool asked for in the middle of its calls', () => {
  /** What asks, and what becomes of the three tasks that were submitted. */
  const WAYS = {
    'a listener of worker-launched': (pool, end) => pool.once('worker-launched', end),
    'a listener of task-added': (pool, end) => pool.once('task-added', end),
    'a listener of task-complete': (pool, end) => pool.once('task-complete', end),
    'a listener of worker-exit': (pool, end) => pool.once('worker-exit', end),
    'a message listener': (pool, end) => pool.onMessage('last', end),
    'a getter of an input': (_pool, end) => ({
      get input() {
        end()
        return 1
      },
    }),
  }
  for (const [title, prepare] of Object.entries(WAYS)) {
    for (const how of ['close', 'dispose', 'destroy']) {
      test(`${how}() in ${title}`, async (t) => {
        const pool = ending(t)
        let ended
        const end = () => {
          ended ??= pool[how]()
        }
        const given = prepare(pool, end)
        const input = title.startsWith('a getter') ? given : 1
        // The first one posts a message, the second one ends its worker.
        const inputs = [{ do: 'exit in a message' }, { do: 'exit', code: 1 }, input]
        const results = await Promise.allSettled(inputs.map((each) => pool.run(each)))
        for (const { status, reason } of results) {
          const codes = [CLOSED, 'ERR_THREADMILL_WORKER_CRASHED']
          if (status === 'rejected') assert.ok(codes.includes(reason.code), String(reason))
        }
        assert.notEqual(ended, undefined)
        await ended
        assert.equal(pool.isIdle, true)
        await assert.rejects(pool.run(1), { code: CLOSED })
      })
    }
  }
})

describe('work from listeners', () => {
  test('tasks and workers asked for in worker-exit', async (t) => {
    const pool = ending(t, { maxWorkers: 2 })
    const results = []
    pool.once('worker-exit', () => {
      pool.resizeUpTo(2)
      results.push(pool.run(1), pool.run(1, { workerAffinity: 0, affinityStrength: 'force' }))
    })
    await assert.rejects(pool.run({ do: 'exit', code: 1 }), { code: 'ERR_THREADMILL_WORKER_CRASHED' })
    assert.equal((await Promise.all(results)).length, 2)
    await pool.close()
  })

  test('workers asked for in worker-launched', async (t) => {
    const pool = ending(t, { maxWorkers: 3 })
    pool.on('worker-launched', () => pool.resizeUpTo(3))
    await pool.run(1)
    assert.deepEqual(
      pool.workers.map(({ id }) => id),
      [0, 1, 2],
    )
  })

  test('a task cancelled in task-added, and by its signal in a getter of its input', async (t) => {
    const pool = ending(t)
    pool.once('task-added', (task) => assert.equal(task.cancel('at once'), true))
    assert.equal(await pool.run(1).catch((reason) => reason), 'at once')
    const controller = new AbortController()
    const input = {
      get input() {
        controller.abort('meanwhile')
        return 1
      },
    }
    assert.equal(await pool.run(input, { signal: controller.signal }).catch((reason) => reason), 'meanwhile')
    assert.equal(pool.isIdle, true)
  })

  test('a chain of tasks added in task-complete', async (t) => {
    const pool = ending(t)
    let left = 200
    pool.on('task-complete', () => {
      if (--left > 0) pool.run(left)
    })
    pool.run(left)
    await pool.whenIdle()
    assert.equal(left, 0)
  })
})
