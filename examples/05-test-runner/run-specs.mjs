// Runs the spec files on a pool, and on another one if that is what it takes to give every file its turn.

import { WorkerPool } from 'threadmill'
import { describe } from './describe.mjs'

/** Time in ms that a worker gets to end a file by itself before it is given up. */
const GRACE = 500

/**
 * Finds and runs the spec files below `root`. The reporter is told of everything as it happens.
 *
 * @param {{ root: string, workers: number, timeout: number }} settings
 * @param {import('./costs.mjs').Costs} costs
 * @param {import('./reporter.mjs').Reporter} reporter
 */
export async function runSpecs({ root, workers, timeout }, costs, reporter) {
  const createPool = () =>
    new WorkerPool(new URL('./worker.mjs', import.meta.url), {
      name: 'specs',
      maxWorkers: workers,
      workerData: { root, timeout },
      schedule: 'longest-first',
      inherentCostEstimator: (task) => costs.expected(task.argument),
    })
  let pool = createPool()
  let left = costs.longestFirst(await pool.run('', { name: 'discover' }))
  reporter.found(left)
  // Usually one round. Another one is needed when the pool rejects files that never began: after three crashes in a row,
  // or because every worker is stuck in a file.
  while (left.length > 0) {
    const before = left.length
    const { notBegun, reason } = await runRound(pool, left, timeout, costs, reporter)
    if (notBegun.length === before) throw new Error('no worker gets as far as to begin a file', { cause: reason })
    left = costs.longestFirst(notBegun)
    if (left.length > 0) pool = createPool()
  }
  await pool.close()
}

/** Runs files until each has ended or was rejected by the pool. Gives back those that never began, and a reason why. */
async function runRound(pool, specs, timeout, costs, reporter) {
  const begun = new Map()
  const stuck = new Set()
  const notBegun = []
  let reason
  pool.onMessage('begin', (spec, worker) => begun.set(spec, { worker, at: performance.now(), timedOut: false }))
  pool.onMessage('timeout', (spec) => {
    begun.get(spec).timedOut = true
  })
  // A file that took too long may have ended its worker after all.
  pool.on('worker-exit', (worker) => stuck.delete(worker))
  pool.onMessage('test', ({ spec, name, failure }) => reporter.test(spec, name, failure))
  pool.onMessage('output', ({ spec, text }) => reporter.output(spec, text))

  const run = async (spec) => {
    // The worker keeps the limit itself; one that is stuck in a loop cannot.
    const limits = { timeout: timeout + GRACE, timeoutFrom: 'start' }
    // Not `catch`: a file may throw undefined.
    const [outcome] = await Promise.allSettled([pool.run(spec, limits)])
    const start = begun.get(spec)
    if (start === undefined) {
      notBegun.push(spec)
      reason = outcome.reason
      return
    }
    costs.measured(spec, performance.now() - start.at)
    if (outcome.reason?.code === 'ERR_THREADMILL_TIMEOUT') {
      start.timedOut = true
      stuck.add(start.worker)
      // Nobody is left for what waits, and nobody runs anything that is still wanted.
      if (pool.workers.every((worker) => stuck.has(worker))) pool.destroy()
    }
    reporter.end(spec, start.timedOut ? `did not end within ${timeout} ms` : explain(outcome, spec))
  }
  await Promise.all(specs.map(run))
  if (stuck.size > 0 || notBegun.length > 0) await pool.destroy()
  return { notBegun, reason }
}

/** Why a file failed as a whole, `undefined` when it did not. */
function explain({ status, reason }, spec) {
  if (status === 'fulfilled') return undefined
  if (reason?.code !== 'ERR_THREADMILL_WORKER_CRASHED') return describe(reason, spec)
  return reason.cause === undefined
    ? `ended its worker with exit code ${reason.exitCode}`
    : describe(reason.cause, spec)
}
