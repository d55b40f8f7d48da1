// Users patch what the language gives (fake timers, polyfills); what values are read and written with is loaded after them, and
// has to be made of what was there before (lib/builtins.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'

/** An entry module that replaces globals and functions when it is loaded, and gives back its input. */
const ENTRY = `data:text/javascript,${encodeURIComponent(`
  const wrong = () => { throw new Error('it was called') }
  class FakeDate extends Date { constructor() { super(0) } }
  // As a polyfill where there is none.
  const fakes = { Date: FakeDate, Float16Array: class extends Uint8Array {}, structuredClone: wrong, RegExp: wrong, DOMException: wrong }
  Object.assign(globalThis, fakes, { JSON: { stringify: wrong, parse: wrong } })
  Object.assign(ArrayBuffer, { isView: wrong })
  Object.assign(String.prototype, { charCodeAt: wrong, isWellFormed: wrong })
  Object.assign(Map.prototype, { forEach: wrong })
  Object.assign(Date.prototype, { getTime: wrong })
  Object.defineProperty(Object.getPrototypeOf(Uint8Array.prototype), 'buffer', { get: wrong })
  export default (input) => { if (input === 'throw') throw new TypeError('wanted'); return input }`)}`

const VALUES = {
  date: new Date(1_700_000_000_000),
  map: new Map([['a', { b: 1 }]]),
  set: new Set(['one', 2]),
  pattern: /a+/gi,
  bytes: Uint8Array.of(1, 2, 3),
  'floats of 16 bits': (globalThis.Float16Array ?? Float32Array).of(1, 0.5),
  'a part of memory': { part: new Uint8Array(8).subarray(2, 4) },
  text: '\ud800 and some more',
  'a large integer': 2n ** 70n,
  'a cycle': (() => {
    const object = { name: 'x' }
    object.self = object
    return object
  })(),
  error: new RangeError('far'),
}

for (const [title, value] of Object.entries(VALUES)) {
  test(`${title}: the same when an entry module has replaced what it is made with`, async () => {
    // Each kind is the first value of its worker.
    const pool = new WorkerPool(ENTRY, { maxWorkers: 1 })
    try {
      assert.equal(await pool.run(1), 1)
      assert.deepEqual(await pool.run(value), structuredClone(value))
      await assert.rejects(pool.run('throw'), new TypeError('wanted'))
    } finally {
      await pool.close()
    }
  })
}
