// Runs the spec files on a pool.

import { WorkerPool } from 'threadmill'
import { describe } from './describe.mjs'

/**
 * Finds and runs the spec files below `root`. The reporter is told of everything as it happens.
 *
 * @param {{ root: string, workers: number, timeout: number }} settings
 * @param {import('./costs.mjs').Costs} costs
 * @param {import('./reporter.mjs').Reporter} reporter
 */
export async function runSpecs({ root, workers, timeout }, costs, reporter) {
  const pool = new WorkerPool(new URL('./worker.mjs', import.meta.url), {
    name: 'specs',
    maxWorkers: workers,
    workerData: { root },
    schedule: 'longest-first',
    inherentCostEstimator: (task) => costs.expected(task.argument),
    // Files that crash may come in a row.
    crashLimit: Infinity,
  })
  pool.onMessage('test', ({ spec, name, failure }) => reporter.test(spec, name, failure))
  pool.onMessage('output', ({ spec, text }) => reporter.output(spec, text))

  const specs = costs.longestFirst(await pool.run('', { name: 'discover' }))
  reporter.found(specs)
  const run = async (spec) => {
    // A worker that is still in the file by then, be it in a loop, is terminated and replaced.
    const task = pool.addTask(spec, { timeout, timeoutFrom: 'start' })
    // Not `catch`: a file may throw undefined.
    const [outcome] = await Promise.allSettled([task])
    costs.measured(spec, task.taskCost)
    reporter.end(spec, explain(outcome, spec, timeout))
  }
  await Promise.all(specs.map(run))
  await pool.close()
}

/** Why a file failed as a whole, `undefined` when it did not. */
function explain({ status, reason }, spec, timeout) {
  if (status === 'fulfilled') return undefined
  if (reason?.code === 'ERR_THREADMILL_TIMEOUT') return `did not end within ${timeout} ms`
  if (reason?.code !== 'ERR_THREADMILL_WORKER_CRASHED') return describe(reason, spec)
  return reason.cause === undefined
    ? `ended its worker with exit code ${reason.exitCode}`
    : describe(reason.cause, spec)
}
