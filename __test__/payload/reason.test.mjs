// The reason of a rejection crosses from a worker: errors as themselves, other values as values, and never a failure.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import vm from 'node:vm'
import * as threads from 'node:worker_threads'
import { canClone } from '../helpers/internals.mjs'

const require = createRequire(import.meta.url)
const { encodeReason, decodeReason, holdReason } = require('../../dist/reason.js')
const { decode, takeHeld } = require('../../dist/codec.js')
const { Worker } = threads

function cross(reason) {
  const { codec, data } = encodeReason(reason)
  return decodeReason(codec, structuredClone(data))
}

/** What a worker hands over with other answers. */
function held(reason) {
  const made = holdReason(reason)
  return typeof made === 'number' ? takeHeld() : made
}

function crossHeld(reason) {
  const { codec, data } = held(reason)
  return decodeReason(codec, structuredClone(data))
}

const caught = (action) => {
  try {
    action()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}

/** Flags of the own properties. */
const flags = (object) =>
  Object.entries(Object.getOwnPropertyDescriptors(object))
    .map(([name, { enumerable }]) => `${name}${enumerable ? '+' : ''}`)
    .sort()

function sameError(actual, expected) {
  // Node's own classes lie between its errors and TypeError, and show TypeError as the constructor.
  assert.equal(actual.constructor, expected.constructor)
  assert.equal(Object.getPrototypeOf(actual), expected.constructor.prototype)
  assert.deepEqual(flags(actual), flags(expected))
  for (const name of ['name', 'message', 'stack', 'code', 'cause', 'errors']) {
    assert.deepEqual(actual[name], expected[name], name)
  }
  assert.equal(String(actual), Error.prototype.toString.call(expected))
  for (const name of Object.keys(expected)) assert.deepEqual(actual[name], expected[name], name)
}

describe('errors arrive as themselves', () => {
  const cases = [
    ...[Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].map((Kind) => new Kind('m')),
    new Error(),
    new Error('with a cause', { cause: new TypeError('c', { cause: 5 }) }),
    new Error('with undefined as cause', { cause: undefined }),
    new AggregateError([new RangeError('a'), 5, undefined, { x: [1] }], 'm', { cause: 'c' }),
    Object.assign(new Error('m'), {
      code: 'E_MINE',
      count: 1n,
      list: [1, { x: new Map([[1, 2]]) }],
      nothing: undefined,
    }),
    Object.assign(new Error('m'), { name: 'Mine' }),
    Object.assign(new Error('m'), { inner: new TypeError('i'), errors: [new Error('e')] }),
    Object.assign(new Error('m'), { errors: { field: 'wrong' }, list: 1 }),
    Object.defineProperty(new Error('m'), '__proto__', {
      value: 1,
      enumerable: true,
      configurable: true,
      writable: true,
    }),
    new Error('\ud800'),
    caught(() => readFileSync('/there/is/no/such/file')),
    caught(() => Buffer.alloc('x')),
    caught(() => new URL('x')),
    caught(() => JSON.parse('{')),
    caught(() => null.x),
    caught(() =>
      (function f() {
        f()
      })(),
    ),
  ]
  for (const error of cases) {
    test(String(error).slice(0, 60), () => {
      sameError(cross(error), error)
      sameError(crossHeld(error), error)
    })
  }

  test('a DOMException', () => {
    for (const error of [
      new DOMException('m', 'AbortError'),
      AbortSignal.timeout(0).reason ?? AbortSignal.abort().reason,
    ]) {
      const actual = cross(error)
      assert.ok(actual instanceof DOMException && actual instanceof Error)
      for (const name of ['name', 'message', 'code', 'stack']) assert.equal(actual[name], error[name])
    }
  })

  test('an AssertionError keeps what it compares', () => {
    const error = caught(() => assert.deepEqual({ a: 1 }, { a: 2 }))
    const actual = cross(error)
    assert.equal(actual.name, 'AssertionError')
    assert.equal(actual.code, 'ERR_ASSERTION')
    assert.deepEqual([actual.actual, actual.expected], [{ a: 1 }, { a: 2 }])
    assert.equal(actual.stack, error.stack)
  })

  test('a class that is not known here stays in the name', () => {
    class Unnamed extends RangeError {}
    class Named extends TypeError {
      name = 'MyName'
      get code() {
        return 'E_CODE'
      }
    }
    const [unnamed, named] = [cross(new Unnamed('m')), cross(new Named('n'))]
    assert.equal(Object.getPrototypeOf(unnamed), RangeError.prototype)
    assert.deepEqual([unnamed.name, unnamed.message, String(unnamed)], ['Unnamed', 'm', 'Unnamed: m'])
    assert.equal(Object.getPrototypeOf(named), TypeError.prototype)
    assert.deepEqual([named.name, named.message, named.code], ['MyName', 'n', 'E_CODE'])
    const bare = cross(Object.assign(Object.create(Named.prototype), { message: 'x' }))
    assert.ok(bare instanceof TypeError)
    assert.deepEqual([bare.name, bare.message], ['Named', 'x'])
  })

  test('a class that is global here is used', () => {
    globalThis.GlobalFailure = class GlobalFailure extends Error {
      constructor() {
        super()
        assert.fail('the constructor must not run')
      }
    }
    try {
      const error = Object.setPrototypeOf(new Error('m'), globalThis.GlobalFailure.prototype)
      assert.equal(Object.getPrototypeOf(cross(error)), globalThis.GlobalFailure.prototype)
    } finally {
      delete globalThis.GlobalFailure
    }
  })

  test('a global of that name that is no error is not used', () => {
    const Class = { Map: class extends Error {} }.Map
    const actual = cross(new Class('m'))
    assert.equal(Object.getPrototypeOf(actual), Error.prototype)
    assert.equal(actual.name, 'Map')
  })

  test('an error of another realm', () => {
    const actual = cross(vm.runInNewContext("Object.assign(new TypeError('m'), { code: 'E' })"))
    assert.ok(actual instanceof TypeError)
    assert.deepEqual([actual.message, actual.code], ['m', 'E'])
  })

  test('cycles and shared causes', () => {
    const error = new Error('a')
    const other = new AggregateError([error], 'b', { cause: error })
    error.cause = other
    error.self = error
    const actual = cross(error)
    assert.equal(actual.self, actual)
    assert.equal(actual.cause.cause, actual)
    assert.equal(actual.cause.errors[0], actual)
  })

  test('a long chain of causes', () => {
    let error = new Error('0')
    for (let i = 1; i < 5000; i++) error = new Error(String(i), { cause: error })
    let length = 0
    for (let at = cross(error); at !== undefined; at = at.cause) length++
    assert.equal(length, 5000)
  })

  test('what cannot be cloned is left out, one by one', () => {
    const error = Object.assign(new Error('m', { cause: () => 1 }), {
      run() {},
      tag: Symbol('s'),
      waiting: Promise.resolve(),
      watched: new Proxy({}, {}),
      request: { socket: { on() {} } },
      kept: { x: 1 },
    })
    const actual = cross(error)
    assert.deepEqual(flags(actual), ['kept+', 'message', 'stack'])
    assert.deepEqual(actual.kept, { x: 1 })
    const many = cross(new AggregateError([() => 1, new Error('e'), Symbol('s')], 'm'))
    assert.deepEqual(many.errors.map(String), ['Error: e'])
  })
})

describe('ordinary errors', () => {
  const isWrittenByEngine = (error) => {
    const { codec, data } = held(error)
    return types.isNativeError(decode(codec, structuredClone(data)))
  }
  const define = (name, descriptor) =>
    Object.defineProperty(new RangeError('m'), name, { configurable: true, ...descriptor })

  test('are written by the engine', { skip: !canClone() }, () => {
    for (const Kind of [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError]) {
      assert.ok(isWrittenByEngine(new Kind('m')) && isWrittenByEngine(new Kind()))
    }
    assert.ok(isWrittenByEngine(define('stack', { get: () => 'mine' })))
  })

  test('a name that shows is kept, whatever the class of the user is called', () => {
    for (const name of ['Error', 'TypeError', 'Mine']) {
      const error = new (class Other extends TypeError {})('m')
      Object.defineProperty(error, 'name', { value: name, enumerable: true })
      for (const actual of [crossHeld(error), cross(error)]) {
        assert.deepEqual([actual.name, Object.keys(actual)], [name, ['name']])
      }
    }
    assert.equal(cross(new (class Other extends TypeError {})('m')).name, 'Other')
  })

  const others = {
    'a cause': () => new Error('m', { cause: 1 }),
    'an undefined cause': () => new Error('m', { cause: undefined }),
    'a code that is hidden': () => define('code', { value: 'E' }),
    'a name': () => define('name', { value: 'Mine', writable: true }),
    'a message that shows': () => define('message', { value: 'shown', enumerable: true, writable: true }),
    'a message from a getter': () => define('message', { get: () => 'got' }),
    'no stack': () => define('stack', { value: undefined, writable: true }),
    'a stack that is none': () => define('stack', { value: [1], writable: true }),
    'a class of the user': () => new (class Mine extends TypeError {})('m'),
    'another prototype': () => Object.setPrototypeOf(new TypeError('m'), RangeError.prototype),
    'a long stack': () => define('stack', { value: 'x'.repeat(5000), writable: true }),
  }
  for (const [title, make] of Object.entries(others)) {
    test(`one with ${title} arrives as others do`, () => {
      const error = make()
      const [actual, expected] = [crossHeld(error), cross(error)]
      assert.equal(Object.getPrototypeOf(actual), Object.getPrototypeOf(expected))
      for (const name of ['name', 'message', 'stack', 'code', 'cause']) assert.equal(actual[name], expected[name])
      assert.deepEqual(flags(actual), flags(expected))
    })
  }

  for (const name of ['cause', 'code', 'error', 'suppressed']) {
    test(`where all have been given a ${name}`, () => {
      Object.defineProperty(Error.prototype, name, { value: 'given', configurable: true })
      try {
        assert.deepEqual([crossHeld(new Error('m'))[name], Object.keys(crossHeld(new Error('m')))], ['given', []])
        assert.ok(!isWrittenByEngine(new Error('m')))
      } finally {
        delete Error.prototype[name]
      }
    })
  }

  test('have the class that is global where they are read', () => {
    const { codec, data } = held(new TypeError('m'))
    const { TypeError: own } = globalThis
    class Other extends Error {}
    globalThis.TypeError = Other
    try {
      const actual = decodeReason(codec, structuredClone(data))
      assert.equal(Object.getPrototypeOf(actual), Other.prototype)
      assert.deepEqual([actual.name, actual.message], ['TypeError', 'm'])
    } finally {
      globalThis.TypeError = own
    }
  })

  const { markAsUncloneable } = threads
  const marked = () => {
    const error = new TypeError('m')
    markAsUncloneable(error)
    sameError(crossHeld(error), error)
  }
  if (markAsUncloneable !== undefined) test('one that is marked arrives all the same', marked)
})

describe('other reasons arrive as values', () => {
  const values = [
    undefined,
    null,
    false,
    true,
    0,
    -0,
    Number.NaN,
    '',
    'text',
    '\ud800',
    0n,
    2n ** 80n,
    {},
    [],
    { faults: [] },
    { value: 1 },
    { faults: [{ classes: [] }] },
    new Map([[1, { x: new Date(0) }]]),
    new Uint8Array([1, 2]),
    { error: new Error('e'), code: 1 },
  ]
  for (const [index, value] of values.entries()) {
    test(`${index}: ${typeof value} ${JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))}`, () => {
      assert.deepEqual(cross(value), structuredClone(value))
    })
  }

  test('shared memory', () => {
    const memory = new SharedArrayBuffer(8)
    new Uint8Array(cross({ memory }).memory)[0] = 5
    assert.equal(new Uint8Array(memory)[0], 5)
  })
})

describe('hostile reasons', () => {
  const fail = () => {
    throw new Error('trap')
  }
  const traps = Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((name) => [name, fail]))
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const unclonable = [
    ['a function', () => 5],
    ['a function whose name throws', Object.defineProperty(() => 5, 'name', { get: fail })],
    ['a symbol', Symbol('token'), /Symbol\(token\)/],
    ['an object with a function', { status: 'bad', run() {} }, /status: 'bad'/],
    ['a promise', Promise.resolve(7), /Promise/],
    ['a port', new MessageChannel().port1, /MessagePort/],
    ['a list with a stream', [new ReadableStream()]],
    ['a proxy', new Proxy({ a: 1 }, {})],
    ['a proxy with traps', new Proxy({}, traps)],
    ['a proxy of an error', new Proxy(new Error('m'), traps)],
    ['a revoked proxy', revoked.proxy],
    ['an object behind a proxy', Object.create(new Proxy({}, traps))],
    [
      'an object whose getter throws',
      {
        get a() {
          return fail()
        },
      },
    ],
    ['an object whose inspection throws', { [Symbol.for('nodejs.util.inspect.custom')]: fail, run() {} }],
  ]
  for (const [title, reason, pattern] of unclonable) {
    test(title, () => {
      const actual = cross(reason)
      if (title.startsWith('an object behind') && !(actual instanceof Error)) return
      assert.equal(Object.getPrototypeOf(actual), Error.prototype)
      assert.match(actual.message, /cannot be cloned/)
      if (pattern !== undefined) assert.match(actual.message, pattern)
    })
  }

  test('an error with getters that throw', () => {
    const error = new Error('m')
    for (const name of ['stack', 'message', 'name', 'cause', 'errors', 'code', 'extra']) {
      Object.defineProperty(error, name, { get: fail, enumerable: true })
    }
    const actual = cross(error)
    assert.ok(actual instanceof Error)
    assert.deepEqual([actual.name, actual.message], ['Error', ''])
  })

  test('an error whose texts are none', () => {
    const actual = cross(Object.assign(new TypeError('m'), { message: { x: 1 }, name: 5, stack: [1] }))
    assert.ok(actual instanceof TypeError)
    assert.equal(typeof actual.message, 'string')
    assert.equal(typeof actual.stack, 'string')
  })

  test('a list of errors with methods of its own', () => {
    const errors = Object.assign([new Error('e')], { map: fail, filter: fail, [Symbol.iterator]: fail })
    assert.deepEqual(cross(new AggregateError([], 'm', {})).errors, [])
    assert.deepEqual(cross(Object.assign(new Error('m'), { errors })).errors.map(String), ['Error: e'])
  })

  test('a member that is other every time', () => {
    let runs = 0
    const error = Object.assign(new Error('m'), {
      box: {
        get a() {
          if (runs++ > 0) fail()
          return 1
        },
      },
    })
    assert.deepEqual(cross(error).box, { a: 1 })
  })

  test('causes without end', { timeout: 60_000 }, () => {
    class Endless extends Error {
      get cause() {
        Error.stackTraceLimit = 0
        return new Endless('m')
      }
    }
    const limit = Error.stackTraceLimit
    assert.equal(cross(new Endless('m')).message, 'm')
    Error.stackTraceLimit = limit
  })

  test('an error in a value that leads back to itself', () => {
    const error = new Error('m')
    error.cause = { error }
    // Node 20 cannot read it.
    const actual = cross({ error })
    assert.ok(actual instanceof Error || actual.error.cause.error === actual.error)
    assert.ok(cross(error) instanceof Error)
  })
})

test('from a worker thread', async () => {
  const module = fileURLToPath(new URL('../../dist/reason.js', import.meta.url))
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
     const { encodeReason } = require(workerData)
     class Mine extends TypeError { code = 'E_MINE'; name = 'Mine' }
     function inTheWorker() { return new Mine('m', { cause: new AggregateError([new RangeError('r')], 'a') }) }
     parentPort.postMessage([inTheWorker(), undefined, '', 0, { a: [1] }, () => 1].map(encodeReason))`,
    { eval: true, workerData: module },
  )
  const [error, ...others] = await new Promise((resolve, reject) => {
    worker.once('message', (all) => resolve(all.map(({ codec, data }) => decodeReason(codec, data))))
    worker.once('error', reject)
  })
  await worker.terminate()
  assert.equal(Object.getPrototypeOf(error), TypeError.prototype)
  assert.deepEqual([error.name, error.message, error.code], ['Mine', 'm', 'E_MINE'])
  assert.match(error.stack, /inTheWorker/)
  assert.ok(error.cause instanceof AggregateError && error.cause.errors[0] instanceof RangeError)
  assert.deepEqual(others.slice(0, 4), [undefined, '', 0, { a: [1] }])
  assert.match(others[4].message, /cannot be cloned/)
})

test('a message that is no text arrives as what a clone makes of it', () => {
  const texts = [
    [5, '5'],
    [null, 'null'],
    [10n, '10'],
    [{ toString: () => 'an object' }, 'an object'],
  ]
  for (const [message, text] of texts) {
    const error = Object.assign(new RangeError('its own'), { message, extra: 1 })
    assert.equal(cross(error).message, text)
    assert.equal(crossHeld(error).message, text)
  }
  const refuses = () => assert.fail('by design')
  for (const message of [Symbol('s'), { toString: refuses }, undefined]) {
    assert.equal(cross(Object.assign(new RangeError('its own'), { message })).message, '')
  }
})
