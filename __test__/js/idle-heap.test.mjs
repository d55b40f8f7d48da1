// Garbage of workers that have nothing to do (lib/idle-heap.ts).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
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
    const { async, value } = Atomics.waitAsync(cells, 0, seen, 20_000)
    // Nothing else keeps the process.
    const keeper = setInterval(() => {}, 1000)
    try {
      if (async) assert.equal(await value, 'ok', 'nothing has been collected')
    } finally {
      clearInterval(keeper)
    }
  }
}

test('a worker that rests collects its garbage, one that works does not', { timeout: 60_000 }, async (t) => {
  const [rests, works, resists] = [poolOf(t), poolOf(t), poolOf(t, { collectWhenIdle: false })]
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
