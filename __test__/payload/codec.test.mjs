// What crosses equals what structuredClone gives in the same Node, and what that refuses is refused.
import assert from 'node:assert/strict'
import { createSecretKey, webcrypto } from 'node:crypto'
import { createRequire } from 'node:module'
import { BlockList, SocketAddress } from 'node:net'
import { describe, test } from 'node:test'
import vm from 'node:vm'
import * as threads from 'node:worker_threads'
import { same } from './same.mjs'

const { encode, decode, PLAIN, JSON_TEXT, V8, POSTED } = createRequire(import.meta.url)('../../dist/codec.js')
const NAMES = { [PLAIN]: 'PLAIN', [JSON_TEXT]: 'JSON', [V8]: 'V8', [POSTED]: 'POSTED' }
const node = Number.parseInt(process.versions.node, 10)

/** A getter of all typed arrays, whatever one of them says itself. */
const typed = (name) => Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), name).get

/** What the caller does with the data between the two threads. */
function carry({ codec, data }) {
  if (codec === POSTED) return structuredClone(data)
  if (codec === PLAIN && ArrayBuffer.isView(data)) {
    const length = typed('byteLength').call(data)
    assert.equal(length, typed('buffer').call(data).byteLength)
    assert.ok(length < 65536)
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

// Each case makes its value more than once, and the stacks must not tell. A test of their own is in reason.test.mjs.
Error.stackTraceLimit = 0

const cyclic = () => {
  const object = { name: 'a', list: [] }
  object.self = object
  object.list.push(object, object.list)
  return object
}
const deep = (levels) => {
  let value = {}
  for (let i = 0; i < levels; i++) value = { value }
  return value
}
const throwNull = () => {
  // biome-ignore lint/style/useThrowOnlyError: that is the case
  throw null
}
const holed = (array, ...indices) => {
  for (const index of indices) delete array[index]
  return array
}
const withProps = (target, props) => Object.assign(target, props)
const prototypeOf = (target, prototype) => Object.setPrototypeOf(target, prototype)
function args() {
  // biome-ignore lint/complexity/noArguments: that is the case
  return arguments
}
const shared = { x: 1 }
const pooled = Buffer.from('abc')
class Point {
  #secret = 1
  constructor(x) {
    this.x = x
  }
  get secret() {
    return this.#secret
  }
}
class Failure extends TypeError {}
class Lines extends Array {}
class Bytes extends Uint8Array {}

const VIEWS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  ...(globalThis.Float16Array === undefined ? [] : [globalThis.Float16Array]),
]
const bytes = (length, options) => {
  const buffer = new ArrayBuffer(length, options)
  new Uint8Array(buffer).forEach((_, i, all) => {
    all[i] = i * 7
  })
  return buffer
}
const errors = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError]
const sharing = () => {
  const buffer = bytes(32)
  return [new Uint8Array(buffer, 4, 8), new Float64Array(buffer, 8), new DataView(buffer, 1, 3), buffer]
}

/** Values by title, as functions that make them, each with the way it should take. */
// biome-ignore format: a case a line
const TABLE = [
  // Primitives.
  ...[undefined, null, true, false, 0, -0, 1, -1.5, 2 ** 53, 5e-324, Number.NaN, Infinity, -Infinity].map((value) => [
    Object.is(value, -0) ? '-0' : String(value),
    () => value,
    PLAIN,
  ]),
  ['an empty string', () => '', PLAIN],
  ['a string', () => 'naïve 日本語 😀 \0', PLAIN],
  ['a long string', () => 'a'.repeat(1e6), PLAIN],
  ['a lone surrogate', () => '\ud800', V8],
  ['surrogates the wrong way round', () => 'x\udc00\ud800y', V8],
  ['0n', () => 0n, PLAIN],
  ['the largest plain bigint', () => 2n ** 64n - 1n, PLAIN],
  ['the smallest plain bigint', () => -(2n ** 64n) + 1n, PLAIN],
  ['2n ** 64n', () => 2n ** 64n, V8],
  ['-(2n ** 64n)', () => -(2n ** 64n), V8],
  ['a huge bigint', () => -(7n ** 4000n), V8],
  // Plain objects and arrays.
  ['{}', () => ({}), JSON_TEXT],
  ['[]', () => [], JSON_TEXT],
  ['a small object', () => ({ id: 1, name: 'x', tags: ['a', 'b'], nested: { x: 1.5 } }), JSON_TEXT],
  ['strings in need of escapes', () => ['"\\\n\0\u2028', '日😀', '\ud800', { 'a"\udc00': '' }], JSON_TEXT],
  ['null and booleans', () => [null, true, { a: false, b: null }], JSON_TEXT],
  ['integer keys', () => ({ b: 1, 2: 2, a: 3, 1: 4, '-1': 5, '01': 6 }), JSON_TEXT],
  ['extreme numbers', () => [5e-324, 1.7976931348623157e308, 0.1, -1e21, 2 ** 53], JSON_TEXT],
  ['a null prototype', () => ({ __proto__: null, a: { __proto__: null } }), JSON_TEXT],
  ['a __proto__ key', () => JSON.parse('{"a":{"__proto__":{"b":1}},"__proto__":[1]}'), JSON_TEXT],
  ['a constructor key', () => ({ constructor: 1, hasOwnProperty: 2, valueOf: 3 }), JSON_TEXT],
  ['frozen', () => Object.freeze({ a: Object.freeze([1]) }), JSON_TEXT],
  ['sealed', () => Object.seal({ a: 1 }), JSON_TEXT],
  ['symbol keys', () => ({ [Symbol('s')]: 1, [Symbol.toStringTag]: 'Map', a: 1 }), JSON_TEXT],
  ['non-enumerable members', () => Object.defineProperty({ a: 1 }, 'hidden', { value: () => 1 }), JSON_TEXT],
  ['-0 inside', () => ({ a: [-0, 0] }), V8],
  ['NaN inside', () => [Number.NaN], V8],
  ['Infinity inside', () => [Infinity], V8],
  ['an undefined member', () => ({ a: undefined, b: 1 }), V8],
  ['an undefined element', () => [1, undefined], V8],
  ['a bigint inside', () => ({ a: 1n }), V8],
  ['holes', () => holed([1, 2, 3, 4], 1, 3), V8],
  ['only holes', () => new Array(5), V8],
  ['many holes', () => new Array(500), V8],
  ['a sparse array', () => withProps([], { 999999999: 1, 5: { a: 1 } }), V8],
  ['an array with named members', () => withProps([1, 2], { name: 'x', '-1': 1 }), V8],
  ['an array with a hole and a named member', () => withProps(holed([1, 2, 3], 1), { name: 'x' }), V8],
  ['a hidden element and a named member', () => withProps(Object.defineProperty([1, 2], 0, { enumerable: false }), { x: 1 }), V8],
  ['a match of a RegExp', () => /(?<letter>b)/d.exec('abc'), V8],
  ['a long array with named members', () => withProps(Array.from({ length: 100 }, () => ({})), { name: new Date(5) }), V8],
  ['own toJSON', () => ({ a: { toJSON: 1 } }), V8],
  ['hidden toJSON', () => Object.defineProperty({ a: 1 }, 'toJSON', { value: () => 1 }), V8],
  ['toJSON of an array', () => [Object.defineProperty([1], 'toJSON', { value: () => 1 })], V8],
  ['shared references', () => ({ a: shared, b: [shared, shared] }), V8],
  ['cyclic references', cyclic, V8],
  ['1,000 deep', () => deep(1000), V8],
  ['17 deep', () => deep(17), V8],
  ['16 deep', () => deep(16), JSON_TEXT],
  ['a huge flat array', () => Array.from({ length: 200_000 }, (_, i) => i), V8],
  ['a huge array of records', () => Array.from({ length: 5000 }, (_, id) => ({ id, name: `n${id}`, tags: ['a'] })), V8],
  ['a huge object', () => Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i])), V8],
  ['a long text inside', () => ({ text: 'a'.repeat(5000) }), V8],
  ['long keys', () => ({ ['k'.repeat(5000)]: true, b: '' }), V8],
  ['a dense graph', () => {
    const all = Array.from({ length: 40 }, (_, id) => ({ id, links: [] }))
    for (const { links } of all) links.push(...all)
    return all[0]
  }, V8],
  ['doubling', () => {
    let value = [1]
    for (let i = 0; i < 40; i++) value = [value, value]
    return value
  }, V8],
  // Classes of the user.
  ['a class instance', () => new Point(1), JSON_TEXT],
  ['a class instance inside', () => [new Point(1), { p: new Point(new Map([[1, new Point(2)]])) }], V8],
  ['a subclass of Array', () => Lines.from(['a', 'b']), V8],
  ['Object.prototype itself', () => Object.prototype, JSON_TEXT],
  ['a prototype', () => Map.prototype, JSON_TEXT],
  ['a prototype without a prototype', () => Object.create({ __proto__: null, inherited: 1 }), JSON_TEXT],
  ['an object of another realm', () => vm.runInNewContext('({ a: [1, { b: new Date(1) }], m: new Map([[1, {}]]) })'), V8],
  ['Math', () => Math, JSON_TEXT],
  ['process.env', () => process.env],
  ['a URL', () => new URL('http://a/'), node < 22 ? JSON_TEXT : undefined],
  // Getters.
  ['a getter', () => ({ get a() { return { b: 1 } } }), JSON_TEXT],
  ['a getter inside', () => [{ c: 1n, get a() { return new Map([[1, 2]]) } }], V8],
  ['a getter of an element', () => Object.defineProperty([1, 2], 0, { get: () => 5, enumerable: true }), JSON_TEXT],
  ['a getter that changes things', () => ({ get a() { this.b = 7; delete this.c; return 1 }, b: 1, c: 2 }), JSON_TEXT],
  ['a getter that gives a Blob', () => ({ get a() { return new SharedArrayBuffer(8) } }), POSTED],
  ['a getter in a Map', () => new Map([[{ get a() { return 1 } }, 1]]), V8],
  ['a hidden getter', () => Object.defineProperty({ a: 1 }, 'b', { get() { throw new Error('run') } }), JSON_TEXT],
  // Objects of the language.
  ['a Date', () => new Date(1e12), V8],
  ['an invalid Date', () => new Date(Number.NaN), V8],
  ['a Date with members', () => [withProps(new Date(1), { a: 1 })], V8],
  ['a RegExp with lastIndex', () => withProps(/a\/[b]/dgimsuy, { lastIndex: 3 }), V8],
  ['a Map', () => new Map([['a', 1], [{ k: 1 }, new Map([[Number.NaN, -0]])]]), V8],
  ['a cyclic Map', () => { const map = new Map(); map.set(map, [map]).set('v', map); return map }, V8],
  ['a Set', () => new Set([1, 'a', { x: new Set() }, undefined]), V8],
  ['a cyclic Set', () => { const set = new Set(); set.add(set).add([set]); return { set } }, V8],
  ['a Map with members', () => withProps(new Map([[1, 2]]), { a: 1 }), V8],
  ['a subclass of Map', () => new (class Dictionary extends Map {})([[1, new Point(1)]]), V8],
  ['boxed primitives', () => [Object(1), Object(-0), Object('a'), Object(true), Object(5n), Object('\ud800')], V8],
  ['a boxed string with members', () => withProps(Object('ab'), { x: 1 }), V8],
  ...errors.map((Kind) => [Kind.name, () => new Kind('m'), V8]),
  ['an error with cause and members', () => withProps(new Error('m', { cause: new TypeError('c') }), { code: 'E', fn() {} }), V8],
  ...(node < 22 ? [] : [['an error that is its own cause', () => { const error = new Error('m'); error.cause = { error }; return error }, V8]]),
  ['an error with undefined cause', () => [new Error('m', { cause: undefined })], V8],
  ['an error with a getter as cause', () => Object.defineProperty(new Error('m'), 'cause', { get: () => 5 })],
  ['an error whose cause is an instance', () => new Error('m', { cause: new Point(1) }), V8],
  ['an error without stack', () => withProps(new Error('m'), { stack: undefined }), V8],
  ['an AggregateError', () => new AggregateError([new Error('a'), 5], 'm'), V8],
  ['an error of a class of the user', () => new Failure('m'), V8],
  ['an error with a name', () => withProps(new Error('m'), { name: 'TypeError' }), V8],
  ['an error that is none', () => Object.create(Error.prototype), JSON_TEXT],
  ['a DOMException', () => new DOMException('m', 'AbortError'), node < 22 ? JSON_TEXT : POSTED],
  // Prototypes that lie.
  ['a Map that looks plain', () => prototypeOf(new Map([[1, 2]]), Object.prototype), V8],
  ['a Date that looks plain', () => [prototypeOf(new Date(1), null)], V8],
  ['an array that looks plain', () => prototypeOf([1, 2], null), V8],
  ['an array that looks like a Map', () => prototypeOf([1, 2], Map.prototype), V8],
  ['bytes that look plain', () => prototypeOf(new Uint8Array(4), Object.prototype)],
  ['an object that looks like an array', () => prototypeOf({ 0: 1, length: 1 }, Array.prototype), JSON_TEXT],
  ['an object that looks like a Date', () => Object.create(Date.prototype), JSON_TEXT],
  // Memory.
  ...VIEWS.flatMap((Kind) => [
    [`a whole ${Kind.name}`, () => new Kind(bytes(32)), PLAIN],
    [`an empty ${Kind.name}`, () => new Kind(0), V8],
    [`a ${Kind.name} with offset`, () => new Kind(bytes(64), 8, 3), V8],
    [`a ${Kind.name} with offset to the end`, () => new Kind(bytes(64), 16), V8],
    [`a ${Kind.name} inside`, () => ({ a: new Kind(bytes(16)) }), V8],
    [`a ${Kind.name} of resizable memory`, () => new Kind(bytes(16, { maxByteLength: 64 }), 8, 1), V8],
    [`a ${Kind.name} that tracks its length`, () => new Kind(bytes(16, { maxByteLength: 64 })), V8],
  ]),
  ['a DataView', () => new DataView(bytes(16)), V8],
  ['a DataView with offset', () => new DataView(bytes(16), 3, 5), V8],
  ['a DataView that tracks its length', () => new DataView(bytes(16, { maxByteLength: 32 }), 2), V8],
  ['an ArrayBuffer', () => bytes(20), V8],
  ['an ArrayBuffer without bytes', () => [new ArrayBuffer(0)], V8],
  ['a resizable ArrayBuffer', () => bytes(8, { maxByteLength: 16 }), V8],
  ['views that share memory', sharing, V8],
  ['64 KiB less one', () => new Uint8Array(bytes(65535)), PLAIN],
  ['64 KiB', () => new Uint8Array(bytes(65536)), V8],
  ['bytes with members', () => withProps(new Uint8Array(bytes(4)), { name: 'x' }), PLAIN],
  ['a subclass of Uint8Array', () => new Bytes(bytes(8)), V8],
  ['a whole Buffer', () => Buffer.from(bytes(8)), PLAIN],
  ['a Buffer over a part', () => Buffer.from(bytes(8), 2, 3), V8],
  ['a pooled Buffer inside', () => [pooled], V8],
  ['bytes that say what they are not', () => Object.defineProperties(new Uint8Array(bytes(8)), {
    buffer: { value: 1 }, byteLength: { value: 2 }, [Symbol.toStringTag]: { value: 'Int8Array' } }), PLAIN],
  // Of the platform.
  ['shared memory', () => new SharedArrayBuffer(8), POSTED],
  ['growable shared memory', () => ({ a: new SharedArrayBuffer(8, { maxByteLength: 16 }) }), POSTED],
  ['a view of shared memory', () => new Uint8Array(new SharedArrayBuffer(8), 2, 3), POSTED],
]

/** Of the platform: what arrives is compared by what it is. */
// biome-ignore format: a case a line
const PLATFORM = [
  ['a Blob', () => new Blob(['x'])],
  ['a Blob with members', () => Object.assign(new Blob(['x']), { path: 'p' })],
  ['a Blob inside', () => new Map([[1, { blob: new Blob(['x']) }]])],
  ['a Blob in a getter', () => ({ get a() { return new Blob(['x']) } })],
  ['a Blob in a long array', () => [...new Array(200).fill(0), new Blob(['x'])]],
  ['a KeyObject', () => createSecretKey(Buffer.from('key'))],
  ['a CryptoKey', () => webcrypto.subtle.importKey('raw', new Uint8Array(16), 'AES-GCM', true, ['encrypt'])],
  ['a BlockList', () => new BlockList()],
  ['a SocketAddress', () => ({ a: new SocketAddress() })],
  ['a WebAssembly.Module', () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))],
]

/** What structuredClone refuses. */
// biome-ignore format: a case a line
const REFUSED = [
  ['a function', () => () => 1],
  ['a class', () => Point],
  ['a symbol', () => Symbol('s')],
  ['a function inside', () => ({ a: [1, { b() {} }] })],
  ['a function in a long array', () => [...new Array(500).fill(1), () => 1]],
  ['a symbol in a Map', () => new Map([[1, Symbol('s')]])],
  ['a boxed symbol', () => [Object(Symbol('s'))],],
  ['a proxy', () => new Proxy({ a: 1 }, {})],
  ['a proxy of an array', () => ({ a: new Proxy([1], {}) })],
  ['a proxy with traps', () => [new Proxy({}, { get: assert.fail, ownKeys: assert.fail, getPrototypeOf: assert.fail, has: assert.fail })]],
  ['a revoked proxy', () => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return { proxy } }],
  ['a proxy in a Set', () => new Set([new Proxy({}, {})])],
  ['a promise', () => Promise.resolve(1)],
  ['a promise inside', () => ({ a: Promise.resolve(1) })],
  ['a WeakMap', () => new WeakMap()],
  ['a WeakSet', () => [new WeakSet()]],
  ['a WeakRef', () => new WeakRef({})],
  ['a generator', () => (function* () {})()],
  ['arguments', () => args(1, 2)],
  ['arguments inside', () => ({ a: args() })],
  ['a module', () => import('./same.mjs').then((module) => [module])],
  ['globalThis', () => globalThis],
  ['a detached buffer', () => { const b = new ArrayBuffer(8); structuredClone(b, { transfer: [b] }); return b }],
  ['a view of a detached buffer', () => { const v = new Uint8Array(8); structuredClone(v.buffer, { transfer: [v.buffer] }); return v }],
  ['WebAssembly.Memory', () => new WebAssembly.Memory({ initial: 1 })],
  ['a formatter', () => ({ a: new Intl.NumberFormat() })],
  ['shared memory beside a function', () => ({ a: new SharedArrayBuffer(8), b() {} })],
  ['a getter that throws', () => ({ get a() { throw new RangeError('mine') } })],
  ['a getter that throws null', () => Object.defineProperty({}, 'a', { get: throwNull, enumerable: true })],
  ['a getter inside that throws', () => new Map([[1, [{ get a() { throw new RangeError('mine') } }]]])],
  ['a getter that gives a function', () => ({ get a() { return () => 1 } })],
  ['5,000 deep', () => deep(5000)],
  ['100,000 deep', () => deep(100_000)],
  ...(JSON.rawJSON === undefined ? [] : [['raw JSON', () => ({ a: JSON.rawJSON('12') })]]),
  ...(node < 22 ? [] : [['headers', () => [new Headers()]], ['a URL', () => ({ url: new URL('http://a/') })]]),
  ...(threads.markAsUncloneable === undefined
    ? []
    : [['marked', () => { const point = new Point(1); threads.markAsUncloneable(point); return [point] }]]),
]

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
      const codecs = [0, 0, 0, 0]
      for (let seed = 1; seed <= 1000; seed++) {
        const expected = structuredClone(generate(random(seed), simple))
        const value = generate(random(seed), simple)
        codecs[encode(generate(random(seed), simple)).codec]++
        try {
          const actual = cross(value)
          // The stacks name lines of this test, once for each value made.
          same(actual, expected)
        } catch (error) {
          error.message = `seed ${seed}: ${error.message}`
          throw error
        }
      }
      assert.ok(codecs[PLAIN] > 50 && codecs[simple ? JSON_TEXT : V8] > 250, `ways taken: ${codecs}`)
      assert.equal(codecs[POSTED], 0)
    })
  }
})
