// Waiting for shared memory without blocking the thread.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { WorkerPool, waitAsync } from 'threadmill'
import { root, runProgram } from '../helpers/child.mjs'

const ATOMICS = new URL('./fixtures/atomics.mjs', import.meta.url)

const numbers = () => new Int32Array(new SharedArrayBuffer(16))

test('it settles with what Atomics.wait would return', async () => {
  const array = numbers()
  assert.equal(await waitAsync(array, 0, 5), 'not-equal')
  assert.equal(await waitAsync(array, 0, 0, 0), 'timed-out')
  assert.equal(await waitAsync(array, 0, 0, 20), 'timed-out')
  const woken = waitAsync(array, 1, 0)
  assert.equal(Atomics.notify(array, 1), 1)
  assert.equal(await woken, 'ok')

  const big = new BigInt64Array(array.buffer)
  assert.equal(await waitAsync(big, 1, 1n), 'not-equal')
  const other = waitAsync(big, 1, 0n, 60_000)
  assert.equal(Atomics.notify(big, 1), 1)
  assert.equal(await other, 'ok')
})

test('a task wakes this thread, whatever else it does', async (t) => {
  const pool = new WorkerPool(ATOMICS, { maxWorkers: 1 })
  t.after(() => pool.close())
  const array = numbers()
  for (let round = 0; round < 50; round++) {
    const woken = waitAsync(array, 0, round, 60_000)
    const task = pool.run({ do: 'set', numbers: array, value: round + 1 })
    assert.equal(await woken, 'ok')
    assert.equal(await task, 1)
  }
})

test('all who wait are woken, and no more than were asked for', async () => {
  const array = numbers()
  const woken = []
  for (let who = 0; who < 5; who++) waitAsync(array, 0, 0).then(() => woken.push(who))
  await new Promise((resolve) => setImmediate(resolve))
  // One that timed out is not there to be woken.
  assert.equal(await waitAsync(array, 0, 0, 1), 'timed-out')
  assert.equal(Atomics.notify(array, 0, 2), 2)
  while (woken.length < 2) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(woken, [0, 1])
  assert.equal(Atomics.notify(array, 0), 3)
  while (woken.length < 5) await new Promise((resolve) => setImmediate(resolve))
})

test('bad input rejects', async () => {
  const array = numbers()
  const type = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' }
  const value = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_VALUE' }
  const range = { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' }
  for (const bad of [undefined, null, [0], new Uint32Array(array.buffer), array.buffer, new DataView(array.buffer)]) {
    await assert.rejects(waitAsync(bad, 0, 0), type)
  }
  await assert.rejects(waitAsync(new Int32Array(4), 0, 0), value)
  for (const index of [-1, 4, 0.5, Number.NaN]) await assert.rejects(waitAsync(array, index, 0), range)
  await assert.rejects(waitAsync(new Int32Array(new SharedArrayBuffer(0)), 0, 0), range)
  for (const index of ['0', undefined, 0n]) await assert.rejects(waitAsync(array, index, 0), type)
  for (const expected of ['0', undefined, 0n]) await assert.rejects(waitAsync(array, 0, expected), type)
  for (const expected of [0.5, Number.NaN, 2 ** 31, -(2 ** 31) - 1]) {
    await assert.rejects(waitAsync(array, 0, expected), range)
  }
  await assert.rejects(waitAsync(new BigInt64Array(array.buffer), 0, 0), type)
  await assert.rejects(waitAsync(new BigInt64Array(array.buffer), 0, 2n ** 63n), range)
  for (const timeout of [-1, Number.NaN]) await assert.rejects(waitAsync(array, 0, 0, timeout), range)
  for (const timeout of ['1', null]) await assert.rejects(waitAsync(array, 0, 0, timeout), type)
})

test('the process waits with an idle event loop, and ends when nobody waits any more', async () => {
  // The worker is unreferenced and blocked: nothing but the wait itself keeps the process alive.
  const worker = `
    const { workerData } = require('node:worker_threads')
    Atomics.wait(workerData, 1, 0, 200)
    Atomics.store(workerData, 0, 1)
    Atomics.notify(workerData, 0)
    Atomics.wait(workerData, 2, 0)`
  const { code, stdout, stderr } = await runProgram(`
    import { Worker } from 'node:worker_threads'
    import { waitAsync } from 'threadmill'
    const array = new Int32Array(new SharedArrayBuffer(16))
    new Worker(${JSON.stringify(worker)}, { eval: true, workerData: array }).unref()
    console.log(await waitAsync(array, 0, 0))
    console.log(await waitAsync(array, 3, 0, 200))
    console.log(await waitAsync(array, 3, 1, 1e9))`)
  assert.deepEqual([code, stdout, stderr], [0, 'ok\ntimed-out\nnot-equal\n', ''])
})

test('a worker that waits can be terminated, and notified afterwards', async () => {
  const array = numbers()
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { waitAsync } = require(${JSON.stringify(root)})
    for (const timeout of [undefined, 5, 60_000]) waitAsync(workerData, 0, 0, timeout)
    parentPort.postMessage('waits')`
  for (let round = 0; round < 10; round++) {
    const worker = new Worker(source, { eval: true, workerData: array })
    await new Promise((resolve) => worker.once('message', resolve))
    if (round % 2 === 0) Atomics.notify(array, 0)
    await worker.terminate()
    Atomics.notify(array, 0)
  }
})
