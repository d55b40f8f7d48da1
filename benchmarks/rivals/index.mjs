// The pools of JS workers that are compared, behind one face. A package is imported only when it is asked for: a process
// that measures one of them does not pay for the others.
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

/** Workers of every pool that is compared for what a task costs. */
export const WORKERS = 2

/** Path of an entry module. */
export const entry = (name) => fileURLToPath(new URL(`entry-${name}.mjs`, import.meta.url))

/**
 * @typedef {object} Pool
 * @property {(input: any) => Promise<any>} run
 * @property {(bytes: Uint8Array) => Promise<Uint8Array>} move runs a task with memory that is moved, not copied
 * @property {() => Promise<void>} close lets finish what runs
 * @property {() => Promise<void>} destroy stops at once
 */

/**
 * @typedef {object} Settings
 * @property {string} filename the entry module
 * @property {number} workers so many, from the start
 * @property {unknown} [workerData]
 */

/**
 * Options that make tiny tasks quickest.
 *
 * What counts is how many tasks a worker may be handed before it has answered: messages are then taken and answered
 * without a wake-up for each, which about doubles the rate; 1024 did as well as 16 and 128 or better, whatever was in
 * flight. `recordTiming: false` spares piscina its clocks and histograms. `atomics: 'async'` and `'disabled'`, and a
 * balancer that only takes turns, came out within the noise of the defaults; `useAtomics: false` made tinypool slower.
 * `maxQueue` only refuses tasks. A `FixedQueue`, which does not move its elements, is what piscina has by itself;
 * tinypool's default is an array, so it is lent piscina's.
 */
const TUNED_PISCINA = { concurrentTasksPerWorker: 1024, recordTiming: false }
const TUNED_TINYPOOL = { concurrentTasksPerWorker: 1024 }

/** @type {Record<string, () => Promise<(settings: Settings) => Pool>>} */
const POOLS = {
  async threadmill() {
    const { WorkerPool } = require('../dist/index.js')
    return ({ filename, workers, workerData }) => {
      const pool = new WorkerPool(filename, { maxWorkers: workers, workerData })
      // The others launch them at once as well.
      pool.resizeUpTo(workers)
      return {
        run: (input) => pool.run(input),
        move: (bytes) => pool.run(bytes, { transfer: [bytes.buffer] }),
        close: () => pool.close(),
        destroy: () => pool.destroy(),
      }
    }
  },
  piscina: () => piscina({}),
  'piscina, tuned': () => piscina(TUNED_PISCINA),
  tinypool: () => tinypool({}),
  async 'tinypool, tuned'() {
    const { FixedQueue } = await import('piscina')
    return tinypool(TUNED_TINYPOOL, FixedQueue)
  },
}

/** All of them, threadmill first. */
export const CONTENDERS = Object.keys(POOLS)
export const DEFAULTS = ['piscina', 'tinypool']
export const TUNED = ['piscina, tuned', 'tinypool, tuned']

/** Imports a package; what it gives makes pools. */
export function load(name) {
  return POOLS[name]()
}

/** Makes a pool of every contender; `settings` gives what for, by name. */
export async function openAll(settings) {
  const pools = []
  for (const name of CONTENDERS) pools.push({ name, pool: (await load(name))(settings(name)) })
  return pools
}

async function piscina(options) {
  const { Piscina } = await import('piscina')
  return ({ filename, workers, workerData }) => {
    const pool = new Piscina({ filename, minThreads: workers, maxThreads: workers, workerData, ...options })
    return {
      run: (input) => pool.run(input),
      move: (bytes) => pool.run(bytes, { transferList: [bytes.buffer] }),
      close: () => pool.close(),
      destroy: () => pool.destroy(),
    }
  }
}

async function tinypool(options, Queue) {
  const { Tinypool } = await import('tinypool')
  return ({ filename, workers, workerData }) => {
    const taskQueue = Queue && new Queue()
    const pool = new Tinypool({ filename, minThreads: workers, maxThreads: workers, workerData, taskQueue, ...options })
    return {
      run: (input) => pool.run(input),
      move: (bytes) => pool.run(bytes, { transferList: [bytes.buffer] }),
      // It has no other way to end.
      close: () => pool.destroy(),
      destroy: () => pool.destroy(),
    }
  }
}
