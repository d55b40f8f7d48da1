// threadmill/metrics with the real packages, and the messages of channels. Checked by tsc, never run.
import { metrics, trace } from '@opentelemetry/api'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import * as client from 'prom-client'
import { type PoolStats, type WorkerExitReason, WorkerPool } from 'threadmill'
import { type ChannelMessages, instrument, type Reporter, registerMetrics, type TaskMessage } from 'threadmill/metrics'
import { exactly } from './assert'

const pool = new WorkerPool()
const entry = new WorkerPool<number, string>('./worker.js')

// Pools
const { register } = client
declare const openMetrics: client.Registry<client.OpenMetricsContentType>
const [tracer, meter] = [trace.getTracer('app'), metrics.getMeter('app')]
exactly<Reporter>()(registerMetrics(register, pool))
exactly<Reporter>()(registerMetrics(register, [pool, entry]))
exactly<Reporter>()(instrument({ tracer, meter }, new Set([entry])))
exactly<void>()(registerMetrics(register, pool).stop())
// @ts-expect-error no pool
registerMetrics(register, {})
// @ts-expect-error there is none
registerMetrics(register)
// @ts-expect-error no pools
instrument({ tracer, meter })

// Options
registerMetrics(register, pool, { client, prefix: 'own_' })
registerMetrics(new client.Registry(), pool, { client: undefined })
registerMetrics(openMetrics, pool)
instrument({ meter: new MeterProvider().getMeter('app'), tracer: new BasicTracerProvider().getTracer('app') }, pool)
instrument({ tracer }, pool)
instrument({ meter, tracer: undefined }, pool)
// @ts-expect-error not a registry
registerMetrics(client, pool)
// @ts-expect-error a tracer
instrument({ meter: tracer }, pool)
// @ts-expect-error a provider
instrument({ tracer: new BasicTracerProvider() }, pool)
// @ts-expect-error neither
instrument({}, pool)
// @ts-expect-error a typing mistake
instrument({ tracer, meters: meter }, pool)

// Messages
declare const messages: ChannelMessages
exactly<TaskMessage>()(messages['threadmill:task:submit'])
exactly<boolean>()(messages['threadmill:task:end'].succeeded)
exactly<unknown>()(messages['threadmill:task:end'].error)
exactly<number | undefined>()(messages['threadmill:task:end'].worker)
exactly<number>()(messages['threadmill:task:retry'].attempt)
exactly<number>()(messages['threadmill:worker:online'].worker)
exactly<number>()(messages['threadmill:worker:exit'].exitCode)
exactly<WorkerExitReason>()(messages['threadmill:worker:exit'].reason)
exactly<number>()(messages['threadmill:pool:create'].threads)
// @ts-expect-error not a channel
messages['threadmill:task:start']
// @ts-expect-error read only
messages['threadmill:task:submit'].id = 1

// What they are read from
declare const stats: PoolStats
exactly<number>()(stats.retries)
exactly<number>()(stats.crashes)
