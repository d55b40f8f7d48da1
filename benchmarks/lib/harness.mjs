// Measures contenders against each other: interleaved repetitions in one process, every output checked outside of the timed
// part.
import { setImmediate } from 'node:timers/promises'
import v8 from 'node:v8'
import vm from 'node:vm'
import { median, quantile } from 'simple-statistics'
import { plan } from './plan.mjs'
import { measurement } from './statistics.mjs'

v8.setFlagsFromString('--expose-gc')
const collectGarbage = vm.runInNewContext('gc')

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {(total: number) => unknown} [prepare] makes what `run` works on; not timed
 * @property {(total: number, prepared: any) => unknown} run timed until what it returns has settled
 * @property {(outputs: any, total: number) => void} check throws when the outputs are wrong; not timed
 * @property {(outputs: any) => number} [elapsed] ms, where that is not from the call to the end
 * @property {number} [least] operations of a run, where that is not the same for all
 * @property {number} [step] what they are a multiple of, likewise
 */

/**
 * Takes samples, in turns.
 *
 * @param {Record<string, (repetition: number) => number | Promise<number>>} takes by contender
 * @returns {Promise<Record<string, number[]>>}
 */
export async function interleave(repetitions, takes) {
  const names = Object.keys(takes)
  const samples = Object.fromEntries(names.map((name) => [name, []]))
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (let turn = 0; turn < names.length; turn++) {
      // Nobody is always first, or always behind the same one.
      const name = names[(turn + repetition) % names.length]
      samples[name].push(await takes[name](repetition))
    }
  }
  return samples
}

/** One timed run, ms. */
async function time({ prepare, run, check, elapsed }, total) {
  const prepared = await prepare?.(total)
  // What the run before left behind shall not be cleared away in this one's time.
  collectGarbage()
  await setImmediate()
  const start = performance.now()
  const outputs = await run(total, prepared)
  const milliseconds = performance.now() - start
  check(outputs, total)
  return elapsed?.(outputs) ?? milliseconds
}

/**
 * Drives a contender for some time.
 *
 * @returns {Promise<number>} operations that take it `plan.slice`
 */
async function warmUp({ prepare, run, check }, { least, most, step }, budget) {
  const end = performance.now() + budget
  const whole = (total) => Math.max(least, Math.min(most, Math.ceil(total / step) * step))
  let total = whole(least)
  for (;;) {
    const prepared = await prepare?.(total)
    const start = performance.now()
    const outputs = await run(total, prepared)
    const milliseconds = performance.now() - start
    check(outputs, total)
    const wanted = whole((total * plan.slice) / milliseconds)
    if (performance.now() >= end) return wanted
    // Not in one leap: the first runs are the slowest.
    total = Math.min(total * 2, wanted)
  }
}

/** Drives contenders without timing them, `least` operations or more at a time. */
export async function drive(contenders, least, budget) {
  const bounds = { least, most: Number.POSITIVE_INFINITY, step: 1 }
  for (const contender of contenders) await warmUp(contender, bounds, budget)
}

/**
 * Compares how many operations are done in a second. Each contender gets as many as it does in about `plan.slice`, for one
 * may be fifty times as fast as another.
 *
 * @param {{ id: string, name: string, unit?: string, contenders: Contender[], least?: number, most?: number,
 *   step?: number, warmup?: number, factor?: number, repetitions?: number }} options operations of a run: from `least` to `most`, a multiple of
 * `step`; `factor` is what one operation counts
 */
export async function rates({
  contenders,
  least = 1,
  most = Number.POSITIVE_INFINITY,
  step = 1,
  warmup = plan.warmup,
  factor = 1,
  repetitions = plan.repetitions,
  ...about
}) {
  const takes = {}
  for (const contender of contenders) {
    const total = await warmUp(contender, { least, most, step, ...boundsOf(contender) }, warmup)
    takes[contender.name] = async () => (total * factor * 1000) / (await time(contender, total))
  }
  return measurement({ unit: '/s', better: 'higher', ...about }, await interleave(repetitions, takes))
}

/**
 * Compares how long the same work takes, ms.
 *
 * @param {{ id: string, name: string, contenders: Contender[], repetitions?: number, warmups?: number }} options
 */
export async function times({ contenders, repetitions, warmups, ...about }) {
  return measurement({ unit: 'ms', better: 'lower', ...about }, await timesOf({ contenders, repetitions, warmups }))
}

/** Those of its own. */
function boundsOf({ least, step }) {
  return { ...(least !== undefined && { least }), ...(step !== undefined && { step }) }
}

/** The samples themselves, by contender. */
export async function timesOf({ contenders, repetitions = plan.repetitions, warmups = 2 }) {
  const takes = Object.fromEntries(contenders.map((contender) => [contender.name, () => time(contender, 1)]))
  await interleave(warmups, takes)
  return interleave(repetitions, takes)
}

/**
 * Times call after call, one at a time; contenders take turns, round by round.
 *
 * @param {{ id: string, name: string, calls: number, rounds: number,
 *   contenders: { name: string, call: (index: number) => Promise<any>, check: (output: any, index: number) => void }[] }} options
 * @returns {Promise<import('./statistics.mjs').Measurement[]>} µs: medians of the rounds, and two percentiles of all calls
 */
export async function latencies({ id, name, calls, rounds, contenders }) {
  const all = Object.fromEntries(contenders.map((contender) => [contender.name, []]))
  const takes = {}
  for (const contender of contenders) {
    takes[contender.name] = async () => {
      const round = await timeCalls(contender, calls)
      all[contender.name].push(...round)
      return median(round)
    }
  }
  const end = performance.now() + plan.opening * contenders.length
  do await interleave(1, takes)
  while (performance.now() < end)
  for (const contender of contenders) all[contender.name] = []
  const about = { unit: 'µs', better: 'lower' }
  const p50 = measurement({ id: `${id}/p50`, name: `${name}: median`, ...about }, await interleave(rounds, takes))
  const tail = (label, share) => {
    const samples = Object.fromEntries(Object.entries(all).map(([own, values]) => [own, [quantile(values, share)]]))
    return measurement({ id: `${id}/${label}`, name: `${name}: ${label}`, ...about }, samples)
  }
  return [p50, tail('p99', 0.99), tail('p99.9', 0.999)]
}

/** What each call takes, µs. */
async function timeCalls({ call, check }, calls) {
  collectGarbage()
  await setImmediate()
  const taken = []
  for (let index = 0; index < calls; index++) {
    const start = performance.now()
    const output = await call(index)
    taken.push((performance.now() - start) * 1000)
    check(output, index)
  }
  return taken
}

/**
 * Calls `call(0)` to `call(total - 1)`, `width` of them in flight.
 *
 * @returns {Promise<unknown[]>} the outputs in order
 */
export async function inFlight(call, total, width) {
  const work = { call, total, next: 0, outputs: new Array(total) }
  await Promise.all(Array.from({ length: Math.min(width, total) }, () => lane(work)))
  return work.outputs
}

/**
 * One call after the other, until all are done. A function of the module: as one of each run it would lose what the engine
 * has optimized with every collection in between, and the runs would measure that.
 */
async function lane(work) {
  while (work.next < work.total) {
    const index = work.next++
    work.outputs[index] = await work.call(index)
  }
}

/** Calls everything at once. */
export function allQueued(call, total) {
  return Promise.all(Array.from({ length: total }, (_, index) => call(index)))
}
