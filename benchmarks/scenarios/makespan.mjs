// Many equal tasks of 2 ms: how well the workers are kept busy to the end. As kernels, and as JS tasks.
import assert from 'node:assert/strict'
import { calibrateKernel } from '../lib/cpu-kernel.mjs'
import { allQueued, timesOf } from '../lib/harness.mjs'
import { openIdeal, openIdealOf, overIdeal, THREADS } from '../lib/makespan.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick } from '../lib/plan.mjs'
import { leastAhead, medianOf } from '../lib/statistics.mjs'
import { runSync, WorkerPool } from '../lib/subjects.mjs'
import { calibrateRounds, work } from '../lib/work.mjs'
import { CONTENDERS, closeAll, openAll, PEERS, TUNED } from '../rivals/index.mjs'

export const title = 'Even tasks of 2 ms: makespan over ideal'

const repetitions = pick(2, 15, 31)
const TOTAL = THREADS * pick(10, 50, 100)

export async function measure() {
  const outcome = new Outcome()
  await kernels(outcome)
  await tasks(outcome)
  return outcome
}

async function kernels(outcome) {
  const { input, check } = calibrateKernel()
  const expected = runSync('sha256', input)
  const ideal = await openIdealOf({ task: 'hash', input: { input, count: TOTAL / THREADS }, expected })
  const pool = new WorkerPool({ name: 'bench', threads: THREADS })
  const samples = await timesOf({
    repetitions,
    contenders: [
      ideal.contender,
      { name: 'threadmill', run: () => allQueued(() => pool.kernels.sha256(input), TOTAL), check },
    ],
  })
  await Promise.all([pool.close(), ideal.close()])
  const name = `${TOTAL} kernels, ${THREADS} workers`
  const measured = outcome.add(overIdeal({ id: 'kernels', name, group: 'even', column: name }, samples))
  const value = medianOf(measured, 'threadmill')
  outcome.judge('makespan.kernels', value)
  outcome.limit('makespan.kernels', value)
}

async function tasks(outcome) {
  const rounds = calibrateRounds(2)
  const expected = work(rounds)
  const check = (outputs) => {
    assert.equal(outputs.length, TOTAL)
    assert.ok(outputs.every((output) => output === expected))
  }
  const ideal = await openIdeal(new Array(TOTAL).fill(rounds))
  // A message per task that waits behind others is what the pools are there to avoid.
  const names = CONTENDERS.filter((name) => name !== 'postMessage, batched')
  const pools = await openAll({ task: 'work', workers: THREADS }, names)
  const samples = await timesOf({
    repetitions,
    contenders: [
      ideal.contender,
      ...pools.map(({ name, pool }) => ({ name, run: () => allQueued(() => pool.run(rounds), TOTAL), check })),
    ],
  })
  await Promise.all([closeAll(pools), ideal.close()])
  const name = `${TOTAL} JS tasks, ${THREADS} workers`
  const measured = outcome.add(overIdeal({ id: 'tasks', name, group: 'even', column: name }, samples))
  outcome.judge('makespan.tasks', medianOf(measured, 'threadmill'))
  outcome.judge('makespan.peers', 1 / leastAhead(measured, [...PEERS, ...TUNED]))
}
