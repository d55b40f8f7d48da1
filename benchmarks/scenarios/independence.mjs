// What JS workers get done while the main thread cannot run, because it sleeps or spins for 200 ms: in the turn in which
// it submitted the tasks, and in the turn after.
import assert from 'node:assert/strict'
import os from 'node:os'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { allQueued } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick, WORKERS } from '../lib/plan.mjs'
import { measurement, medianOf } from '../lib/statistics.mjs'
import { calibrateRounds, work } from '../lib/work.mjs'
import { load, PEERS } from '../rivals/index.mjs'

export const title = 'JS tasks while the main thread is blocked'

const BLOCK = 200
const TASKS = 2_000
/** So short that the tasks do not run out. */
const CALIBRATION = 100
const NAMES = ['threadmill', ...pick(['piscina'], ['piscina'], PEERS)]
const REPETITIONS = pick(1, 4, 9)
const cell = new Int32Array(new SharedArrayBuffer(4))

const BLOCKS = {
  sleep: () => Atomics.wait(cell, 0, 0, BLOCK),
  spin() {
    const end = performance.now() + BLOCK
    while (performance.now() < end);
  },
}
const TURNS = {
  'same turn': () => undefined,
  'next turn': () => setImmediate(),
}

/** A pool whose workers count what they have done. */
async function openCounting(name, rounds) {
  const done = new Int32Array(new SharedArrayBuffer(4))
  const pool = (await load(name))({ task: 'count', workers: WORKERS, data: done })
  const result = work(rounds)
  // The caller must not be given the turn before it is used: this is no async function.
  function submit() {
    Atomics.store(done, 0, 0)
    return allQueued(() => pool.run(rounds), TASKS)
  }
  async function finish(outputs) {
    assert.ok((await outputs).every((output) => output === result))
    assert.equal(Atomics.load(done, 0), TASKS)
  }
  return { pool, submit, finish, done: () => Atomics.load(done, 0) }
}

/** Submits everything; what is done from then on, or from the next turn on, until `pass` has ended. */
async function observe({ submit, finish, done }, reach, pass) {
  const outputs = submit()
  const turn = reach()
  if (turn !== undefined) await turn
  const before = done()
  const start = performance.now()
  const passing = pass()
  if (passing instanceof Promise) await passing
  const tasks = done() - before
  const milliseconds = performance.now() - start
  await finish(outputs)
  return { tasks, milliseconds, waiting: TASKS - before }
}

/** Tasks per ms while the main thread has nothing else to do. */
async function freeRate(counting) {
  const { tasks, milliseconds } = await observe(counting, TURNS['same turn'], () => setTimeout(CALIBRATION))
  return tasks / milliseconds
}

/** What was done while `block` kept the main thread, of what could have been at `rate`. */
async function blockedShare(counting, reach, block, rate) {
  const { tasks, milliseconds, waiting } = await observe(counting, reach, block)
  return tasks / Math.min(waiting, rate * milliseconds)
}

/** How independent the workers are of the main thread. */
export async function measure() {
  const outcome = new Outcome()
  const rounds = calibrateRounds(0.2)
  // A main thread that spins takes its share of the cores.
  const fair = { sleep: 1, spin: Math.min(1, os.availableParallelism() / (WORKERS + 1)) }
  const subjects = []
  for (const name of NAMES) subjects.push({ name, counting: await openCounting(name, rounds) })
  const shares = {}
  for (let repetition = -1; repetition < REPETITIONS; repetition++) {
    for (const { name, counting } of subjects) {
      const rate = await freeRate(counting)
      for (const [how, block] of Object.entries(BLOCKS)) {
        for (const [when, reach] of Object.entries(TURNS)) {
          const share = await blockedShare(counting, reach, block, rate * fair[how])
          shares[`${how}.${when}`] ??= Object.fromEntries(NAMES.map((each) => [each, []]))
          // The first round warms up.
          if (repetition >= 0) shares[`${how}.${when}`][name].push(share)
        }
      }
    }
  }
  await Promise.all(subjects.map(({ counting }) => counting.pool.close()))
  for (const [id, samples] of Object.entries(shares)) {
    const column = `main ${id.replace('.', 's, ')}`
    const about = {
      id,
      name: `JS tasks done, ${column}, of the possible`,
      unit: '',
      better: 'higher',
      group: 'tasks',
      column,
    }
    const measured = outcome.add(measurement(about, samples))
    outcome.judge(`independence.${id}`, medianOf(measured, 'threadmill'))
  }
  return outcome
}
