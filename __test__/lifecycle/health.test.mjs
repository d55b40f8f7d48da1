// Health monitoring: reports at intervals, and an alert when the queue backs up.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { Gates } from '../helpers/gates.mjs'
import { nextEvent, occupy } from '../helpers/pool.mjs'

const gatesModule = new URL('../js/fixtures/gates.mjs', import.meta.url)

/** Whether an alert comes with the next two reports; the report comes first. */
async function alertOf(pool) {
  let alert
  const listener = (details) => {
    alert = details
  }
  pool.on('health-alert', listener)
  await nextEvent(pool, 'health')
  await nextEvent(pool, 'health')
  pool.off('health-alert', listener)
  return alert
}

describe('health monitoring', () => {
  test('reports stats(), with an alert above five waiting tasks per worker and none at five', async () => {
    const gates = new Gates()
    for (const [pool, options] of [
      [new WorkerPool({ threads: 1 }), { kernel: 'echo' }],
      [new WorkerPool(gatesModule, { maxWorkers: 1, workerData: gates.memory }), {}],
    ]) {
      const gate = await (options.kernel === undefined ? gates.hold(pool, 0) : occupy(pool))
      assert.equal(pool.startHealthMonitoring(10), pool)
      const tasks = Array.from({ length: 5 }, () => pool.run(1, options))
      assert.equal(await alertOf(pool), undefined)
      tasks.push(pool.run(1, options))
      const stats = await nextEvent(pool, 'health')
      assert.deepEqual([stats.poolSize, stats.busyWorkers, stats.queueLength], [1, 1, 6])
      const alert = await alertOf(pool)
      assert.deepEqual([alert.type, alert.message], ['queue-backlog', 'WARNING: Task queue is backing up!'])
      assert.equal(alert.stats.queueLength, 6)
      await gate.release()
      await Promise.all(tasks)
      assert.equal(await alertOf(pool), undefined)
      await pool.close()
    }
  })

  test('alert is another number of tasks per worker', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const gate = await occupy(pool)
    const tasks = [pool.kernels.fib(1)]
    pool.startHealthMonitoring({ interval: 10, alert: 0 })
    assert.equal((await alertOf(pool)).stats.queueLength, 1)
    pool.startHealthMonitoring({ interval: 10, alert: 1 })
    assert.equal(await alertOf(pool), undefined)
    pool.startHealthMonitoring({ interval: 10, alert: Number.POSITIVE_INFINITY })
    assert.equal(await alertOf(pool), undefined)
    await gate.release()
    await Promise.all(tasks)
    await pool.close()
  })

  test('starting twice replaces, stopping twice does no harm, and no report comes afterwards', async () => {
    const pool = new WorkerPool({ threads: 1 })
    let reports = 0
    pool.on('health', () => reports++)
    pool.startHealthMonitoring(1).startHealthMonitoring(2 ** 31 - 1)
    await new Promise((resolve) => setTimeout(resolve, 30))
    assert.equal(reports, 0)
    pool.startHealthMonitoring(1)
    await nextEvent(pool, 'health')
    assert.equal(pool.stopHealthMonitoring().stopHealthMonitoring(), pool)
    reports = 0
    await new Promise((resolve) => setTimeout(resolve, 30))
    assert.equal(reports, 0)
    pool.startHealthMonitoring(1)
    await nextEvent(pool, 'health')
    await pool.close()
    reports = 0
    await new Promise((resolve) => setTimeout(resolve, 30))
    assert.equal(reports, 0)
    assert.throws(() => pool.startHealthMonitoring(), { code: 'ERR_THREADMILL_POOL_CLOSED' })
    pool.stopHealthMonitoring()
  })

  test('a report in which it is stopped or started anew is followed by no alert', async () => {
    const pool = new WorkerPool({ threads: 1 })
    const gate = await occupy(pool)
    const waiting = pool.kernels.fib(1)
    const alerts = []
    pool.on('health-alert', (alert) => alerts.push(alert))
    const listener = () => pool.stopHealthMonitoring()
    for (const end of [listener, () => pool.startHealthMonitoring(2 ** 31 - 1)]) {
      pool.startHealthMonitoring({ interval: 1, alert: 0 })
      pool.once('health', end)
      await nextEvent(pool, 'health')
      // The alert would come in the same turn.
      await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual(alerts, [])
    }
    await gate.release()
    await waiting
    await pool.close()
  })

  test('log prints five lines, and it does not keep the process alive', async () => {
    const { code, stdout, stderr, timedOut } = await runProgram(`
      import { WorkerPool } from 'threadmill'
      const pool = globalThis.pool = new WorkerPool({ threads: 2, name: 'p' })
      await Promise.all([pool.kernels.fib(10), pool.kernels.fib(10), pool.kernels.fib(10)])
      pool.startHealthMonitoring({ interval: 1, log: true })
      const timer = setInterval(() => {}, 1000)
      pool.once('health', () => clearInterval(timer))`)
    assert.deepEqual([code, stderr, timedOut], [0, '', false])
    const lines = stdout.split('\n').slice(0, 5)
    const [head, busy, waiting, completed, average] = lines
    assert.deepEqual(
      [head, busy, waiting, completed],
      [`Health of pool 'p'`, '  Busy workers: 0/2', '  Waiting tasks: 0', '  Completed tasks: 3'],
    )
    assert.match(average, /^ {2}Average processing time: \d+\.\d\d ms$/)
  })

  for (const [options, code] of [
    [0, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [1.5, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [2 ** 31, 'ERR_THREADMILL_OUT_OF_RANGE'],
    ['5', 'ERR_THREADMILL_INVALID_ARG_TYPE'],
    [null, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
    [{ interval: '5' }, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
    [{ log: 1 }, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
    [{ alert: true }, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
    [{ alert: -1 }, 'ERR_THREADMILL_OUT_OF_RANGE'],
    [{ alert: Number.NaN }, 'ERR_THREADMILL_OUT_OF_RANGE'],
  ]) {
    test(`refuses ${typeof options === 'object' ? Object.entries(options ?? {}) : options}`, async () => {
      const pool = new WorkerPool({ threads: 1 })
      assert.throws(() => pool.startHealthMonitoring(options), { code })
      await pool.close()
    })
  }
})
