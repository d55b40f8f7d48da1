// Stage: submit, run and settle. Thread: any that submits or runs tasks of an entry module.
// What belongs to a task from submit to settle for whoever follows it through threads, and how it travels: in front of the
// name of the export, as the scheduler knows nothing of either.
//
// T1. An input is not touched, and a task of a pool that nobody traces is submitted as ever.
// T2. What fails in a tracer is warned of once, and harms no task, nor the thread that it runs on.

import { quietly } from './callbacks'
import { MAIN_WORKER } from './native'
import type { Observer } from './owner'
import { observe } from './slots'
import type { Settlement } from './submit'

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
  /** What makes the spans. */
  readonly source: object
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
  end(run: Ran, outcome: Outcome): void
}

/** What is known of the runs of a task; a handle knows it, too. */
export interface Ran {
  /** The one that ran it at last; `undefined` when none did. */
  readonly worker: { readonly id: number } | undefined
  /** Milliseconds, runs that failed included. */
  readonly ranFor: number
  readonly retries: number
}

/** Notes that, where there is no handle. */
class Runs implements Ran, Observer {
  worker: Ran['worker']
  ranFor = 0
  retries = 0

  ended(worker: number, runTime: number): void {
    if (worker < 0) return
    this.worker = { id: worker === MAIN_WORKER ? -1 : worker }
    this.ranFor += runTime
  }

  retried(count: number, worker: number, runTime: number): void {
    this.retries = count
    this.ended(worker, runTime)
  }

  progress(): void {}

  message(): void {}
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
  const safely = <T>(part: () => T): T | undefined => quietly(tracer.source, 'the tracer of a pool', part)
  const trace = safely(() => tracer.begin(call))
  if (trace === undefined) return submit(settlement)
  const { task, promise, resolve, reject } = settlement
  const runs = task === undefined ? new Runs() : undefined
  const end = (outcome: Outcome): void => safely(() => trace.end(task ?? (runs as Runs), outcome))
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
  let submitted: Submitted | undefined
  const submitOnce = (): void => {
    try {
      const slot = submit(followed, trace.carried)
      if (runs !== undefined && slot >= 0) observe(slot, runs)
      submitted = { slot }
    } catch (reason) {
      end({ succeeded: false, reason })
      submitted = { slot: undefined, reason }
    }
  }
  safely(() => trace.run(submitOnce))
  // It fails before that, or after.
  if (submitted === undefined) submitOnce()
  return slotOf(submitted as unknown as Submitted)
}

/** What came of a submission. */
type Submitted = { readonly slot: number } | { readonly slot: undefined; readonly reason: unknown }

function slotOf(submitted: Submitted): number {
  if (submitted.slot === undefined) throw submitted.reason
  return submitted.slot
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
