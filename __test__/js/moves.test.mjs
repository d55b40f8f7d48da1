// Memory that is all that moves of an input or an output: it goes with its task, without a message (src/moves.rs). What it
// looks like from outside holds either way, and by-port.test.mjs runs these tests without it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { markAsUntransferable } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { assertFreed } from '../helpers/freed.mjs'
import { addressOf, callsEngine, canMove } from '../helpers/internals.mjs'

const MOVES = new URL('./fixtures/moves.mjs', import.meta.url)
const IS_ON = process.env.THREADMILL_MOVES !== 'off'

function open(t, options) {
  const pool = new WorkerPool(MOVES, { maxWorkers: 2, ...options })
  t.after(() => pool.destroy())
  return pool
}

const cell = () => new Int32Array(new SharedArrayBuffer(4))

function release(held) {
  Atomics.store(held, 0, 1)
  Atomics.notify(held, 0)
}

const CLASSES = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigUint64Array,
  BigInt64Array,
  ...(globalThis.Float16Array === undefined ? [] : [globalThis.Float16Array]),
]

test('this Node moves memory, on the machines where that was tried', () => {
  assert.equal(canMove(), callsEngine && IS_ON)
})

test('every kind of memory comes back as it was, and is the same memory', async (t) => {
  const pool = open(t)
  for (const Class of CLASSES) {
    const value = Class.name.startsWith('Big') ? 3n : 3
    const whole = new Class(1000).fill(value)
    const part = new Class(new ArrayBuffer(1000 * Class.BYTES_PER_ELEMENT), 8 * Class.BYTES_PER_ELEMENT, 100).fill(
      value,
    )
    for (const given of [whole, part]) {
      const { buffer, byteOffset, length } = given
      const [size, address] = [buffer.byteLength, addressOf(given)]
      const output = await pool.run(given, { transfer: [buffer] })
      assert.deepEqual([given.length, buffer.byteLength], [0, 0], Class.name)
      assert.equal(Object.getPrototypeOf(output), Class.prototype)
      assert.deepEqual([output.byteOffset, output.length, output.buffer.byteLength], [byteOffset, length, size])
      assert.ok(output.every((element) => element === value))
      if (canMove()) assert.equal(addressOf(output), address)
    }
  }
})

test('so does an ArrayBuffer by itself, and a part that has nothing in it', async (t) => {
  const pool = open(t)
  const buffer = new Uint8Array([1, 2, 3]).buffer
  const output = await pool.run(buffer, { transfer: [buffer] })
  assert.ok(output instanceof ArrayBuffer && buffer.byteLength === 0)
  assert.deepEqual([...new Uint8Array(output)], [1, 2, 3])
  const nothing = new Uint16Array(new ArrayBuffer(8), 4, 0)
  const back = await pool.run(nothing, { transfer: [nothing.buffer] })
  assert.deepEqual([back.byteOffset, back.length, back.buffer.byteLength], [4, 0, 8])
  const empty = new Uint8Array(0)
  assert.equal((await pool.run(empty, { transfer: [empty.buffer] })).length, 0)
})

test('a subclass comes as its class, a Buffer as a Uint8Array', async (t) => {
  const pool = open(t)
  class Own extends Float64Array {
    extra = 1
  }
  const own = new Own(4).fill(2)
  const output = await pool.run(own, { transfer: [own.buffer] })
  assert.equal(Object.getPrototypeOf(output), Float64Array.prototype)
  assert.deepEqual([...output], [2, 2, 2, 2])
  const buffer = Buffer.allocUnsafeSlow(16).fill(1)
  const { name, length } = await pool.run(buffer, { name: 'seen', transfer: [buffer.buffer] })
  assert.deepEqual([name, length, buffer.length], ['Uint8Array', 16, 0])
})

test('memory that can grow, and a DataView, move all the same', async (t) => {
  const pool = open(t)
  const growing = new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 })).fill(4)
  const output = await pool.run(growing, { transfer: [growing.buffer] })
  assert.deepEqual([output.buffer.resizable, output.buffer.maxByteLength, output[7]], [true, 16, 4])
  const view = new DataView(new ArrayBuffer(8), 2)
  view.setInt16(0, 77)
  const moved = await pool.run(view, { transfer: [view.buffer] })
  assert.deepEqual([moved.getInt16(0), moved.byteOffset], [77, 2])
})

test('what must not be transferred rejects, keeps its memory, and harms nobody', async (t) => {
  const pool = open(t)
  const marked = new Uint8Array(64).fill(1)
  markAsUntransferable(marked.buffer)
  const pooled = Buffer.from('abc')
  const detached = new Uint8Array(8)
  structuredClone(detached, { transfer: [detached.buffer] })
  const wasm = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer)
  const shared = new Uint8Array(new SharedArrayBuffer(8))
  // Node 20 copies what must not be transferred.
  const isLenient = process.version.startsWith('v20.')
  for (const value of isLenient ? [detached] : [marked, pooled, detached, wasm, shared]) {
    await assert.rejects(
      pool.run(value, { transfer: [value.buffer] }),
      isLenient ? undefined : { name: /^(DataCloneError|TypeError)$/ },
    )
  }
  if (isLenient) {
    for (const value of [marked, pooled])
      assert.equal((await pool.run(value, { transfer: [value.buffer] }))[0], value[0])
  }
  assert.deepEqual([marked.length, pooled.toString(), wasm.length, shared.length], [64, 'abc', 65_536, 8])
  const twice = new Uint8Array(8)
  await assert.rejects(pool.run(twice, { transfer: [twice.buffer, twice.buffer] }), { name: 'DataCloneError' })
  assert.equal((await pool.run({ kind: 'Uint8Array', length: 3, value: 9 }, { name: 'fill' }))[2], 9)
})

test('what stands beside the memory says nothing: neither a buffer of its own nor another list', async (t) => {
  const pool = open(t)
  const value = new Uint8Array(8).fill(1)
  const other = new ArrayBuffer(8)
  Object.defineProperty(value, 'buffer', { value: other })
  const output = await pool.run(value, { name: 'seen', transfer: [other] })
  assert.deepEqual([output.length, value.length, other.byteLength], [8, 8, 0])
})

test('outputs move: at once, after a promise, and many at a time', async (t) => {
  const pool = open(t)
  assert.equal((await pool.run(100_000, { name: 'late' })).at(-1), 5)
  const outputs = await Promise.all(
    Array.from({ length: 500 }, (_, value) => pool.run({ kind: 'Float64Array', length: 50, value }, { name: 'fill' })),
  )
  for (const [index, output] of outputs.entries()) assert.ok(output.length === 50 && output.every((n) => n === index))
})

test('much that is copied is copied once, and whoever gave it keeps it', async (t) => {
  const pool = open(t)
  const given = new Float32Array(100_000).fill(6)
  const { length, name } = await pool.run(given, { name: 'seen' })
  assert.deepEqual([length, name, given.length, given[99_999]], [400_000, 'Float32Array', 100_000, 6])
  const output = await pool.run(200_000, { name: 'copy' })
  assert.ok(output.length === 200_000 && output.every((byte) => byte === 7))
  assert.equal(output.buffer.transfer?.(4).byteLength ?? 4, 4)
})

test('tasks that wait keep their memory when the worker ends before them', async (t) => {
  const pool = open(t, { maxWorkers: 1 })
  const crashed = assert.rejects(pool.run(undefined, { name: 'exits' }), { code: 'ERR_THREADMILL_WORKER_CRASHED' })
  const results = Array.from({ length: 20 }, (_, index) => {
    const bytes = new Uint8Array(1000).fill(index)
    return pool.run(bytes, { transfer: [bytes.buffer] })
  })
  await crashed
  for (const [index, output] of (await Promise.all(results)).entries()) assert.equal(output[999], index)
})

test('memory outlives the worker that made it', async (t) => {
  const pool = open(t)
  const outputs = await Promise.all(
    Array.from({ length: 8 }, (_, value) => pool.run({ kind: 'Int32Array', length: 1e5, value }, { name: 'fill' })),
  )
  await pool.destroy()
  for (const [index, output] of outputs.entries()) assert.ok(output.every((element) => element === index))
  // In Node 22 that ends the process, as with any memory that another thread has transferred.
  if (!process.version.startsWith('v22.')) outputs[0].buffer.transfer?.(4)
})

test('sub-tasks move memory between workers, and to the thread that made the pool', async (t) => {
  const pool = open(t)
  const onOther = { workerAffinity: 1, affinityStrength: 'force' }
  for (const options of [{}, onOther, { mainThread: true }]) {
    const [left, length, last, isSame] = await pool.run(
      { length: 70_000, options },
      { name: 'nested', workerAffinity: 0, affinityStrength: 'force' },
    )
    assert.deepEqual([left, length, last], [0, 70_000, 3])
    if (canMove() && options !== undefined && !options.mainThread) assert.ok(isSame)
  }
})

test('a task that was cancelled while it waited never ran, and its input is gone', async (t) => {
  const pool = open(t, { maxWorkers: 1 })
  const held = cell()
  const busy = pool.run(held, { name: 'waits' })
  const bytes = new Uint8Array(1000)
  const task = pool.addTask(bytes, { transfer: [bytes.buffer] })
  assert.equal(task.cancel(), true)
  await assert.rejects(Promise.resolve(task), { code: 'ERR_THREADMILL_CANCELLED' })
  assert.equal(bytes.length, 0)
  release(held)
  await busy
  assert.equal(pool.stats().tasksCompleted, 1)
})

test('memory on its way is freed: of tasks that are cancelled, refused, given up while they run, or left behind', () =>
  assertFreed(`(bytes) => [bytes, { transfer: [bytes.buffer] }]`, 'fillsLate'))

test('retries of a task whose memory has moved end with its error', async (t) => {
  const pool = open(t, { maxWorkers: 1 })
  const bytes = new Uint8Array(100)
  await assert.rejects(pool.run(bytes, { name: 'exits', transfer: [bytes.buffer], retries: 2 }), {
    code: 'ERR_THREADMILL_WORKER_CRASHED',
  })
})

test('transfer() marks inputs as well', async (t) => {
  const pool = open(t)
  const bytes = new Uint8Array(64).fill(8)
  const output = await pool.run(transfer(bytes, [bytes.buffer]))
  assert.deepEqual([bytes.length, output[63]], [0, 8])
})

test('a part of a value cannot be marked, and nothing moves then', async (t) => {
  const pool = open(t)
  const bytes = Uint8Array.of(1, 2)
  await assert.rejects(pool.run({ bytes: transfer(bytes, [bytes.buffer]) }), {
    name: 'DataCloneError',
    message: /transfer\(\) marks a whole input/,
  })
  assert.equal(bytes.length, 2)
})
