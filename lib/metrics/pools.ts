// Stage: all. Thread: owner env.
// The pools that are reported on: their cores, so that a pool which nobody can reach any more is released all the same.

import type { PoolStats } from '../..'
import { quietly } from '../callbacks'
import type { PoolCore } from '../core'
import { wrongType, wrongValue } from '../errors'
import { coreOf } from '../pool'
import { soon } from '../timers'

/**
 * The cores of a pool or of several. The copies of a pool in its own workers are left out: they do nothing.
 * @throws TypeError; ThreadmillError for one that has ended
 */
export function coresOf(pools: unknown): PoolCore[] {
  const expectation = 'a WorkerPool of this copy of threadmill, or an iterable of them'
  const only = coreOf(pools)
  if (only === undefined && typeof (pools as Iterable<unknown> | null)?.[Symbol.iterator] !== 'function') {
    throw wrongType('pools', expectation, pools)
  }
  const cores =
    only === undefined
      ? Array.from(pools as Iterable<unknown>, (pool, at) => {
          const core = coreOf(pool)
          if (core === undefined) throw wrongType(`pools[${at}]`, 'a WorkerPool of this copy of threadmill', pool)
          return core
        })
      : [only]
  for (const core of cores) core.checkAlive()
  return [...new Set(cores)].filter((core) => !core.isInert)
}

/** Pools by name, and their figures. A pool that has ended is left out. One that was added twice is to be removed twice. */
export class Watched {
  readonly #pools = new Map<string, { readonly core: PoolCore; readonly forget: () => void; count: number }>()
  readonly #emptied: () => void
  #figures: readonly PoolStats[] | undefined

  /** `emptied` is called when none is left. */
  constructor(emptied: () => void) {
    this.#emptied = emptied
  }

  /**
   * One that is being closed gives way to another one of its name.
   * @throws TypeError when their names would not tell them apart
   */
  add(cores: readonly PoolCore[]): void {
    const staying = [...this.#pools].filter(([, { core }]) => core.ending < 0 || cores.includes(core))
    const names = new Map(staying.map(([name, { core }]) => [name, core]))
    for (const core of cores) {
      const { name } = core.settings
      if ((names.get(name) ?? core) !== core) throw wrongValue('pools', 'pools with names of their own', name)
      names.set(name, core)
    }
    for (const core of cores) {
      const { name } = core.settings
      const known = this.#pools.get(name)
      if (known?.core === core) {
        known.count++
        continue
      }
      known?.forget()
      this.#pools.set(name, { core, forget: core.onRelease(() => this.#leave(core)), count: 1 })
    }
    this.#figures = undefined
  }

  remove(core: PoolCore): void {
    const known = this.#pools.get(core.settings.name)
    if (known?.core === core && --known.count === 0) this.#drop(core)
  }

  /** It has ended. What its reporter throws is no matter of its own. */
  #leave(core: PoolCore): void {
    quietly(this, `what is told of pool '${core.settings.name}'`, () => this.#drop(core))
  }

  #drop(core: PoolCore): void {
    const { name } = core.settings
    const known = this.#pools.get(name)
    if (known?.core !== core) return
    known.forget()
    this.#pools.delete(name)
    this.#figures = undefined
    if (this.#pools.size === 0) this.#emptied()
  }

  /** The same for all that ask at the same time: one look at each pool for one report. */
  figures(): readonly PoolStats[] {
    if (this.#figures === undefined) {
      this.#figures = Array.from(this.#pools.values(), ({ core }) => core.stats())
      soon(() => {
        this.#figures = undefined
      })
    }
    return this.#figures
  }
}
