// Shows: a manager of several pools: made when first asked for, sized by their kind of work, closed together.
// Run:   node examples/06-pool-manager.mjs [text]

import process from 'node:process'
import { recommendedPoolSize, WorkerPool } from 'threadmill'

/** Pools by name. What goes wrong in one of them stays there. */
class PoolManager {
  #makers = new Map()
  #pools = new Map()

  define(name, make) {
    if (this.#makers.has(name)) throw new Error(`pool '${name}' is already defined`)
    this.#makers.set(name, make)
    return this
  }

  pool(name) {
    const made = this.#pools.get(name)
    if (made !== undefined) return made
    const make = this.#makers.get(name)
    if (make === undefined) throw new Error(`no pool '${name}'; there are ${[...this.#makers.keys()].join(', ')}`)
    const pool = make(name)
    this.#pools.set(name, pool)
    return pool
  }

  async run(name, input, options) {
    return this.pool(name).run(input, options)
  }

  /** What each pool has done so far; nothing for those that nobody has asked for. */
  get figures() {
    return [...this.#pools].map(([name, pool]) => {
      const { tasksCompleted, tasksErrored } = pool.stats()
      return { name, done: tasksCompleted, failed: tasksErrored }
    })
  }

  /** Finishes what was admitted and ends all threads. */
  async close() {
    await Promise.all(Array.from(this.#pools.values(), (pool) => pool.close()))
  }
}

const module = new URL('./06-pool-manager.worker.mjs', import.meta.url)
const manager = new PoolManager()
  // Kernels need the cores, so one is left to this thread.
  .define('kernels', (name) => new WorkerPool({ name, threads: recommendedPoolSize('cpu-reserve') }))
  .define('text', (name) => new WorkerPool(module, { name, maxWorkers: recommendedPoolSize('short') }))
  // What may crash is kept apart, with a limit on what may wait for it.
  .define('risky', (name) => new WorkerPool(module, { name, maxWorkers: 1, capacity: 10, entrypointSymbol: 'risky' }))
  .define('unused', (name) => new WorkerPool(module, { name }))

const text = process.argv[2] ?? 'the quick brown fox jumps over the lazy dog'
const [digest, words, crash] = await Promise.all([
  manager.run('kernels', text, { kernel: 'sha256' }),
  manager.run('text', text),
  manager.run('risky', 'crash').catch((error) => error),
])
console.log(`sha256 ${digest}`)
console.log(`${words.count} words, the longest is ${words.longest}`)
console.log(`risky: ${crash.code}, exit code ${crash.exitCode}`)
console.log(`risky again: ${await manager.run('risky', 'work')}`)
console.log(`unknown: ${await manager.run('unknown').catch((error) => error.message)}`)

for (const { name, done, failed } of manager.figures) console.log(`${name}: ${done} done, ${failed} failed`)
await manager.close()
