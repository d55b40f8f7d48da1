// Plain values as numbers (F1 and F2 in lib/flat.ts), on one thread. Values of all kinds are in codec.test.mjs.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import process from 'node:process'
import { describe, test } from 'node:test'
import { same } from '../helpers/same.mjs'
import { PLATFORM, TABLE } from '../helpers/values.mjs'

const FLAT = createRequire(import.meta.url).resolve('../../dist/flat.js')
const { MOST_WORDS, read, write, written } = createRequire(import.meta.url)(FLAT)

/** Writes and reads; `undefined` for what is not written. */
function cross(value) {
  // One that can be written, for after many that cannot it is hardly tried any more.
  assert.ok(write([]) > 0)
  const count = write(value)
  return count < 0 ? undefined : read(written.slice(0, count), 0)
}

describe('what is written is read as structuredClone would give it', () => {
  for (const [title, make] of [...TABLE, ...PLATFORM]) {
    test(title, () => {
      const value = make()
      if (typeof value !== 'object' || value === null) return
      const result = cross(value)
      if (result !== undefined) same(result, structuredClone(make()))
    })
  }

  const values = {
    'numbers at the edges of integers': [
      0,
      1,
      2 ** 26 - 1,
      2 ** 26,
      2 ** 31,
      2 ** 32,
      2 ** 53,
      -1,
      -0,
      0.5,
      NaN,
      -Infinity,
    ],
    'texts of every length to 12': Array.from({ length: 13 }, (_, length) =>
      'äöü€\ud83d\ude00abcxyz!'.slice(0, length),
    ),
    'units of all sizes': '\0\u0001\u7fff\u8000\uffff\ud800 \udfff'.split(' '),
    'undefined and null members': { a: undefined, b: null, c: [undefined, null] },
    'a property called __proto__': JSON.parse('{"__proto__": {"a": 1}, "b": {"__proto__": 2}}'),
    'names that are indices': { b: 1, 1: 2, 0: 3, a: 4 },
    'names that have to be quoted': { '"': 1, '\\': 2, '\n': 3, '\u2028': 4, '`$': 5, 'a b': 6, '': 7 },
    'the same names in another order': [
      { a: 1, b: 2 },
      { b: 1, a: 2 },
    ],
    'a name and a longer list of names': [{ a: 1 }, { a: 1, b: 2 }, { a: 1, c: 3 }, { a: 1 }],
  }
  const shared = { a: 1 }
  const list = [shared, new Date(5)]
  Object.assign(values, {
    'an object that is there twice': [shared, { list, shared }, list],
    'an object that is there twice in a map, a set and an array': {
      map: new Map([[list, new Set([shared, list])]]),
      list,
    },
    'an array before what holds it': [[list], list, [list, { list }], shared],
    'dates, one of them invalid': [new Date(0), new Date(1_700_000_000_123), new Date(-1), new Date(Number.NaN)],
    'maps and sets': new Map([
      ['a', new Map([[1, new Set(['x', -0, undefined, null])]])],
      [new Set(), new Map()],
      [0n, { b: new Set([[1], [2]]) }],
    ]),
    'bigints at the edges': [0n, 1n, -1n, 2n ** 32n, -(2n ** 32n), 2n ** 63n, -(2n ** 63n), 2n ** 64n - 1n],
    'a date, a map and a set with properties': [new Date(1), new Map([[1, 2]]), new Set([3])].map((value) =>
      Object.defineProperty(Object.assign(value, { a: 1, getTime: 8 }), 'size', { value: 7 }),
    ),
  })
  for (const [title, value] of Object.entries(values)) {
    test(title, () => {
      const result = cross(value)
      assert.notEqual(result, undefined)
      same(result, structuredClone(value))
    })
  }

  test('texts that come again, and are shared then', () => {
    for (let round = 0; round < 4; round++) same(cross(['tag', 'täg', '\ud83d\ude00']), ['tag', 'täg', '\ud83d\ude00'])
    for (let round = 0; round < 4; round++) same(cross(['\ud83d']), ['\ud83d'])
  })
})

describe('what cannot be told exactly is not written', () => {
  const circular = {}
  circular.self = circular
  const withHole = () => {
    const array = [1]
    array[2] = 3
    return array
  }
  const deep = (depth) => (depth === 0 ? 1 : [deep(depth - 1)])
  const values = {
    'one that is within itself': circular,
    'an array with a hole': withHole(),
    'an array with a property': Object.assign([1], { a: 1 }),
    'an array with a hole and a property': Object.assign(withHole(), { a: 1 }),
    'an array of another class': new (class extends Array {})(),
    'an object of a class': Object.assign(new (class {})(), { a: 1 }),
    'an object without prototype': Object.create(null),
    'a function': [() => {}],
    'a symbol': { a: Symbol('a') },
    'a bigint of more than 64 bits': { a: 2n ** 64n },
    'a map that is within itself': (() => {
      const map = new Map()
      return map.set('self', [map])
    })(),
    'a map with too many entries': new Map(Array.from({ length: 65 }, (_, index) => [index, index])),
    'a map with a function': new Map([['f', () => {}]]),
    'a map of another class': new (class extends Map {})(),
    'a date of another class': new (class extends Date {})(),
    'what is said to be a map': Object.setPrototypeOf({}, Map.prototype),
    'what is said to be a set': Object.setPrototypeOf({}, Set.prototype),
    'what is said to be a date': Object.setPrototypeOf({ a: 1 }, Date.prototype),
    'an array that is said to be plain': [Object.setPrototypeOf([1], Object.prototype)],
    'a proxy': [new Proxy({}, {})],
    'a date that is said to be plain': [Object.setPrototypeOf(new Date(), Object.prototype)],
    'too many members': Array.from({ length: 65 }, (_, index) => index),
    'a value that is too long': Array.from({ length: 60 }, () => 'x'.repeat(100)),
    'one that is too deep': deep(30),
  }
  for (const [title, value] of Object.entries(values)) test(title, () => assert.equal(cross(value), undefined))

  test('nothing while all objects have another property', () => {
    Object.prototype.extra = 1
    try {
      assert.equal(write({ a: 1 }), -1)
    } finally {
      delete Object.prototype.extra
    }
  })

  test('nothing within a getter of a value that is being written', () => {
    const inner = []
    const value = {
      get a() {
        inner.push(write({ b: 1 }))
        return 1
      },
      c: 2,
    }
    same(cross(value), { a: 1, c: 2 })
    assert.deepEqual(inner, [-1])
  })
})

test('a getter is called once', () => {
  let calls = 0
  const value = {
    get a() {
      return ++calls
    },
  }
  same(cross(value), { a: 1 })
  assert.equal(calls, 1)
})

test('maps and sets are written as they were, whatever a getter does to them', () => {
  const make = () => {
    const map = new Map()
    map.set('first', {
      get a() {
        map.set('second', 7).set('third', 3)
        return map.size
      },
    })
    return map.set('second', 2)
  }
  same(cross(make()), structuredClone(make()))
  const members = () => {
    const set = new Set()
    set.add({
      get a() {
        set.delete('b')
        return set.add('c').size
      },
    })
    return set.add('b')
  }
  same(cross(members()), structuredClone(members()))
})

test('what a getter throws is thrown, and the next value is written', () => {
  const error = new Error('no')
  const value = {
    get a() {
      throw error
    },
  }
  assert.throws(() => write(value), error)
  same(cross({ a: 1 }), { a: 1 })
})

test('any number of shapes and texts', () => {
  for (let index = 0; index < 10_000; index++) {
    const value = { [`name${index}`]: `text ${index}`, again: `again ${index % 5000}` }
    const result = cross(value)
    if (result !== undefined) same(result, value)
  }
  const values = { name: 'a shape and a text that come late' }
  for (let round = 0; round < 3; round++) cross(values)
  same(cross([values.name.slice(0, 5)]), ['a sha'])
})

test('the longest value', () => {
  // A word for the length, one for the array, and one for each element.
  const rows = Array.from({ length: 7 }, () => Array.from({ length: 64 }, (_, index) => index))
  same(cross(rows), rows)
  rows.push(Array.from({ length: MOST_WORDS }, (_, index) => index))
  assert.equal(cross(rows), undefined)
})

test('where code may not be made of strings', () => {
  const script = `
    const { read, write, written } = require(${JSON.stringify(FLAT)})
    const value = JSON.parse('{"a":[1,{"b":"x"}],"__proto__":{"c":true}}')
    const count = write(value)
    const result = read(written.slice(0, count), 0)
    console.log(JSON.stringify(result), Object.getPrototypeOf(result) === Object.prototype)`
  const { stdout, stderr } = spawnSync(process.execPath, ['--disallow-code-generation-from-strings', '-e', script], {
    encoding: 'utf8',
  })
  assert.equal(stdout, '{"a":[1,{"b":"x"}],"__proto__":{"c":true}} true\n', stderr)
})
