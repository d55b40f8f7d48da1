// Users patch what the language gives (fake timers, polyfills); what values are read and written with is loaded after them, and
// has to be made of what was there before (lib/builtins.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'

/** An entry module that does something to the language with its first task, and gives back its inputs. */
const entry = (change) =>
  `data:text/javascript,${encodeURIComponent(`const require = (name) => process.getBuiltinModule(name)
  export default (input) => {
    if (input === 'throw') throw new TypeError('wanted')
    if (input === 1) { ${change} }
    return input
  }`)}`

const REPLACES = `
  const wrong = () => { throw new Error('it was called') }
  class FakeDate extends Date { constructor() { super(0) } }
  // As a polyfill where there is none.
  const fakes = { Date: FakeDate, Float16Array: class extends Uint8Array {}, structuredClone: wrong, RegExp: wrong, DOMException: wrong }
  Object.assign(globalThis, fakes, { JSON: { stringify: wrong, parse: wrong } })
  Object.assign(ArrayBuffer, { isView: wrong })
  Object.assign(String.prototype, { charCodeAt: wrong, isWellFormed: wrong })
  Object.assign(Map.prototype, { forEach: wrong })
  Object.assign(Date.prototype, { getTime: wrong })
  Object.assign(Buffer.prototype, { latin1Slice: wrong, ucs2Slice: wrong, ucs2Write: wrong, utf8Write: wrong })
  Object.assign(Object.getPrototypeOf(Uint8Array.prototype), { set: wrong, slice: wrong, subarray: wrong })
  Object.defineProperty(Object.getPrototypeOf(Uint8Array.prototype), 'buffer', { get: wrong })`

const VALUES = {
  date: new Date(1_700_000_000_000),
  map: new Map([['a', { b: 1 }]]),
  set: new Set(['one', 2]),
  pattern: /a+/gi,
  bytes: Uint8Array.of(1, 2, 3),
  'floats of 16 bits': (globalThis.Float16Array ?? Float32Array).of(1, 0.5),
  'a part of memory': { part: new Uint16Array(8).subarray(2, 4) },
  memory: [new ArrayBuffer(8)],
  'a Buffer': [Buffer.alloc(3, 'x')],
  'a view': { view: new DataView(new ArrayBuffer(8), 2, 4) },
  text: '\ud800 and some more',
  'long texts': ['ASCII '.repeat(20), 'Wörter '.repeat(20)],
  'more bytes': [new Uint8Array(100).fill(5)],
  'an error in a value': [new RangeError('far', { cause: new SyntaxError('near') })],
  'a large integer': 2n ** 70n,
  'a cycle': (() => {
    const object = { name: 'x' }
    object.self = object
    return object
  })(),
  error: new RangeError('far'),
}

/** Has a value cross as the first one of a worker, after that change. */
async function cross(value, change) {
  const pool = new WorkerPool(entry(change), { maxWorkers: 1 })
  try {
    assert.equal(await pool.run(1), 1)
    assert.deepEqual(await pool.run(value), structuredClone(value))
    await assert.rejects(pool.run('throw'), new TypeError('wanted'))
  } finally {
    await pool.close()
  }
}

for (const [title, value] of Object.entries(VALUES)) {
  test(`${title}: the same when a task has replaced what it is made with`, () => cross(value, REPLACES))
}

test('errors and values have their classes after the names of those have changed', async () => {
  const change = `for (const Class of [TypeError, RangeError]) Object.defineProperty(Class, 'name', { value: 'Other' })`
  for (const value of [VALUES.error, VALUES['an error in a value']]) await cross(value, change)
})

test('inputs cross where somebody has replaced a method of typed arrays', async () => {
  const prototype = Object.getPrototypeOf(Uint8Array.prototype)
  const { slice } = prototype
  const pool = new WorkerPool(entry(''), { maxWorkers: 1 })
  try {
    prototype.slice = () => new Float64Array(4)
    const numbers = Array.from({ length: 700 }, (_, index) => index / 2)
    for (const options of [undefined, { priority: 1 }])
      for (const value of ['some text', { some: 'object' }, numbers])
        assert.deepEqual(await pool.run(value, options), value)
  } finally {
    prototype.slice = slice
    await pool.close()
  }
})

/** What hardening, browser-like environments and mocks do. */
const CHANGES = {
  'freezes prototypes':
    'for (const { prototype } of [Map, Set, WeakMap, Array, Object, Date]) Object.freeze(prototype)',
  'takes Buffer away': 'delete globalThis.Buffer',
  'replaces classes': `Object.assign(globalThis, { Float64Array: undefined, WeakMap: undefined, WeakSet: undefined, Map: undefined, Set: undefined })`,
  'replaces functions of Object': `const wrong = () => { throw new Error('it was called') }
    Object.assign(Object, { defineProperty: wrong, entries: wrong, getPrototypeOf: wrong, keys: wrong })`,
  'replaces util.types': `for (const name of Object.keys(require('node:util').types)) {
      try { require('node:util').types[name] = () => { throw new Error('it was called') } } catch {}
    }`,
  'replaces how modules are loaded': `const wrong = () => { throw new Error('it was called') }
    const [fs, loader] = [require('node:fs'), require('node:module')]
    fs.readFileSync = wrong
    Object.assign(loader, { _load: wrong, _resolveFilename: wrong })`,
}

for (const [title, change] of Object.entries(CHANGES)) {
  test(`values cross when a task ${title}`, async () => {
    for (const value of Object.values(VALUES)) await cross(value, change)
  })
}

/** As classes of libraries are that replace the global: what async functions give is none of them. */
const OTHER_PROMISE = `
  const Native = Promise
  globalThis.Promise = class Other {
    constructor(executor) { this.native = new Native(executor) }
    then(...given) { return new Other((resolve) => resolve(this.native.then(...given))) }
    catch(given) { return this.then(undefined, given) }
    finally(given) { return new Other((resolve) => resolve(this.native.finally(given))) }
    static resolve(value) { return new Other((resolve) => resolve(value)) }
    static reject(reason) { return new Other((_, reject) => reject(reason)) }
  }`

const LATE = (change) =>
  `data:text/javascript,${encodeURIComponent(`
  const later = () => new Promise((resolve) => setImmediate(resolve))
  const [Before, soon] = [Promise, () => new Before((resolve) => setImmediate(resolve))]
  export default async (input, client) => {
    await soon()
    if (input === 'change') { ${change} }
    if (input === 'fail') throw new RangeError('wanted')
    if (input === 'other') return later().then(() => 'of the other class')
    if (input === 'nested') return client.run('same')
    return input
  }`)}`

const LATE_CHANGES = {
  'another class of promises': OTHER_PROMISE,
  'a queueMicrotask that calls nobody': 'globalThis.queueMicrotask = () => {}',
}

for (const [what, change] of Object.entries(LATE_CHANGES)) {
  test(`tasks that end later end as they did, with ${what}`, async () => {
    const pool = new WorkerPool(LATE(change), { maxWorkers: 1 })
    for (const input of ['change', 'same', { same: true }]) assert.deepEqual(await pool.run(input), input)
    assert.equal(await pool.run('other'), 'of the other class')
    assert.equal(await pool.run('nested'), 'same')
    await assert.rejects(pool.run('fail'), new RangeError('wanted'))
    await pool.close()
  })
}

test('so do those of the thread that owns the pool, whose promises are those of the language', async () => {
  const source = `
    ${OTHER_PROMISE}
    const { WorkerPool } = await import('threadmill')
    const pool = new WorkerPool('data:text/javascript,export default async (input) => { await null; return input }', { maxWorkers: 1 })
    const run = pool.run(5, { mainThread: true })
    console.log(run instanceof Native, await run, await pool.run(5, { kernel: 'fib' }))
    const outputs = []
    for await (const output of pool.map([1, 2], { mainThread: true })) outputs.push(output)
    console.log(outputs.join())
    await pool.close()`
  const { code, stdout, stderr } = await runProgram(source)
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'true 5 5\n1,2\n', stderr: '' })
})
