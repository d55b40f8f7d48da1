// Stage: run. Thread: a JS worker, or the owner env for tasks of its workers.
// A task whose submitter follows it: its span is active while its function runs, and what it submits is followed too.

import type { Context } from '@opentelemetry/api'
import type { Call, TaskTrace, TaskTracer } from '../trace'
import { type Api, SCOPE, spanContextOf, startTrace } from './span'

/** `null` when it is not installed. */
let api: Api | null | undefined

/** What that task is to know; with '' what any task may know; `undefined` where nothing can be known. */
export function taskContext(carried: string): TaskContext | undefined {
  api ??= load()
  return api === null ? undefined : new TaskContext(api, carried)
}

function load(): Api | null {
  try {
    return require('@opentelemetry/api') as Api
  } catch {
    return null
  }
}

/** See the head of this file. */
export class TaskContext implements TaskTracer {
  readonly #api: Api
  readonly #context: Context

  constructor(otel: Api, carried: string) {
    this.#api = otel
    this.#context = otel.trace.setSpanContext(otel.ROOT_CONTEXT, spanContextOf(otel, carried))
  }

  get source(): object {
    return this.#api
  }

  run<T>(call: () => T): T {
    return this.#api.context.with(this.#context, call)
  }

  begin(call: Call): TaskTrace | undefined {
    const { trace, context, isSpanContextValid } = this.#api
    // Without a context manager nothing is ever active.
    for (const parent of [context.active(), this.#context]) {
      const span = trace.getSpanContext(parent)
      if (span !== undefined && isSpanContextValid(span)) {
        return startTrace(this.#api, trace.getTracer(SCOPE), call, parent)
      }
    }
    return undefined
  }
}
