// Pools with the entry module of the checks.
import { WorkerPool } from 'threadmill'

/** A file of fixtures/. */
export const fixture = (name) => new URL(`./fixtures/${name}`, import.meta.url)
export const ENTRY = fixture('entry.mjs')

/** Runs `body` with a pool, and closes it if that goes well. */
export async function withPool(options, body, module = ENTRY) {
  const pool = new WorkerPool(module, options)
  await body(pool)
  await pool.close()
}

/** What a value becomes on its way to a worker and back. */
export const echo = (pool, value) => pool.run({ do: 'echo', value })

/** Options for a task that no other worker may run. */
export const forced = (workerAffinity) => ({ workerAffinity, affinityStrength: 'force' })
