// Figures of pools in real registries of prom-client.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { describe, test } from 'node:test'
import { metrics, trace } from '@opentelemetry/api'
import client from 'prom-client'
import { WorkerPool } from 'threadmill'
import { instrument, registerMetrics } from 'threadmill/metrics'
import { root, runProgram } from '../helpers/child.mjs'
import { occupy, rejection, until } from '../helpers/pool.mjs'

const module = `data:text/javascript,export default (input) => {
  if (input === 'crash') process.exit(3);
  if (input === 'fail') throw new Error('no');
  return input
}`

function poolOf(t, ...args) {
  const pool = new WorkerPool(...args)
  t.after(() => pool.destroy())
  return pool
}

/** The text of a registry: values by series, and types by metric. */
async function scrape(registry) {
  const [series, types] = [new Map(), new Map()]
  for (const line of (await registry.metrics()).split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line)
    if (type !== null) types.set(type[1], type[2])
    if (line === '' || line.startsWith('#')) continue
    const [, name, labels, value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => `${key}=${text}`)
    const key = `${name} ${pairs.sort().join(' ')}`
    assert.ok(!series.has(key), `${key} twice`)
    series.set(key, Number(value))
  }
  return { series, types }
}

test('the text has the figures of stats()', async (t) => {
  const registry = new client.Registry()
  const pool = poolOf(t, module, { name: 'm', maxWorkers: 1, threads: 2 })
  registerMetrics(registry, pool)
  for (let input = 0; input < 10; input++) await pool.run(input)
  await rejection(pool.run('fail', { retries: { limit: 2, delay: 0, on: 'error' } }))
  await rejection(pool.run('crash'))
  await pool.run(1)
  await pool.kernels.fib(20)
  // Workers tell of their last tasks a moment later.
  await until(() => pool.stats().runTime.count === 12)
  const stats = pool.stats()
  const { series, types } = await scrape(registry)
  const wanted = {
    'threadmill_workers lane=native pool=m': 2,
    'threadmill_workers lane=js pool=m': 1,
    'threadmill_workers_busy lane=native pool=m': 0,
    'threadmill_workers_busy lane=js pool=m': 0,
    'threadmill_workers_min lane=native pool=m': 2,
    'threadmill_workers_min lane=js pool=m': 0,
    'threadmill_workers_max lane=native pool=m': 2,
    'threadmill_workers_max lane=js pool=m': 1,
    'threadmill_utilization_ratio pool=m': 0,
    'threadmill_tasks_queued pool=m': 0,
    'threadmill_kernels_abandoned pool=m': 0,
    'threadmill_tasks_admitted_total pool=m': 14,
    'threadmill_tasks_completed_total pool=m': 12,
    'threadmill_tasks_errored_total pool=m': 2,
    'threadmill_task_retries_total pool=m': 2,
    'threadmill_worker_crashes_total pool=m': 1,
    'threadmill_task_wait_seconds_count pool=m': stats.waitTime.count,
    'threadmill_task_run_seconds_count pool=m': stats.runTime.count,
    'threadmill_task_run_seconds_sum pool=m': (stats.runTime.mean * stats.runTime.count) / 1000,
  }
  for (const [quantile, name] of [
    ['0.5', 'p50'],
    ['0.9', 'p90'],
    ['0.99', 'p99'],
    ['0.999', 'p999'],
  ]) {
    wanted[`threadmill_task_run_seconds pool=m quantile=${quantile}`] = stats.runTime[name] / 1000
    wanted[`threadmill_task_wait_seconds pool=m quantile=${quantile}`] = stats.waitTime[name] / 1000
  }
  for (const { lane, id, ...worker } of [...stats.native, ...stats.js]) {
    const labels = `lane=${lane} pool=m worker=${id}`
    wanted[`threadmill_worker_tasks_completed_total ${labels}`] = worker.tasksCompleted
    wanted[`threadmill_worker_tasks_errored_total ${labels}`] = worker.tasksErrored
    wanted[`threadmill_worker_steals_total ${labels}`] = worker.steals
    wanted[`threadmill_worker_busy_seconds_total ${labels}`] = worker.busyTime / 1000
  }
  for (const [key, value] of Object.entries(wanted)) assert.equal(series.get(key), value, key)
  const known = new Set(Object.keys(wanted).map((key) => key.split(' ')[0]))
  // These change all the time.
  for (const name of ['task_wait_seconds_sum', 'worker_cpu_seconds_total', 'worker_event_loop_utilization_ratio']) {
    known.add(`threadmill_${name}`)
  }
  for (const key of series.keys()) assert.ok(known.has(key.split(' ')[0]), `${key} is not expected`)
  assert.ok(series.get('threadmill_worker_event_loop_utilization_ratio lane=js pool=m worker=0') >= 0)
  for (const [name, type] of types) {
    const expected = name.endsWith('_total')
      ? 'counter'
      : /^threadmill_task_(?:wait|run)_/.test(name)
        ? 'summary'
        : 'gauge'
    assert.equal(type, expected, name)
  }
})

test('what is busy and what waits', async (t) => {
  const registry = new client.Registry()
  const pool = poolOf(t, { name: 'busy', threads: 1 })
  registerMetrics(registry, pool)
  const { release } = await occupy(pool)
  const waiting = pool.kernels.echo(1)
  const { series } = await scrape(registry)
  assert.equal(series.get('threadmill_workers_busy lane=native pool=busy'), 1)
  assert.equal(series.get('threadmill_utilization_ratio pool=busy'), 1)
  assert.equal(series.get('threadmill_tasks_queued pool=busy'), 1)
  await release()
  await waiting
})

test('bounds are those of the last resize, also while workers have to end their tasks first', async (t) => {
  const registry = new client.Registry()
  const pool = poolOf(t, { name: 'shrinks', threads: 2 })
  registerMetrics(registry, pool)
  const held = [await occupy(pool), await occupy(pool)]
  pool.resize({ max: 1 })
  const { series } = await scrape(registry)
  assert.deepEqual(
    ['workers', 'workers_min', 'workers_max'].map((name) => series.get(`threadmill_${name} lane=native pool=shrinks`)),
    [2, 1, 1],
  )
  for (const { release } of held) await release()
})

test('counters never fall, also when workers come and go', async (t) => {
  const registry = new client.Registry()
  const pool = poolOf(t, module, { name: 'rising', maxWorkers: 2, recycle: { tasks: 2 } })
  registerMetrics(registry, pool)
  let last = new Map()
  for (let round = 0; round < 6; round++) {
    await Promise.all([1, 2, 3].map((input) => pool.run(input)))
    await rejection(pool.run(round % 2 === 0 ? 'fail' : 'crash'))
    const { series, types } = await scrape(registry)
    for (const [key, value] of series) {
      const name = key.split(' ')[0]
      const isCounter = types.get(name) === 'counter' || /seconds_(?:sum|count)$/.test(name)
      // The one that begins anew with a thread.
      if (!isCounter || name === 'threadmill_worker_cpu_seconds_total') continue
      assert.ok(value >= (last.get(key) ?? 0), `${key} fell from ${last.get(key)} to ${value}`)
    }
    last = new Map([...last, ...series])
  }
  assert.equal(last.get('threadmill_tasks_admitted_total pool=rising'), 24)
  assert.equal(last.get('threadmill_worker_crashes_total pool=rising'), 3)
})

describe('pools come and go', () => {
  test('one that has ended is in no later scrape, with the last one the metrics leave', async () => {
    const registry = new client.Registry()
    const [one, two] = [new WorkerPool({ name: 'one', threads: 1 }), new WorkerPool({ name: 'two', threads: 1 })]
    registerMetrics(registry, [one, two])
    const pools = async () => {
      const { series } = await scrape(registry)
      return [...new Set([...series.keys()].map((key) => /pool=(\S+)/.exec(key)[1]))]
    }
    assert.deepEqual(await pools(), ['one', 'two'])
    await one.close()
    assert.deepEqual(await pools(), ['two'])
    await two.destroy()
    assert.deepEqual(registry.getMetricsAsArray(), [])
    const three = new WorkerPool({ name: 'one', threads: 1 })
    registerMetrics(registry, three)
    assert.deepEqual(await pools(), ['one'])
    await three.close()
  })

  test('being watched does not keep a pool reachable', async () => {
    const program = `
      import { metrics, trace } from '@opentelemetry/api'
      import { Registry } from 'prom-client'
      import { WorkerPool } from 'threadmill'
      import { instrument, registerMetrics } from 'threadmill/metrics'
      const registry = new Registry()
      async function use() {
        const pool = new WorkerPool({ threads: 1 })
        const reporters = [
          registerMetrics(registry, pool),
          instrument({ tracer: trace.getTracer('app'), meter: metrics.getMeter('app') }, pool),
        ]
        await pool.kernels.echo(1)
        return reporters
      }
      const reporters = await use()
      const watched = registry.getMetricsAsArray().length
      const end = Date.now() + 30_000
      while (registry.getMetricsAsArray().length > 0 && Date.now() < end) {
        gc()
        await new Promise(setImmediate)
      }
      console.log(watched > 0, registry.getMetricsAsArray().length)
      for (const reporter of reporters) reporter.stop()
    `
    const { stdout, stderr } = await runProgram(program, { nodeArgs: ['--expose-gc'] })
    assert.deepEqual([stdout, stderr], ['true 0\n', ''])
  })

  test('a second call adds pools, stop takes its own away', async (t) => {
    const registry = new client.Registry()
    const [one, two] = [poolOf(t, { name: 'a', threads: 1 }), poolOf(t, { name: 'b', threads: 1 })]
    const first = registerMetrics(registry, new Set([one, one]))
    const second = registerMetrics(registry, [two])
    const count = async () => {
      const { series } = await scrape(registry)
      return [...series.keys()].filter((key) => key.startsWith('threadmill_utilization_ratio')).length
    }
    assert.equal(await count(), 2)
    second.stop()
    assert.equal(await count(), 1)
    first.stop()
    first.stop()
    assert.deepEqual(registry.getMetricsAsArray(), [])
  })

  test('a pool of two reporters stays until both have been stopped', async (t) => {
    const registry = new client.Registry()
    const [one, two] = [poolOf(t, { name: 'a', threads: 1 }), poolOf(t, { name: 'b', threads: 1 })]
    const first = registerMetrics(registry, one)
    const second = registerMetrics(registry, [one, two])
    first.stop()
    first.stop()
    const { series } = await scrape(registry)
    assert.deepEqual(
      ['a', 'b'].map((name) => series.get(`threadmill_tasks_queued pool=${name}`)),
      [0, 0],
    )
    second.stop()
    assert.deepEqual(registry.getMetricsAsArray(), [])
  })

  test('after the registry was cleared, the next call registers metrics of its own', async (t) => {
    const registry = new client.Registry()
    const [one, two] = [poolOf(t, { name: 'a', threads: 1 }), new WorkerPool({ name: 'b', threads: 1 })]
    const before = registerMetrics(registry, [one, two])
    registry.clear()
    const after = registerMetrics(registry, one)
    const pools = async () => {
      const { series } = await scrape(registry)
      return ['a', 'b'].filter((name) => series.has(`threadmill_tasks_queued pool=${name}`))
    }
    assert.deepEqual(await pools(), ['a'])
    // What there was before takes nothing of it away.
    await two.close()
    before.stop()
    assert.deepEqual(await pools(), ['a'])
    registerMetrics(registry, one)
    after.stop()
    assert.deepEqual(await pools(), ['a'])
  })

  test('one that is being closed gives way to one of its name', async (t) => {
    const registry = new client.Registry()
    const [old, fresh] = [0, 1].map(() => poolOf(t, { name: 'same', threads: 1 }))
    registerMetrics(registry, old)
    const running = old.addTask(60, { kernel: 'fib' })
    running.catch(() => {})
    assert.throws(() => registerMetrics(registry, fresh), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
    const closing = old.close()
    registerMetrics(registry, fresh)
    running.cancel()
    await closing
    await fresh.kernels.echo(1)
    await until(() => fresh.stats().tasksCompleted === 1)
    assert.equal((await scrape(registry)).series.get('threadmill_tasks_completed_total pool=same'), 1)
  })

  test('a registry that throws when a pool leaves it does not keep the pool', async (t) => {
    const warned = once(process, 'warning')
    const registry = new client.Registry()
    registry.removeSingleMetric = () => {
      throw new Error('not removed')
    }
    const pool = poolOf(t, { name: 'left', threads: 1 })
    registerMetrics(registry, pool)
    await pool.close()
    const [{ message }] = await warned
    assert.equal(message, "what is told of pool 'left' has failed: not removed")
  })

  test('registries, prefixes and default labels are told apart', async (t) => {
    const registry = new client.Registry()
    registry.setDefaultLabels({ app: 'x' })
    const pool = poolOf(t, { name: 'p', threads: 1 })
    registerMetrics(registry, pool)
    registerMetrics(registry, pool, { prefix: 'own_', client })
    const { series } = await scrape(registry)
    assert.equal(series.get('threadmill_tasks_queued app=x pool=p'), 0)
    assert.equal(series.get('own_tasks_queued app=x pool=p'), 0)
    registerMetrics(client.register, pool)
    t.after(() => client.register.clear())
    assert.ok((await client.register.metrics()).includes('threadmill_workers{'))
    assert.ok((await registry.getMetricsAsJSON()).some(({ name }) => name === 'threadmill_task_run_seconds'))
  })

  test('the text of OpenMetrics', async (t) => {
    const registry = new client.Registry(client.Registry.OPENMETRICS_CONTENT_TYPE)
    const pool = poolOf(t, { name: 'open', threads: 1 })
    const reporter = registerMetrics(registry, pool)
    const text = await registry.metrics()
    assert.match(text, /^# TYPE threadmill_tasks_admitted counter\nthreadmill_tasks_admitted_total\{pool="open"\} 0$/m)
    assert.match(text, /^threadmill_task_run_seconds\{quantile="0.5",pool="open"\} 0$/m)
    reporter.stop()
    assert.equal(await registry.metrics(), '\n# EOF\n')
  })
})

describe('what is refused', () => {
  const [tracer, meter] = [trace.getTracer('app'), metrics.getMeter('app')]
  const wrong = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' }
  const value = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_VALUE' }

  test('arguments', (t) => {
    const pool = poolOf(t, { threads: 1 })
    const registry = new client.Registry()
    for (const report of [
      (pools) => registerMetrics(registry, pools),
      (pools) => instrument({ tracer, meter }, pools),
    ]) {
      for (const pools of [undefined, null, 1, {}, [1], [pool, {}], 'ab']) {
        assert.throws(() => report(pools), { ...wrong, message: /^pools.* must be a WorkerPool/ })
      }
      assert.doesNotThrow(() => report([]).stop())
    }
    for (const other of [undefined, null, 1, {}, client, pool]) {
      assert.throws(() => registerMetrics(other, pool), {
        ...wrong,
        message: /^registry must be a registry of prom-client/,
      })
    }
    for (const options of [1, null, { prefix: 1 }, { client: {} }, { client: null }]) {
      assert.throws(() => registerMetrics(registry, pool, options), wrong)
    }
    assert.throws(() => registerMetrics(registry, pool, { prefix: '1-' }), value)
    for (const options of [
      1,
      null,
      { meter: {} },
      { meter: tracer },
      { tracer: null },
      { tracer: meter },
      { tracer, meter: false },
    ]) {
      assert.throws(() => instrument(options, pool), wrong)
    }
    for (const options of [undefined, {}, { tracer: undefined }, Object.create({ tracer }), pool]) {
      assert.throws(() => instrument(options, pool), {
        ...value,
        message: /^options must be an object with tracer or meter/,
      })
    }
    assert.deepEqual(registry.getMetricsAsArray(), [])
  })

  test('pools of one name, which would not be told apart', async (t) => {
    const registry = new client.Registry()
    const [one, two] = [poolOf(t, { name: 'same', threads: 1 }), poolOf(t, { name: 'same', threads: 1 })]
    assert.throws(() => registerMetrics(registry, [one, two]), value)
    assert.deepEqual(registry.getMetricsAsArray(), [])
    registerMetrics(registry, one)
    assert.throws(() => registerMetrics(registry, two), value)
    assert.throws(() => instrument({ meter }, [one, two]), value)
  })

  test('a pool that has ended', async () => {
    const pool = new WorkerPool({ threads: 1 })
    await pool.close()
    const closed = { code: 'ERR_THREADMILL_POOL_CLOSED' }
    assert.throws(() => registerMetrics(new client.Registry(), pool), closed)
    assert.throws(() => instrument({ tracer, meter }, pool), closed)
  })

  test('names of metrics that are taken: nothing stays behind', (t) => {
    const registry = new client.Registry()
    const taken = new client.Gauge({ name: 'threadmill_tasks_queued', help: 'other', registers: [registry] })
    const pool = poolOf(t, { threads: 1 })
    assert.throws(() => registerMetrics(registry, pool), /threadmill_tasks_queued has already been registered/)
    assert.deepEqual(registry.getMetricsAsArray(), [taken])
  })

  test('packages that are not installed', (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-peers-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    cpSync(path.join(root, 'dist'), path.join(folder, 'dist'), { recursive: true })
    symlinkSync(path.join(root, 'native'), path.join(folder, 'native'), 'junction')
    cpSync(path.join(root, 'package.json'), path.join(folder, 'package.json'))
    const program = `
      const { WorkerPool } = require('threadmill')
      const { instrument, registerMetrics } = require('threadmill/metrics')
      const pool = new WorkerPool({ threads: 1 })
      const registry = { registerMetric() {}, getSingleMetric() {}, removeSingleMetric() {} }
      for (const report of [() => registerMetrics(registry, pool), () => instrument({ tracer: { startSpan() {} } }, pool)]) {
        try {
          report()
        } catch ({ name, code, message, cause }) {
          console.log([name, code, message, cause.code].join('; '))
        }
      }
      const Metric = class { reset() {} get() {} }
      registerMetrics(registry, pool, { client: { Gauge: Metric, Counter: Metric, Summary: Metric } }).stop()
      const meter = { addBatchObservableCallback() {}, removeBatchObservableCallback() {} }
      for (const kind of ['Counter', 'Gauge', 'UpDownCounter']) meter['createObservable' + kind] = () => ({})
      instrument({ meter }, pool).stop()
      pool.kernels.echo(1).then(console.log)
    `
    writeFileSync(path.join(folder, 'use.cjs'), program)
    const { stdout, stderr } = spawnSync(process.execPath, ['use.cjs'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    })
    const line = (caller, name) =>
      `ThreadmillError; ERR_THREADMILL_NOT_SUPPORTED; ${caller}() needs the package '${name}', which is not installed: ` +
      `npm install ${name}; MODULE_NOT_FOUND\n`
    assert.equal(stderr, '')
    assert.equal(stdout, `${line('registerMetrics', 'prom-client')}${line('instrument', '@opentelemetry/api')}1\n`)
  })
})
