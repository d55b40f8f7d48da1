// Helpers for tests of pools: gates made of kernels, and waiting, never sleeps.
import assert from 'node:assert/strict'

/**
 * Occupies a native worker until `release` is called: the kernel would run for hours, but stops when cancelled.
 * Waits until it really runs.
 */
export async function occupy(pool, options = {}) {
  const task = pool.addTask(60, { kernel: 'fib', priority: 1e9, ...options })
  const stopped = assert.rejects(Promise.resolve(task), { code: 'ERR_THREADMILL_CANCELLED' })
  await until(() => task.worker !== undefined)
  return {
    task,
    worker: task.worker,
    async release() {
      task.cancel()
      await stopped
    },
  }
}

/** Yields to the event loop until `condition` holds; fails after `limit` ms. */
export async function until(condition, limit = 30_000) {
  const end = Date.now() + limit
  while (!condition()) {
    assert.ok(Date.now() < end, `timed out waiting for ${condition}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Blocks this thread until `condition` holds; fails after `limit` ms. */
export function blockUntil(condition, limit = 30_000) {
  const end = Date.now() + limit
  while (!condition()) assert.ok(Date.now() < end, `timed out waiting for ${condition}`)
}

/** The rejection reason of a promise; fails when it resolves. */
export async function rejection(promise) {
  let value
  try {
    value = await promise
  } catch (error) {
    return error
  }
  assert.fail(`resolved with ${String(value)}`)
}

/** The details of the next event of this kind. Watching alone would not keep the process alive for it. */
export function nextEvent(pool, event) {
  return new Promise((resolve) => {
    const timer = setInterval(() => {}, 1000)
    pool.once(event, (details) => {
      clearInterval(timer)
      resolve(details)
    })
  })
}
