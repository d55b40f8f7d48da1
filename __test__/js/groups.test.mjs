// Objects with memory that moves: it goes with the task, all else of the object as the engine writes it (src/clones.rs). What it
// looks like from outside holds either way, and by-port.test.mjs runs these tests without it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel, markAsUntransferable } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { assertFreed } from '../helpers/freed.mjs'
import { addressOf, callsEngine, canClone } from '../helpers/internals.mjs'

const MOVES = new URL('./fixtures/moves.mjs', import.meta.url)
const IS_ON = process.env.THREADMILL_MOVES !== 'off'

function open(t, options) {
  const pool = new WorkerPool(MOVES, { maxWorkers: 2, ...options })
  t.after(() => pool.destroy())
  return pool
}

const bytes = (length, value = 7) => new Uint8Array(length).fill(value)

test('this Node writes values as its engine does, on the machines where that was tried', () => {
  assert.equal(canClone(), callsEngine && IS_ON)
})

/** Objects, and the buffers of them that move. */
const OBJECTS = {
  'one view': () => {
    const view = bytes(1000)
    return [{ id: 5, name: 'x', view }, [view.buffer]]
  },
  'several buffers, as they are and as views': () => {
    const [a, b] = [bytes(100, 1), new Float64Array(8).fill(0.5)]
    return [{ list: [a, b.buffer], last: b }, [b.buffer, a.buffer]]
  },
  'views of parts of one buffer': () => {
    const { buffer } = bytes(64)
    return [[new Uint8Array(buffer, 8, 8), new Int16Array(buffer, 32), new DataView(buffer, 3)], [buffer]]
  },
  'a map, a date, a cycle and an error': () => {
    const view = bytes(16)
    const object = { when: new Date(5), by: new Map([['view', view]]), error: new RangeError('odd') }
    object.self = object
    return [object, [view.buffer]]
  },
  'an instance of a class': () => {
    const view = bytes(16)
    return [Object.assign(new (class Point {})(), { view }), [view.buffer]]
  },
  'memory that stays': () => {
    const [moves, stays] = [bytes(16), bytes(16, 8)]
    return [{ moves, stays }, [moves.buffer]]
  },
  'memory that is nowhere in it': () => [{ a: 1 }, [bytes(16).buffer]],
  'a Buffer': () => {
    const buffer = Buffer.from(new ArrayBuffer(16))
    return [{ buffer }, [buffer.buffer]]
  },
  'memory that can grow': () => {
    const buffer = new ArrayBuffer(8, { maxByteLength: 64 })
    return [{ buffer }, [buffer]]
  },
  'memory of no bytes': () => {
    const buffer = new ArrayBuffer(0)
    return [{ buffer, a: 1 }, [buffer]]
  },
}

test('objects come through as structuredClone gives them, and what moves has gone', async (t) => {
  const pool = open(t)
  for (const [name, make] of Object.entries(OBJECTS)) {
    const [expected, list] = make()
    const clone = structuredClone(expected, { transfer: list })
    for (let round = 0; round < 3; round++) {
      const [object, buffers] = make()
      const kept = object.stays?.slice()
      const output = await pool.run(object, { name: 'backWhole', transfer: buffers })
      assert.deepEqual(output, clone, name)
      assert.ok(
        buffers.every(({ byteLength }) => byteLength === 0),
        name,
      )
      assert.deepEqual(object.stays, kept)
      const marked = await pool.run(...(([value, all]) => [transfer(value, all), { name: 'backWhole' }])(make()))
      assert.deepEqual(marked, clone, name)
    }
  }
})

test('it is the same memory, there and back', async (t) => {
  const pool = open(t)
  for (let round = 0; round < 3; round++) {
    const [a, b] = [bytes(1000), bytes(2000)]
    const before = [addressOf(a), addressOf(b)]
    const there = await pool.run({ a, b }, { name: 'places', transfer: [a.buffer, b.buffer] })
    if (IS_ON) assert.deepEqual(there, before)
    const c = bytes(500)
    const [place, { c: back }] = [addressOf(c), await pool.run({ c }, { name: 'backWhole', transfer: [c.buffer] })]
    if (IS_ON) assert.equal(addressOf(back), place)
  }
})

test('what is refused keeps its memory, all of it, and harms nobody', async (t) => {
  const pool = open(t)
  const marked = bytes(64)
  markAsUntransferable(marked.buffer)
  const detached = bytes(8)
  structuredClone(detached, { transfer: [detached.buffer] })
  const wasm = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer)
  // Node 20 copies what must not be transferred.
  const isLenient = process.version.startsWith('v20.')
  for (const odd of isLenient ? [detached] : [marked, detached, wasm]) {
    const good = bytes(32)
    await assert.rejects(pool.run({ good, odd }, { name: 'backWhole', transfer: [good.buffer, odd.buffer] }))
    // As its own structuredClone does, which has found out half-way.
    if (!isLenient) assert.equal(good.length, 32)
  }
  if (isLenient) {
    const good = bytes(32)
    const { odd } = await pool.run({ good, odd: marked }, { name: 'backWhole', transfer: [good.buffer, marked.buffer] })
    assert.deepEqual(odd, marked)
  }
  const good = bytes(32)
  for (const value of [
    { good, call() {} },
    { good, symbol: Symbol('x') },
    { good, weak: new WeakMap() },
  ])
    await assert.rejects(pool.run(value, { transfer: [good.buffer] }), { name: 'DataCloneError' })
  await assert.rejects(pool.run({ good }, { transfer: [good.buffer, good.buffer] }), { name: 'DataCloneError' })
  assert.equal(good.length, 32)
  const { good: back } = await pool.run({ good }, { name: 'backWhole', transfer: [good.buffer] })
  assert.equal(back.length, 32)
})

test('getters and proxies run as with structuredClone: once', async (t) => {
  const pool = open(t)
  let count = 0
  const view = bytes(8)
  const object = {
    view,
    get counted() {
      return ++count
    },
  }
  const output = await pool.run(object, { name: 'backWhole', transfer: [view.buffer] })
  assert.deepEqual([output.counted, count], [1, 1])
})

test('what else moves or is shared goes beside the memory', async (t) => {
  const pool = open(t)
  const { port1, port2 } = new MessageChannel()
  const [view, shared] = [bytes(8), new Int32Array(new SharedArrayBuffer(8))]
  await pool.run({ view, port2 }, { name: 'places', transfer: [view.buffer, port2] })
  port1.close()
  const other = bytes(8)
  const output = await pool.run({ other, shared }, { name: 'seenShared', transfer: [other.buffer] })
  assert.deepEqual([output, shared[0]], [8, 5])
})

test('sub-tasks move objects between workers', async (t) => {
  const pool = open(t)
  assert.deepEqual(await pool.run(5000, { name: 'nestedGroup' }), [0, 5000, true])
})

test('tasks on the main thread get them, and give them', async (t) => {
  const pool = open(t)
  const view = bytes(100)
  const output = await pool.run({ view }, { name: 'backWhole', transfer: [view.buffer], affinity: 'main' })
  assert.deepEqual(output, { view: bytes(100) })
})

test('what is too deep for a thread fails its task, and no other', async (t) => {
  const pool = open(t, { maxWorkers: 1, resourceLimits: { stackSizeMb: 32 } })
  const others = [pool.run({ a: bytes(8) }, { name: 'backWhole' }), pool.run(3, { name: 'deep' })]
  // Deeper than the stack of this thread takes, not than that of the worker.
  const failed = pool.run(60_000, { name: 'deep' })
  await assert.rejects(failed)
  assert.deepEqual(await Promise.all(others), [{ a: bytes(8) }, [[[{ bottom: new Uint8Array(8) }]]]])
  const view = bytes(8)
  assert.deepEqual(await pool.run({ view }, { name: 'backWhole', transfer: [view.buffer] }), { view: bytes(8) })
})

/** Beyond what is written with others. */
const big = (count) => ({
  list: Array.from({ length: count }, (_, id) => ({
    id,
    name: `item ${id}`,
    view: new DataView(new ArrayBuffer(4), 1),
  })),
  cause: new Error('x'),
})

test('objects of any size come through, in and out', async (t) => {
  const pool = open(t)
  for (const count of [1, 20, 30, 40, 60, 100, 3000]) {
    const value = big(count)
    assert.deepEqual(await pool.run(value, { name: 'same' }), structuredClone(value))
    const output = await pool.run(count, { name: 'bigOutput' })
    assert.deepEqual([output.length, output.at(-1).error.message], [count, `e${count - 1}`])
  }
  const plain = new WorkerPool(new URL('./fixtures/same.mjs', import.meta.url), { maxWorkers: 2 })
  t.after(() => plain.destroy())
  const values = [1, 20, 30, 40, 60, 100, 3000].map(big)
  for (let round = 0; round < 3; round++) {
    const outputs = await Promise.all(values.map((value) => plain.run(value)))
    for (const [at, output] of outputs.entries()) assert.deepEqual(output, structuredClone(values[at]))
  }
})

test('a large input is there for every try', async (t) => {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const file = new URL('./fixtures/crashes-once.mjs', import.meta.url)
  const pool = new WorkerPool(file, { maxWorkers: 1, retries: 2, workerData: cell })
  t.after(() => pool.destroy())
  // The first call has no ticket to take the short way.
  await pool.run({ first: 1 })
  const value = big(1000)
  assert.deepEqual(await pool.run(value), structuredClone(value))
  assert.equal(cell[0], 2)
})

test('retries of a task whose memory has moved end with its error', async (t) => {
  const pool = open(t, { maxWorkers: 1 })
  const view = bytes(100)
  await assert.rejects(pool.run({ view }, { name: 'exits', transfer: [view.buffer], retries: 2 }), {
    code: 'ERR_THREADMILL_WORKER_CRASHED',
  })
})

test('memory on its way is freed: of tasks that are cancelled, refused, given up while they run, or left behind', () =>
  assertFreed(`(view) => [{ view }, { name: 'backWhole', transfer: [view.buffer] }]`, 'groupLate'))
