// Values that may cross between threads, by title, as functions that make them: what structuredClone copies, what only the
// platform can copy, and what is refused. For tests of the codec, and of what arrives through a pool.
import assert from 'node:assert/strict'
import { createHmac, createSecretKey, webcrypto } from 'node:crypto'
import { createRequire } from 'node:module'
import { BlockList, SocketAddress } from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import vm from 'node:vm'
import * as threads from 'node:worker_threads'

const { PLAIN, JSON_TEXT, V8, POSTED } = createRequire(import.meta.url)('../../dist/codecs.js')
const node = Number.parseInt(process.versions.node, 10)

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
export class Point {
  #secret = 1
  constructor(x) {
    this.x = x
  }
  get secret() {
    return this.#secret
  }
}
/** Holds two values, whatever they are. */
export class Pair {
  constructor(x, y) {
    this.x = x
    this.y = y
  }
  get sum() {
    return this.x + this.y
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
export const TABLE = [
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
  ['252 units, each of two bytes as UTF-8', () => 'é'.repeat(252), PLAIN],
  ['Latin-1 text', () => 'é'.repeat(5000), PLAIN],
  ['text of two bytes', () => 'é€😀'.repeat(5000), PLAIN],
  ['text that was put together', () => Array.from({ length: 600 }, (_, at) => (at % 9 ? 'é' : '日')).reduce((all, one) => all + one), PLAIN],
  ['a part of text', () => 'é€😀'.repeat(5000).slice(3, 9001), PLAIN],
  ['252 units with a lone surrogate', () => `${'x'.repeat(251)}\ud800`, V8],
  ['253 units with a lone surrogate', () => `\udc00${'x'.repeat(252)}`, PLAIN],
  ['long text with lone surrogates', () => `\udc00${'é€'.repeat(3000)}\ud800x`, PLAIN],
  ['0n', () => 0n, PLAIN],
  ['the largest plain bigint', () => 2n ** 64n - 1n, PLAIN],
  ['the smallest plain bigint', () => -(2n ** 63n), PLAIN],
  ['-(2n ** 63n) - 1n', () => -(2n ** 63n) - 1n, V8],
  ['2n ** 64n', () => 2n ** 64n, V8],
  ['-(2n ** 64n)', () => -(2n ** 64n), V8],
  ['a huge bigint', () => -(7n ** 4000n), V8],
  // Plain objects and arrays.
  ['{}', () => ({}), JSON_TEXT],
  ['[]', () => [], JSON_TEXT],
  ['a small object', () => ({ id: 1, name: 'x', tags: ['a', 'b'], nested: { x: 1.5 } }), JSON_TEXT],
  ['strings in need of escapes', () => ['"\\\n\0\u2028', '日😀', '\ud800', { 'a"\udc00': '' }], JSON_TEXT],
  ['many records', () => Array.from({ length: 300 }, (_, id) => ({ id, v: id / 3, tags: ['a', 'b'] })), V8],
  ['many numbers', () => Array.from({ length: 5000 }, (_, at) => (at % 7) / 2), V8],
  ['many integers', () => ({ rows: [0, 1, 2].map((row) => Array.from({ length: 900 }, (_, at) => at - row)) }), V8],
  ['null and booleans', () => [null, true, { a: false, b: null }], JSON_TEXT],
  ['integer keys', () => ({ b: 1, 2: 2, a: 3, 1: 4, '-1': 5, '01': 6 }), JSON_TEXT],
  ['extreme numbers', () => [5e-324, 1.7976931348623157e308, 0.1, -1e21, 2 ** 53], JSON_TEXT],
  ['a null prototype', () => ({ __proto__: null, a: { __proto__: null, b: 1 } }), JSON_TEXT],
  ['a null prototype without names', () => ({ __proto__: null, a: { __proto__: null } }), V8],
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
  ['Object.prototype itself', () => Object.prototype, V8],
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
  ['64 KiB', () => new Uint8Array(bytes(65536)), PLAIN],
  ['a big Buffer', () => Buffer.from(bytes(70_000)), PLAIN],
  ['big doubles', () => new Float64Array(bytes(80_000)), PLAIN],
  ['a big DataView', () => [new DataView(bytes(70_000), 8, 100)], V8],
  ['big memory', () => ({ a: bytes(70_000) }), V8],
  ['big memory that grows', () => [new Uint8Array(new ArrayBuffer(70_000, { maxByteLength: 80_000 }))], V8],
  ['a part of big memory', () => new Uint16Array(bytes(70_000), 2, 5), V8],
  ['big memory that is there twice', () => {
    const memory = bytes(70_000)
    return new Map([['all', memory], ['part', new Int32Array(memory, 4, 10)], ['again', { memory }]])
  }, V8],
  ['an instance with big memory', () => new (class { data = new Uint8Array(bytes(70_000)) })(), V8],
  ['bytes with members', () => withProps(new Uint8Array(bytes(4)), { name: 'x' }), PLAIN],
  ['a subclass of Uint8Array', () => new Bytes(bytes(8)), V8],
  ['a whole Buffer', () => Buffer.from(bytes(8)), PLAIN],
  ['a Buffer over a part', () => Buffer.from(bytes(8), 2, 3), V8],
  ['bytes that say what they are not', () => Object.defineProperties(new Uint8Array(bytes(8)), {
    buffer: { value: 1 }, byteLength: { value: 2 }, [Symbol.toStringTag]: { value: 'Int8Array' } }), PLAIN],
  // Of the platform.
  ['shared memory', () => new SharedArrayBuffer(8), POSTED],
  ['growable shared memory', () => ({ a: new SharedArrayBuffer(8, { maxByteLength: 16 }) }), POSTED],
  ['a view of shared memory', () => new Uint8Array(new SharedArrayBuffer(8), 2, 3), POSTED],
]

/** Of the platform, with what shows that a copy works and does not only look right. */
// biome-ignore format: a case a line
export const PLATFORM = [
  ['a Blob', () => new Blob(['x']), (blob) => blob.text()],
  ['a Blob with members', () => Object.assign(new Blob(['x']), { path: 'p' }), (blob) => blob.text()],
  ['a Blob inside', () => new Map([[1, { blob: new Blob(['x']) }]]), (map) => map.get(1).blob.text()],
  ['a Blob in a getter', () => ({ get a() { return new Blob(['x']) } }), ({ a }) => a.text()],
  ['a Blob in a long array', () => [...new Array(200).fill(0), new Blob(['x'])], (list) => list[200].text()],
  ['a KeyObject', () => createSecretKey(Buffer.from('key')), (key) => createHmac('sha256', key).update('x').digest('hex')],
  ['a CryptoKey', () => webcrypto.subtle.importKey('raw', new Uint8Array(16), 'AES-GCM', true, ['encrypt']),
    async (key) => Buffer.from(await webcrypto.subtle.exportKey('raw', key)).toString('hex')],
  ['a BlockList', () => { const list = new BlockList(); list.addAddress('10.0.0.1'); return list }, (list) => list.rules],
  ['a SocketAddress', () => ({ a: new SocketAddress() }), ({ a }) => a.address],
  ['a Histogram', () => { const all = createHistogram(); all.record(5); return all }, (all) => all.max],
  ['a WebAssembly.Module', () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
    async (module) => String(await WebAssembly.instantiate(module))],
]

/** What structuredClone refuses. */
// biome-ignore format: a case a line
export const REFUSED = [
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
  ['a module', () => import('./child.mjs').then((module) => [module])],
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
