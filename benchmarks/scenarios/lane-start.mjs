// What a pool of JS workers takes to begin, to be there, to rest and to end. Each sample is a process of its own; the pools
// take turns. All as they come: none of the options that help tiny tasks matters here. A worker is idle after 3 s without a task,
// after 12 s where the tasks before were large.
import { fileURLToPath } from 'node:url'
import { fresh } from '../lib/fresh.mjs'
import { interleave } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick } from '../lib/plan.mjs'
import { aheadOf, measurement } from '../lib/statistics.mjs'
import { BARE, PEERS } from '../rivals/index.mjs'

export const title = 'JS lane: start, memory, rest and end'

const CHILD = fileURLToPath(new URL('../lib/lane-child.mjs', import.meta.url))
const NAMES = ['threadmill', ...pick(['piscina'], ['piscina'], [...PEERS, BARE])]
const MIB = 2 ** 20

// Without flags of the engine: with one, Node's own modules are compiled anew in every thread.
const sample = (pool, measure) => fresh(CHILD, pool, measure)

/** Measures the memory that each worker adds. */
const memoryPerWorker = (kind) => async (pool) => {
  const one = await sample(pool, `${kind} of 1`)
  return ((await sample(pool, `${kind} of 9`)) - one) / 8 / MIB
}

const MEASURES = [
  ['first', 'first JS result after the constructor', 'ms', pick(2, 9, 31), (pool) => sample(pool, 'first')],
  ['imported', 'first JS result, with the import', 'ms', pick(2, 9, 31), (pool) => sample(pool, 'imported')],
  ['memory', 'memory per worker after its first tasks', 'MiB', pick(1, 3, 9), memoryPerWorker('memory')],
  ['rested', 'memory per idle worker', 'MiB', pick(1, 3, 9), memoryPerWorker('rested memory')],
  [
    'littered',
    'memory per idle worker, after tasks with much garbage',
    'MiB',
    pick(1, 1, 3),
    memoryPerWorker('littered memory'),
  ],
  ['close', 'close() with 4 workers', 'ms', pick(2, 5, 21), (pool) => sample(pool, 'close')],
  ['destroy', 'destroy() with 4 workers', 'ms', pick(2, 5, 21), (pool) => sample(pool, 'destroy')],
  ['idle', 'CPU of an idle pool of 4 workers', 'ms/s', pick(1, 1, 9), (pool) => sample(pool, 'idle')],
]

export async function measure() {
  const outcome = new Outcome()
  // Whatever they keep for later processes is there: all of it is used, nothing is cut off, and no flag is set meanwhile.
  for (const pool of NAMES) await sample(pool, 'close')
  for (const [id, name, unit, repetitions, take] of MEASURES) {
    const takes = Object.fromEntries(NAMES.map((pool) => [pool, () => take(pool)]))
    const samples = await interleave(repetitions, takes)
    const about = { id, name, unit, better: 'lower', group: 'JS lane', column: name }
    const measured = outcome.add(measurement(about, samples))
    outcome.judge(`lane-start.${id}`, 1 / aheadOf(measured, 'piscina'))
  }
  return outcome
}
