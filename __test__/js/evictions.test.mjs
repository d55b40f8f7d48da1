// Tasks beside one that was given up: their worker is ended for its sake, and they begin anew, but not again and again.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WorkerPool } from 'threadmill'
import { blockUntil, rejection, until } from '../helpers/pool.mjs'

const MODULE = new URL('./fixtures/evictions.mjs', import.meta.url)

/** A pool, and how often its tasks have begun. */
function open(t, options) {
  const begun = new Int32Array(new SharedArrayBuffer(8))
  const pool = new WorkerPool(MODULE, { maxWorkers: 1, workerData: begun.buffer, ...options })
  t.after(() => pool.destroy())
  return { pool, begun }
}

describe('a task whose worker is ended for a task beside it', () => {
  for (const maxWorkers of [1, 2]) {
    test(`begins anew once, when the other is one that it submitted (${maxWorkers} workers)`, async (t) => {
      const { pool, begun } = open(t, { maxWorkers })
      assert.equal(await pool.run('without', { name: 'tries' }), 'without ERR_THREADMILL_TIMEOUT')
      assert.ok(begun[0] <= 2, `${begun[0]} times`)
      // What hung has gone with its worker.
      await until(() => pool.stats().js.every(({ running }) => running.length === 0))
      await pool.close()
    })
  }

  test('is spared from then on as long as its worker goes on', async (t) => {
    const { pool, begun } = open(t, { workerConcurrency: 4 })
    const task = pool.run(0, { name: 'untilTold' })
    for (const times of [1, 2]) {
      await until(() => begun[0] === times)
      const other = pool.addTask(0, { name: 'hang' })
      await until(() => begun[1] === times)
      other.cancel()
      await assert.rejects(other.then(), { code: 'ERR_THREADMILL_CANCELLED' })
    }
    // Longer than a worker has that does not go on.
    await sleep(400)
    assert.equal(begun[0], 2)
    pool.postMessageToWorkers('told', 1)
    assert.equal(await task, 'told')
    // Then the worker is ended.
    assert.equal(await pool.run(1), 1)
    await pool.close()
  })

  test('fails in the end, when it has its worker blocked every time', async (t) => {
    const { pool, begun } = open(t)
    await assert.rejects(pool.run(0, { name: 'blocks' }), {
      code: 'ERR_THREADMILL_WORKER_CRASHED',
      message: /ended again and again because of others/,
    })
    assert.equal(begun[0], 6)
    assert.equal(await pool.run(1), 1)
    await pool.close()
  })
})

test('a task that has returned beside one that is given up does not begin again', async (t) => {
  const begun = new Int32Array(new SharedArrayBuffer(4 * 8))
  const module =
    `data:text/javascript,import { workerData } from 'node:worker_threads'; const begun = new Int32Array(workerData);
    export default async (number, client) => { const times = Atomics.add(begun, number, 1);
      if (number === 0) { client.addTask(7); await new Promise(() => {}) }
      if (number === 6 && times === 0) Atomics.wait(begun, 6, 1);
      return number }`.replaceAll('\n', '')
  const pool = new WorkerPool(module, { maxWorkers: 1, workerData: begun.buffer })
  t.after(() => pool.destroy())
  const [hangs, ...others] = Array.from({ length: 7 }, (_, number) => pool.addTask(number))
  // Tasks begin beside the first one as long as what it has submitted is unsettled.
  await until(() => begun[6] === 1)
  hangs.cancel()
  await assert.rejects(hangs.then(), { code: 'ERR_THREADMILL_CANCELLED' })
  assert.deepEqual(await Promise.all(others), [1, 2, 3, 4, 5, 6])
  assert.deepEqual([...begun.subarray(0, 7)], [1, 1, 1, 1, 1, 1, 2])
})

describe('a handle that was asked for its worker', () => {
  const source = `export default ({ gate, number }) => {
    const view = gate && new Int32Array(gate)
    return view === undefined ? number : Promise.resolve(Atomics.waitAsync(view, 0, 0).value).then(() => number)
  }`
  const module = `data:text/javascript,${encodeURIComponent(source)}`

  test('tells nothing of it once the task was given back, until it begins again', async (t) => {
    const pool = new WorkerPool(module, { maxWorkers: 1, workerConcurrency: 2, cancelGrace: 0 })
    t.after(() => pool.destroy())
    await pool.run({})
    const gate = new SharedArrayBuffer(4)
    const hung = pool.addTask({ gate: new SharedArrayBuffer(4) })
    const other = pool.addTask({ gate, number: 7 })
    await until(() => other.worker !== undefined)
    const { threadId } = other.worker
    hung.cancel()
    await hung.catch(() => {})
    // Its worker is gone, and the next one still loads.
    const seen = []
    await until(() => {
      seen.push(other.worker?.threadId)
      return seen.at(-1) !== undefined && seen.at(-1) !== threadId
    })
    assert.ok(seen.includes(undefined), `${seen}`)
    Atomics.store(new Int32Array(gate), 0, 1)
    Atomics.notify(new Int32Array(gate), 0)
    assert.equal(await other, 7)
    assert.equal(other.worker.id, 0)
  })

  test('goes on telling it when the task has ended and is not settled yet', async (t) => {
    const pool = new WorkerPool({ threads: 1 })
    t.after(() => pool.close())
    const task = pool.addTask(37, { kernel: 'fib' })
    blockUntil(() => task.worker !== undefined)
    blockUntil(() => !pool.stats().native[0].running.includes('fib'))
    assert.equal(task.worker?.id, 0)
    assert.equal(task.worker, task.worker)
    assert.equal(await task, 24_157_817)
    assert.equal(task.worker.id, 0)
  })

  test('an error of one whose input could not be sent again has its number', async (t) => {
    const pool = new WorkerPool(module, { maxWorkers: 1, workerConcurrency: 2, cancelGrace: 0 })
    t.after(() => pool.destroy())
    await pool.run({})
    const hung = pool.addTask({ gate: new SharedArrayBuffer(4) })
    const bytes = new ArrayBuffer(8)
    const other = pool.addTask({ gate: new SharedArrayBuffer(4), bytes }, { transfer: [bytes] })
    await until(() => other.worker !== undefined && hung.worker !== undefined)
    hung.cancel()
    await hung.catch(() => {})
    const { code, worker, exitCode } = await rejection(other)
    assert.deepEqual([code, worker, exitCode], ['ERR_THREADMILL_WORKER_CRASHED', 0, undefined])
  })
})
