// What a kernel gets is the value as it was when the call was made; what comes back is fresh, or the same memory when
// it was transferred.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { markAsUntransferable } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { addressOf } from '../helpers/internals.mjs'
import { occupy } from '../helpers/pool.mjs'

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

describe('payloads', () => {
  let pool
  before(() => {
    pool = new WorkerPool({ threads: 2 })
  })
  after(() => pool.close())

  const sizes = [0, 1, 63, 64, 4095, 65_535, 65_536, 65_537, 300_000, 5_000_000]
  for (const size of sizes) {
    test(`bytes of length ${size} arrive whole, in every kind of view`, async () => {
      const whole = new Uint8Array(size + 24).map((_, index) => index * 7 + (index >> 8))
      const bytes = whole.slice(8, 8 + size)
      const shared = new Uint8Array(new SharedArrayBuffer(size + 24))
      shared.set(whole)
      const expected = sha256(bytes)
      assert.equal(await pool.kernels.sha256(bytes), expected)
      assert.equal(await pool.kernels.sha256(bytes.buffer), expected)
      assert.equal(await pool.kernels.sha256(Buffer.from(bytes)), expected)
      assert.equal(await pool.kernels.sha256(new DataView(whole.buffer, 8, size)), expected)
      assert.equal(await pool.kernels.sha256(whole.subarray(8, 8 + size)), expected)
      assert.equal(await pool.kernels.sha256(shared.subarray(8, 8 + size)), expected)
      assert.equal(await pool.kernels.sha256(new DataView(shared.buffer, 8, size)), expected)
    })
  }

  test('many small views of one turn do not mix, also beyond the arena', async () => {
    const views = Array.from({ length: 500 }, (_, index) => new Uint8Array(1 + ((index * 397) % 5000)).fill(index))
    const digests = await Promise.all(views.map((view) => pool.kernels.sha256(view)))
    assert.deepEqual(digests, views.map(sha256))
  })

  for (const size of [100, 100_000]) {
    test(`writes after the call are not seen (${size} bytes)`, async () => {
      const gate = await occupy(pool)
      const other = await occupy(pool)
      const bytes = new Uint8Array(size).fill(1)
      const expected = sha256(bytes)
      const digest = pool.kernels.sha256(bytes)
      bytes.fill(2)
      await Promise.all([gate.release(), other.release()])
      assert.equal(await digest, expected)
    })
  }

  test('members of an object are copied at the call', async () => {
    const gates = [await occupy(pool), await occupy(pool)]
    const a = new Float64Array([1, 2, 3, 4])
    const input = { a, b: a, m: 2, k: 2, n: 2 }
    const product = pool.kernels.matmul(input)
    a.fill(0)
    input.m = 7
    await Promise.all(gates.map((gate) => gate.release()))
    assert.deepEqual(await product, new Float64Array([7, 10, 15, 22]))
  })

  test('strings arrive as UTF-8, lone surrogates as U+FFFD', async () => {
    for (const text of [
      '',
      'a',
      'ä€😀',
      'x'.repeat(251),
      'x'.repeat(256),
      'ä'.repeat(126),
      '😀'.repeat(5000),
      'a\0b',
    ]) {
      assert.equal(await pool.kernels.sha256(text), sha256(Buffer.from(text)), `${text.length}`)
    }
    assert.equal(await pool.kernels.sha256('a\ud800b'), sha256(Buffer.from('a\ufffdb')))
  })

  test('a 64 MiB sort works in the transferred memory and gives it back without a copy', async () => {
    const array = new Float64Array(8 * 1024 * 1024)
    for (let i = 0; i < array.length; i++) array[i] = (i * 7919) % 1_000_003
    const address = addressOf(array)
    const before = process.memoryUsage().arrayBuffers
    const pending = pool.kernels.sort(array, { transfer: [array.buffer] })
    assert.equal(array.byteLength, 0, 'detached at the call')
    assert.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024, 'nothing was copied')
    const sorted = await pending
    assert.equal(addressOf(sorted), address)
    assert.equal(sorted.length, 8 * 1024 * 1024)
    for (let i = 1; i < sorted.length; i++) if (sorted[i - 1] > sorted[i]) assert.fail(`not sorted at ${i}`)
    // The buffer belongs to the caller now: it can be transferred on.
    const again = structuredClone(sorted, { transfer: [sorted.buffer] })
    assert.equal(addressOf(again), address)
  })

  test('an input that is marked moves, too, whatever way it is submitted', async () => {
    const ways = [
      (input) => pool.kernels.sort(input),
      (input) => pool.run(input, { kernel: 'sort' }),
      (input) => pool.addTask(input, { kernel: 'sort' }),
      async (input) => (await pool.map([input], { kernel: 'sort' }).next()).value,
    ]
    for (const submit of ways) {
      const array = new Float64Array([3, 1, 2])
      const address = addressOf(array)
      const sorted = await submit(transfer(array, [array.buffer]))
      assert.equal(array.byteLength, 0)
      assert.equal(addressOf(sorted), address)
      assert.deepEqual(sorted, Float64Array.of(1, 2, 3))
    }
    const array = new Float64Array(2)
    assert.equal(pool.addTask(transfer(array, []), { kernel: 'sort' }).argument, array)
    const also = new ArrayBuffer(8)
    await pool.kernels.sort(transfer(array, [array.buffer]), { transfer: [also] })
    assert.deepEqual([array.byteLength, also.byteLength], [0, 0])
  })

  test('the list of an input that is marked is checked', async () => {
    const array = new Float64Array(2)
    const { port1 } = new MessageChannel()
    await assert.rejects(pool.kernels.sort(transfer(array, [array.buffer, port1])), {
      code: 'ERR_THREADMILL_INVALID_ARG_TYPE',
      message: /^list\[1\] must be an ArrayBuffer/,
    })
    await assert.rejects(pool.kernels.sort(transfer(array, [array.buffer]), { transfer: [array.buffer] }), {
      code: 'ERR_THREADMILL_INVALID_ARG_VALUE',
    })
    assert.equal(array.length, 2)
  })

  test('a transferred view with an offset comes back at its offset', async () => {
    const buffer = new ArrayBuffer(64)
    const view = new Int32Array(buffer, 16, 4)
    view.set([3, 1, 2, 0])
    const sorted = await pool.kernels.sort(view, { transfer: [buffer] })
    assert.deepEqual([...sorted], [0, 1, 2, 3])
    assert.equal(sorted.byteOffset, 16)
    assert.equal(sorted.buffer.byteLength, 64)
  })

  test('two views of one transferred buffer do not disturb each other', async () => {
    const buffer = new ArrayBuffer(64)
    const [a, b] = [new Float64Array(buffer, 0, 4), new Float64Array(buffer, 0, 4)]
    a.set([1, 2, 3, 4])
    const product = await pool.kernels.matmul({ a, b, m: 2, k: 2, n: 2 }, { transfer: [buffer] })
    assert.deepEqual(product, new Float64Array([7, 10, 15, 22]))
    assert.equal(buffer.byteLength, 0)
  })

  test('a buffer in the list that is no part of the input detaches too', async () => {
    const buffer = new ArrayBuffer(8)
    await pool.kernels.sha256('x', { transfer: [buffer] })
    assert.equal(buffer.byteLength, 0)
  })

  test('a cancelled task keeps what was transferred to it', async () => {
    const gates = [await occupy(pool), await occupy(pool)]
    const array = new Float64Array(100_000)
    const task = pool.addTask(array, { kernel: 'sort', transfer: [array.buffer] })
    assert.equal(task.cancel(), true)
    await assert.rejects(Promise.resolve(task), { name: 'AbortError', code: 'ERR_THREADMILL_CANCELLED' })
    assert.equal(array.byteLength, 0)
    await Promise.all(gates.map((gate) => gate.release()))
  })

  test('a buffer that cannot be transferred rejects with DataCloneError and stays as it was', async () => {
    const buffer = new ArrayBuffer(8)
    markAsUntransferable(buffer)
    const call = pool.kernels.sort(new Float64Array(buffer), { transfer: [buffer] })
    await assert.rejects(call, { name: 'DataCloneError' })
    assert.equal(buffer.byteLength, 8)
    assert.equal(await pool.kernels.fib(10), 55)
  })

  test('shared memory is read in place and stays shared', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(200_000))
    shared.fill(5)
    const gates = [await occupy(pool), await occupy(pool)]
    const digest = pool.kernels.sha256(shared)
    // Not copied at the call: what is written before the kernel runs is seen.
    shared.fill(6)
    await Promise.all(gates.map((gate) => gate.release()))
    assert.equal(await digest, sha256(new Uint8Array(200_000).fill(6)))
    const numbers = new Float64Array(new SharedArrayBuffer(80))
    numbers.set([5, 4, 3, 2, 1])
    const sorted = await pool.kernels.sort(numbers)
    assert.equal(sorted.at(-1), 5)
    assert.equal(numbers[0], 5, 'the shared memory itself is not sorted')
  })

  test('results are buffers of the engine that can be transferred on', async () => {
    const packed = await pool.kernels.gzip(new Uint8Array(100_000))
    const moved = structuredClone(packed, { transfer: [packed.buffer] })
    assert.equal(packed.byteLength, 0)
    assert.deepEqual(await pool.kernels.gunzip(moved), new Uint8Array(100_000))
  })
})
