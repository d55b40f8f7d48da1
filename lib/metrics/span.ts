// Stage: submit and settle. Thread: any that submits tasks.
// The span of a task: from submit to settle, and what of it travels with the task.

import { types } from 'node:util'
import type { Attributes, Context, Span, SpanContext, Tracer } from '@opentelemetry/api'
import { describe, isInstance } from '../errors'
import type { Call, Outcome, Ran, TaskTrace } from '../trace'

export type Api = typeof import('@opentelemetry/api')

/** What the names of instruments and attributes begin with, and the name of the tracer in workers. */
export const SCOPE = 'threadmill'
const VERSION = '00'
const INVALID = { traceId: '', spanId: '', traceFlags: 0 }
const TRACEPARENT = /^00-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?: (.*))?$/

/** The span of a task that is about to be submitted; `undefined` when nobody records any. */
export function startTrace(api: Api, tracer: Tracer, call: Call, parent: Context): TaskTrace | undefined {
  const { pool, lane, kernel, name } = call
  const attributes: Attributes = { 'threadmill.pool': pool, 'threadmill.lane': lane }
  if (kernel !== undefined) attributes['threadmill.kernel'] = kernel
  if (typeof name === 'string') attributes['threadmill.export'] = name
  const span = tracer.startSpan(`task ${kernel ?? attributes['threadmill.export'] ?? 'entry'}`, { attributes }, parent)
  return api.isSpanContextValid(span.spanContext()) ? new SpanTrace(api, span, parent) : undefined
}

class SpanTrace implements TaskTrace {
  readonly carried: string
  readonly #api: Api
  readonly #span: Span
  readonly #context: Context

  constructor(api: Api, span: Span, parent: Context) {
    this.#api = api
    this.#span = span
    this.#context = api.trace.setSpan(parent, span)
    this.carried = carriedOf(span.spanContext())
  }

  run<T>(submit: () => T): T {
    return this.#api.context.with(this.#context, submit)
  }

  end({ worker, ranFor, retries }: Ran, outcome: Outcome): void {
    const span = this.#span
    try {
      if (worker !== undefined) {
        span.setAttributes({ 'threadmill.worker': worker.id, 'threadmill.run_time': ranFor / 1000 })
      }
      if (retries > 0) span.setAttribute('threadmill.retries', retries)
      if (!outcome.succeeded) this.#fail(outcome.reason)
    } finally {
      span.end()
    }
  }

  #fail(reason: unknown): void {
    const exception = exceptionOf(reason)
    this.#span.recordException(exception)
    this.#span.setAttribute('error.type', exception.code ?? exception.name ?? '_OTHER')
    this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: exception.message })
  }
}

/** What the error of a task tells of itself; it is the user's, and its getters may throw. */
interface TaskException {
  readonly code?: string
  readonly name?: string
  readonly message: string
  readonly stack?: string
}

function exceptionOf(reason: unknown): TaskException {
  if (!isInstance(reason, Error) && !types.isNativeError(reason)) return { message: describe(reason) }
  const exception: { -readonly [K in keyof TaskException]: TaskException[K] } = { message: '' }
  for (const key of ['code', 'name', 'message', 'stack'] as const) {
    try {
      const text = (reason as Error & { readonly code?: unknown })[key]
      if (typeof text === 'string' && text !== '') exception[key] = text
    } catch {
      // It tells nothing of this.
    }
  }
  return exception
}

/** W3C `traceparent`, and `tracestate` if there is one. */
function carriedOf({ traceId, spanId, traceFlags, traceState }: SpanContext): string {
  const parent = `${VERSION}-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
  const state = traceState?.serialize() ?? ''
  return state === '' ? parent : `${parent} ${state}`
}

/** What was carried. */
export function spanContextOf(api: Api, carried: string): SpanContext {
  const parts = TRACEPARENT.exec(carried)
  if (parts === null) return INVALID
  const [, traceId = '', spanId = '', flags = '0', state] = parts
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  return state === undefined ? context : { ...context, traceState: api.createTraceState(state) }
}
