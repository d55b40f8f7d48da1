// Checks of the lives of workers: their options, crashes and ends.
import assert from 'node:assert/strict'
import { WorkerPool } from 'threadmill'
import { rejection, until } from '../helpers/pool.mjs'
import { ENTRY, echo, withPool } from './pools.mjs'

/** Pools of a check that makes one after another. */
const ROUNDS = 40

const exitOf = (pool) =>
  new Promise((resolve) => pool.once('worker-exit', (worker, code, error) => resolve({ worker, code, error })))

/** Runs `what` in a pool with one worker: the error of the task, the exit, and the worker that takes the next task. */
async function crash(what) {
  const pool = new WorkerPool(ENTRY, { maxWorkers: 1 })
  const exit = exitOf(pool)
  // Bun tells crashes within the first turn of a worker's event loop from later ones: be beyond it.
  await pool.run({ do: 'later', value: 'first' })
  const error = await rejection(pool.run(what))
  assert.equal(error.code, 'ERR_THREADMILL_WORKER_CRASHED')
  const { worker, code } = await exit
  assert.equal(worker.id, 0)
  assert.equal(await echo(pool, 'next'), 'next')
  await pool.close()
  return { error, code }
}

export const checks = {
  'process.exit in a task fails it with the exit code, and another worker follows': async () => {
    const { error, code } = await crash({ do: 'exit', code: 3 })
    assert.deepEqual([error.exitCode, code, error.cause], [3, 3, undefined])
  },

  'an error out of a timer fails the task with the cause, and another worker follows': async () => {
    const { error, code } = await crash({ do: 'throw in a timer' })
    assert.deepEqual([error.exitCode, code, error.cause?.message], [1, 1, 'out of a timer'])
    assert.ok(error.cause instanceof RangeError)
  },

  'an unhandled rejection fails the task with the cause, and another worker follows': async () => {
    const { error, code } = await crash({ do: 'reject unheard' })
    assert.deepEqual([error.exitCode, code, error.cause?.message], [1, 1, 'unheard'])
  },

  'workerData, env and argv reach the module': () =>
    withPool({ maxWorkers: 1, workerData: { mine: 1 }, env: { SMOKE: 'yes' }, argv: ['a', 5] }, async (pool) => {
      const settings = await pool.run({ do: 'settings' })
      assert.deepEqual(settings, { workerData: { mine: 1 }, env: 'yes', argv: ['a', '5'] })
    }),

  'execArgv reaches the worker': () =>
    withPool({ maxWorkers: 1, execArgv: ['--no-warnings'] }, async (pool) => {
      assert.deepEqual(await pool.run({ do: 'execArgv' }), ['--no-warnings'])
    }),

  'resourceLimits end a worker that takes too much memory': async () => {
    const pool = new WorkerPool(ENTRY, { maxWorkers: 1, resourceLimits: { maxOldGenerationSizeMb: 64 } })
    try {
      const error = await rejection(pool.run({ do: 'hoard', megabytes: 256 }, { timeout: 10_000 }))
      assert.deepEqual([error.code, error.cause?.code], ['ERR_THREADMILL_WORKER_CRASHED', 'ERR_WORKER_OUT_OF_MEMORY'])
    } finally {
      await pool.destroy()
    }
  },

  'close finishes what was admitted': async () => {
    const pool = new WorkerPool(ENTRY, { maxWorkers: 2 })
    const holding = pool.addTask({ do: 'hold' })
    const waiting = Array.from({ length: 20 }, (_, value) => pool.run({ do: 'later', value }))
    const closed = pool.close()
    assert.equal((await rejection(pool.run(1))).code, 'ERR_THREADMILL_POOL_CLOSED')
    await Promise.all(waiting)
    pool.postMessageToWorkers('release')
    await holding
    await closed
    assert.deepEqual(pool.workers, [])
  },

  // Many rounds: whether a worker that has just begun is known to be ready is a matter of luck where it is not ensured.
  'close lets workers say goodbye, however short they have lived': async () => {
    const goodbyes = []
    const codes = []
    for (let round = 0; round < ROUNDS; round++) {
      const pool = new WorkerPool(ENTRY, { maxWorkers: 1 })
      pool.onMessage('exiting', (id) => goodbyes.push(id))
      pool.on('worker-exit', (_worker, code) => codes.push(code))
      await echo(pool, 1)
      await pool.close()
    }
    const zeros = new Array(ROUNDS).fill(0)
    assert.deepEqual({ goodbyes, codes }, { goodbyes: zeros, codes: zeros })
  },

  'dispose and destroy drop what waits': async () => {
    const start = async () => {
      const pool = new WorkerPool(ENTRY, { maxWorkers: 1 })
      const running = pool.addTask({ do: 'hold' })
      await until(() => running.worker !== undefined)
      return { pool, running, waiting: rejection(echo(pool, 1)) }
    }
    const first = await start()
    const disposed = first.pool.dispose()
    assert.equal((await first.waiting).code, 'ERR_THREADMILL_POOL_CLOSED')
    first.pool.postMessageToWorkers('release')
    await first.running
    await disposed
    const { pool, running, waiting } = await start()
    const exit = exitOf(pool)
    const destroyed = pool.destroy()
    for (const error of [await rejection(running), await waiting])
      assert.equal(error.code, 'ERR_THREADMILL_POOL_CLOSED')
    await destroyed
    const { code, error } = await exit
    assert.deepEqual([code, error], [1, undefined])
  },

  'destroy ends tasks that never return': async () => {
    for (const what of ['never', 'spin']) {
      const pool = new WorkerPool(ENTRY, { maxWorkers: 1 })
      const task = pool.addTask({ do: what })
      await until(() => task.worker !== undefined)
      const [error] = await Promise.all([rejection(task), pool.destroy()])
      assert.equal(error.code, 'ERR_THREADMILL_POOL_CLOSED')
    }
  },

  'many workers come and go': async () => {
    for (let round = 0; round < 5; round++) {
      const pool = new WorkerPool(ENTRY, 4)
      const values = Array.from({ length: 40 }, (_, value) => pool.run({ do: 'later', value }).catch(() => -1))
      if (round % 2 === 0) await Promise.all(values)
      await (round % 2 === 0 ? pool.close() : pool.destroy())
      assert.deepEqual(pool.workers, [])
    }
  },
}
