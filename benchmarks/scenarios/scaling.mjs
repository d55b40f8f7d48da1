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
/** Tasks of a run for each worker: enough for the last ones, which not all workers have, to be few. */
const EACH = 100

export async function measure() {
  const outcome = new Outcome()
  const { input, check } = calibrateKernel()
  const kernels = await compare(outcome, 'kernels', {
    open: (count) => new WorkerPool({ name: 'bench', threads: count }),
    run: (pool, total) => allQueued(() => pool.kernels.sha256(input), total),
    check,
  })
  // The floor speaks of 16 cores.
  if (COUNTS.includes(16)) outcome.judge('scaling', 1 / aheadOf(kernels, workersText(16)) / 16)

  // What the cores give: the same kernel, called by as many threads without a pool, each of which does its share.
  const openThreads = await load('postMessage')
  const shareOf = (pool, count) => pool.run({ input, count })
  await compare(outcome, 'kernels, threads without a pool', {
    open: (count) => openThreads({ task: 'hash', workers: count }),
    run: (pool, total, count) => Promise.all(Array.from({ length: count }, () => shareOf(pool, total / count))),
    check,
  })

  const rounds = calibrateRounds(2)
  const expected = work(rounds)
  const openPool = await load('threadmill')
  await compare(outcome, 'JS tasks', {
    open: (count) => openPool({ task: 'work', workers: count }),
    run: (pool, total) => allQueued(() => pool.run(rounds), total),
    check: (outputs) => assert.ok(outputs.every((output) => output === expected)),
  })
  return outcome
}

/** The same work by each number of workers. */
async function compare(outcome, id, { open, run, check }) {
  const pools = COUNTS.map(open)
  const measured = await rates({
    id,
    name: id,
    group: 'tasks of 2 ms',
    column: id,
    contenders: COUNTS.map((count, at) => ({
      name: workersText(count),
      least: EACH * count,
      step: count,
      run: (total) => run(pools[at], total, count),
      check,
    })),
  })
  await Promise.all(pools.map((pool) => pool.close()))
  return outcome.add(measured)
}
