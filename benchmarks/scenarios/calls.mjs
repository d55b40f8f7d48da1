// Calls of a kernel that does nothing: what a call costs.
import assert from 'node:assert/strict'
import { allQueued, inFlight, rates } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick, plan } from '../lib/plan.mjs'
import { aheadOf } from '../lib/statistics.mjs'
import { WorkerPool } from '../lib/subjects.mjs'
import { ASYNC_TASK, asyncTask } from '../rivals/async-task.mjs'

export const title = 'Kernel calls: `echo` against a napi-rs `AsyncTask` that does the same'

const QUEUED = pick(10_000, 100_000, 100_000)

function check(outputs, total) {
  assert.equal(outputs.length, total)
  assert.ok(outputs.every((output, index) => output === index))
}

export async function measure() {
  const outcome = new Outcome()
  const pool = new WorkerPool({ name: 'bench' })
  const addon = asyncTask()
  for (const width of [1, 16, 1024, Number.POSITIVE_INFINITY]) {
    const isAll = width === Number.POSITIVE_INFINITY
    const column = isAll ? `all ${QUEUED.toLocaleString('en-US')} queued` : `${width} in flight`
    const contender = (name, call) => ({
      name,
      check,
      run: (total) => (isAll ? allQueued(call, total) : inFlight(call, total, width)),
    })
    const measured = await rates({
      id: `echo/${isAll ? 'all' : width}`,
      name: `echo of a number, ${column}`,
      group: 'echo of a number',
      column,
      least: isAll ? QUEUED : 3 * width,
      most: isAll ? QUEUED : undefined,
      warmup: plan.opening,
      contenders: [
        contender('threadmill', (index) => pool.kernels.echo(index)),
        contender(ASYNC_TASK, (index) => addon.echo(index)),
      ],
    })
    outcome.add(measured)
    outcome.judge(`calls.${isAll ? 'all' : width}`, aheadOf(measured, ASYNC_TASK))
  }
  await pool.close()
  return outcome
}
