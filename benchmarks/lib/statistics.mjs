// What many samples come to, and how contenders compare.
import { median, quantileSorted } from 'simple-statistics'

/**
 * @typedef {object} Summary
 * @property {number} median
 * @property {number} low the lower quartile
 * @property {number} high the upper quartile
 * @property {number} samples
 */

/**
 * @typedef {object} Measurement
 * @property {string} id
 * @property {string} name
 * @property {string} unit
 * @property {'higher' | 'lower'} better
 * @property {(Summary & { name: string, ahead: Summary })[]} results by contender. `ahead` is how far the first contender is
 * ahead of this one: above 1 it is the better one. It is taken repetition by repetition, where both met the same machine.
 */

/** @returns {Summary} */
export function summarise(samples) {
  const sorted = [...samples].sort((a, b) => a - b)
  return {
    median: median(sorted),
    low: quantileSorted(sorted, 0.25),
    high: quantileSorted(sorted, 0.75),
    samples: sorted.length,
  }
}

/**
 * @param {Omit<Measurement, 'results'>} about
 * @param {Record<string, number[]>} samples by contender, in the order of the repetitions
 * @returns {Measurement}
 */
export function measurement(about, samples) {
  const [first] = Object.values(samples)
  const results = Object.entries(samples).map(([name, own]) => ({
    name,
    ...summarise(own),
    ahead: summarise(
      own.map((value, index) => (about.better === 'lower' ? value / first[index] : first[index] / value)),
    ),
  }))
  return { ...about, results }
}

function resultOf({ name, results }, contender) {
  const result = results.find((entry) => entry.name === contender)
  if (result === undefined) throw new Error(`${name} has no ${contender}`)
  return result
}

/** What a contender came to. */
export function medianOf(measured, contender) {
  return resultOf(measured, contender).median
}

/** How far the first contender is ahead of `contender`. */
export function aheadOf(measured, contender) {
  return resultOf(measured, contender).ahead.median
}

/** How far the first contender is ahead of the best of `contenders`. */
export function leastAhead(measured, contenders) {
  return Math.min(...contenders.map((name) => aheadOf(measured, name)))
}
