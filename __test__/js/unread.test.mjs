// What is posted to a worker and cannot be read there: it costs its own task or message, and nobody else's.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { WorkerPool } from 'threadmill'
import { until } from '../helpers/pool.mjs'

const module = new URL('./fixtures/unread.mjs', import.meta.url)
const unreadable = () => new Blob(['?'], { type: 'text/unreadable' })

function poolOf(t, options) {
  const pool = new WorkerPool(module, { maxWorkers: 1, workerConcurrency: 4, ...options })
  const exits = []
  pool.on('worker-exit', (_worker, code, error, reason) => exits.push({ code, error, reason }))
  t.after(() => pool.destroy())
  return { pool, exits }
}

/** Memory whose view cannot be read: it is detached when it is to be moved. */
function detachedOnTheWay() {
  const memory = new ArrayBuffer(1000)
  const value = {
    view: new Uint8Array(memory),
    get late() {
      return structuredClone(memory, { transfer: [memory] }).byteLength
    },
  }
  return { value, memory }
}

describe('an input', () => {
  test('that comes to a worker which waits for work, and others beside it', async (t) => {
    const { pool, exits } = poolOf(t)
    await pool.run({ id: 0 })
    for (let round = 0; round < 10; round++) {
      const { value, memory } = detachedOnTheWay()
      const [bad, ...good] = await Promise.allSettled([
        pool.run(value, { transfer: [memory] }),
        ...[1, 2, 3].map((id) => pool.run({ id })),
      ])
      assert.match(bad.reason?.message, /deserialize/)
      assert.deepEqual(
        good.map(({ value: id }) => id),
        [1, 2, 3],
      )
    }
    assert.deepEqual(exits, [])
  })

  test('among many, of which some are asked for and some come unasked', async (t) => {
    for (const maxWorkers of [1, 2]) {
      const { pool, exits } = poolOf(t, { maxWorkers })
      await pool.run({ id: 0 })
      const runs = Array.from({ length: 400 }, (_, id) => {
        if (id % 29 === 7) {
          const { value, memory } = detachedOnTheWay()
          return pool.run(value, { transfer: [memory] })
        }
        if (id % 29 === 11) return pool.run({ id, blob: unreadable() })
        const { port1, port2 } = new MessageChannel()
        port1.postMessage('go on')
        return pool.run({ id, gate: port2 }, { transfer: [port2] }).finally(() => port1.close())
      })
      for (const [id, { value, reason }] of (await Promise.allSettled(runs)).entries()) {
        if (id % 29 === 7) assert.match(reason?.message ?? `${value}`, /deserialize/s)
        else if (id % 29 === 11) assert.equal(reason?.message, 'unreadable')
        else assert.equal(value, id, reason)
      }
      assert.deepEqual(exits, [])
      await pool.close()
    }
  })
})

describe('a message', () => {
  test('that comes while the worker is busy, and beside inputs that it has asked for', async (t) => {
    const { pool, exits } = poolOf(t, { stderr: true })
    let written = ''
    pool.on('worker-launched', ({ stderr }) => stderr.on('data', (text) => (written += text)))
    await pool.run({ id: 0 })
    const began = new SharedArrayBuffer(8)
    const flags = new Int32Array(began)
    const busy = pool.run({ id: 1, began, gate: 'blocks' })
    await until(() => Atomics.load(flags, 0) === 1)
    pool.postMessageToWorkers('lost', unreadable())
    const others = Array.from({ length: 8 }, (_, id) => pool.run({ id, blob: new Blob(['!']) }))
    const { value, memory } = detachedOnTheWay()
    pool.postMessageToWorkers('lost', value, [memory])
    Atomics.store(flags, 1, 1)
    Atomics.notify(flags, 1)
    assert.equal(await busy, 1)
    assert.deepEqual(await Promise.all(others), [0, 1, 2, 3, 4, 5, 6, 7])
    assert.deepEqual(exits, [])
    await until(() => written.split("a message of type 'lost' cannot be read").length === 3)
    assert.match(written, /read: unreadable.*read: .*deserialize/s)
  })
})

test('an output of a task that the worker submitted fails that task alone', async (t) => {
  const { pool, exits } = poolOf(t, { maxWorkers: 2, workerConcurrency: 1 })
  const failed = ['ERR_THREADMILL_SYSTEM', 'unreadable']
  const texts = (id) => (id === 3 ? failed : 'text/plain')
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(
      await pool.run(6, { name: 'submits' }),
      Array.from({ length: 6 }, (_, id) => texts(id)),
    )
  }
  assert.deepEqual(exits, [])
})
