// Stage: all. Thread: owner env.
// Figures of pools as instruments of OpenTelemetry, read when they are collected, and a span for each task.

import type { Attributes, BatchObservableResult, Meter, Observable, Tracer } from '@opentelemetry/api'
import type { InstrumentOptions, Meter as MeterContract, Reporter, Tracer as TracerContract } from '../../metrics'
import type { PoolCore } from '../core'
import { wrongType, wrongValue } from '../errors'
import { optionsObject, own } from '../options'
import type { TaskTracer } from '../trace'
import { FIGURES, type Labels, QUANTILES, TIMES, totalOf } from './figures'
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
  let isStopped = false
  return {
    stop() {
      if (isStopped) return
      isStopped = true
      stopSpans?.()
      stopMetrics?.()
    },
  }
}

function checked<T>(name: string, value: unknown, methods: readonly string[]): T | undefined {
  if (value === undefined) return undefined
  if (!hasMethods(value, methods)) throw wrongType(`options.${name}`, `a ${name} of @opentelemetry/api`, value)
  return value as T
}

/** Those of each pool, in the order of the calls: the last one follows its tasks. */
const tracers = new WeakMap<PoolCore, TaskTracer[]>()

function follow(cores: readonly PoolCore[], api: Api, source: Tracer): () => void {
  const tracer: TaskTracer = {
    source,
    begin: (call) => startTrace(api, source, call, api.context.active()),
  }
  const use = (core: PoolCore, change: (known: readonly TaskTracer[]) => TaskTracer[]): void => {
    const changed = change(tracers.get(core) ?? [])
    tracers.set(core, changed)
    core.tracer = changed.at(-1)
  }
  for (const core of cores) use(core, (known) => [...known, tracer])
  return () => {
    for (const core of cores) use(core, (known) => known.filter((other) => other !== tracer))
  }
}

/** The pools that each meter reports on: what one instrument tells of pools of one name could not be told apart. */
const observed = new WeakMap<Meter, Watched>()

/** Returns how to end it. @throws TypeError as `Watched`, and what the meter throws */
function observe(cores: readonly PoolCore[], meter: Meter): () => void {
  const known = observed.get(meter)
  if (known !== undefined) known.add(cores)
  const watched = known ?? begin(cores, meter)
  return () => {
    for (const core of cores) watched.remove(core)
  }
}

function begin(cores: readonly PoolCore[], meter: Meter): Watched {
  const figures = FIGURES.flatMap((figure) => {
    const { instrument, unit, help: description, kind } = figure
    return instrument === undefined
      ? []
      : [{ ...figure, to: create(meter, kind, `${SCOPE}.${instrument}`, { unit, description }) }]
  })
  const times = TIMES.map((figure) => {
    const { instrument, help: description } = figure
    const name = `${SCOPE}.${instrument}`
    const total = { unit: 's', description: `${description.slice(0, -1)}, of all of them together.` }
    const sum = create(meter, 'counter', `${name}.total`, total)
    return { ...figure, to: create(meter, 'share', name, { unit: 's', description }), sum }
  })
  const instruments = [...[...figures, ...times].map(({ to }) => to), ...times.map(({ sum }) => sum)]
  const watched = new Watched(() => {
    observed.delete(meter)
    if (isObserved) meter.removeBatchObservableCallback(report, instruments)
  })
  let isObserved = false
  const report = (result: BatchObservableResult): void => {
    for (const stats of watched.figures()) {
      for (const { to, read } of figures) {
        for (const { labels, value } of read(stats)) result.observe(to, value, attributes(stats.name, labels))
      }
      for (const { to, sum, read } of times) {
        const measured = read(stats)
        result.observe(sum, totalOf(measured), attributes(stats.name, {}))
        for (const [quantile, key] of QUANTILES) {
          result.observe(to, measured[key] / 1000, attributes(stats.name, { quantile }))
        }
      }
    }
  }
  watched.add(cores)
  try {
    if (cores.length > 0) meter.addBatchObservableCallback(report, instruments)
    isObserved = true
  } catch (error) {
    for (const core of cores) watched.remove(core)
    throw error
  }
  if (cores.length > 0) observed.set(meter, watched)
  return watched
}

function create(meter: Meter, kind: 'counter' | 'sum' | 'share', name: string, settings: object): Observable {
  if (kind === 'counter') return meter.createObservableCounter(name, settings)
  if (kind === 'sum') return meter.createObservableUpDownCounter(name, settings)
  return meter.createObservableGauge(name, settings)
}

function attributes(pool: string, { worker, ...labels }: Labels): Attributes {
  // A number, as in spans.
  const given = worker === undefined ? { pool, ...labels } : { pool, ...labels, worker: Number(worker) }
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [`${SCOPE}.${key}`, value]))
}
