// Checks of what crosses between the pool and its workers: values, reasons, and what is moved or shared.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import { transfer } from 'threadmill'
import { rejection } from '../helpers/pool.mjs'
import { echo, withPool } from './pools.mjs'

export const checks = {
  'simple and structured values arrive as structuredClone gives them': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      const ring = { name: 'ring' }
      ring.self = ring
      const holed = [1]
      holed[2] = 3
      const values = [undefined, null, true, 'äöü 💡', 'lone \ud800', -0, Number.NaN, 2n ** 70n, -5n]
      values.push(holed, { a: [{ b: 'c' }] }, new Date(5), /a+/gi, new Map([[{}, new Set([1])]]), Object(5))
      values.push(new Uint8Array([1, 2]), new Float64Array([0.5]), new Uint8Array([1, 2, 3]).buffer)
      values.push(
        new DataView(new ArrayBuffer(3), 1),
        Array.from({ length: 1000 }, (_, index) => ({ index })),
        ring,
      )
      for (const value of values) assert.deepEqual(await echo(pool, value), value)
    }),

  'errors are values too': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      const output = await echo(pool, { error: new RangeError('as a value') })
      assert.ok(output.error instanceof RangeError)
      assert.equal(output.error.message, 'as a value')
    }),

  'what cannot be cloned is refused with a DataCloneError': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      const inputs = [
        { do: 'echo', value: () => {} },
        { do: 'echo', value: { symbol: Symbol('a') } },
        { do: 'uncloneable' },
      ]
      for (const input of inputs) assert.equal((await rejection(pool.run(input))).name, 'DataCloneError')
      assert.equal(await echo(pool, 'next'), 'next')
    }),

  'an error arrives with class, code, cause and properties': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      const error = await rejection(pool.run({ do: 'fail' }))
      assert.ok(error instanceof TypeError, String(error))
      assert.deepEqual(
        [error.name, error.message, error.code, error.extra],
        ['TypeError', 'above', 'E_MINE', new Map([[1, 2]])],
      )
      const { cause } = error
      assert.ok(cause instanceof RangeError)
      assert.deepEqual([cause.message, cause.code, cause.cause], ['below', 'E_CAUSE', 'deepest'])
      assert.match(error.stack, /entry\.mjs/)
    }),

  'other reasons arrive as they are': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      for (const reason of [undefined, null, 0, 'text', { plain: [1] }]) {
        assert.deepEqual(await rejection(pool.run({ do: 'reject', reason })), reason)
      }
      const error = await rejection(pool.run({ do: 'abort' }))
      assert.ok(error instanceof DOMException)
      assert.deepEqual([error.name, error.code], ['AbortError', 20])
    }),

  'transferred buffers detach and arrive, both ways': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      for (const length of [3, 200_000]) {
        const bytes = new Uint8Array(length).fill(5)
        const promise = pool.run({ do: 'move', bytes }, { transfer: [bytes.buffer] })
        assert.equal(bytes.length, 0)
        assert.deepEqual((await promise).moved, new Uint8Array(length).fill(6))
      }
      const marked = new Uint8Array([1])
      const { moved } = await pool.run(transfer({ do: 'move', bytes: marked }, [marked.buffer]))
      assert.equal(marked.length, 0)
      assert.deepEqual(moved, new Uint8Array([2]))
    }),

  'shared memory is shared, both ways': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      const shared = new Int32Array(new SharedArrayBuffer(8))
      const output = await pool.run({ do: 'share', shared })
      assert.equal(shared[0], 1)
      output.shared[1] = 9
      assert.equal(shared[1], 9)
    }),

  'a MessagePort works on the other side': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      const { port1, port2 } = new MessageChannel()
      const done = pool.run({ do: 'answer', port: port2 }, { transfer: [port2] })
      port1.postMessage('ping')
      const [message] = await once(port1, 'message')
      assert.equal(message, 'ping back')
      assert.equal(await done, 'answered')
      port1.close()
    }),

  'a Blob arrives': () =>
    withPool({ maxWorkers: 1 }, async (pool) => {
      assert.equal(await pool.run({ do: 'text', blob: new Blob(['a', 'b']) }), 'ab')
    }),
}
