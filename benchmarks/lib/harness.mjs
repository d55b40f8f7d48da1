// Measures contenders against each other: interleaved repetitions in one process, every result checked, medians and
// spread. Ratios are taken within a repetition, where both contenders met the same machine.
import { setImmediate } from 'node:timers/promises'
import v8 from 'node:v8'
import vm from 'node:vm'
import { median, quantile, quantileSorted } from 'simple-statistics'

v8.setFlagsFromString('--expose-gc')
const collectGarbage = vm.runInNewContext('gc')

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {() => unknown} [prepare] makes the argument of `run`; not timed
 * @property {(prepared: any) => unknown} run the work; timed until what it returns has settled
 * @property {(output: any) => void} check throws when the output is wrong; not timed
 */

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {Contender[]} contenders the first one is the one that the ratios are about
 * @property {number} [operations] operations in one `run`, for rates
 * @property {number} [bytes] bytes in one `run`, for throughput
 * @property {number} [repetitions]
 * @property {number} [warmups]
 */

/** Median, quartiles and number of samples. */
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
 * Measures one scenario.
 *
 * @param {Scenario} scenario
 */
export async function compare({ name, contenders, operations = 1, bytes, repetitions = 11, warmups = 2 }) {
  const times = contenders.map(() => [])
  for (let repetition = -warmups; repetition < repetitions; repetition++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      // Nobody is always first, or always behind the same one.
      const index = (turn + Math.max(0, repetition)) % contenders.length
      const milliseconds = await measure(contenders[index])
      if (repetition >= 0) times[index].push(milliseconds)
    }
  }
  const results = contenders.map((contender, index) => ({
    name: contender.name,
    milliseconds: summarise(times[index]),
    /** How much longer than the first one, repetition by repetition. */
    timesFirst: summarise(times[index].map((time, repetition) => time / times[0][repetition])),
    operationsPerSecond: (operations * 1000) / median(times[index]),
    ...(bytes === undefined ? {} : { bytesPerSecond: (bytes * 1000) / median(times[index]) }),
  }))
  return { name, operations, bytes, results }
}

/** One timed run. */
async function measure({ prepare, run, check }) {
  const prepared = await prepare?.()
  // What the run before left behind shall not be cleared away in this one's time.
  collectGarbage()
  await setImmediate()
  const start = performance.now()
  const output = await run(prepared)
  const milliseconds = performance.now() - start
  check(output)
  return milliseconds
}

/**
 * Times call after call, one at a time; contenders take turns, round by round.
 *
 * @param {object} options
 * @param {{ name: string, call: (index: number) => Promise<any>, check: (output: any, index: number) => void }[]} options.contenders
 * @param {number} options.calls in each round
 * @param {number} options.rounds
 * @param {number} [options.warmups]
 */
export async function latencies({ contenders, calls, rounds, warmups = 2 }) {
  const all = contenders.map(() => [])
  const medians = contenders.map(() => [])
  for (let round = -warmups; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (turn + Math.max(0, round)) % contenders.length
      const times = await timeCalls(contenders[index], calls)
      if (round < 0) continue
      all[index].push(...times)
      medians[index].push(median(times))
    }
  }
  return contenders.map(({ name }, index) => ({
    name,
    /** µs. */
    p50: summarise(medians[index]),
    p99: quantile(all[index], 0.99),
    /** The median of the first contender over that of this one, round by round. */
    firstOver: summarise(medians[index].map((time, round) => medians[0][round] / time)),
  }))
}

/** What each call takes, µs. */
async function timeCalls({ call, check }, calls) {
  collectGarbage()
  await setImmediate()
  const times = []
  for (let index = 0; index < calls; index++) {
    const start = performance.now()
    const output = await call(index)
    times.push((performance.now() - start) * 1000)
    check(output, index)
  }
  return times
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

/** The median ratio of `name` to the first contender of a measured scenario. */
export function ratioOf(measured, name) {
  const result = measured.results.find((entry) => entry.name === name)
  if (result === undefined) throw new Error(`${measured.name} has no ${name}`)
  return result.timesFirst.median
}

/** How far the first contender of a measured scenario is ahead of the best of `names`. */
export function leastRatio(measured, names) {
  return Math.min(...names.map((name) => ratioOf(measured, name)))
}
