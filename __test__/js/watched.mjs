// Pools whose workers end, and what has become of their tasks.
import assert from 'node:assert/strict'
import { WorkerPool } from 'threadmill'
import { Gates } from '../helpers/gates.mjs'
import { until } from '../helpers/pool.mjs'

/** A pool whose events are noted. */
export function watched(t, module, options) {
  const gates = new Gates()
  const pool = new WorkerPool(module, { maxWorkers: 1, workerData: gates.memory, threads: 1, ...options })
  const completed = new Map()
  const launched = []
  const exits = []
  pool.on('task-complete', (_error, _result, task) => completed.set(task.id, (completed.get(task.id) ?? 0) + 1))
  pool.on('worker-launched', ({ id }) => launched.push(id))
  pool.on('worker-exit', ({ id }, code, error) => exits.push({ id, code, error }))
  t.after(() => pool.destroy())
  return { pool, gates, completed, launched, exits }
}

/** Fails unless exactly `count` tasks have ended, each of them once. */
export async function settledOnce({ pool, completed }, count) {
  await pool.whenIdle()
  assert.equal(pool.isIdle, true)
  assert.equal(completed.size, count)
  assert.ok([...completed.values()].every((times) => times === 1))
  const { tasksCompleted, tasksErrored, queueLength, busyWorkers } = pool.stats()
  assert.deepEqual([tasksCompleted + tasksErrored, queueLength, busyWorkers], [count, 0, 0])
}

/** Waits until that many workers have gone. */
export const untilGone = (exits, count) => until(() => exits.length >= count)
