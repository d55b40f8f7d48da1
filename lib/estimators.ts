// Stage: submit. Thread: owner env.
// What users say about the costs of tasks, as the scheduler takes it.

import type { IWorker } from '..'
import type { Estimator } from './lane-settings'
import type { Estimate } from './submit'
import type { TaskHandle } from './task'

/** Which of them there are. */
export interface Estimators {
  readonly inherentCost: Estimator | undefined
  readonly workerCost: Estimator | undefined
}

/** What a task is expected to take. */
export type Estimation = (task: TaskHandle<unknown> | undefined) => Estimate

/** What an estimator says, ms; 0 when that is no cost. */
function costOf(estimator: Estimator | undefined, ...args: unknown[]): number {
  try {
    const cost = estimator?.(...args)
    return typeof cost === 'number' && Number.isFinite(cost) && cost > 0 ? cost : 0
  } catch {
    return 0
  }
}

/** Asks the estimators about a task and each of `workers`; `undefined` when there are none. */
export function estimation(estimators: Estimators, workers: readonly IWorker[]): Estimation | undefined {
  const { inherentCost, workerCost } = estimators
  if (inherentCost === undefined && workerCost === undefined) return undefined
  return (task) => {
    const inherent = costOf(inherentCost, task)
    task?.expect(inherent)
    if (workerCost === undefined) return { inherent, byWorker: undefined }
    return { inherent, byWorker: Float64Array.from(workers, (worker) => costOf(workerCost, task, worker)) }
  }
}
