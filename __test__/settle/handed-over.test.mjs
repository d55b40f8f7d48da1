// When tiny tasks are handed over (Q2 in lib/port.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'

/** Spins for so many microseconds, or writes to memory that it is given. */
const MODULE =
  'data:text/javascript,export const spin = (time) => { const end = process.hrtime()[1] + time * 1000; let now; do now = process.hrtime()[1]; while (now < end && end - now < 1e8); };' +
  'let cells; export const share = (memory) => { cells = new Int32Array(memory) };' +
  'export default (value) => { Atomics.store(cells, 0, value); Atomics.notify(cells, 0) }'

for (const isAlone of [true, false])
  test(`the first of a turn goes at once while a worker has nothing to do, ${isAlone ? 'and' : 'also'} after ${isAlone ? 'others' : 'a short one'}`, {
    timeout: 60_000,
  }, async (t) => {
    const [short, tiny] = [0, 0].map(() => new WorkerPool(MODULE, { maxWorkers: 1 }))
    t.after(() => Promise.all([short.destroy(), tiny.destroy()]))
    const memory = new SharedArrayBuffer(4)
    const cells = new Int32Array(memory)
    await tiny.run(memory, { name: 'share' })
    const spin = () => (isAlone ? undefined : short.run(25, { name: 'spin' }))
    for (let round = 1; round <= 20; round++) {
      // What they take is measured while their workers are awake.
      for (let task = 0; task < 60; task++) {
        await spin()
        await tiny.run(round - 1)
      }
      const both = [spin(), tiny.run(round)]
      // This thread does nothing else until it has begun.
      assert.notEqual(Atomics.wait(cells, 0, round - 1, 20_000), 'timed-out', `round ${round}`)
      await Promise.all(both)
    }
  })
