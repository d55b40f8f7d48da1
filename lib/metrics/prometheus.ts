// Stage: all. Thread: owner env.
// Figures of pools in a registry of prom-client, read when it is scraped. Nothing is counted for it in between.
//
// M1. A pool that has ended is in no later scrape; with the last one the metrics leave the registry.
// M2. A registry that was cleared has none of its metrics: the next call registers new ones, and what the calls before it gave
//     has no part in those.

import type { TimeStats } from '../..'
import type { PrometheusClient, PrometheusRegistry, RegisterMetricsOptions, Reporter } from '../../metrics'
import type { PoolCore } from '../core'
import { wrongType, wrongValue } from '../errors'
import { optionsObject, own, ownOr } from '../options'
import { FIGURES, type Figure, QUANTILES, TIMES, type TimeFigure, totalOf } from './figures'
import { hasMethods, peer } from './peer'
import { coresOf, Watched } from './pools'

/** What is used of prom-client. */
interface Metric {
  readonly name: string
  reset(): void
}
interface Client {
  readonly Gauge: new (settings: object) => Metric & { set(labels: object, value: number): void }
  readonly Counter: new (settings: object) => Metric & { inc(labels: object, value: number): void }
  readonly Summary: new (settings: object) => Metric & { get(): Promise<object> }
}
interface Registry {
  registerMetric(metric: never): void
  getSingleMetric(name: string): Metric | undefined
  removeSingleMetric(name: string): void
}

const REGISTRY: readonly (keyof PrometheusRegistry)[] = ['registerMetric', 'getSingleMetric', 'removeSingleMetric']
const NAME = /^[a-zA-Z_:][\w:]*$/

/** Metrics of one registry with one prefix. */
class Group {
  readonly #registry: Registry
  readonly #metrics = new Map<string, Metric>()
  readonly watched: Watched

  /** Metrics of these pools, and of others that are added. @throws TypeError as `Watched`, and what prom-client throws */
  constructor(
    client: Client,
    registry: Registry,
    known: Map<string, Group>,
    prefix: string,
    cores: readonly PoolCore[],
  ) {
    this.#registry = registry
    this.watched = new Watched(() => {
      this.#unregister()
      if (known.get(prefix) === this) known.delete(prefix)
    })
    // First: nothing is registered for pools that are refused.
    this.watched.add(cores)
    try {
      for (const figure of FIGURES) this.#register(prefix + figure.name, (base) => this.#figure(client, base, figure))
      for (const times of TIMES) this.#register(prefix + times.name, (base) => this.#times(client, base, times))
    } catch (error) {
      for (const core of cores) this.watched.remove(core)
      throw error
    }
    known.set(prefix, this)
  }

  /** M2. */
  get isRegistered(): boolean {
    return [...this.#metrics].some(([name, metric]) => this.#registry.getSingleMetric(name) === metric)
  }

  #register(name: string, make: (base: object) => Metric): void {
    this.#metrics.set(name, make({ name, registers: [this.#registry] }))
  }

  #unregister(): void {
    for (const [name, metric] of this.#metrics) {
      // Another may have its name by now.
      if (this.#registry.getSingleMetric(name) === metric) this.#registry.removeSingleMetric(name)
    }
    this.#metrics.clear()
  }

  #figure(client: Client, base: object, { kind, help, read }: Figure): Metric {
    const settings = { ...base, help, labelNames: ['pool', 'lane', 'worker'] }
    const tell = (set: (labels: object, value: number) => void): void => {
      for (const stats of this.watched.figures()) {
        for (const { labels, value } of read(stats)) set({ pool: stats.name, ...labels }, value)
      }
    }
    if (kind === 'counter') {
      const collect = (): void => {
        counter.reset()
        tell((labels, value) => counter.inc(labels, value))
      }
      const counter = new client.Counter({ ...settings, collect })
      return counter
    }
    const collect = (): void => {
      gauge.reset()
      tell((labels, value) => gauge.set(labels, value))
    }
    const gauge = new client.Gauge({ ...settings, collect, aggregator: kind === 'share' ? 'average' : 'sum' })
    return gauge
  }

  #times(client: Client, base: object, { help, read }: TimeFigure): Metric {
    const summary = new client.Summary({ ...base, help, labelNames: ['pool'] })
    const { get } = summary
    // The quantiles are known; prom-client would work them out from single values.
    summary.get = async () => {
      const values = this.watched
        .figures()
        .flatMap((stats) => summaryValues(summary.name, { pool: stats.name }, read(stats)))
      return { ...(await get.call(summary)), values }
    }
    return summary
  }
}

function summaryValues(name: string, labels: object, times: TimeStats): object[] {
  return [
    ...QUANTILES.map(([quantile, key]) => ({ labels: { quantile, ...labels }, value: times[key] / 1000 })),
    { metricName: `${name}_sum`, labels, value: totalOf(times) },
    { metricName: `${name}_count`, labels, value: times.count },
  ]
}

const groups = new WeakMap<object, Map<string, Group>>()

/** See `registerMetrics` in metrics.d.ts. */
export function registerMetrics(registry: unknown, pools: unknown, given?: RegisterMetricsOptions): Reporter {
  const checked = checkRegistry(registry)
  const cores = coresOf(pools)
  const options = optionsObject(given)
  const prefix = ownOr(options, 'prefix', 'threadmill_')
  if (typeof prefix !== 'string') throw wrongType('options.prefix', 'a string', prefix)
  if (!NAME.test(prefix)) throw wrongValue('options.prefix', 'the beginning of the name of a metric', prefix)
  const brought = own(options, 'client')
  const client = checkClient(brought === undefined ? peer('prom-client', 'registerMetrics()') : brought)
  return report(cores, client, checked, prefix)
}

function report(cores: readonly PoolCore[], client: Client, registry: Registry, prefix: string): Reporter {
  let known = groups.get(registry)
  if (known === undefined) {
    known = new Map()
    groups.set(registry, known)
  }
  let group = known.get(prefix)
  if (group?.isRegistered) group.watched.add(cores)
  else if (cores.length > 0) group = new Group(client, registry, known, prefix, cores)
  let isStopped = false
  return {
    stop() {
      if (isStopped) return
      isStopped = true
      for (const core of cores) group?.watched.remove(core)
    },
  }
}

function checkClient(value: unknown): Client {
  if (!hasMethods(value, ['Gauge', 'Counter', 'Summary'] satisfies (keyof PrometheusClient)[])) {
    throw wrongType('options.client', 'the package prom-client', value)
  }
  return value as Client
}

function checkRegistry(value: unknown): Registry {
  if (!hasMethods(value, REGISTRY)) {
    throw wrongType('registry', 'a registry of prom-client', value)
  }
  return value as Registry
}
