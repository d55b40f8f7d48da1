// Figures of pools as instruments of OpenTelemetry, with the real SDK.
import assert from 'node:assert/strict'
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
      'threadmill.worker': String(id),
      value: tasksCompleted,
    })),
    'threadmill.task.run_time': ['p50', 'p90', 'p99', 'p999'].map((name, at) => ({
      ...about,
      'threadmill.quantile': ['0.5', '0.9', '0.99', '0.999'][at],
      value: stats.runTime[name] / 1000,
    })),
  }
  for (const [name, values] of Object.entries(expected)) assert.deepEqual(points(metrics.get(name)), values, name)
  const kinds = (name) => [
    metrics.get(name).dataPointType,
    metrics.get(name).isMonotonic,
    metrics.get(name).descriptor.unit,
  ]
  assert.deepEqual(kinds('threadmill.task.admitted'), [DataPointType.SUM, true, '{task}'])
  assert.deepEqual(kinds('threadmill.worker.busy'), [DataPointType.SUM, false, '{worker}'])
  assert.deepEqual(kinds('threadmill.task.wait_time'), [DataPointType.GAUGE, undefined, 's'])
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
