// Checks of pools with a module: how modules are loaded and their functions run.
import assert from 'node:assert/strict'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { blockUntil, rejection, until } from '../helpers/pool.mjs'
import { echo, fixture, forced, withPool } from './pools.mjs'
import { runtime } from './runtime.mjs'

export const checks = {
  'an ES module runs tasks': () =>
    withPool({ maxWorkers: 2 }, async (pool) => {
      assert.equal(await echo(pool, 5), 5)
      const values = Array.from({ length: 1000 }, (_, index) => pool.run({ do: 'later', value: index }))
      assert.ok((await Promise.all(values)).every((value, index) => value === index))
      assert.equal(await pool.run('a', { name: 'shout' }), 'A!')
      assert.equal(await pool.kernels.fib(20), 6765)
      const { isMainThread, started } = await pool.run({ do: 'where' })
      assert.deepEqual([isMainThread, started], [false, 1])
    }),

  'a CommonJS module runs tasks': () =>
    withPool(
      { maxWorkers: 1 },
      async (pool) => assert.equal(await pool.run('a'), 'required a'),
      fileURLToPath(fixture('commonjs.cjs')),
    ),

  'a data: URL runs tasks': () =>
    withPool(
      { maxWorkers: 1 },
      async (pool) => assert.equal(await pool.run(5), 6.5),
      'data:text/javascript,export default (input) => input + 1.5',
    ),

  'a TypeScript module runs tasks where the runtime takes TypeScript': async () => {
    if (runtime.name === 'node' && !process.features.typescript) return
    await withPool(
      { maxWorkers: 1 },
      async (pool) => assert.equal(await pool.run({ text: 'a' }), 'typed a'),
      fixture('typed.mts'),
    )
  },

  'a module that throws while it loads fails its tasks with the cause': () =>
    withPool(
      { maxWorkers: 1 },
      async (pool) => {
        const { code, cause } = await rejection(pool.run(1))
        assert.deepEqual([code, cause.name], ['ERR_THREADMILL_ENTRY', 'RangeError'])
        assert.equal(cause.message, 'broken by design')
        assert.equal((await rejection(pool.run(1))).code, 'ERR_THREADMILL_ENTRY')
      },
      fixture('broken.mjs'),
    ),

  'a module that is not there fails its tasks with the cause': () =>
    withPool(
      { maxWorkers: 1 },
      async (pool) => {
        const error = await rejection(pool.run(1))
        assert.equal(error.code, 'ERR_THREADMILL_ENTRY')
        assert.equal(error.cause?.code, 'ERR_MODULE_NOT_FOUND', String(error.cause))
      },
      fixture('missing.mjs'),
    ),

  'map runs the entry function': () =>
    withPool({ maxWorkers: 2 }, async (pool) => {
      const outputs = []
      const inputs = Array.from({ length: 100 }, (_, value) => ({ do: 'later', value }))
      for await (const output of pool.map(inputs, { concurrency: 8 })) outputs.push(output)
      assert.deepEqual(
        outputs,
        inputs.map(({ value }) => value),
      )
    }),

  'addTask gives a handle, and events tell of it': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      const told = []
      pool.on('worker-launched', (worker) => told.push(`launched ${worker}`))
      pool.on('task-added', (task) => told.push(`added ${task.id}`))
      pool.on('task-complete', (error, result, task) => told.push(`complete ${task.id} ${error?.message} ${result}`))
      const task = pool.addTask({ do: 'echo', value: 'a' })
      assert.equal(task.id, 0)
      assert.equal(await task, 'a')
      assert.deepEqual([task.worker.id, task.worker.lane], [0, 'js'])
      await pool.addTask({ do: 'refuse' }).catch(() => {})
      assert.deepEqual(told, [
        'launched 0',
        'added 0',
        'complete 0 undefined a',
        'added 1',
        'complete 1 refused undefined',
      ])
      const { js } = pool.stats()
      assert.deepEqual([js[0].tasksCompleted, js[0].tasksErrored], [1, 1])
    }),

  'forced affinity holds, a key stays with its worker': () =>
    withPool({ maxWorkers: 3 }, async (pool) => {
      const ids = async (options) => {
        const tasks = Array.from({ length: 20 }, () => pool.run({ do: 'where' }, options))
        return new Set((await Promise.all(tasks)).map(({ id }) => id))
      }
      for (const id of [2, 0, 1]) assert.deepEqual(await ids(forced(id)), new Set([id]))
      assert.equal((await ids({ affinityKey: 'a', affinityStrength: 'force' })).size, 1)
    }),

  'messages reach workers and the pool, in order': () =>
    withPool({ maxWorkers: 2 }, async (pool) => {
      const said = []
      pool.onMessage('said', (contents, worker) => said.push([contents, worker.id]))
      const contents = ['a', 5, { b: new Map([[1, 2]]) }, new Uint8Array([1])]
      await pool.run({ do: 'say', contents }, forced(1))
      assert.deepEqual(
        said,
        contents.map((each) => [each, 1]),
      )
      pool.postMessageToWorkers('note', 'all').workers[0].postMessageToWorker('note', new Set(['one']))
      assert.deepEqual(await pool.run({ do: 'heard' }, forced(0)), ['all', new Set(['one'])])
      assert.deepEqual(await pool.run({ do: 'heard' }, forced(1)), ['all'])
    }),

  'tasks are cancelled, waiting and running': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      const running = pool.addTask({ do: 'hold' })
      await until(() => running.worker !== undefined)
      const waiting = pool.addTask({ do: 'echo', value: 1 })
      assert.deepEqual([waiting.cancel(), running.cancel()], [true, true])
      for (const task of [waiting, running]) {
        const { name, code } = await rejection(task)
        assert.deepEqual([name, code], ['AbortError', 'ERR_THREADMILL_CANCELLED'])
      }
      pool.postMessageToWorkers('release')
      assert.equal(await echo(pool, 'next'), 'next')
    }),

  'a timeout and an AbortSignal end tasks': () =>
    withPool({ maxWorkers: 1, workerConcurrency: 2 }, async (pool) => {
      const options = { timeout: 20, timeoutFrom: 'start' }
      assert.equal((await rejection(pool.run({ do: 'hold' }, options))).code, 'ERR_THREADMILL_TIMEOUT')
      const controller = new AbortController()
      const task = pool.addTask({ do: 'hold' }, { signal: controller.signal })
      await until(() => task.worker !== undefined)
      controller.abort('enough')
      assert.equal(await rejection(task), 'enough')
      pool.postMessageToWorkers('release')
    }),

  'workers go on while this thread is busy': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      await echo(pool, 1)
      const tasks = Array.from({ length: 10 }, (_, value) => pool.run({ do: 'later', value }))
      blockUntil(() => pool.stats().js[0].tasksCompleted === 11)
      await Promise.all(tasks)
    }),

  'a worker submits tasks to its own pool and waits for them': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      assert.equal(await pool.run({ do: 'sum', upTo: 20 }), 210)
      assert.deepEqual(await pool.run({ do: 'catch' }), ['RangeError', 'refused', 'E_MINE'])
      await pool.whenIdle()
      assert.equal(pool.stats().tasksCompleted, 22)
    }),

  'tasks that a worker submits settle while this thread is busy': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      await echo(pool, 1)
      const sum = pool.run({ do: 'sum', upTo: 20 })
      blockUntil(() => pool.stats().js[0].tasksCompleted === 22)
      assert.equal(await sum, 210)
    }),
}
