// threadmill/metrics with the real packages, and the messages of channels. Checked by tsc, never run.
import { metrics, trace } from '@opentelemetry/api'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import * as client from 'prom-client'
import { type PoolStats, WorkerPool } from 'threadmill'
import { type ChannelMessages, openTelemetry, prometheus, type Reporter, type TaskMessage } from 'threadmill/metrics'
import { exactly } from './assert'

const pool = new WorkerPool()
const entry = new WorkerPool<number, string>('./worker.js')

// Pools
exactly<Reporter>()(prometheus(pool))
exactly<Reporter>()(prometheus([pool, entry]))
exactly<Reporter>()(openTelemetry(new Set([entry])))
exactly<void>()(prometheus(pool).stop())
// @ts-expect-error no pool
prometheus({})
// @ts-expect-error there is none
prometheus()

// Options
prometheus(pool, { client, registry: client.register, prefix: 'own_' })
prometheus(pool, { registry: new client.Registry(), client: undefined })
openTelemetry(pool, { meterProvider: new MeterProvider(), tracerProvider: new BasicTracerProvider() })
openTelemetry(pool, { meterProvider: metrics.getMeterProvider(), tracerProvider: trace.getTracerProvider() })
openTelemetry(pool, { meterProvider: false, tracerProvider: undefined })
// @ts-expect-error not a registry
prometheus(pool, { registry: client })
// @ts-expect-error a tracer provider
openTelemetry(pool, { meterProvider: new BasicTracerProvider() })
// @ts-expect-error a typing mistake
openTelemetry(pool, { tracer: false })

// Messages
declare const messages: ChannelMessages
exactly<TaskMessage>()(messages['threadmill:task:submit'])
exactly<boolean>()(messages['threadmill:task:end'].succeeded)
exactly<unknown>()(messages['threadmill:task:end'].error)
exactly<number | undefined>()(messages['threadmill:task:end'].worker)
exactly<number>()(messages['threadmill:task:retry'].attempt)
exactly<number>()(messages['threadmill:worker:exit'].exitCode)
exactly<number>()(messages['threadmill:pool:create'].threads)
// @ts-expect-error not a channel
messages['threadmill:task:start']
// @ts-expect-error read only
messages['threadmill:task:submit'].id = 1

// What they are read from
declare const stats: PoolStats
exactly<number>()(stats.retries)
exactly<number>()(stats.crashes)
