// Shows: affinity. Tasks with the same key go to the same worker and find there what an earlier one has loaded.
// Run:   node examples/03-affinity.mjs [key ...]

import process from 'node:process'
import { WorkerPool } from 'threadmill'

const WORKERS = 3
const ROUNDS = 4

const keys = process.argv.length > 2 ? [...new Set(process.argv.slice(2))] : ['ant', 'bee', 'cat', 'dog']

// A number instead of options launches that many workers at once: a key belongs to the same worker as long as the
// workers stay the same.
const pool = new WorkerPool(new URL('./03-affinity.worker.mjs', import.meta.url), WORKERS)

/** Asks for every key several times, all at the same time, and counts per key who answered and who had to load. */
async function ask(optionsFor) {
  const questions = Array.from({ length: ROUNDS }, () => keys).flat()
  const answers = await Promise.all(questions.map((key) => pool.run(key, optionsFor(key))))
  return keys.map((key) => {
    const own = answers.filter((answer) => answer.key === key)
    return {
      key,
      workers: new Set(own.map(({ worker }) => worker)).size,
      loads: own.filter(({ loaded }) => loaded).length,
    }
  })
}

// By key: 'light' and 'strong' prefer a worker, 'force' insists on it, also when the task has to wait for it.
for (const { key, workers, loads } of await ask((key) => ({ affinityKey: key, affinityStrength: 'force' }))) {
  console.log(`${key}: ${ROUNDS} tasks on ${workers} worker(s), loaded ${loads} time(s)`)
}

// By number: the same as `client.id` in the worker.
for (let id = 0; id < WORKERS; id++) {
  const { worker } = await pool.run('who', { workerAffinity: id, affinityStrength: 'force' })
  console.log(`forced to worker ${id}: ran on worker ${worker}`)
}

await pool.close()
