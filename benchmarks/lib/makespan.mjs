// How long it takes until the last of many tasks has ended, over the ideal of the same repetition.
import assert from 'node:assert/strict'
import os from 'node:os'
import { load } from '../rivals/index.mjs'
import { measurement } from './statistics.mjs'
import { work } from './work.mjs'

/** Workers of every contender: one for each core. */
export const THREADS = Math.min(16, os.availableParallelism())

export const IDEAL = 'ideal'

/**
 * What no pool can beat, as a contender: the work is split evenly before the start, one message to each worker. Where the cores
 * are not equally fast, because somebody else uses one of them, a pool gives more to the faster one; so the time is not that
 * of the slowest worker, but what the work takes at the speed of all together.
 *
 * @param {{ task: string, input: unknown, expected: unknown }} share what each worker has to do: a task, its input and output
 */
export async function openIdealOf({ task, input, expected }) {
  const pool = (await load('postMessage'))({ task, workers: THREADS })
  async function timed() {
    const start = performance.now()
    assert.equal(await pool.run(input), expected)
    return performance.now() - start
  }
  return {
    contender: {
      name: IDEAL,
      run: () => Promise.all(Array.from({ length: THREADS }, timed)),
      check: () => undefined,
      elapsed: (times) => THREADS / times.reduce((sum, time) => sum + 1 / time, 0),
    },
    close: () => pool.close(),
  }
}

/** The same for tasks of so many rounds of `work`. The longest one cannot be split. */
export function openIdeal(tasks) {
  const even = Math.ceil(tasks.reduce((sum, rounds) => sum + rounds, 0) / THREADS)
  const rounds = Math.max(even, ...tasks)
  return openIdealOf({ task: 'work', input: rounds, expected: work(rounds) })
}

/**
 * Makespans over that of `IDEAL`, repetition by repetition.
 *
 * @param {import('./statistics.mjs').Measurement} about
 * @param {Record<string, number[]>} samples ms
 */
export function overIdeal(about, samples) {
  const { [IDEAL]: ideal, ...others } = samples
  const ratios = Object.entries(others).map(([name, own]) => [name, own.map((value, index) => value / ideal[index])])
  return measurement({ unit: '×', better: 'lower', ...about }, Object.fromEntries(ratios))
}
