// How long one number takes there and back when nothing else is going on: by a task, by a kernel, and by bare wake-ups.
import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
import { workersText } from '../lib/format.mjs'
import { latencies } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick, WORKER_COUNTS } from '../lib/plan.mjs'
import { aheadOf } from '../lib/statistics.mjs'
import { WorkerPool } from '../lib/subjects.mjs'
import { ASYNC_TASK, asyncTask, asyncTaskFile } from '../rivals/async-task.mjs'
import { closeAll, openAll } from '../rivals/index.mjs'

export const title = 'Latency: one number in flight'

const CALLS = 500
const ROUNDS = pick(2, 14, 60)
const TO_WORKER = 'bare wake-ups of a worker and back'
const TO_THREAD = 'bare wake-ups of a thread and back'
const check = (output, index) => assert.equal(output, index)

export async function measure() {
  const outcome = new Outcome()
  for (const workers of WORKER_COUNTS) await tasks(outcome, workers)
  await kernels(outcome)
  return outcome
}

async function tasks(outcome, workers) {
  const pools = await openAll({ task: 'echo', workers })
  const bare = await bareWorker()
  const measured = await latencies({
    id: `task/${workers}`,
    name: `task, ${workersText(workers)}`,
    calls: CALLS,
    rounds: ROUNDS,
    contenders: [
      ...pools.map(({ name, pool }) => ({ name, call: (index) => pool.run(index), check })),
      { name: TO_WORKER, call: bare.call, check },
    ],
  })
  await Promise.all([closeAll(pools), bare.close()])
  for (const one of measured)
    outcome.add({ ...one, group: `task, ${workersText(workers)}`, column: one.id.split('/').at(-1) })
  if (workers !== 2) return
  outcome.judge('latency.p50', 1 / aheadOf(measured[0], 'piscina'))
  outcome.limit('latency.task', 1 / aheadOf(measured[0], TO_WORKER))
}

async function kernels(outcome) {
  const pool = new WorkerPool({ name: 'bench' })
  const addon = asyncTask()
  const bare = bareThread()
  const measured = await latencies({
    id: 'kernel',
    name: 'kernel',
    calls: CALLS,
    rounds: ROUNDS,
    contenders: [
      { name: 'threadmill', call: (index) => pool.kernels.echo(index), check },
      { name: ASYNC_TASK, call: (index) => addon.echo(index), check },
      { name: TO_THREAD, call: bare.call, check },
    ],
  })
  bare.close()
  await pool.close()
  for (const one of measured) outcome.add({ ...one, group: 'kernel', column: one.id.split('/').at(-1) })
  outcome.limit('latency.kernel', 1 / aheadOf(measured[0], TO_THREAD))
}

/** Two threadsafe functions: one wakes a worker, the other one this thread. */
async function bareWorker() {
  const addon = asyncTask()
  const [here, there] = [1, 2]
  let resolver
  addon.listen(here, (value) => resolver(value))
  const worker = new Worker(new URL('../tasks/ring.mjs', import.meta.url), {
    workerData: { file: asyncTaskFile(), listen: there, ring: here },
  })
  await new Promise((resolve) => worker.once('message', resolve))
  return {
    call: (index) =>
      new Promise((resolve) => {
        resolver = resolve
        addon.ring(there, index)
      }),
    async close() {
      addon.unlisten(there)
      addon.unlisten(here)
      await worker.terminate()
    },
  }
}

/** A native thread that waits for a condition, and a threadsafe function that wakes this one. */
function bareThread() {
  const addon = asyncTask()
  const here = 3
  let resolver
  addon.listen(here, (value) => resolver(value))
  const bouncer = new addon.Bouncer(here)
  return {
    call: (index) =>
      new Promise((resolve) => {
        resolver = resolve
        bouncer.bounce(index)
      }),
    close() {
      bouncer.close()
      addon.unlisten(here)
    },
  }
}
