// Buffers and ports that move to workers and from them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { blockUntil, until } from '../helpers/pool.mjs'

const MOVES = new URL('./fixtures/moves.mjs', import.meta.url)
const RAW_TALK = new URL('./fixtures/raw-talk.cjs', import.meta.url)

function poolOf(t, options, module = MOVES) {
  const pool = new WorkerPool(module, options)
  t.after(() => pool.destroy())
  return pool
}

const on = (workerAffinity) => ({ workerAffinity, affinityStrength: 'force' })

test('a buffer moves to a worker: it arrives whole, and is detached here at the call', async (t) => {
  const pool = poolOf(t, { maxWorkers: 1 })
  const { buffer } = new Uint8Array(1024).fill(123, 0, 1)
  const first = pool.run({ do: 'first', buffer }, { transfer: [buffer] })
  assert.equal(buffer.byteLength, 0)
  assert.equal(await first, 123)
})

test('a buffer moves from a worker: it is detached there, and its bytes are here', async (t) => {
  const pool = poolOf(t, { maxWorkers: 1 })
  const { bytes } = await pool.run({ do: 'give', bytes: 1024 })
  assert.deepEqual(bytes, new Uint8Array(1024).fill(7))
  assert.equal(await pool.run({ do: 'left' }), 0)
})

test('a list that cannot be moved rejects its task alone and detaches nothing', async (t) => {
  const pool = poolOf(t, { maxWorkers: 1 })
  const { buffer } = new Uint8Array(8)
  await assert.rejects(pool.run({ do: 'first', buffer }, { transfer: [buffer, buffer] }), { name: 'DataCloneError' })
  await assert.rejects(pool.run({ do: 'first', buffer }, { transfer: [buffer, 'text'] }), {
    code: 'ERR_THREADMILL_INVALID_ARG_TYPE',
  })
  await assert.rejects(pool.run({ do: 'first', buffer }, { transfer: [buffer, () => {}] }), {
    code: 'ERR_THREADMILL_INVALID_ARG_TYPE',
  })
  assert.equal(buffer.byteLength, 8)
  assert.equal(await pool.run(transfer({ do: 'first', buffer }, [buffer])), 0)
})

test('a large buffer is handed over as fast as a small one, and without a copy', async (t) => {
  const pool = poolOf(t, { maxWorkers: 1 })
  const [small, large] = [1024, 256 * 1024 * 1024]
  const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1]
  /** Median times in ms: of the call, and until the task has ended, which pays for the collection of earlier buffers. */
  const measure = async (size, options, rounds = 9) => {
    const [calls, ends] = [[], []]
    for (let round = 0; round < rounds; round++) {
      const buffer = new ArrayBuffer(size)
      const start = performance.now()
      const task = pool.run({ do: 'first', buffer }, options(buffer))
      calls.push(performance.now() - start)
      assert.equal(await task, 0)
      ends.push(performance.now() - start)
    }
    return { call: median(calls), end: median(ends) }
  }
  const move = (buffer) => ({ transfer: [buffer] })
  const warm = await measure(small, move)
  const moved = { small: await measure(small, move), large: await measure(large, move) }
  const copied = await measure(large, () => ({}), 1)
  const figures = JSON.stringify({ warm, moved, copied })
  assert.ok(moved.large.call < 20 * moved.small.call, figures)
  assert.ok(moved.large.end < copied.end / 2, figures)
})

test('two workers with the ends of a channel talk without this thread', async (t) => {
  const pool = poolOf(t, 2)
  const messages = []
  for (const type of ['message', 'connect']) pool.onMessage(type, (contents) => messages.push(contents))
  const { port1, port2 } = new MessageChannel()
  assert.equal(await pool.run({ do: 'connect', port: port1 }, { ...on(0), transfer: [port1] }), 0)
  assert.equal(await pool.run({ do: 'connect', port: port2 }, { ...on(1), transfer: [port2] }), 1)
  await pool.run({ do: 'say', words: ['ping a', 'ping b'] }, on(0))
  assert.deepEqual(await pool.run({ do: 'heard', words: 2 }, on(1)), ['ping a', 'ping b'])
  assert.deepEqual(await pool.run({ do: 'heard', words: 2 }, on(0)), ['pong a', 'pong b'])
  assert.deepEqual(messages, [])
})

test('they talk also while this thread is blocked', async (t) => {
  const pool = poolOf(t, 2)
  const count = new Int32Array(new SharedArrayBuffer(4))
  const { port1, port2 } = new MessageChannel()
  await pool.run({ do: 'connect', port: port1, count }, { ...on(0), transfer: [port1] })
  await pool.run({ do: 'connect', port: port2, count }, { ...on(1), transfer: [port2] })
  const said = pool.run({ do: 'say', words: ['ping'] }, on(0))
  blockUntil(() => Atomics.load(count, 0) === 2)
  await said
  assert.deepEqual(await pool.run({ do: 'heard', words: 1 }, on(0)), ['pong'])
})

test('what is sent before the other side listens, or has its end, is kept', async (t) => {
  const pool = poolOf(t, 2)
  const { port1, port2 } = new MessageChannel()
  await pool.run({ do: 'connect', port: port1 }, { ...on(0), transfer: [port1] })
  await pool.run({ do: 'say', words: ['one', 'two'] }, on(0))
  await pool.run({ do: 'connect', port: port2, listens: false }, { ...on(1), transfer: [port2] })
  await pool.run({ do: 'say', words: ['three'] }, on(0))
  await pool.run({ do: 'listen' }, on(1))
  assert.deepEqual(await pool.run({ do: 'heard', words: 3 }, on(1)), ['one', 'two', 'three'])
})

test('scripts on parentPort get the ends of a channel as messages', async (t) => {
  const pool = poolOf(t, 2, RAW_TALK)
  const { port1, port2 } = new MessageChannel()
  const [one, two] = pool.workers
  const told = []
  pool.onMessage('message', (text, worker) => told.push(`${worker}: ${text}`))
  one.postMessageToWorker('message', { port: port1 }, [port1])
  two.postMessageToWorker('message', { port: port2, greets: true }, [port2])
  await until(() => told.length === 2)
  assert.deepEqual(told.sort(), ['0: greeting', '1: answer'])
})
