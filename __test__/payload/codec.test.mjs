// What crosses equals what structuredClone gives in the same Node, and what that refuses is refused.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import * as threads from 'node:worker_threads'
import { same } from '../helpers/same.mjs'
import { PLATFORM, Point, REFUSED, TABLE } from '../helpers/values.mjs'

const require = createRequire(import.meta.url)
const { write, written } = require('../../dist/flat.js')
const { read } = require('../../dist/flat-read.js')
const { encode, decode } = require('../../dist/codec.js')
const { PLAIN, JSON_TEXT, V8, POSTED } = require('../../dist/codecs.js')
const NAMES = { [PLAIN]: 'PLAIN', [JSON_TEXT]: 'JSON', [V8]: 'V8', [POSTED]: 'POSTED' }

/** A getter of all typed arrays, whatever one of them says itself. */
const typed = (name) => Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), name).get

/** What the caller does with the data between the two threads. */
function carry({ codec, data }) {
  if (codec === POSTED) return structuredClone(data)
  if (codec === PLAIN && ArrayBuffer.isView(data)) {
    const length = typed('byteLength').call(data)
    assert.equal(length, typed('buffer').call(data).byteLength)
    return new data.constructor(data)
  }
  if (codec === JSON_TEXT) assert.ok(typeof data === 'string' && data.isWellFormed())
  if (codec === V8) {
    assert.ok(data instanceof Uint8Array)
    // At an odd place, as in an arena.
    const arena = new Uint8Array(data.length + 3)
    arena.set(data, 3)
    return arena.subarray(3)
  }
  return data
}

function cross(value, codec) {
  const encoded = encode(value)
  if (codec !== undefined) assert.equal(NAMES[encoded.codec], NAMES[codec])
  const data = carry(encoded)
  const result = decode(encoded.codec, data)
  // What has been read keeps its bytes when the arena is used again.
  if (encoded.codec === V8) data.fill(0xee)
  return result
}

const NOT_FLAT = Symbol('not flat')

/** The same through flat.ts; `NOT_FLAT` for what it does not write. */
function crossFlat(value) {
  const count = typeof value === 'object' && value !== null ? write(value) : -1
  if (count < 0) return NOT_FLAT
  assert.equal(written[0], count)
  // Somewhere in memory that is used for others too.
  const memory = new Float64Array(count + 3).fill(Number.NaN)
  memory.set(written.subarray(0, count), 2)
  written.fill(-1)
  return read(memory, 2)
}

// Each case makes its value more than once, and the stacks must not tell. A test of their own is in reason.test.mjs.
Error.stackTraceLimit = 0
/** The name and the text of what `action` throws. */
function failure(action) {
  try {
    action()
  } catch (error) {
    if (error === null) return { name: 'null' }
    return { Class: error.constructor, name: error.name, code: error.code, message: error.message }
  }
  return assert.fail('nothing was thrown')
}

describe('a value arrives as structuredClone would give it', () => {
  for (const [title, make, codec] of TABLE) {
    test(title, () => {
      let expected
      try {
        expected = structuredClone(make())
      } catch (error) {
        // Of some things Node 22 and 24 think otherwise.
        if (codec !== undefined || error.name !== 'DataCloneError') throw error
        assert.throws(() => cross(make()), { name: 'DataCloneError' })
        return
      }
      const value = make()
      const actual = cross(value, codec)
      if (title.includes('shared memory') || codec === POSTED) assert.deepEqual(actual, expected)
      else same(actual, expected)
    })
  }

  test('also inside an array and a Map', () => {
    for (const [title, make] of TABLE) {
      let expected
      try {
        expected = structuredClone([make(), new Map([['k', make()]])])
      } catch {
        continue
      }
      const actual = cross([make(), new Map([['k', make()]])])
      try {
        if (!title.includes('hared memory') && !/DOMException|Blob/.test(title)) same(actual, expected)
      } catch (error) {
        error.message = `${title}: ${error.message}`
        throw error
      }
    }
  })

  test('a pooled Buffer brings its own bytes only', () => {
    const buffer = Buffer.from('abc')
    assert.notEqual(buffer.buffer.byteLength, 3)
    const actual = cross(buffer, PLAIN)
    assert.equal(Object.getPrototypeOf(actual), Uint8Array.prototype)
    assert.deepEqual([...actual], [97, 98, 99])
    assert.equal(actual.buffer.byteLength, 3)
    buffer[0] = 0
    assert.equal(actual[0], 97)
    // What is in more goes as the engine's serializer writes it.
    same(cross([buffer], V8), structuredClone([buffer]))
  })

  for (const [title, make] of PLATFORM) {
    test(title, async () => {
      const value = await make()
      const encoded = encode(value)
      assert.equal(NAMES[encoded.codec], 'POSTED')
      assert.deepEqual(structuredClone(encoded.data), structuredClone(value))
    })
  }

  test('ports are left to the place where they are posted', () => {
    const { port1, port2 } = new threads.MessageChannel()
    const value = { a: [port1] }
    assert.deepEqual(encode(value), { codec: POSTED, data: value })
    assert.equal(encode(value).data, value)
    assert.equal(encode(new ReadableStream()).codec, POSTED)
    port1.close()
    port2.close()
  })

  test('shared memory stays shared', () => {
    const memory = new SharedArrayBuffer(8)
    const encoded = encode({ memory })
    new Uint8Array(decode(encoded.codec, structuredClone(encoded.data)).memory)[0] = 5
    assert.equal(new Uint8Array(memory)[0], 5)
  })

  test('a getter runs once', () => {
    for (const wrap of [(v) => v, (v) => [v], (v) => new Map([[1, v]]), (v) => [v, new Blob([])], (v) => [v, 1n]]) {
      let runs = 0
      const value = {
        get a() {
          return ++runs
        },
      }
      const encoded = encode(wrap(value))
      if (encoded.codec === POSTED) structuredClone(encoded.data)
      assert.equal(runs, 1)
    }
  })
})

describe('what structuredClone refuses is refused with its error', () => {
  for (const [title, make] of REFUSED) {
    test(title, async () => {
      const made = make()
      const value = title === 'a module' ? await made : made
      const expected = failure(() => structuredClone(value))
      assert.deepEqual(
        failure(() => encode(value)),
        expected,
      )
      if (expected.name !== 'RangeError' && expected.name !== 'null') assert.equal(expected.Class, DOMException)
    })
  }
})

describe('patched prototypes', () => {
  const patched = (target, name, value, body) => {
    Object.defineProperty(target, name, { value, configurable: true, writable: true })
    try {
      body()
    } finally {
      delete target[name]
    }
  }
  const sample = () => ({ id: 1, tags: ['a'], at: { x: 1 } })

  for (const [title, target] of [
    ['Object', Object.prototype],
    ['Array', Array.prototype],
  ]) {
    test(`toJSON of ${title}.prototype does not run`, () => {
      patched(
        target,
        'toJSON',
        () => assert.fail('ran'),
        () => same(cross(sample(), V8), structuredClone(sample())),
      )
    })
  }

  test('toJSON of primitives does not matter', () => {
    for (const target of [String.prototype, Number.prototype, Boolean.prototype]) {
      patched(
        target,
        'toJSON',
        () => 'changed',
        () => same(cross(sample(), JSON_TEXT), structuredClone(sample())),
      )
    }
  })

  test('members of Object.prototype do not make getters values', () => {
    const make = () => ({
      get a() {
        return { b: 1 }
      },
    })
    patched(Object.prototype, 'value', 5, () => same(cross(make()), structuredClone(make())))
    patched(Object.prototype, 'value', 5, () => same(cross(sample()), structuredClone(sample())))
    patched(Object.prototype, 'get', 5, () => same(cross(sample()), structuredClone(sample())))
  })

  test('globals replaced after loading do not matter', () => {
    const saved = { stringify: JSON.stringify, keys: Object.keys, has: Set.prototype.has, clone: structuredClone }
    const expected = structuredClone([sample(), sample()])
    JSON.stringify = Object.keys = Set.prototype.has = globalThis.structuredClone = () => assert.fail('ran')
    let results
    try {
      results = [encode(sample()), encode(new Map([[1, sample()]])), encode(new Point(1))]
    } finally {
      JSON.stringify = saved.stringify
      Object.keys = saved.keys
      Set.prototype.has = saved.has
      globalThis.structuredClone = saved.clone
    }
    same(decode(results[0].codec, results[0].data), expected[0])
    assert.deepEqual(
      results.map(({ codec }) => codec),
      [JSON_TEXT, V8, JSON_TEXT],
    )
  })
})

describe('random values', () => {
  /** A generator of numbers in [0, 1) that begins with `seed`. */
  const random = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }

  function generate(next, simple) {
    const made = []
    const pick = (list) => list[Math.floor(next() * list.length)]
    const count = () => Math.floor(next() ** 2 * 6)
    const text = () => pick(['', 'a', 'name', '__proto__', 'toJSON', '0', '7', 'é', '\ud83d', '"', 'x'.repeat(40)])
    const plain = () => pick([() => null, () => next() < 0.5, () => Math.floor(next() * 1e6), () => next(), text])()
    const odd = () =>
      pick([
        () => undefined,
        () => -0,
        () => Number.NaN,
        () => 5n,
        () => 2n ** 70n,
        () => new Date(next() * 1e12),
        () => /x/g,
        () => new Error('e', { cause: make(9) }),
        () => Object('boxed'),
        () => new Point(next()),
        () => new Uint8Array(8).subarray(count()),
        () => new DataView(new ArrayBuffer(8), count()),
        () => Buffer.alloc(count()).subarray(1),
        () => new ArrayBuffer(8),
        () => new Float64Array(2),
        () => pick(made) ?? null,
        () => new ArrayBuffer(count(), { maxByteLength: 8 }),
        () => ({
          get a() {
            return plain() && make(9)
          },
        }),
      ])()
    const note = (object) => {
      made.push(object)
      return object
    }
    function make(depth) {
      const kind = next()
      if (depth > 5 || kind < 0.4) return simple || next() < 0.7 ? plain() : odd()
      if (kind < 0.65) {
        const object = note(next() < 0.1 ? Object.create(null) : {})
        for (let i = count(); i > 0; i--) {
          const enumerable = simple || next() < 0.95
          Object.defineProperty(object, text(), {
            value: make(depth + 1),
            enumerable,
            configurable: true,
            writable: true,
          })
        }
        return object
      }
      if (kind < 0.88 || simple) {
        const list = note([])
        for (let i = count(); i > 0; i--) list.push(make(depth + 1))
        if (!simple && next() < 0.1) list.length += 2
        if (!simple && next() < 0.1) list.extra = make(depth + 1)
        return list
      }
      if (kind < 0.94)
        return note(
          new Map([
            [make(depth + 1), make(depth + 1)],
            [1, make(depth + 1)],
          ]),
        )
      return note(new Set([make(depth + 1), make(depth + 1)]))
    }
    return make(0)
  }

  for (const simple of [true, false]) {
    test(simple ? '1,000 plain ones' : '1,000 of all kinds', () => {
      const codecs = [0, 0, 0, 0, 0]
      let flat = 0
      for (let seed = 1; seed <= 1000; seed++) {
        const expected = structuredClone(generate(random(seed), simple))
        const value = generate(random(seed), simple)
        codecs[encode(generate(random(seed), simple)).codec]++
        try {
          const actual = cross(value)
          // The stacks name lines of this test, once for each value made.
          same(actual, expected)
          const words = crossFlat(generate(random(seed), simple))
          if (words !== NOT_FLAT) {
            same(words, expected)
            flat++
          }
        } catch (error) {
          error.message = `seed ${seed}: ${error.message}`
          throw error
        }
      }
      assert.ok(codecs[PLAIN] > 50 && codecs[simple ? JSON_TEXT : V8] > 250, `ways taken: ${codecs}`)
      assert.equal(codecs[POSTED], 0)
      assert.ok(flat > (simple ? 200 : 50), `${flat} in words`)
    })
  }
})
