// The pools of JS workers that are compared, behind one face. A package is imported only when it is asked for: a process
// that measures one of them does not pay for the others.
import { jestWorker } from './jest-worker.mjs'
import { piscina, tunedPiscina } from './piscina.mjs'
import { poolifier } from './poolifier.mjs'
import { batchedPostMessage, postMessage } from './post-message.mjs'
import { threadmill } from './threadmill.mjs'
import { tinypool, tunedTinypool } from './tinypool.mjs'
import { workerpool } from './workerpool.mjs'

/**
 * @typedef {object} Pool
 * @property {(input: any) => Promise<any>} run
 * @property {(bytes: Uint8Array) => Promise<Uint8Array>} [move] runs a task with memory that is moved, not copied, both ways
 * @property {() => Promise<unknown>} close lets finish what runs, where the pool can do that
 * @property {() => Promise<unknown>} destroy stops at once
 */

/**
 * @typedef {object} Settings
 * @property {string} task a module of `tasks/`
 * @property {number} workers so many, from the start
 * @property {unknown} [data] what the task knows from `tasks/data.mjs`
 */

/** Imports the package; what it gives makes pools. @type {Record<string, () => Promise<(settings: Settings) => Pool>>} */
const RIVALS = {
  threadmill,
  piscina,
  'piscina, tuned': tunedPiscina,
  tinypool,
  'tinypool, tuned': tunedTinypool,
  workerpool,
  poolifier,
  'jest-worker': jestWorker,
  postMessage,
  'postMessage, batched': batchedPostMessage,
}

/** All of them, threadmill first. */
export const CONTENDERS = Object.keys(RIVALS)
/** The floors are about these two: as they come, */
export const DEFAULTS = ['piscina', 'tinypool']
/** and with the options that suit tiny tasks best. */
export const TUNED = ['piscina, tuned', 'tinypool, tuned']
/** Pools that others offer, as they come. */
export const PEERS = [...DEFAULTS, 'workerpool', 'poolifier', 'jest-worker']
/** No pools: what Node can do at best. */
export const BARE = 'postMessage'
export const BATCHED = 'postMessage, batched'

/** Imports one; what it gives makes pools. */
export function load(name) {
  return RIVALS[name]()
}

/**
 * Makes a pool of every contender.
 *
 * @param {Settings} settings
 * @param {string[]} [names]
 * @returns {Promise<{ name: string, pool: Pool }[]>}
 */
export async function openAll(settings, names = CONTENDERS) {
  const pools = []
  for (const name of names) pools.push({ name, pool: (await load(name))(settings) })
  return pools
}

export function closeAll(pools) {
  return Promise.all(pools.map(({ pool }) => pool.close()))
}
