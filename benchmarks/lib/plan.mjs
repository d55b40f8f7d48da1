// How much is measured: the default selection takes about five minutes, `--full` everything, `--quick` just enough to see
// that all works.
import os from 'node:os'
import process from 'node:process'

/**
 * @typedef {object} Plan
 * @property {number} opening ms that a contender is driven with inputs of a new kind, before anything is timed
 * @property {number} warmup ms that it is driven before each comparison
 * @property {number} slice ms that one timed run of it should take; where the amount of work is fixed, it is what it is
 * @property {number} repetitions timed runs
 */

/** @type {Record<'quick' | 'default' | 'full', Plan>} */
const PLANS = {
  quick: { opening: 20, warmup: 10, slice: 10, repetitions: 2 },
  default: { opening: 800, warmup: 100, slice: 40, repetitions: 5 },
  full: { opening: 2_000, warmup: 300, slice: 80, repetitions: 9 },
}

/** @type {'quick' | 'default' | 'full'} */
export const mode = process.argv.includes('--quick') ? 'quick' : process.argv.includes('--full') ? 'full' : 'default'

export const plan = PLANS[mode]

/** One of three, by the mode. */
export function pick(quick, normal, full) {
  return { quick, default: normal, full }[mode]
}

/** Workers of pools that are compared for what a task costs. */
export const WORKERS = 2

/** The same with everything: up to 16 where the machine has them. */
export const WORKER_COUNTS =
  mode === 'full' ? [1, 2, 4, 8, 16].filter((count) => count <= Math.max(2, os.availableParallelism())) : [WORKERS]
