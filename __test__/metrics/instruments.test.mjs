// Figures of pools as instruments of OpenTelemetry, with the real SDK.
import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { AggregationTemporality, DataPointType, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { WorkerPool } from 'threadmill'
import { instrument } from 'threadmill/metrics'
import { until } from '../helpers/pool.mjs'

class Reader extends MetricReader {
  async onShutdown() {}
  async onForceFlush() {}

  /** Instruments by name. */
  async read() {
    const { resourceMetrics, errors } = await this.collect()
    assert.deepEqual(errors, [])
    const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => {
      assert.equal(scope.scope.name, 'app')
      return scope.metrics
    })
    return new Map(metrics.map((metric) => [metric.descriptor.name, metric]))
  }
}

/** A meter that does what `meter` does, and the callbacks that it knows. */
function spyOn(meter) {
  const callbacks = new Set()
  const spy = new Proxy(meter, {
    get(_, key) {
      const value = meter[key]
      if (typeof value !== 'function') return value
      return (...args) => {
        if (key === 'addBatchObservableCallback') callbacks.add(args[0])
        if (key === 'removeBatchObservableCallback') callbacks.delete(args[0])
        return value.apply(meter, args)
      }
    },
  })
  return { spy, callbacks }
}

/** The meter of an application, read by `reader`. */
const meterOf = (reader) => new MeterProvider({ readers: [reader] }).getMeter('app')

const points = ({ dataPoints }) => dataPoints.map(({ attributes, value }) => ({ ...attributes, value }))

test('instruments have the figures of stats()', async () => {
  const reader = new Reader()
  const pool = new WorkerPool({ name: 'm', threads: 2 })
  instrument({ meter: meterOf(reader) }, pool)
  for (let n = 0; n < 5; n++) await pool.kernels.fib(10)
  // Workers tell of their last tasks a moment later.
  await until(() => pool.stats().runTime.count === 5)
  const metrics = await reader.read()
  const stats = pool.stats()
  const about = { 'threadmill.pool': 'm' }
  const lane = { ...about, 'threadmill.lane': 'native' }
  const expected = {
    'threadmill.worker.count': [{ ...lane, value: 2 }],
    'threadmill.worker.busy': [{ ...lane, value: 0 }],
    'threadmill.worker.max': [{ ...lane, value: 2 }],
    'threadmill.worker.min': [{ ...lane, value: 2 }],
    'threadmill.task.queued': [{ ...about, value: 0 }],
    'threadmill.task.admitted': [{ ...about, value: 5 }],
    'threadmill.task.completed': [{ ...about, value: 5 }],
    'threadmill.task.errored': [{ ...about, value: 0 }],
    'threadmill.task.retries': [{ ...about, value: 0 }],
    'threadmill.worker.crashes': [{ ...about, value: 0 }],
    'threadmill.worker.task.completed': stats.native.map(({ id, tasksCompleted }) => ({
      ...lane,
      'threadmill.worker': id,
      value: tasksCompleted,
    })),
    'threadmill.task.run_time': ['p50', 'p90', 'p99', 'p999'].map((name, at) => ({
      ...about,
      'threadmill.quantile': ['0.5', '0.9', '0.99', '0.999'][at],
      value: stats.runTime[name] / 1000,
    })),
  }
  const [total] = points(metrics.get('threadmill.task.run_time.total'))
  assert.equal(total.value, (stats.runTime.mean * 5) / 1000)
  assert.ok(points(metrics.get('threadmill.task.wait_time.total'))[0].value > 0)
  for (const [name, values] of Object.entries(expected)) assert.deepEqual(points(metrics.get(name)), values, name)
  const kinds = (name) => [
    metrics.get(name).dataPointType,
    metrics.get(name).isMonotonic,
    metrics.get(name).descriptor.unit,
  ]
  assert.deepEqual(kinds('threadmill.task.admitted'), [DataPointType.SUM, true, '{task}'])
  assert.deepEqual(kinds('threadmill.worker.busy'), [DataPointType.SUM, false, '{worker}'])
  assert.deepEqual(kinds('threadmill.task.wait_time'), [DataPointType.GAUGE, undefined, 's'])
  assert.deepEqual(kinds('threadmill.task.wait_time.total'), [DataPointType.SUM, true, 's'])
  await pool.close()
})

test('a pool that has ended is observed no more; nor are those of stop', async () => {
  // Otherwise the SDK goes on telling what it has seen last.
  const reader = new Reader({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA })
  const meter = meterOf(reader)
  const pools = ['a', 'b', 'c'].map((name) => new WorkerPool({ name, threads: 1 }))
  const [a, b, c] = pools
  instrument({ meter }, [a, b])
  const { spy, callbacks } = spyOn(meter)
  const reporter = instrument({ meter: spy }, c)
  const names = async () => {
    const metric = (await reader.read()).get('threadmill.pool.utilization')
    return metric === undefined ? [] : points(metric).map((point) => point['threadmill.pool'])
  }
  assert.deepEqual(await names(), ['a', 'b', 'c'])
  await a.close()
  assert.deepEqual(await names(), ['b', 'c'])
  assert.equal(callbacks.size, 1)
  reporter.stop()
  assert.equal(callbacks.size, 0)
  assert.deepEqual(await names(), ['b'])
  await Promise.all(pools.map((pool) => pool.close()))
  assert.deepEqual(await names(), [])
})

test('pools of one name are told apart also where calls are several, and one that is closing gives way', async (t) => {
  const reader = new Reader({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA })
  const meter = meterOf(reader)
  const [first, second, third] = Array.from({ length: 3 }, () => new WorkerPool({ name: 'same', threads: 1 }))
  t.after(() => Promise.all([first, second, third].map((pool) => pool.destroy())))
  instrument({ meter }, first)
  const again = instrument({ meter }, first)
  assert.throws(() => instrument({ meter }, second), { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
  await first.kernels.echo(1)
  await until(() => first.stats().tasksCompleted === 1)
  const completed = async () => points((await reader.read()).get('threadmill.task.completed')).map(({ value }) => value)
  assert.deepEqual([await completed(), await completed()], [[1], [0]])
  const running = first.addTask(60, { kernel: 'fib' })
  running.catch(() => {})
  const closing = first.close()
  instrument({ meter }, second)
  assert.throws(() => instrument({ meter }, third), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
  await second.kernels.echo(1)
  await second.kernels.echo(2)
  assert.deepEqual(await completed(), [1], 'two of this one, less the one of the other')
  running.cancel()
  again.stop()
  await closing
  assert.deepEqual(await completed(), [0])
})

test('a meter that throws when a pool leaves it does not keep the pool, nor another one', async (t) => {
  const warnings = []
  const note = ({ message }) => warnings.push(message)
  process.on('warning', note)
  t.after(() => process.off('warning', note))
  const make = () => ({})
  const meter = {
    createObservableCounter: make,
    createObservableGauge: make,
    createObservableUpDownCounter: make,
    addBatchObservableCallback() {},
    removeBatchObservableCallback() {
      throw new Error('not removed')
    },
  }
  for (const end of ['close', 'destroy']) {
    const pool = new WorkerPool({ name: end, threads: 1 })
    instrument({ meter }, pool)
    await pool[end]()
  }
  await new Promise(setImmediate)
  assert.deepEqual(
    warnings,
    ['close', 'destroy'].map((name) => `what is told of pool '${name}' has failed: not removed`),
  )
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.close())
  const failing = { ...meter, addBatchObservableCallback: meter.removeBatchObservableCallback }
  assert.throws(() => instrument({ meter: failing }, pool), { message: 'not removed' })
  // Nothing stays behind that would refuse it, or be called at its end.
  instrument({ meter: { ...failing, addBatchObservableCallback() {}, removeBatchObservableCallback() {} } }, pool)
})
