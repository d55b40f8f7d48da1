// Stage: all. Thread: owner env.
// Figures of pools as instruments of OpenTelemetry, read when they are collected, and a span for each task.

import type { BatchObservableResult, Meter, MeterProvider, Observable, TracerProvider } from '@opentelemetry/api'
import type { OpenTelemetryOptions, Reporter } from '../../metrics'
import type { PoolCore } from '../core'
import { wrongType } from '../errors'
import { optionsObject, own } from '../options'
import type { TaskTracer } from '../trace'
import { FIGURES, type Labels, QUANTILES, TIMES } from './figures'
import { peer } from './peer'
import { coresOf, Watched } from './pools'
import { type Api, SCOPE, startTrace } from './span'

/** See `openTelemetry` in metrics.d.ts. */
export function openTelemetry(pools: unknown, given?: OpenTelemetryOptions): Reporter {
  const cores = coresOf(pools)
  const options = optionsObject(given)
  const meters = own(options, 'meterProvider')
  const tracers = own(options, 'tracerProvider')
  checkProvider('options.meterProvider', meters, 'getMeter')
  checkProvider('options.tracerProvider', tracers, 'getTracer')
  const api = peer('@opentelemetry/api', 'openTelemetry()') as Api
  const stopMetrics =
    meters === false ? undefined : observe(cores, (meters as MeterProvider) ?? api.metrics.getMeterProvider())
  const stopSpans =
    tracers === false ? undefined : follow(cores, api, (tracers as TracerProvider) ?? api.trace.getTracerProvider())
  return {
    stop() {
      stopMetrics?.()
      stopSpans?.()
    },
  }
}

function checkProvider(name: string, value: unknown, method: string): void {
  if (value === undefined || value === false) return
  const isProvider = typeof value === 'object' && value !== null && method in value
  if (!isProvider) throw wrongType(name, `false or an object with ${method}()`, value)
}

function follow(cores: readonly PoolCore[], api: Api, provider: TracerProvider): () => void {
  const spans = provider.getTracer(SCOPE)
  const tracer: TaskTracer = {
    begin: (call) => startTrace(api, spans, call, api.context.active()),
  }
  for (const core of cores) core.tracer = tracer
  return () => {
    for (const core of cores) if (core.tracer === tracer) core.tracer = undefined
  }
}

function observe(cores: readonly PoolCore[], provider: MeterProvider): () => void {
  const meter = provider.getMeter(SCOPE)
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
