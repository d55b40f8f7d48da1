// How outcomes come into the event loop (Q3 in lib/drain.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'

test('many outcomes leave the event loop its turns, and none is left behind', { timeout: 60_000 }, async (t) => {
  const pool = new WorkerPool({ threads: 2 })
  t.after(() => pool.close())
  const noArchive = new Uint8Array([1, 2, 3])
  const failed = Array.from({ length: 20_000 }, () => pool.kernels.gunzip(noArchive).catch(() => true))
  let turns = 0
  let isOver = false
  const again = () => {
    turns++
    if (!isOver) setImmediate(again)
  }
  again()
  const outcomes = await Promise.all(failed)
  isOver = true
  assert.ok(outcomes.every((outcome) => outcome === true))
  // Each outcome takes microseconds, and each turn settles them for 2 ms.
  assert.ok(turns > 15, `${turns}`)
})

const ways = {
  kernels: [() => new WorkerPool({ threads: 2 }), (pool) => pool.kernels.echo(5)],
  'JS tasks': [() => new WorkerPool('data:text/javascript,export default (x) => x'), (pool) => pool.run(5)],
}
for (const [what, [make, run]] of Object.entries(ways)) {
  test(`${what} that are kept going leave the event loop its turns`, { timeout: 60_000 }, async (t) => {
    const pool = make()
    t.after(() => pool.close())
    await run(pool)
    let [settled, timers, isOver] = [0, 0, false]
    const again = () => {
      timers++
      if (!isOver) setTimeout(again, 1)
    }
    setTimeout(again, 1)
    async function keepGoing() {
      while (timers < 20 && settled < 20_000) {
        assert.equal(await run(pool), 5)
        settled++
        // What it does with the output takes longer than the task.
        const busyUntil = performance.now() + 0.05
        while (performance.now() < busyUntil);
      }
    }
    await Promise.all(Array.from({ length: 100 }, keepGoing))
    isOver = true
    assert.ok(timers >= 20, `${timers} timers in ${settled} outcomes`)
  })
}
