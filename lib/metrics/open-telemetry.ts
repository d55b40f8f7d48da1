// Stage: all. Thread: owner env.
// Figures of pools as instruments of OpenTelemetry, read when they are collected, and a span for each task.

import type { BatchObservableResult, Meter, Observable, Tracer } from '@opentelemetry/api'
import type { InstrumentOptions, Meter as MeterContract, Reporter, Tracer as TracerContract } from '../../metrics'
import type { PoolCore } from '../core'
import { wrongType, wrongValue } from '../errors'
import { optionsObject, own } from '../options'
import type { TaskTracer } from '../trace'
import { FIGURES, type Labels, QUANTILES, TIMES } from './figures'
import { hasMethods, peer } from './peer'
import { coresOf, Watched } from './pools'
import { type Api, SCOPE, startTrace } from './span'

const TRACER: readonly (keyof TracerContract)[] = ['startSpan']
const METER: readonly (keyof MeterContract)[] = [
  'createObservableCounter',
  'createObservableGauge',
  'createObservableUpDownCounter',
  'addBatchObservableCallback',
  'removeBatchObservableCallback',
]

/** See `instrument` in metrics.d.ts. */
export function instrument(given: InstrumentOptions, pools: unknown): Reporter {
  const options = optionsObject(given)
  const tracer = checked<Tracer>('tracer', own(options, 'tracer'), TRACER)
  const meter = checked<Meter>('meter', own(options, 'meter'), METER)
  if (tracer === undefined && meter === undefined) throw wrongValue('options', 'an object with tracer or meter', given)
  const cores = coresOf(pools)
  const api = tracer === undefined ? undefined : (peer('@opentelemetry/api', 'instrument()') as Api)
  const stopMetrics = meter === undefined ? undefined : observe(cores, meter)
  const stopSpans = tracer === undefined || api === undefined ? undefined : follow(cores, api, tracer)
  return {
    stop() {
      stopMetrics?.()
      stopSpans?.()
    },
  }
}

function checked<T>(name: string, value: unknown, methods: readonly string[]): T | undefined {
  if (value === undefined) return undefined
  if (!hasMethods(value, methods)) throw wrongType(`options.${name}`, `a ${name} of @opentelemetry/api`, value)
  return value as T
}

function follow(cores: readonly PoolCore[], api: Api, spans: Tracer): () => void {
  const tracer: TaskTracer = {
    begin: (call) => startTrace(api, spans, call, api.context.active()),
  }
  for (const core of cores) core.tracer = tracer
  return () => {
    for (const core of cores) if (core.tracer === tracer) core.tracer = undefined
  }
}

function observe(cores: readonly PoolCore[], meter: Meter): () => void {
  const figures = FIGURES.flatMap((figure) => {
    const { instrument, unit, help: description, kind } = figure
    return instrument === undefined
      ? []
      : [{ ...figure, to: create(meter, kind, `${SCOPE}.${instrument}`, { unit, description }) }]
  })
  const times = TIMES.map((figure) => {
    const { instrument, help: description } = figure
    return { ...figure, to: create(meter, 'share', `${SCOPE}.${instrument}`, { unit: 's', description }) }
  })
  const instruments = [...figures, ...times].map(({ to }) => to)
  const watched = new Watched(() => meter.removeBatchObservableCallback(report, instruments))
  const report = (result: BatchObservableResult): void => {
    for (const stats of watched.figures()) {
      for (const { to, read } of figures) {
        for (const { labels, value } of read(stats)) result.observe(to, value, attributes(stats.name, labels))
      }
      for (const { to, read } of times) {
        const measured = read(stats)
        for (const [quantile, key] of QUANTILES) {
          result.observe(to, measured[key] / 1000, attributes(stats.name, { quantile }))
        }
      }
    }
  }
  watched.add(cores)
  if (cores.length > 0) meter.addBatchObservableCallback(report, instruments)
  return () => {
    for (const core of cores) watched.remove(core)
  }
}

function create(meter: Meter, kind: 'counter' | 'sum' | 'share', name: string, settings: object): Observable {
  if (kind === 'counter') return meter.createObservableCounter(name, settings)
  if (kind === 'sum') return meter.createObservableUpDownCounter(name, settings)
  return meter.createObservableGauge(name, settings)
}

function attributes(pool: string, labels: Labels): Labels {
  const named = Object.entries({ pool, ...labels }).map(([key, value]) => [`${SCOPE}.${key}`, value])
  return Object.fromEntries(named)
}
