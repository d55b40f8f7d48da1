// Checks of what is beside the pool, and of scripts that talk through parentPort.
import assert from 'node:assert/strict'
import { recommendedPoolSize, runWorker, waitAsync } from 'threadmill'
import { fixture, withPool } from './pools.mjs'

const script = (source) =>
  `data:text/javascript,import { parentPort, workerData } from 'node:worker_threads'; ${source}`

export const checks = {
  'a script on parentPort runs tasks': () =>
    withPool(
      { maxWorkers: 1 },
      async (pool) => {
        assert.deepEqual(await pool.run({ value: 5 }), { got: 5 })
        await assert.rejects(pool.run({ do: 'throw' }), { name: 'RangeError', message: 'mine' })
        assert.deepEqual(await pool.run({ value: 'again' }), { got: 'again' })
      },
      fixture('raw.cjs'),
    ),

  'runWorker gives the first message, and says why there is none': async () => {
    assert.equal(await runWorker(script('parentPort.postMessage(workerData + 1)'), 5), 6)
    await assert.rejects(runWorker('process.exit(3)', null, { eval: true }), { exitCode: 3 })
    await assert.rejects(runWorker('0', null, { eval: true }), { exitCode: 0 })
    await assert.rejects(runWorker('for (;;);', null, { eval: true, timeout: 200 }), { name: 'TimeoutError' })
    await assert.rejects(runWorker('for (;;);', null, { eval: true, signal: AbortSignal.timeout(200) }), {
      name: 'TimeoutError',
    })
  },

  'waitAsync is woken and times out': async () => {
    const numbers = new Int32Array(new SharedArrayBuffer(8))
    const woken = waitAsync(numbers, 0, 0)
    const notify = script(`
      while (Atomics.notify(workerData, 0) === 0);
      parentPort.postMessage('notified')`)
    assert.equal(await runWorker(notify, numbers), 'notified')
    assert.equal(await woken, 'ok')
    assert.equal(await waitAsync(numbers, 0, 0, 20), 'timed-out')
    assert.equal(await waitAsync(numbers, 0, 1), 'not-equal')
  },

  recommendedPoolSize: () => assert.ok(recommendedPoolSize() >= 1),
}
