// What stats() tells of times, workers and keys, and what is told of heaps.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { occupy, rejection, until } from '../helpers/pool.mjs'
import { control } from './control.mjs'

const NOTHING = { count: 0, mean: 0, min: 0, max: 0, p50: 0, p90: 0, p99: 0, p999: 0 }

test('a pool that has run nothing has empty histograms', async (t) => {
  const { pool } = control(t, {})
  const { waitTime, runTime, keys, native } = pool.stats()
  assert.deepEqual([waitTime, runTime, keys], [NOTHING, NOTHING, []])
  assert.deepEqual(native[0].runTime, NOTHING)
})

test('times are told by pool, worker and key; failures are left out', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  await Promise.all(Array.from({ length: 50 }, (_, n) => pool.kernels.echo(n)))
  await pool.kernels.fib(30, { key: 'big' })
  await rejection(pool.kernels.gunzip(new Uint8Array([1])))
  const held = await occupy(pool)
  const waiting = pool.kernels.fib(1)
  await until(() => pool.stats().runTime.count === 51)
  await held.release()
  await waiting
  // The worker tells of its last task when it looks for the next one.
  await until(() => pool.stats().runTime.count === 52)
  const { waitTime, runTime, keys, native, avgRunTime } = pool.stats()
  assert.deepEqual([runTime.count, waitTime.count, native[0].runTime.count], [52, 52, 52])
  assert.deepEqual(keys.map(({ key, runTime: { count } }) => [key, count]).sort(), [
    ['big', 1],
    ['echo', 50],
    ['fib', 1],
  ])
  const big = keys.find(({ key }) => key === 'big').runTime
  assert.ok(big.min > 0.1 && big.max <= big.min * 1.01 && big.p50 === big.max, JSON.stringify(big))
  assert.deepEqual(runTime, native[0].runTime)
  assert.ok(
    runTime.min <= runTime.p50 && runTime.p50 <= runTime.p90 && runTime.p90 <= runTime.p99,
    JSON.stringify(runTime),
  )
  assert.ok(runTime.p99 <= runTime.p999 && runTime.p999 <= runTime.max && runTime.max >= big.max * 0.99)
  assert.ok(Math.abs(runTime.mean - avgRunTime) <= 0.02 * avgRunTime + 0.0002, `${runTime.mean} ${avgRunTime}`)
  assert.ok(waitTime.max > 0)
})

test('means are over all tasks, also when the workers that ran them have gone', async (t) => {
  const source = 'data:text/javascript,export default (ms) => new Promise((done) => setTimeout(done, ms))'
  const pool = new WorkerPool(source, { minWorkers: 1, maxWorkers: 3, idleTimeout: 20 })
  t.after(() => pool.destroy())
  await Promise.all(Array.from({ length: 12 }, () => pool.run(5)))
  await pool.run(5, { mainThread: true })
  const isMean = () => {
    const { runTime, waitTime, avgRunTime, avgWaitTime, avgProcessingTime } = pool.stats()
    assert.equal(runTime.count, 13)
    assert.ok(Math.abs(avgRunTime - runTime.mean) <= 0.02 * runTime.mean, `${avgRunTime} ${runTime.mean}`)
    assert.ok(Math.abs(avgWaitTime - waitTime.mean) <= 0.02 * waitTime.mean, `${avgWaitTime} ${waitTime.mean}`)
    assert.ok(Math.abs(avgWaitTime + avgRunTime - avgProcessingTime) < 1e-6)
  }
  isMean()
  await until(() => pool.stats().workers.length === 1)
  isMean()
  await pool.close()
  isMean()
})

test('figures of a JS worker', async (t) => {
  const { pool, exits } = control(t, { maxWorkers: 1 })
  pool.onMessage('began', () => {})
  Atomics.store(control(t).numbers, 0, 0)
  await pool.run({ do: 'value', value: 1 })
  await rejection(pool.run({ do: 'fail', cell: 2, times: 1 }))
  const [worker] = pool.stats().workers
  assert.deepEqual(
    [worker.id, worker.lane, worker.tasksCompleted, worker.tasksErrored, worker.errorCount],
    [0, 'js', 1, 1, 1],
  )
  assert.deepEqual([worker.runTime.count, worker.waitTime.count, worker.messageCount], [1, 1, 0])
  assert.ok(worker.uptime > 0 && worker.lastActiveSecs >= 0 && worker.lastActiveSecs * 1000 <= worker.uptime)
  assert.ok(worker.eventLoopUtilization > 0 && worker.eventLoopUtilization <= 1, `${worker.eventLoopUtilization}`)
  if (process.platform === 'linux') assert.ok(worker.cpuTime > 1, `${worker.cpuTime}`)
  const { uptime } = worker
  await rejection(pool.run({ do: 'crash', cell: 4, times: 1 }))
  await until(() => exits.length === 1)
  await pool.run({ do: 'value', value: 1 })
  const [next] = pool.stats().workers
  assert.deepEqual(
    [next.tasksCompleted, next.errorCount],
    [2, 2],
    'one failed, one was lost with the thread that crashed',
  )
  assert.ok(next.uptime < uptime + 1e6)
})

test('the use of an event loop is 1 at most, whatever Node says of a moment', async (t) => {
  process.once('worker', (thread) => {
    thread.performance.eventLoopUtilization = () => ({ idle: 0, active: 1, utilization: 1.25 })
  })
  const pool = new WorkerPool('data:text/javascript,export default (n) => n', { maxWorkers: 1 })
  t.after(() => pool.destroy())
  await pool.run(1)
  assert.equal(pool.stats().js[0].eventLoopUtilization, 1)
})

test('messages are counted by worker', async (t) => {
  const source =
    'export const workerEntrypoint = (n, client) => { for (let i = 0; i < n; i++) client.postMessageToPool("x", i) }'
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  await pool.run(3)
  assert.equal(pool.stats().workers[0].messageCount, 3)
})

test('native workers have CPU time and nothing of an event loop', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  await pool.kernels.fib(25)
  const [worker] = pool.stats().native
  assert.deepEqual([worker.eventLoopUtilization, worker.lastActiveSecs, worker.messageCount], [null, null, 0])
  if (process.platform === 'linux') assert.ok(worker.cpuTime > 0)
})

test('the figures of a closed pool stay, those by key too', async () => {
  const pool = new WorkerPool({ threads: 1 })
  await pool.kernels.fib(10)
  await pool.close()
  assert.deepEqual(
    pool.stats().keys.map(({ key, runTime: { count } }) => [key, count]),
    [['fib', 1]],
  )
  assert.equal(pool.stats(), pool.stats())
})

test('stats() costs no more with many tasks that wait', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  await pool.kernels.echo(1)
  const held = await occupy(pool)
  const time = () => {
    const started = performance.now()
    pool.stats()
    return performance.now() - started
  }
  const least = () => Math.min(...Array.from({ length: 200 }, time))
  const empty = least()
  const waiting = Array.from({ length: 100_000 }, (_, n) => pool.kernels.echo(n))
  assert.equal(pool.stats().queueLength, 100_000)
  const full = least()
  assert.ok(full < 4 * empty + 0.05, `${full} ms with 100,000 waiting, ${empty} ms with none`)
  await held.release()
  await Promise.all(waiting)
})

test('a worker whose heap exceeds the limit is told of, and replaced where that is asked for', async (t) => {
  const limit = 2 ** 20
  const { pool, exits } = control(t, {
    maxWorkers: 1,
    maxMemoryUsage: limit,
    checkInterval: 20,
    memoryStrategy: 'restart',
  })
  const told = []
  pool.on('high-memory', (details) => told.push(details))
  const { threadId } = await pool.run({ do: 'where' })
  while (!told.some(({ worker }) => worker?.id === 0)) await pool.run({ do: 'where' })
  await until(() => exits.length > 0)
  const { message, heapUsed, limit: given } = told.find(({ worker }) => worker?.id === 0)
  assert.deepEqual([message, given], ['High memory usage detected', limit])
  assert.ok(heapUsed > limit)
  assert.notEqual((await pool.run({ do: 'where' })).threadId, threadId)
})

test('keys of a snapshot that are first read after the end are the last ones', async () => {
  const pool = new WorkerPool({ threads: 1 })
  await pool.run(1, { kernel: 'echo', key: 'one' })
  const snapshot = pool.stats()
  await pool.close()
  assert.deepEqual(snapshot.keys, pool.stats().keys)
  assert.equal(snapshot.keys[0].key, 'one')
})

test('what workers took from others is told of when they have gone', async (t) => {
  const { pool } = control(t, { maxWorkers: 2 })
  pool.resizeUpTo(2)
  await until(() => pool.stats().js.length === 2)
  const taken = () => pool.stats().steals
  while (taken() === 0) {
    const tasks = Array.from({ length: 50 }, (_, value) => pool.run({ do: 'value', value }, { workerAffinity: 0 }))
    await Promise.all(tasks)
  }
  const before = taken()
  pool.resize({ min: 0, max: 1 })
  await until(() => pool.workers.length === 1)
  assert.ok(taken() >= before && before > 0)
  await pool.close()
  assert.ok(taken() >= before)
})

test('runs that failed are no waiting', async (t) => {
  const source =
    'data:text/javascript,export default async (ms, { attempt }) => { const end = performance.now() + ms; while (performance.now() < end); if (attempt < 2) throw new Error("again") }'
  const pool = new WorkerPool(source, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  await pool.ready()
  const runs = []
  pool.on('retry', ({ taskCost }) => runs.push(taskCost))
  const began = performance.now()
  const task = pool.addTask(50, { retries: { limit: 2, delay: 0, on: 'both' } })
  await task
  const elapsed = performance.now() - began
  await until(() => pool.stats().waitTime.count === 1)
  assert.ok(runs.length === 2 && runs[0] >= 45 && runs[1] >= 45, `${runs}`)
  // Times in histograms are within a hundredth.
  const { waitTime, avgWaitTime } = pool.stats()
  for (const wait of [waitTime.max / 1.01, avgWaitTime]) {
    assert.ok(wait <= elapsed - runs[0] - runs[1] - task.taskCost + 1, `${wait} of ${elapsed}, runs ${runs}`)
  }
})
