// The same work on 1 to 16 workers, as far as the machine has cores: kernels, and JS tasks.
import assert from 'node:assert/strict'
import os from 'node:os'
import { calibrateKernel } from '../lib/cpu-kernel.mjs'
import { workersText } from '../lib/format.mjs'
import { allQueued, rates } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { aheadOf } from '../lib/statistics.mjs'
import { WorkerPool } from '../lib/subjects.mjs'
import { calibrateRounds, work } from '../lib/work.mjs'
import { load } from '../rivals/index.mjs'

export const title = 'Scaling: tasks of 2 ms on more workers'

const COUNTS = [1, 2, 4, 8, 16].filter((count) => count <= os.availableParallelism())

export async function measure() {
  const outcome = new Outcome()
  const { input, check } = calibrateKernel()
  const native = COUNTS.map((count) => {
    const pool = new WorkerPool({ name: 'bench', threads: count })
    return { count, pool, call: () => pool.kernels.sha256(input), check }
  })
  const kernels = await compare(outcome, 'kernels', native)
  // The floor speaks of 16 cores.
  if (COUNTS.includes(16)) outcome.judge('scaling', 1 / aheadOf(kernels, workersText(16)) / 16)

  const rounds = calibrateRounds(2)
  const expected = work(rounds)
  const open = await load('threadmill')
  const tasks = COUNTS.map((count) => {
    const pool = open({ task: 'work', workers: count })
    return {
      count,
      pool,
      call: () => pool.run(rounds),
      check: (outputs) => assert.ok(outputs.every((output) => output === expected)),
    }
  })
  await compare(outcome, 'JS tasks', tasks)
  return outcome
}

async function compare(outcome, id, subjects) {
  const most = COUNTS.at(-1)
  const measured = await rates({
    id,
    name: id,
    group: 'tasks of 2 ms',
    column: id,
    least: 20 * most,
    step: most,
    contenders: subjects.map(({ count, call, check }) => ({
      name: workersText(count),
      run: (total) => allQueued(call, total),
      check,
    })),
  })
  await Promise.all(subjects.map(({ pool }) => pool.close()))
  return outcome.add(measured)
}
