// Shows: a scheduler with priorities: who goes first, who gives up while it waits, and the longest job first.
// Run:   node examples/07-priorities.mjs

import { WorkerPool } from 'threadmill'

const module = new URL('./07-priorities.worker.mjs', import.meta.url)

/** Queues jobs behind one that holds the only worker, lets go, and gives the order in which they ran. */
async function orderOf(jobs, options) {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const pool = new WorkerPool(module, { maxWorkers: 1, workerData: gate, ...options })
  const order = []
  const holder = pool.run({ hold: true, cost: 0 }, { priority: 1000 })
  const queued = jobs.map(({ name, cost, giveUp, ...taskOptions }) => {
    const task = pool.addTask({ name, cost }, taskOptions)
    if (giveUp) task.cancel(new Error('is no longer wanted'))
    return task.then(
      (ran) => order.push(ran),
      (error) => console.log(`${name} ${error.name === 'TimeoutError' ? 'waited too long' : error.message}`),
    )
  })
  // Nothing runs yet: what was cancelled or has a timeout leaves the queue all the same.
  await Promise.all(queued.filter((_, index) => jobs[index].timeout !== undefined || jobs[index].giveUp))
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
  await Promise.all([holder, ...queued])
  await pool.close()
  return order
}

// A higher number runs first, equal ones in the order of submission; without one it is 0, and 'high' is 1. What waits gains
// one unit every 10 seconds, so nothing waits for ever.
const byPriority = await orderOf([
  { name: 'backup', priority: -1 },
  { name: 'invoice 1' },
  { name: 'thumbnail', priority: -1, timeout: 50 },
  { name: 'page', priority: 'high' },
  { name: 'alarm', priority: 100 },
  { name: 'draft', giveUp: true },
  { name: 'invoice 2' },
  { name: 'page 2', priority: 'high' },
  { name: 'sweep', priority: -7.5 },
])
console.log(`by priority: ${byPriority.join(', ')}`)

// Among equal priorities the longest first, so that no long job is left for the end: several workers finish earlier.
const jobs = [5, 60, 20, 1, 40].map((cost) => ({ name: `${cost} ms`, cost }))
const byCost = await orderOf([...jobs, { name: 'short but urgent', cost: 1, priority: 'high' }], {
  schedule: 'longest-first',
  inherentCostEstimator: (task) => task.argument.cost,
})
console.log(`longest first: ${byCost.join(', ')}`)
