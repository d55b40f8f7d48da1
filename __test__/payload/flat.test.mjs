// Plain values as numbers (F1 and F2 in lib/flat.ts), on one thread. Values of all kinds are in codec.test.mjs.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import process from 'node:process'
import { describe, test } from 'node:test'
import * as threads from 'node:worker_threads'
import { cross, crossAgain, FLAT, FLAT_READ, MOST_WORDS, read, write, written } from '../helpers/flat.mjs'
import { canClone } from '../helpers/internals.mjs'
import { same } from '../helpers/same.mjs'
import { Pair, PLATFORM, TABLE } from '../helpers/values.mjs'

const { markAsUncloneable } = threads

const numbersTo = (length) => Array.from({ length }, (_, index) => index)

describe('what is written is read as structuredClone would give it', () => {
  for (const [title, make] of [...TABLE, ...PLATFORM]) {
    test(title, () => {
      // Errors know where they were made.
      const [value, other] = [1, 2].map(() => make())
      if (typeof value !== 'object' || value === null) return
      const result = cross(value)
      if (result !== undefined) same(result, structuredClone(other))
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
    'objects without properties': [{}, { a: {} }, [{}], new Map([[{}, {}]])],
    'objects without prototype': [Object.create(null), { a: Object.assign(Object.create(null), { b: { c: 1 } }) }],
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
      // Whether it is an object of another class only the engine can tell.
      if (title.startsWith('objects without') && !canClone()) return
      assert.notEqual(result, undefined)
      same(result, structuredClone(value))
    })
  }

  test('more properties than a shape tells', () => {
    const value = Object.fromEntries(numbersTo(90).map((index) => [`name${index}`, index]))
    // Until what a shape tells of them has a number.
    for (let round = 0; round < 20; round++) cross(value)
    const result = cross(value)
    assert.notEqual(result, undefined)
    same(result, structuredClone(value))
  })

  test('texts that come again, and are shared then', () => {
    for (let round = 0; round < 4; round++) same(cross(['tag', 'täg', '\ud83d\ude00']), ['tag', 'täg', '\ud83d\ude00'])
    for (let round = 0; round < 4; round++) same(cross(['\ud83d']), ['\ud83d'])
  })
})

/** Where the engine cannot be asked for names, long arrays are not looked through. */
function crossLong(value) {
  const result = cross(value)
  if (canClone() || result !== undefined) same(result, structuredClone(value))
}

describe('arrays of numbers', () => {
  const odd = [0.5, Number.NaN, -0, Infinity, 2 ** 31, -(2 ** 31) - 1, 2 ** 53]
  const values = {
    integers: numbersTo(10_000),
    'the least that are not written one by one': numbersTo(8),
    'one less': numbersTo(7),
    'the edges of integers': [...numbersTo(8), 2 ** 31 - 1, -(2 ** 31), -1],
    'of all kinds': [...numbersTo(10), ...odd],
    'a negative zero among integers': [...numbersTo(10), -0],
    'a negative zero at first': [-0, ...numbersTo(10)],
    'with something else at their end': [...numbersTo(100), ...odd, 'x'],
    'with something else among them': [...odd, 'x', ...numbersTo(20), null, undefined, true, 5n, ...odd, { a: [1] }],
    'after something else': ['x', ...numbersTo(20)],
    several: { a: numbersTo(20), b: { c: odd.concat(odd) }, d: [numbersTo(9), numbersTo(30)] },
    'undefined, which is there': [undefined, ...numbersTo(20), undefined],
    'twice the same': ((array) => [array, array, { array }])(numbersTo(20)),
    'within itself': ((array) => [array, { array }])(numbersTo(20)),
  }
  for (const [title, value] of Object.entries(values)) {
    test(title, () => crossLong(value))
  }

  test('getters are called once, and may change the array', () => {
    for (const at of [0, 5, 19]) {
      const make = () => {
        let calls = 0
        const array = numbersTo(20)
        Object.defineProperty(array, at, {
          enumerable: true,
          get() {
            array.push('more')
            return ++calls
          },
        })
        return array
      }
      same(cross(make()), structuredClone(make()))
    }
    const shrinks = numbersTo(20)
    Object.defineProperty(shrinks, 3, {
      enumerable: true,
      get() {
        shrinks.length = 10
        return 3
      },
    })
    assert.equal(cross(shrinks), undefined)
  })
})

describe('much', () => {
  const records = (count) => numbersTo(count).map((id) => ({ id, v: id / 3, ok: id % 2 === 0, tags: ['a', 'b'] }))
  const shared = { id: 1 }
  const values = {
    records: records(1000),
    'the same object far apart': [...records(100), shared, ...records(50), shared, { shared }],
    'each of them twice': ((list) => [...list, ...list])(records(100)),
    'an object that is there first and last': ((list) => [list[0], ...list, list[0]])(records(100)),
    'a map with many entries': new Map(numbersTo(500).map((index) => [index, { index }])),
    'a set of many objects': new Set(records(100)),
    'a cycle among many': ((list) => Object.assign(list[70], { list }) && list)(records(100)),
    'views among many objects': [...records(10), new Uint8Array(8).fill(3)],
    'a view and its memory, far apart': ((memory) => [...records(20), new Uint8Array(memory), ...records(70), memory])(
      new ArrayBuffer(4),
    ),
    'a few strings': [...records(100), ...numbersTo(40).map((index) => `a text of its own ${index}`)],
  }
  for (const [title, value] of Object.entries(values)) {
    test(title, () => {
      // What is within itself is expected after the first such value.
      cross(value)
      crossLong(value)
    })
  }
})

describe('what cannot be told exactly is not written', () => {
  const withHole = () => {
    const array = [1]
    array[2] = 3
    return array
  }
  const deep = (depth) => (depth === 0 ? 1 : [deep(depth - 1)])
  const detached = () => {
    const buffer = new ArrayBuffer(8)
    structuredClone(buffer, { transfer: [buffer] })
    return buffer
  }
  const values = {
    'an array with a hole': withHole(),
    'an array with a property': Object.assign([1], { a: 1 }),
    'an array with a hole and a property': Object.assign(withHole(), { a: 1 }),
    'an array of another class': new (class extends Array {})(),
    'an object of a class that is not known': Object.assign(new (class {})(), { a: 1 }),
    'a part of more than 2 KiB': [new Uint8Array(2049).subarray(2046)],
    'memory that is detached': [detached()],
    'memory that grows': [new ArrayBuffer(4, { maxByteLength: 8 })],
    'memory without bytes': [new ArrayBuffer(0)],
    'memory of another class': [new (class extends ArrayBuffer {})(4)],
    'what is said to be memory': [Object.setPrototypeOf({ a: 1 }, ArrayBuffer.prototype)],
    'a view that tracks its memory': [new Uint8Array(new ArrayBuffer(4, { maxByteLength: 8 }))],
    'shared memory': [new Uint8Array(new SharedArrayBuffer(4))],
    'more than 2 KiB': [new Uint8Array(2049)],
    'more than 320 bytes that make words that are no numbers': [new Uint8Array(321).fill(0xff)],
    'what is said to be a Buffer': [Object.setPrototypeOf(new Float64Array(2), Buffer.prototype)],
    'a DataView of another class': [new (class extends DataView {})(new ArrayBuffer(4))],
    'what is said to be a DataView': [Object.setPrototypeOf(new Uint8Array(4), DataView.prototype)],
    'a DataView that tracks its memory': [new DataView(new ArrayBuffer(4, { maxByteLength: 8 }), 1)],
    'a DataView of memory that grows': [new DataView(new ArrayBuffer(4, { maxByteLength: 8 }), 1, 2)],
    'a DataView of shared memory': [new DataView(new SharedArrayBuffer(4), 1)],
    'a DataView of a part of more than 2 KiB': [new DataView(new ArrayBuffer(2049), 8, 1)],
    'bytes of another class': [new (class extends Uint8Array {})(4)],
    'bytes that are said to be of another class': [Object.setPrototypeOf(new Uint8Array(8), Float64Array.prototype)],
    'what is said to be bytes': [Object.setPrototypeOf({ a: 1 }, Uint8Array.prototype)],
    'bytes of which nothing is left': ((view) => structuredClone(view.buffer, { transfer: [view.buffer] }) && [view])(
      new Uint8Array(8),
    ),
    'a module': threads,
    'what has no prototype and is another object': Object.assign(Object.setPrototypeOf(new Map([[1, 2]]), null), {
      p: 1,
    }),
    'raw JSON': JSON.rawJSON?.('1') ?? (() => {}),
    'arguments with a property': (function () {
      // biome-ignore lint/complexity/noArguments: that is what it is about
      return Object.assign(arguments, { x: 1 })
    })(),
    'a regular expression of another class': [new (class extends RegExp {})('x')],
    'what is said to be a regular expression': [Object.setPrototypeOf({ a: 1 }, RegExp.prototype)],
    'a regular expression whose text can be neither copied nor taken apart': [new RegExp('\u7ffb'.repeat(300))],
    'more text than is copied': ['x'.repeat(8193)],
    'a function': [() => {}],
    'a symbol': { a: Symbol('a') },
    'a bigint of more than 64 bits': { a: 2n ** 64n },
    'a map with too many entries': new Map(Array.from({ length: MOST_WORDS }, (_, index) => [index, index])),
    'an array of numbers with a hole': ((array) => delete array[7] && array)(numbersTo(20)),
    'an array of numbers with a hole at its end': ((array) => delete array[19] && array)(numbersTo(20)),
    'an array of objects with a hole': ((array) => delete array[7] && array)(
      Array.from({ length: 20 }, () => ({ a: 1 })),
    ),
    'an array of numbers with a property': Object.assign(numbersTo(100), { a: 1 }),
    'an array of numbers with a hole, of many': ((array) => delete array[7] && array)(numbersTo(100)),
    'an array of numbers with a hole at the end, of many': ((array) => delete array[99] && array)(numbersTo(100)),
    'an array of objects with a hole, of many': ((array) => delete array[7] && array)(
      Array.from({ length: 100 }, () => ({ a: 1 })),
    ),
    'an array with an element that is not enumerable': Object.defineProperty(numbersTo(64), 3, { enumerable: false }),
    'an array of many objects with a property': Object.assign(
      Array.from({ length: 100 }, () => ({ a: 1 })),
      { '': 1 },
    ),
    'an array of objects with a property': Object.assign(
      Array.from({ length: 20 }, () => ({ a: 1 })),
      { '': 1 },
    ),
    'an array of numbers of another class': new (class extends Array {})(...numbersTo(20)),
    'numbers and a function': [...numbersTo(20), () => {}],
    'much text': Array.from({ length: 100 }, (_, index) => `a text of its own ${index}`),
    'many views': Array.from({ length: 70 }, () => new Int16Array(1)),
    'many views that have no buffer, and another one': [
      Array.from({ length: 70 }, () => new Uint8Array(4)),
      new Int16Array(1),
    ],
    'a map with a function': new Map([['f', () => {}]]),
    'a map of another class': new (class extends Map {})(),
    'a date of another class': new (class extends Date {})(),
    'what is said to be a map': Object.setPrototypeOf({}, Map.prototype),
    'what is said to be a set': Object.setPrototypeOf({}, Set.prototype),
    'what is said to be a date': Object.setPrototypeOf({ a: 1 }, Date.prototype),
    'an array that is said to be plain': [Object.setPrototypeOf([1], Object.prototype)],
    'a proxy': [new Proxy({}, {})],
    'too many elements': numbersTo(MOST_WORDS),
    'a value that is too long': [numbersTo(8000), numbersTo(8000), numbersTo(8000)],
    'too many objects': Array.from({ length: 5000 }, () => ({ a: 1 })),
    'one that is too deep': deep(30),
  }
  for (const [title, value] of Object.entries(values)) test(title, () => assert.equal(cross(value), undefined))

  const disguised = {
    'a date': () => new Date(),
    'a map': () => new Map(),
    'a set': () => new Set(),
    'an iterator of a map': () => new Map().keys(),
    'an iterator of a set': () => new Set().keys(),
    'a number': () => Object(1),
    'a string': () => Object(''),
    'a string of some units': () => Object('ab'),
    'bytes that there are': () => new Uint8Array(2),
    'a symbol': () => Object(Symbol('a')),
    'a bigint': () => Object(1n),
    'a boolean': () => Object(true),
    'an error': () => new Error('x'),
    'a pattern': () => /x/,
    'a promise': () => Promise.resolve(),
    'a generator': () => (function* () {})(),
    memory: () => new ArrayBuffer(4),
    'shared memory': () => new SharedArrayBuffer(4),
    bytes: () => new Uint8Array(0),
    'a weak map': () => new WeakMap(),
    'a weak set': () => new WeakSet(),
    'a module of WebAssembly': () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
    'memory of WebAssembly': () => new WebAssembly.Memory({ initial: 0 }),
    arguments: () =>
      (function () {
        // biome-ignore lint/complexity/noArguments: that is what it is about
        return arguments
      })(),
    'an object of the platform': () => {
      const { port1 } = new threads.MessageChannel()
      port1.close()
      return port1
    },
  }
  for (const [title, make] of Object.entries(disguised)) {
    test(`${title} that is said to be plain`, () => {
      for (const prototype of [Object.prototype, null]) {
        // An error has a way of its own, but for one that is said to be plain.
        if (title === 'an error' && prototype === null) continue
        // Until its shape is known, which plain objects may have.
        for (let times = 0; times < 30; times++) {
          same(cross({ 0: 'a', 1: 'b' }), { 0: 'a', 1: 'b' })
          assert.equal(cross([Object.setPrototypeOf(make(), prototype)]), undefined)
        }
      }
    })
  }

  const text = (length) => 'a text of its own '.repeat(400).slice(0, length)
  const texts = (count, length) => numbersTo(count).map((index) => `${index} ${text(length)}`)
  const mixed = {
    'a long text': [{ text: text(6000) }, { text: text(1000) }],
    paths: [texts(10, 40), texts(2, 40)],
    'texts with numbers': [
      [texts(12, 40), numbersTo(5)],
      [texts(12, 40), numbersTo(60)],
    ],
    'texts of objects': [
      numbersTo(4).map((id) => ({ id, texts: texts(8, 40) })),
      numbersTo(4).map((id) => ({ id, text: text(40), ok: true, size: id / 3, width: 1, height: 2 })),
    ],
  }
  for (const [title, [much, little]] of Object.entries(mixed)) {
    test(`what the engine is quicker with: ${title}`, () => {
      assert.equal(cross(much) === undefined, canClone())
      same(crossAgain(little), little)
    })
  }

  test('nothing while all objects have another property', () => {
    Object.prototype.extra = 1
    try {
      assert.equal(write({ a: 1 }), -1)
    } finally {
      delete Object.prototype.extra
    }
  })

  test('no array with a hole while all arrays have an element', () => {
    const array = numbersTo(100)
    delete array[7]
    Array.prototype[7] = 5
    try {
      assert.equal(write(array), -1)
      assert.equal(write([array]), -1)
    } finally {
      delete Array.prototype[7]
      Array.prototype.length = 0
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

describe('what is within itself', () => {
  const cases = {
    'an object': () => {
      const value = { a: 1 }
      value.self = value
      return value
    },
    'two that hold each other': () => {
      const [one, other] = [{ name: 'one' }, { name: 'other', list: [1] }]
      one.other = [other]
      other.one = new Map([[one, { one }]])
      return { other, one, again: other }
    },
    'a map, a set and an array': () => {
      const [map, set, list] = [new Map(), new Set(), []]
      map.set('self', [map, set])
      map.set(list, list)
      set.add(set).add(map)
      list.push(list, set)
      return { list, set, map, last: list }
    },
    'objects beside everything else': () => {
      const value = { when: new Date(5), pattern: /x/g, bytes: new Uint8Array([1, 2, 3]), big: 5n, text: 'abc' }
      return Object.assign(value, { when2: value.when, pattern2: value.pattern, bytes2: value.bytes, value })
    },
    'names of all kinds': () => {
      const value = JSON.parse(
        '{"__proto__":1,"constructor":2,"\\"":3,"1":4,"prototype":5,"a b":6,"":7,"#a":8,"static":9}',
      )
      const inner = Object.create(Object.prototype, {
        ['__proto__']: { value, enumerable: true, configurable: true, writable: true },
      })
      return Object.assign(value, { inner, last: inner })
    },
    'what is not within itself, but there twice': () => {
      const shared = [{ a: 1 }]
      return { shared, again: [shared, shared[0]] }
    },
    'what is there once': () => ({ a: [1, { b: new Date(1) }] }),
  }
  for (const [title, make] of Object.entries(cases)) {
    test(title, () => {
      const round = {}
      round.round = round
      // The first one says that others will come.
      cross(round)
      for (let index = 0; index < 3; index++) {
        const result = cross(make())
        assert.notEqual(result, undefined)
        same(result, structuredClone(make()))
      }
    })
  }

  test('is not expected for ever', () => {
    const round = {}
    round.round = round
    const shared = { a: 1 }
    const isExpected = () => {
      assert.ok(write([shared, shared]) > 0)
      return written[1] >= 2 ** 31
    }
    for (let times = 0; times < 2; times++) {
      const result = cross(round)
      assert.equal(result.round, result)
      assert.ok(isExpected())
      for (let index = 0; index < 100; index++) same(cross({ a: 1 }), { a: 1 })
      assert.ok(!isExpected())
    }
  })

  test('what a getter has deleted is not there, although it is inherited', () => {
    const makes = [
      () => {
        const value = {
          get a() {
            Reflect.deleteProperty(this, '__proto__')
            return 1
          },
        }
        return Object.defineProperty(value, '__proto__', {
          value: 2,
          enumerable: true,
          configurable: true,
          writable: true,
        })
      },
      () => {
        const value = Object.create(null, {
          a: {
            enumerable: true,
            get() {
              delete value.b
              Object.setPrototypeOf(value, { b: 5 })
              return 1
            },
          },
        })
        value.b = 2
        return [value]
      },
    ]
    for (const make of makes) {
      // Until its shape is known.
      for (let times = 0; times < 30; times++) {
        const result = cross(make())
        if (result !== undefined) same(result, structuredClone(make()))
      }
    }
  })

  test('views of one memory do not make cycles expected', () => {
    const round = []
    round.push(round)
    cross(round)
    assert.notEqual(cross(round), undefined)
    for (let index = 0; index < 40; index++) {
      const all = new Uint8Array(9)
      same(cross([all.subarray(1), all.subarray(2)]), structuredClone([all.subarray(1), all.subarray(2)]))
    }
    const shared = {}
    shared.a = 1
    write([shared, shared])
    assert.ok(written[1] < 2 ** 31)
  })

  test('setters of Object.prototype are not called', () => {
    const make = () => {
      const value = { caught: 1, b: { caught: 2 } }
      value.b.up = value
      return value
    }
    cross(make())
    const count = write(make())
    assert.ok(count > 0)
    const words = written.slice(0, count)
    Object.defineProperty(Object.prototype, 'caught', { configurable: true, set: () => assert.fail('called') })
    let result
    try {
      result = read(words, 0)
    } finally {
      delete Object.prototype.caught
    }
    same(result, make())
  })
})

describe('memory and regular expressions', () => {
  const classes = [Uint8Array, Int8Array, Uint8ClampedArray, Uint16Array, Int16Array, Uint32Array, Int32Array]
  classes.push(Float32Array, Float64Array, BigInt64Array, BigUint64Array)
  if (globalThis.Float16Array !== undefined) classes.push(globalThis.Float16Array)
  for (const Class of classes) {
    test(`a part of a ${Class.name}`, () => {
      const size = Class.BYTES_PER_ELEMENT
      for (const [length, from, to] of [
        [8, 0, 1],
        [8, 1, 7],
        [8, 7, 8],
        [320 / size, 320 / size - 1, 320 / size],
        [2048 / size, 5, 7],
      ]) {
        const make = () => {
          const bytes = Uint8Array.from({ length: length * size }, (_, index) => (index * 77 + 129) % 240)
          const part = new Class(bytes.buffer).subarray(from, to)
          return { part, again: [part], more: 1 }
        }
        const result = cross(make())
        assert.notEqual(result, undefined)
        same(result, structuredClone(make()))
        assert.equal(result.again[0], result.part)
        assert.deepEqual(new Uint8Array(result.part.buffer), new Uint8Array(make().part.buffer))
      }
    })

    test(Class.name, () => {
      for (const size of [1, 2, 3, 5, 6, 7, 12, 13, 33, 39, 40, 256]) {
        const make = () => {
          const view = new Class(size)
          const bytes = new Uint8Array(view.buffer)
          // Among them are all kinds of NaN.
          for (let index = 0; index < bytes.length; index++)
            bytes[index] = size === 5 || size === 39 ? 0xff : (index * 77 + 129) % (size > 40 ? 240 : 256)
          return view
        }
        const value = { view: make(), again: 1 }
        value.again = value.view
        const result = cross(value)
        assert.notEqual(result, undefined)
        same(result, structuredClone(value))
        // The bytes, whatever they are as numbers.
        assert.deepEqual(new Uint8Array(result.view.buffer), new Uint8Array(make().buffer))
      }
    })
  }

  const memory = (length) => Uint8Array.from({ length }, (_, index) => (index + 1) % 240).buffer
  // Few of them, for each is compared with all before it.
  const lengths = [31, 32, 33, 34, 39, 40, 41, 63, 64, 65, 255, 1000, 2047, 2048]
  const values = {
    'memory itself': () => [memory(1), { a: memory(320) }, memory(7), ...lengths.map(memory)],
    'two views of the same memory': () => ((buffer) => [new Uint8Array(buffer), new Int8Array(buffer)])(memory(4)),
    'a view and its memory': () => ((buffer) => [new Uint8Array(buffer), buffer, { buffer }])(memory(4)),
    'memory and a view of it': () => ((buffer) => [buffer, new Uint16Array(buffer, 2), buffer])(memory(4)),
    'two parts of the same memory': () => ((all) => [all.subarray(1), all.subarray(2, 4)])(new Uint8Array(memory(8))),
    'a part of some memory and all of it': () => ((all) => ({ part: all.subarray(1), all }))(new Uint8Array(memory(8))),
    'views of two kinds of memory in turns': () => {
      const [one, other] = [memory(40), memory(2048)]
      return [
        new Uint8Array(one),
        new Float64Array(other),
        new DataView(one, 1),
        new Uint8Array(other, 5, 0),
        other,
        one,
      ]
    },
    'views of the same memory, in a cycle': () => {
      const [list, buffer] = [[], memory(9)]
      list.push(new Uint8Array(buffer, 1), list, new DataView(buffer, 2, 3), { buffer, list })
      return list
    },
    'memory that had no buffer': () => {
      const bytes = new Uint8Array(8).fill(7)
      return Object.defineProperty({ bytes, other: new Uint8Array(8) }, 'again', {
        enumerable: true,
        get: () => [new Int16Array(bytes.buffer, 2), bytes.buffer, bytes],
      })
    },
    'many views that have no buffer, and what is of memory before': () => {
      const buffer = memory(4)
      return [buffer, Array.from({ length: 100 }, (_, index) => new Uint8Array(index % 40)), new Uint8Array(buffer, 1)]
    },
    'nothing of some memory': () => [new Uint8Array(memory(8)).subarray(8), new Int16Array(memory(8), 2, 0)],
    'bytes of no length': () => [new Uint8Array(0), { a: Buffer.alloc(0) }, new Uint8Array()],
    'memory that is there twice': () => ((buffer) => [buffer, { buffer }, 1])(memory(9)),
    'memory within itself': () => ((list) => list.push(list, memory(9), list) && list)([]),
    'whole Buffers, and parts of some memory': () => [Buffer.from(memory(6)), { a: Buffer.from(memory(9), 2, 3) }],
    'a DataView of all': () => ({ a: 1, v: new DataView(memory(9)) }),
    'a DataView of a part': () => ({ a: 1, v: new DataView(memory(32), 8, 16) }),
    'a DataView up to the end': () => [new DataView(memory(320), 319)],
    'a DataView of nothing of some memory': () => [new DataView(memory(9), 9), new DataView(memory(9), 3, 0)],
    'a DataView that is there twice': () => ((v) => [v, { v }])(new DataView(memory(9), 1)),
    'a DataView that says something else': () => [
      Object.defineProperties(new DataView(memory(9), 1, 7), { byteOffset: { value: 5 }, byteLength: { value: 1 } }),
    ],
    'a part in a cycle': () => ((object) => Object.assign(object, { object, part: new Uint8Array(memory(9), 1) }))({}),
  }
  for (const [title, make] of Object.entries(values)) {
    test(title, () => {
      // What is within itself is expected after the first such value.
      cross(make())
      const result = cross(make())
      // Whether nothing is left of them only the engine can tell.
      if (
        ['bytes of no length', 'many views that have no buffer, and what is of memory before'].includes(title) &&
        !canClone()
      )
        return
      assert.notEqual(result, undefined)
      same(result, structuredClone(make()))
    })
  }

  test('Buffers of the pool of Node bring their own bytes only', () => {
    const [one, other] = [Buffer.from('abc'), Buffer.from('a text of more than thirty-two bytes')]
    assert.equal(one.buffer, other.buffer)
    const whole = new Uint8Array(16)
    const result = cross({ one, again: { one }, part: other.subarray(2, 5), other, none: one.subarray(3), whole })
    const bytesOf = (buffer) => new Uint8Array(buffer)
    const expected = { one: bytesOf(one), part: bytesOf(other.subarray(2, 5)), other: bytesOf(other) }
    same(result, { one: expected.one, again: { one: expected.one }, ...expected, none: new Uint8Array(0), whole })
    // Other memory is told again by its place.
    const views = [one, whole.subarray(1), other, new Int16Array(3), whole.subarray(2, 3)]
    same(cross(views), [expected.one, ...structuredClone([views[1], expected.other, views[3], views[4]])])
    // What is no Buffer has all of its memory.
    assert.equal(cross([one, new Uint8Array(one.buffer, one.byteOffset, 3)]), undefined)
  })

  test('Buffers of other memory of that size are parts of it', () => {
    const own = Buffer.alloc(Buffer.poolSize)
    // Node 20 cannot tell the two.
    if (threads.isMarkedAsUntransferable === undefined) return
    assert.equal(cross([own.subarray(0, 4), own.subarray(2, 8)]), undefined)
  })

  test('have nothing of what the user says they are', () => {
    const make = () => {
      const bytes = new Uint8Array([1, 2, 3])
      for (const name of ['length', 'byteLength', 'buffer', 'byteOffset'])
        Object.defineProperty(bytes, name, { value: 1 })
      const pattern = /x/gi
      for (const name of ['source', 'flags', 'global']) Object.defineProperty(pattern, name, { value: 'y' })
      return [bytes, pattern]
    }
    const result = cross(make())
    assert.notEqual(result, undefined)
    same(result, structuredClone(make()))
  })

  test('patterns with all flags and of all kinds', () => {
    const patterns = [/x/, /x/dgimsuy, /[\p{L}--[a-z]]/v, /\//, /a\/b/g, /\//, /\n/, /(?:)/]
    patterns.push(/(?<name>.)\k<name>/u, /\u2028/, /\ud800/, /[/]/)
    for (const pattern of patterns) pattern.lastIndex = 1
    for (let index = 0; index < 3; index++) {
      const result = cross(patterns)
      assert.notEqual(result, undefined)
      same(result, structuredClone(patterns))
      assert.ok(result.every(({ lastIndex }) => lastIndex === 0))
    }
  })
})

describe('objects with keys of their own', () => {
  let last = 0
  const key = () => `key ${last++}`
  const flood = () => {
    for (let index = 0; index < 5000; index++) assert.notEqual(cross({ [key()]: index }), undefined)
  }
  const kinds = {
    'one key': () => ({ [key()]: 1 }),
    'keys that are long': () =>
      Object.fromEntries(numbersTo(8).map((n) => [`${key()} of more than twenty units`, { n }])),
    'keys of all kinds': () => ({ [key()]: 1, '\ud83d': 2, äöü: 3, ['€'.repeat(30)]: 4 }),
    'after some that all of them have': () => ({ id: last, name: 'n', [key()]: { [key()]: [1] }, tags: ['a'] }),
    'indices first': () => ({ [key()]: 1, 7: 2, 0: 3 }),
    'in itself': () => {
      const value = { [key()]: 1 }
      return Object.assign(value, { value, [key()]: { value, [key()]: [value] } })
    },
    'the same object twice': () => {
      const shared = { [key()]: { a: 1 } }
      return { [key()]: shared, b: [shared] }
    },
    'without a prototype': () => Object.assign(Object.create(null), { [key()]: { a: 1 } }),
  }
  for (const [title, make] of Object.entries(kinds)) {
    test(title, () => {
      flood()
      cross(make())
      for (let index = 0; index < 3; index++) {
        const value = make()
        const result = cross(value)
        // Whether it is an object of another class only the engine can tell.
        if (title === 'without a prototype' && !canClone()) return
        assert.notEqual(result, undefined)
        same(result, structuredClone(value))
      }
    })
  }

  test('that objects inherit as well', () => {
    flood()
    const make = () => JSON.parse(`{"${key()}":0,"__proto__":{"a":1},"constructor":2,"toString":3,"caught":4}`)
    const values = [make(), { up: make() }]
    values[1].up.self = values[1]
    // The first one says that others will come.
    cross(values[1])
    for (const value of values) {
      const count = write(value)
      assert.ok(count > 0)
      const words = written.slice(0, count)
      Object.defineProperty(Object.prototype, 'caught', { configurable: true, set: () => assert.fail('called') })
      Object.defineProperty(Object.prototype, 'get', { configurable: true, value: 'no getter' })
      let result
      try {
        result = read(words, 0)
      } finally {
        delete Object.prototype.caught
        delete Object.prototype.get
      }
      same(result, structuredClone(value))
    }
  })

  test('leave those that come again their shapes', () => {
    let longer = 0
    for (let index = 0; index < 10_000; index++) {
      cross({ [key()]: index })
      if (index % 10 === 0 && write({ seldom: index, more: 1 }) > 4 && index > 1000) longer++
    }
    assert.equal(longer, 0, 'its names are part of it once more')
    assert.ok(write({ [key()]: 1 }) > 4)
  })

  test('lists of long records whose names were never seen are written soon', () => {
    for (const [properties, records] of [
      [5, 300],
      [10, 300],
      [20, 300],
      [64, 100],
    ]) {
      const list = Array.from({ length: records }, (_, index) =>
        Object.fromEntries(numbersTo(properties).map((n) => [`of ${properties}, ${n}`, index])),
      )
      let times = 1
      while (times < 20 && cross(list) === undefined) times++
      // Where the engine cannot be asked for names, long arrays are not looked through.
      if (canClone()) assert.ok(times < 6, `${properties} properties: ${times}`)
    }
  })

  test('rare ones among many are known', () => {
    const rotate = (count) => {
      let longer = 0
      for (let round = 0; round < 40; round++) {
        for (let index = 0; index < count; index++) {
          if (write({ [`turn ${count} ${index}`]: 1, more: round }) > 4 && round > 20) longer++
        }
      }
      return longer
    }
    assert.equal(rotate(60), 0)
    assert.equal(rotate(100), 0)
  })

  test('more of them than their number has room for', () => {
    const value = Object.fromEntries(numbersTo(2100).map((index) => [`own ${index}`, { index }]))
    assert.equal(cross(value), undefined)
    const less = Object.fromEntries(Object.entries(value).slice(0, 2000))
    same(cross(less), structuredClone(less))
  })
})

describe('instances of a class', () => {
  const { learn } = createRequire(import.meta.url)('../../dist/instances.js')
  const { encode } = createRequire(import.meta.url)('../../dist/codec.js')

  test('are written once the class is known', () => {
    assert.equal(cross(new Pair(1, 2)), undefined)
    encode(new Pair(1, 2))
    const make = () => {
      const point = new Pair(1, new Pair(2, [new Date(1)]))
      return { point, again: [point, new Map([[point.y, point]])] }
    }
    const result = cross(make())
    assert.notEqual(result, undefined)
    same(result, structuredClone(make()))
  })

  test('without properties, where the engine says that there is nothing else of them', () => {
    class Nothing {
      #hidden = 1
      get hidden() {
        return this.#hidden
      }
    }
    learn(new Nothing())
    assert.equal(cross([new Nothing()]) !== undefined, canClone())
    same(cross([new Nothing()]) ?? [{}], [{}])
    class Weak extends WeakRef {}
    learn(new Weak({}))
    assert.equal(cross([new Weak({})]), undefined)
  })

  test('without what their prototypes have', () => {
    function Old() {
      this.own = 1
    }
    Old.prototype.inherited = 2
    learn(new Old())
    same(cross(new Old()), { own: 1 })
    same(cross([new Old(), { a: 1 }]), [{ own: 1 }, { a: 1 }])
  })

  test('not those that cannot be cloned', () => {
    learn(new Pair(1, 2))
    assert.equal(cross(new Pair(() => {})), undefined)
    if (markAsUncloneable === undefined) return
    const point = new Pair(1, 2)
    markAsUncloneable(point)
    assert.equal(cross(point), undefined)
    assert.equal(cross({ list: [new Pair(1, point)] }), undefined)
    assert.notEqual(cross(new Pair(1, 2)), undefined)
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
  rows.push(numbersTo(MOST_WORDS))
  assert.equal(cross(rows), undefined)
})

test('where code may not be made of strings', () => {
  const script = `
    const { write, written } = require(${JSON.stringify(FLAT)})
    const { read } = require(${JSON.stringify(FLAT_READ)})
    const value = JSON.parse('{"a":[1,{"b":"x"}],"__proto__":{"c":true}}')
    const count = write(value)
    const result = read(written.slice(0, count), 0)
    console.log(JSON.stringify(result), Object.getPrototypeOf(result) === Object.prototype)
    value.a.push(value)
    write(value)
    const round = read(written.slice(0, write(value)), 0)
    console.log(round.a.pop() === round, JSON.stringify(round), Object.getPrototypeOf(round) === Object.prototype)`
  const { stdout, stderr } = spawnSync(process.execPath, ['--disallow-code-generation-from-strings', '-e', script], {
    encoding: 'utf8',
  })
  const text = '{"a":[1,{"b":"x"}],"__proto__":{"c":true}}'
  assert.equal(stdout, `${text} true\ntrue ${text} true\n`, stderr)
})
