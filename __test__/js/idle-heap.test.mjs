// Garbage of workers that have nothing to do (lib/idle-heap.ts).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'

const MODULE = new URL('fixtures/litter.mjs', import.meta.url)

const cellsOf = () => new Int32Array(new SharedArrayBuffer(8))

function poolOf(t, options) {
  const pool = new WorkerPool(MODULE, { minWorkers: 1, maxWorkers: 1, ...options })
  t.after(() => pool.destroy())
  return pool
}

/** Until these bits are set. */
async function collected(cells, bits = 1) {
  for (;;) {
    const seen = Atomics.load(cells, 0)
    if ((seen & bits) === bits) return
    const { async, value } = Atomics.waitAsync(cells, 0, seen, 60_000)
    // Nothing else keeps the process.
    const keeper = setInterval(() => {}, 1000)
    try {
      if (async) assert.equal(await value, 'ok', 'nothing has been collected')
    } finally {
      clearInterval(keeper)
    }
  }
}

describe('garbage of workers that rest', { concurrency: true }, () => {
  test('a worker that rests collects its garbage, one that works does not', { timeout: 60_000 }, async (t) => {
    const [rests, works, resists] = [poolOf(t), poolOf(t), poolOf(t, { trimWhenIdle: false })]
    const [resting, working, resisting] = [cellsOf(), cellsOf(), cellsOf()]
    const task = works.run([working, 1], { name: 'linger' })
    await resists.run([resisting, 1])
    await rests.run([resting, 1])
    await collected(resting)
    works.postMessageToWorkers('go')
    assert.equal(await task, 0)
    assert.equal(Atomics.load(resisting, 0), 0)
  })

  test('it does so again only when there is something to collect', { timeout: 60_000 }, async (t) => {
    const [pool, other, third] = [poolOf(t), poolOf(t), poolOf(t)]
    const [cells, others, thirds] = [cellsOf(), cellsOf(), cellsOf()]
    await pool.run([cells, 1])
    await collected(cells)
    // What the observer has not heard of yet.
    await other.run([others, 1])
    await collected(others)
    const times = Atomics.load(cells, 1)
    assert.ok(times >= 1, `collected ${times} times`)
    assert.equal(await pool.run(7, { name: 'echo' }), 7)
    // Another worker does meanwhile.
    await third.run([thirds, 1])
    await collected(thirds)
    assert.equal(Atomics.load(cells, 1), times)
    await pool.run([cells, 2])
    await collected(cells, 2)
    assert.equal(Atomics.load(cells, 0), 3)
  })

  test('timers of the worker go on, and it ends with its pool', { timeout: 60_000 }, async (t) => {
    const pool = poolOf(t)
    const cells = cellsOf()
    await pool.run([cells, 1])
    await collected(cells)
    const exited = once(pool, 'worker-exit')
    await pool.close()
    assert.equal((await exited).at(-1), 'closed')
  })

  test('tasks that come meanwhile go to another worker that is idle', { timeout: 60_000 }, async (t) => {
    const pool = poolOf(t, { minWorkers: 2, maxWorkers: 2 })
    // One after the other, so that the second one would be the first to get a task.
    for (const workerAffinity of [0, 1]) {
      const cells = cellsOf()
      await pool.run([cells, 1], { workerAffinity, affinityStrength: 'force' })
      await collected(cells)
    }
    const task = pool.addTask(7, { name: 'echo' })
    assert.equal(await task, 7)
    assert.equal(task.worker.id, 0)
  })

  test('what was in use the last time is collected when it no longer is', { timeout: 120_000 }, async (t) => {
    const pool = poolOf(t)
    const cells = cellsOf()
    await pool.run([cells, 2], { name: 'keep' })
    await pool.run([cells, 1])
    await collected(cells)
    assert.equal(Atomics.load(cells, 0), 1)
    await pool.run(undefined, { name: 'drop' })
    await collected(cells, 2)
  })

  test('where memory cannot be asked for in the usual way, the worker lives and collects', {
    timeout: 60_000,
  }, async (t) => {
    const fail = 'data:text/javascript,process.memoryUsage = () => { throw new Error("no descriptor left") }'
    const pool = poolOf(t, { execArgv: ['--import', fail] })
    const cells = cellsOf()
    await pool.run([cells, 1])
    await collected(cells)
    assert.equal(await pool.run(7, { name: 'echo' }), 7)
  })
})
