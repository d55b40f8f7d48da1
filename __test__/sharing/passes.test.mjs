// Shared memory on its way: where the addon can, it goes with its task as all else of the value does (src/shared.rs). What it
// looks like from outside holds either way: js/by-port.test.mjs runs these tests without it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transfer, WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { callsEngine, canShare } from '../helpers/internals.mjs'
import { sharedIn } from './fixtures/passes.mjs'

const PASSES = new URL('./fixtures/passes.mjs', import.meta.url)
const IS_ON = process.env.THREADMILL_MOVES !== 'off'

function open(t, options) {
  const pool = new WorkerPool(PASSES, { maxWorkers: 1, ...options })
  t.after(() => pool.destroy())
  return pool
}

const shared = (length = 16) => new SharedArrayBuffer(length)
const cellOf = () => new Int32Array(shared())

test('this Node sends shared memory as its engine does, on the machines where that was tried', () => {
  assert.equal(canShare(), callsEngine && IS_ON)
})

class Point {
  constructor() {
    this.cell = new Int32Array(shared())
  }
}

const growable = () => new SharedArrayBuffer(16, { maxByteLength: 64 })
const ofWasm = () => new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }).buffer

/** Values, and what of them is shared, in the order in which it is met. */
const VALUES = {
  'memory alone': () => shared(),
  'a view': () => new Int32Array(shared()),
  'a view of a part': () => new Float64Array(shared(64), 8, 2),
  'a DataView': () => new DataView(shared(), 3, 2),
  'a BigInt64Array': () => new BigInt64Array(shared()),
  'a Buffer': () => Buffer.from(shared()),
  nothing: () => shared(0),
  'memory that can grow': growable,
  'a view whose length follows': () => new Uint8Array(growable()),
  'memory of WebAssembly': ofWasm,
  'an object': () => ({ id: 1, name: 'x', memory: shared(), view: new Uint8Array(shared(), 4) }),
  'twice the same': () => {
    const memory = shared()
    return [memory, memory, new Uint8Array(memory), new Int32Array(memory, 4)]
  },
  several: () => [shared(1), shared(2), new Uint8Array(shared(3)), { last: shared(4) }],
  'a map, a set and an error': () =>
    new Map([
      [shared(), new Set([shared()])],
      ['error', new Error('x', { cause: shared() })],
    ]),
  'a cycle': () => {
    const object = { memory: shared() }
    object.self = object
    return object
  },
  'an instance of a class': () => new Point(),
  'beside memory that is not': () => ({ shared: shared(), own: new Uint8Array([1, 2, 3]), buffer: new ArrayBuffer(5) }),
  much: () => ({
    text: 'x'.repeat(100_000),
    memory: shared(),
    list: Array.from({ length: 1000 }, (_, index) => index),
  }),
  'what only the platform can clone': () => ({ memory: shared(), blob: new Blob(['x']) }),
}

for (const [name, make] of Object.entries(VALUES)) {
  test(`it is the same memory on both sides, and the value a clone: ${name}`, async (t) => {
    const pool = open(t)
    // The first ones of a class go another way than those after.
    for (let round = 0; round < 4; round++) {
      const value = make()
      const expected = structuredClone(value)
      const output = await pool.run(value)
      assert.deepEqual(output, expected)
      const [here, back] = [sharedIn(value), sharedIn(output)]
      assert.equal(back.length, here.length)
      for (const [index, memory] of here.entries()) {
        const other = back[index]
        assert.notEqual(other, memory)
        assert.equal(other.byteLength, memory.byteLength)
        assert.equal(other.growable, memory.growable)
        if (memory.byteLength === 0) continue
        assert.equal(new Uint8Array(memory)[0], index + 1)
        new Uint8Array(other)[memory.byteLength - 1] = 77
        assert.equal(new Uint8Array(memory)[memory.byteLength - 1], 77)
      }
    }
  })
}

test('memory that is shared and memory that moves, in one value', async (t) => {
  const pool = open(t)
  const value = { cell: cellOf(), own: new Uint8Array([1, 2, 3]), buffer: new ArrayBuffer(8) }
  const output = await pool.run(value, { transfer: [value.own.buffer, value.buffer] })
  assert.deepEqual([value.own.length, value.buffer.byteLength], [0, 0])
  assert.deepEqual([[...output.own], output.buffer.byteLength], [[1, 2, 3], 8])
  output.cell[1] = 9
  assert.equal(value.cell[1], 9)
  const again = await pool.run(transfer(output, [output.buffer]))
  assert.deepEqual([output.buffer.byteLength, again.buffer.byteLength, again.cell[1]], [0, 8, 9])
})

test('memory that grows over there has grown here', async (t) => {
  const memory = growable()
  const output = await open(t).run(memory)
  output.grow(32)
  assert.equal(memory.byteLength, 32)
})

test('memory of a worker outlives it', async (t) => {
  const pool = open(t)
  const memory = await pool.run(64, { name: 'make' })
  await pool.close()
  new Uint8Array(memory).fill(7)
  assert.equal(new Uint8Array(memory)[63], 7)
})

test('a task that is tried again gets the same memory', async (t) => {
  const pool = open(t)
  for (const name of ['failsOnce', 'exitsOnce']) {
    const cell = cellOf()
    const output = await pool.run({ cell }, { name, retries: { limit: 1, on: 'both' } })
    assert.deepEqual([cell[0], output[0]], [2, 2], name)
  }
})

test('and so does one of a pool that retries', async (t) => {
  const pool = open(t, { retries: { limit: 1, on: 'both' } })
  await pool.run({ cell: cellOf() })
  for (let round = 0; round < 3; round++) {
    const cell = cellOf()
    const output = await pool.run({ cell }, { name: 'failsOnce' })
    assert.deepEqual([cell[0], output[0]], [2, 2])
  }
})

test('tasks of workers share memory', async (t) => {
  for (const maxWorkers of [1, 2]) {
    const pool = open(t, { maxWorkers })
    assert.deepEqual(await pool.run(0, { name: 'nested' }), [5, 5, false])
  }
})

test('tasks with shared memory begin while this thread is blocked', { skip: !canShare() }, async (t) => {
  const pool = open(t)
  await pool.run(0)
  const cell = cellOf()
  const runs = Array.from({ length: 200 }, () => pool.run(cell, { name: 'count' }))
  const limit = performance.now() + 20_000
  for (let seen = 0; seen < 200 && performance.now() < limit; seen = Atomics.load(cell, 0)) {
    Atomics.wait(cell, 0, seen, 1000)
  }
  assert.equal(Atomics.load(cell, 0), 200)
  await Promise.all(runs)
})

test('memory whose tasks come to nothing is freed, and so is that of those which end', async () => {
  const source = `import { WorkerPool } from 'threadmill'
    const MIB = 2 ** 20
    const rss = async () => {
      for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise((resolve) => setTimeout(resolve, 20)) }
      return process.memoryUsage.rss() / MIB
    }
    const input = () => ({ memory: new Uint8Array(new SharedArrayBuffer(8 * MIB)).fill(1) })
    async function round() {
      const pool = new WorkerPool(new URL(${JSON.stringify(PASSES.href)}), { maxWorkers: 1 })
      await pool.run(input())
      const cell = new Int32Array(new SharedArrayBuffer(4))
      const begun = new Int32Array(new SharedArrayBuffer(4))
      const busy = pool.run({ cell, begun }, { name: 'waits' })
      while (Atomics.load(begun, 0) === 0) await new Promise(setImmediate)
      const controller = new AbortController()
      const { signal } = controller
      const tasks = Array.from({ length: 12 }, (_, index) => pool.run(input(), index < 4 ? { signal } : undefined))
      const ended = Promise.allSettled(tasks)
      // Now nobody but the tasks has that memory.
      globalThis.gc()
      await new Promise((resolve) => setTimeout(resolve, 5))
      controller.abort()
      Atomics.store(cell, 0, 1)
      Atomics.notify(cell, 0)
      await busy
      await tasks[4]
      await pool.destroy()
      await pool.run(input()).catch(() => {})
      await ended
    }
    await round()
    const before = await rss()
    for (let index = 0; index < 12; index++) await round()
    let left = (await rss()) - before
    for (let tries = 0; tries < 30 && left > 100; tries++) left = (await rss()) - before
    console.log(Math.round(left))`
  // The C library would keep what is freed for itself, as soon as it has seen memory of that size come and go.
  const env = { MALLOC_MMAP_THRESHOLD_: '131072' }
  const { code, stdout, stderr } = await runProgram(source, { nodeArgs: ['--expose-gc'], env })
  assert.equal(code, 0, stderr)
  // 1,344 MiB came and went.
  assert.ok(Number(stdout) < 150, `${stdout} MiB stayed`)
})
