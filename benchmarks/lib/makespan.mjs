// How long it takes until the last of many tasks has ended, over the ideal of the same repetition.
import os from 'node:os'
import { load } from '../rivals/index.mjs'
import { measurement } from './statistics.mjs'
import { work } from './work.mjs'

/** Workers of every contender: one for each core. */
export const THREADS = Math.min(16, os.availableParallelism())

export const IDEAL = 'ideal'

/**
 * What no pool can beat: the work is split evenly before the start, one message to each worker. `longest` is what one task
 * takes, which nobody can split.
 *
 * @param {number[]} tasks rounds of `work`
 */
export async function openIdeal(tasks) {
  const pool = (await load('postMessage'))({ task: 'work', workers: THREADS })
  const even = Math.ceil(tasks.reduce((sum, rounds) => sum + rounds, 0) / THREADS)
  const rounds = Math.max(even, ...tasks)
  return {
    expected: work(rounds),
    run: () => Promise.all(Array.from({ length: THREADS }, () => pool.run(rounds))),
    close: () => pool.close(),
  }
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
