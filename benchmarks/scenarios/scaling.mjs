// The same work on 1 to 16 workers, as far as the machine has cores: kernels, and JS tasks.
import assert from 'node:assert/strict'
import os from 'node:os'
import { calibrateKernel } from '../lib/cpu-kernel.mjs'
import { workersText } from '../lib/format.mjs'
import { allQueued, rates } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { aheadOf } from '../lib/statistics.mjs'
import { runSync, WorkerPool } from '../lib/subjects.mjs'
import { calibrateRounds, work } from '../lib/work.mjs'
import { load } from '../rivals/index.mjs'

export const title = 'Scaling: tasks of 2 ms on more workers'

const COUNTS = [1, 2, 4, 8, 16].filter((count) => count <= os.availableParallelism())
/** Tasks of a run for each worker: enough for the last ones, which not all workers have, to be few. */
const EACH = 100

export async function measure() {
  const outcome = new Outcome()
  const { input, check } = calibrateKernel()
  const kernels = await compare(
    outcome,
    'kernels',
    COUNTS.map((count) => {
      const pool = new WorkerPool({ name: 'bench', threads: count })
      return { count, pool, run: (total) => allQueued(() => pool.kernels.sha256(input), total), check }
    }),
  )
  // The floor speaks of 16 cores.
  if (COUNTS.includes(16)) outcome.judge('scaling', 1 / aheadOf(kernels, workersText(16)) / 16)
  await threads(outcome, input)

  const rounds = calibrateRounds(2)
  const expected = work(rounds)
  const open = await load('threadmill')
  await compare(
    outcome,
    'JS tasks',
    COUNTS.map((count) => {
      const pool = open({ task: 'work', workers: count })
      return {
        count,
        pool,
        run: (total) => allQueued(() => pool.run(rounds), total),
        check: (outputs) => assert.ok(outputs.every((output) => output === expected)),
      }
    }),
  )
  return outcome
}

/** What the cores give: the same kernel, called by as many threads without a pool, each of which does its share. */
async function threads(outcome, input) {
  const open = await load('postMessage')
  const digest = runSync('sha256', input)
  await compare(
    outcome,
    'kernels, threads without a pool',
    COUNTS.map((count) => {
      const pool = open({ task: 'hash', workers: count })
      return {
        count,
        pool,
        run: (total) => Promise.all(Array.from({ length: count }, () => pool.run({ input, count: total / count }))),
        check: (outputs) => assert.ok(outputs.every((output) => output === digest)),
      }
    }),
  )
}

async function compare(outcome, id, subjects) {
  const measured = await rates({
    id,
    name: id,
    group: 'tasks of 2 ms',
    column: id,
    contenders: subjects.map(({ count, run, check }) => ({
      name: workersText(count),
      least: EACH * count,
      step: count,
      run,
      check,
    })),
  })
  await Promise.all(subjects.map(({ pool }) => pool.close()))
  return outcome.add(measured)
}
