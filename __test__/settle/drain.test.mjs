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
