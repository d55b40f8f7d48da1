// Instances of classes: cloned first to be rid of the class, and sent without that clone once the class is known.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { types } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as threads from 'node:worker_threads'
import { same } from '../helpers/same.mjs'
import { Pair } from '../helpers/values.mjs'

const require = createRequire(import.meta.url)
const { encode, decode } = require('../../dist/codec.js')
const { JSON_TEXT, V8, POSTED } = require('../../dist/codecs.js')
const { isKnown } = require('../../dist/instances.js')

// Each case makes its value more than once, and the stacks must not tell.
Error.stackTraceLimit = 0

function cross(value) {
  const { codec, data } = encode(value)
  return codec === POSTED ? structuredClone(data) : decode(codec, data)
}

/** Crosses some values of `make`; whether the class of what `pick` takes of one is known then. */
function isLearned(make, pick = (value) => value) {
  for (let index = 0; index < 3; index++) same(cross(make(index)), structuredClone(make(index)))
  return isKnown(Object.getPrototypeOf(pick(make(3))))
}

describe('a class is known when one of its instances was cloned as a plain object', () => {
  test('small ones then go as text, others through the serializer', () => {
    assert.ok(!isKnown(Pair.prototype))
    assert.ok(isLearned((index) => new Pair(index, 0.5)))
    assert.equal(encode({ points: [new Pair(1, 2), new Pair(3, 4)] }).codec, JSON_TEXT)
    const round = () => {
      const point = new Pair(/x/g, undefined)
      point.own = new Map([[point, new Pair(point, new Uint8Array([1, 2]))]])
      return point
    }
    assert.equal(encode(round()).codec, V8)
    same(cross(round()), structuredClone(round()))
    same(cross([new Pair(new Pair(Number.NaN, -0), 1n)]), structuredClone([new Pair(new Pair(Number.NaN, -0), 1n)]))
  })

  test('beside an error, too, and behind one, where an engine may not have cloned it', () => {
    class Beside {
      a = 1
    }
    class Behind {
      a = 1
    }
    class Refused {
      a() {}
      b = () => {}
    }
    const error = (cause) => new Error('m', { cause })
    assert.ok(
      isLearned(
        () => [new Beside(), error()],
        ([item]) => item,
      ),
    )
    assert.ok(
      isLearned(
        () => error(new Behind()),
        ({ cause }) => cause,
      ),
    )
    const own = { errors: [new Refused()] }
    for (let index = 0; index < 20; index++) {
      // Engines may look behind an error, and then refuse what they find.
      try {
        structuredClone(Object.assign(error(), own))
      } catch {
        assert.throws(() => cross(Object.assign(error(), own)), { name: 'DataCloneError' })
        continue
      }
      same(cross(Object.assign(error(), own)), structuredClone(Object.assign(error(), own)))
    }
    assert.ok(!isKnown(Refused.prototype))
  })

  test('a subclass, and one that holds others, are known by themselves', () => {
    class Parent {
      children = []
      add() {
        const child = new Child(this)
        this.children.push(child)
        return this
      }
    }
    class Child {
      constructor(parent) {
        this.parent = parent
      }
    }
    class Other extends Parent {}
    // Each holds the other one.
    assert.ok(isLearned(() => new Parent().add()))
    assert.ok(isKnown(Child.prototype))
    assert.ok(!isKnown(Other.prototype))
    assert.ok(
      isLearned(
        () => [new Other().add().add()],
        ([other]) => other,
      ),
    )
  })

  test('without the properties of their prototypes', () => {
    function Old() {
      this.own = 1
    }
    Old.prototype.inherited = 2
    assert.ok(isLearned(() => new Old()))
    same(cross(new Old()), { own: 1 })
    // `toJSON` is nothing to a clone.
    Old.prototype.toJSON = () => 'text'
    same(cross([new Old()]), [{ own: 1 }])
  })

  const others = {
    'a map': () => Object.assign(new (class extends Map {})([[1, 2]]), { a: 1 }),
    'an array': () => new (class extends Array {})(1, 2, 3),
    'an error': () => Object.assign(new (class extends Error {})('m'), { a: 1, stack: '' }),
    bytes: () => new (class extends Uint8Array {})(3),
    'a date': () => Object.assign(new (class extends Date {})(1), { a: 1 }),
  }
  for (const [title, make] of Object.entries(others)) {
    test(`not one of ${title}`, () => assert.ok(!isLearned(make)))
  }

  test('nor one of the platform, or of instances without properties', () => {
    class Mine extends Blob {
      a = 1
    }
    for (const make of [() => Object.assign(new Blob(['x']), { a: 1 }), () => new Mine(['x'])]) {
      for (let index = 0; index < 3; index++) assert.ok(cross([make()])[0] instanceof Blob)
      assert.ok(!isKnown(Object.getPrototypeOf(make())))
    }
    assert.ok(!isLearned(() => new (class {})()))
  })
})

describe('each instance is still what a clone takes it for', () => {
  class Item {
    constructor(more) {
      this.id = 1
      Object.assign(this, more)
    }
  }
  test('its class is known', () => assert.ok(isLearned(() => new Item())))

  test('what cannot be cloned is refused', () => {
    for (const more of [
      { call() {} },
      { symbol: Symbol('s') },
      { deep: [new Map([[1, () => {}]])] },
      { weak: new WeakMap() },
    ]) {
      assert.throws(() => encode(new Item(more)), { name: 'DataCloneError' })
      assert.throws(() => encode({ more: [new Item(more)] }), { name: 'DataCloneError' })
    }
  })

  const markAsUncloneable = threads.markAsUncloneable
  const marked = () => {
    for (const make of [(item) => item, (item) => [item], (item) => ({ item, pattern: /x/ })]) {
      const item = new Item()
      markAsUncloneable(item)
      assert.throws(() => encode(make(item)), { name: 'DataCloneError' })
      same(cross(make(new Item())), structuredClone(make(new Item())))
    }
  }
  // Node 20 does not have it.
  if (markAsUncloneable !== undefined) test('one that is marked is refused', marked)

  test('a getter runs once', () => {
    let calls = 0
    const make = () =>
      Object.defineProperty(new Item(), 'a', {
        enumerable: true,
        get() {
          calls++
          return { calls }
        },
      })
    for (const value of [make(), [make()], { pattern: /x/, deep: new Map([[1, make()]]) }]) {
      calls = 0
      cross(value)
      assert.equal(calls, 1)
    }
  })

  test('what the platform alone can clone keeps its way', async () => {
    const { file } = cross(new Item({ file: new Blob(['text']) }))
    assert.equal(await file.text(), 'text')
  })

  test('a value is as it was at the call', () => {
    const item = new Item({ memory: new SharedArrayBuffer(8), list: [1] })
    const encoded = encode(item)
    item.list.push(2)
    const { list } = encoded.codec === POSTED ? structuredClone(encoded.data) : decode(encoded.codec, encoded.data)
    assert.deepEqual(list, [1])
  })
})

describe('a prototype of the language or the platform is never known', () => {
  class AppError extends Error {
    constructor(message) {
      super(message)
      this.code = 7
    }
  }
  /** What was put together by hand is cloned as a plain object, what its class makes is not. */
  const pairs = {
    'an error': [() => Object.assign(Object.create(AppError.prototype), { code: 1 }), () => new AppError('hi')],
    'a TypeError': [
      () => Object.assign(Object.create(TypeError.prototype), { code: 1 }),
      () => Object.assign(new TypeError('hi'), { code: 2 }),
    ],
    'a map': [
      () => Object.assign(Object.create(Map.prototype), { x: 1 }),
      () => Object.assign(new Map([[1, 2]]), { x: 1 }),
    ],
    'a date': [
      () => Object.assign(Object.create(Date.prototype), { x: 1 }),
      () => Object.assign(new Date(5), { x: 1 }),
    ],
    'a boxed number': [
      () => Object.assign(Object.create(Number.prototype), { x: 1 }),
      () => Object.assign(Object(5), { x: 1 }),
    ],
    'a regular expression': [
      () => Object.assign(Object.create(RegExp.prototype), { x: 1 }),
      () => Object.assign(/x/, { x: 1 }),
    ],
  }
  for (const [title, [byHand, made]] of Object.entries(pairs)) {
    test(title, () => {
      for (let index = 0; index < 3; index++) cross(byHand())
      assert.ok(!isKnown(Object.getPrototypeOf(made())))
      const [actual, expected] = [cross([made()]), structuredClone([made()])]
      if (types.isNativeError(expected[0]))
        assert.deepEqual([actual[0].name, actual[0].message], [expected[0].name, 'hi'])
      else same(actual, expected)
    })
  }

  test('a blob', () => {
    for (let index = 0; index < 3; index++) cross(Object.assign(Object.create(Blob.prototype), { x: 1 }))
    assert.ok(cross(Object.assign(new Blob(['x']), { x: 1 })) instanceof Blob)
  })

  test('a promise is refused', () => {
    for (let index = 0; index < 3; index++) cross(Object.assign(Object.create(Promise.prototype), { x: 1 }))
    assert.throws(() => encode(Object.assign(Promise.resolve(), { x: 1 })), { name: 'DataCloneError' })
  })

  test('one with a proxy behind it', () => {
    const traps = []
    const handler = new Proxy({}, { get: (_, name) => void traps.push(name) })
    class Strange {
      a = 1
      b = 'x'.repeat(300)
    }
    Object.setPrototypeOf(Strange.prototype, new Proxy({}, handler))
    for (let index = 0; index < 3; index++) same(cross(new Strange()), { a: 1, b: 'x'.repeat(300) })
    assert.deepEqual(traps, [])
  })
})

test('what the platform clones without its properties is not looked into', () => {
  const make = () => Object.assign(new Blob(['x']), { loading: Promise.resolve() })
  for (let index = 0; index < 20; index++) assert.ok(cross(make()) instanceof Blob)
})

test('nothing of a value is kept', { timeout: 30_000 }, async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const reference = (() => {
    const value = { blob: new Blob(['x']) }
    encode(value)
    return new WeakRef(encode(value).data.blob)
  })()
  while (reference.deref() !== undefined) {
    await new Promise(setImmediate)
    collect()
  }
})

test('a marked error is refused, where that can be', () => {
  if (threads.markAsUncloneable === undefined) return
  const error = new Error('x')
  threads.markAsUncloneable(error)
  for (const value of [error, [error], { pattern: /x/, cause: error }]) {
    assert.throws(() => encode(value), { name: 'DataCloneError' })
  }
})

test('what has no prototype and no names is asked for', () => {
  // Of V8: a pointer.
  const server = createServer().listen(0)
  const pointer = server._handle._externalStream
  server.close()
  if (pointer === undefined) return
  for (const value of [pointer, { pointer }, [1, pointer]]) {
    assert.throws(() => structuredClone(value), { name: 'DataCloneError' })
    assert.throws(() => encode(value), { name: 'DataCloneError' })
  }
  same(cross({ empty: Object.create(null) }), { empty: {} })
})

test('a class is given up when none of its first instances can be told', () => {
  class Late {
    constructor(member) {
      this.member = member
    }
  }
  for (let index = 0; index < 20; index++)
    cross(new Late(Object.defineProperty({}, 'a', { enumerable: true, get: () => 1 })))
  assert.ok(!isLearned((index) => new Late(index)))
})

test('random values with instances arrive as structuredClone would give them', () => {
  let state = 12345
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  let kinds = []
  const make = (depth, made) => {
    const any = () => (random(8) === 0 && made.length > 0 ? made[random(made.length)] : make(depth - 1, made))
    const fill = (object) => {
      made.push(object)
      for (let index = random(4); index >= 0; index--) object[`p${random(6)}`] = any()
      return object
    }
    switch (depth === 0 ? random(5) : random(12)) {
      case 0:
        return random(1000) - 500
      case 1:
        return `text ${random(9)}`
      case 2:
        return [undefined, null, true, -0, Number.NaN, 12345678901234567890n][random(6)]
      case 3:
        return new Date(random(1e6))
      case 4:
        return random(9) === 0 ? new SharedArrayBuffer(8) : new Uint8Array([random(256)])
      case 5:
        return fill({})
      case 6: {
        const list = []
        made.push(list)
        for (let index = random(4); index > 0; index--) list.push(any())
        return list
      }
      case 7: {
        const map = new Map()
        made.push(map)
        for (let index = random(3); index > 0; index--) map.set(any(), any())
        return map
      }
      case 8:
        return random(6) === 0 ? new RangeError('m', { cause: any() }) : new Set([any()])
      default:
        return fill(new kinds[random(kinds.length)]())
    }
  }
  Error.stackTraceLimit = 0
  for (let round = 0; round < 60; round++) {
    kinds = [class A {}, class B {}, class extends Map {}, class extends Array {}]
    kinds.push(class extends kinds[0] {})
    for (let index = 0; index < 50; index++) {
      const value = make(4, [])
      same(cross(value), structuredClone(value))
    }
  }
})
