// Stage: submit, run and settle. Thread: any that submits or runs tasks of an entry module.
// What belongs to a task from submit to settle for whoever follows it through threads, and how it travels: in front of the
// name of the export, as the scheduler knows nothing of either.
//
// T1. An input is not touched, and a task of a pool that nobody traces is submitted as ever.
// T2. What fails in a tracer becomes an uncaught exception and harms no task.

import { rethrow } from './callbacks'
import type { Settlement } from './submit'
import type { TaskHandle } from './task'

/** What is known of a task when it is submitted. */
export interface Call {
  readonly pool: string
  readonly lane: 'native' | 'js'
  readonly kernel: string | undefined
  /** Another export of the entry module. */
  readonly name: string | undefined
}

/** Follows tasks. */
export interface TaskTracer {
  /** A task is about to be submitted; `undefined` for one that is not to be followed. */
  begin(call: Call): TaskTrace | undefined
}

/** Follows one task. */
export interface TaskTrace {
  /** What its worker is to know, without NUL. */
  readonly carried: string
  /** Calls what submits it. */
  run<T>(submit: () => T): T
  /** It is settled. `outcome`: how. */
  end(task: TaskHandle<unknown> | undefined, outcome: Outcome): void
}

export type Outcome = { readonly succeeded: true } | { readonly succeeded: false; readonly reason: unknown }

const SUCCESS: Outcome = { succeeded: true }
/** Comes before what is carried. */
export const MARK = '\0'

/** Submits a task, followed by `tracer`. */
export function traced(
  tracer: TaskTracer,
  call: Call,
  settlement: Settlement,
  submit: (settlement: Settlement, carried?: string) => number,
): number {
  const trace = quietly(() => tracer.begin(call))
  if (trace === undefined) return submit(settlement)
  const { task, promise, resolve, reject } = settlement
  const end = (outcome: Outcome): void => quietly(() => trace.end(task, outcome))
  const followed: Settlement = {
    task,
    promise,
    resolve(value) {
      end(SUCCESS)
      resolve(value)
    },
    reject(reason) {
      end({ succeeded: false, reason })
      reject(reason)
    },
  }
  try {
    return trace.run(() => submit(followed, trace.carried))
  } catch (reason) {
    end({ succeeded: false, reason })
    throw reason
  }
}

function quietly<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    rethrow(error)
    return undefined
  }
}

/** What is sent for a name, with what is carried. */
export function packName(name: string | number | undefined, carried: string | undefined): string | number | undefined {
  if (typeof name === 'number') return name
  if (carried === undefined && name?.startsWith(MARK) !== true) return name
  return `${MARK}${carried ?? ''}${MARK}${name === undefined ? '' : `=${name}`}`
}

/** What was sent. */
export function unpackName(sent: string | undefined): { readonly name: string | undefined; readonly carried: string } {
  if (sent?.startsWith(MARK) !== true) return { name: sent, carried: '' }
  const end = sent.indexOf(MARK, 1)
  const name = end + 1 < sent.length ? sent.slice(end + 2) : undefined
  return { name, carried: sent.slice(1, end) }
}
