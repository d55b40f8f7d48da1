// Tasks that are not alike: makespan over the lower bound, which is the work divided by the workers, or the longest task.
// threadmill also with costs that it has learned by `key`.
import assert from 'node:assert/strict'
import { allQueued, timesOf } from '../lib/harness.mjs'
import { random } from '../lib/inputs.mjs'
import { openIdeal, overIdeal, THREADS } from '../lib/makespan.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick } from '../lib/plan.mjs'
import { medianOf } from '../lib/statistics.mjs'
import { WorkerPool } from '../lib/subjects.mjs'
import { calibrateRounds, work } from '../lib/work.mjs'
import { closeAll, openAll, PEERS } from '../rivals/index.mjs'
import { taskFile } from '../rivals/task-file.mjs'

export const title = 'Skewed tasks: makespan over the lower bound'

const TOTAL = THREADS * pick(10, 50, 100)
const FIRST = 'threadmill, first run'
const LEARNED = 'threadmill, learned costs'

/** Sizes in units of 1.2 ms or so, by kind. */
const SHAPES = {
  'log-normal': logNormal,
  // The worst place for it is the end.
  'one heavy': () => [...new Array(TOTAL - 1).fill(1), 10],
}

/** With a sigma of 1: a few are ten times as long as most. */
function logNormal() {
  const next = random(9)
  // Box and Muller.
  return Array.from({ length: TOTAL }, () =>
    Math.exp(Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())),
  )
}

export async function measure() {
  const outcome = new Outcome()
  const unit = calibrateRounds(1.2)
  for (const [shape, sizes] of Object.entries(SHAPES)) {
    const tasks = sizes().map((size) => Math.max(1, Math.round(size * unit)))
    const measured = outcome.add(await compare(shape, tasks))
    outcome.judge(`skewed.${shape}.first`, medianOf(measured, FIRST))
    outcome.judge(`skewed.${shape}.learned`, medianOf(measured, LEARNED))
  }
  return outcome
}

async function compare(shape, tasks) {
  const outputsOf = new Map(tasks.map((rounds) => [rounds, work(rounds)]))
  const check = (outputs) => {
    assert.equal(outputs.length, tasks.length)
    assert.ok(outputs.every((output, index) => output === outputsOf.get(tasks[index])))
  }
  const ideal = await openIdeal(tasks)
  const own = new WorkerPool(taskFile('work'), { maxWorkers: THREADS, schedule: 'longest-first' })
  own.resizeUpTo(THREADS)
  let run = 0
  const pools = await openAll({ task: 'work', workers: THREADS }, PEERS)
  const all = (call) => () => allQueued(call, tasks.length)
  const samples = await timesOf({
    repetitions: pick(2, 15, 31),
    contenders: [
      ideal.contender,
      {
        name: FIRST,
        // Keys that nobody has seen.
        prepare: () => ++run,
        run: (_, number) => allQueued((index) => own.run(tasks[index], { key: `${number}.${index}` }), tasks.length),
        check,
      },
      { name: LEARNED, run: all((index) => own.run(tasks[index], { key: `known.${index}` })), check },
      ...pools.map(({ name, pool }) => ({ name, run: all((index) => pool.run(tasks[index])), check })),
    ],
  })
  await Promise.all([closeAll(pools), ideal.close(), own.close()])
  const name = `${TOTAL} tasks, ${shape}, ${THREADS} workers`
  return overIdeal({ id: shape, name, group: 'skewed', column: shape }, samples)
}
