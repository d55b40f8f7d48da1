// Errors as numbers (lib/flat.ts), on one thread. Reasons of rejections are in reason.test.mjs.
import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { types } from 'node:util'
import { runInNewContext } from 'node:vm'
import * as threads from 'node:worker_threads'
import { cross, crossAgain } from '../helpers/flat.mjs'
import { canClone } from '../helpers/internals.mjs'
import { same } from '../helpers/same.mjs'

const { markAsUncloneable } = threads

// Where the addon cannot tell of one whether it is marked, they are left to the platform.
const TELLS = markAsUncloneable === undefined || canClone()

test('no errors where they may be marked and the addon cannot tell', () => {
  assert.equal(crossAgain({ error: new Error('m') }) !== undefined, TELLS)
})

describe('errors', { skip: !TELLS && 'they are not written then' }, () => {
  const fresh = (make) => {
    const [value, other] = [1, 2].map(() => make())
    const result = crossAgain(value)
    assert.notEqual(result, undefined)
    same(result, structuredClone(other))
  }
  const withProperty = (name, descriptor) => Object.defineProperty(new RangeError('m'), name, descriptor)

  test('of every class, with and without a message and a cause', () => {
    for (const Class of [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError]) {
      for (const given of [[], [''], ['a message'], ['ü'.repeat(100)], ['m', { cause: undefined }]])
        fresh(() => ({ error: new Class(...given) }))
      fresh(() => new Class('m', { cause: new Class('c', { cause: { list: [new Class('d')] } }) }))
    }
  })

  test('have the class of their name, and nothing of their own', () => {
    class Own extends RangeError {
      code = 'E'
    }
    class Named extends Error {
      name = 'SyntaxError'
    }
    class Other extends TypeError {
      name = 'Other'
    }
    for (const Class of [Own, Named, Other, AggregateError]) fresh(() => ({ error: new Class([], 'm') }))
    fresh(() => withProperty('name', { value: 'URIError' }))
    fresh(() => runInNewContext('new TypeError("of another context")'))
  })

  test('of any properties of the same names', () => {
    fresh(() => withProperty('stack', { value: 'a stack', enumerable: true }))
    fresh(() => withProperty('cause', { value: 5, enumerable: true }))
    for (const property of [
      ['message', { get: () => 'm' }],
      ['message', { value: 5 }],
      ['cause', { get: () => 'c' }],
      ['stack', { value: undefined }],
      ['name', { value: 5 }],
    ]) {
      assert.equal(cross({ error: withProperty(...property) }), undefined, property[0])
    }
    Object.defineProperty(Object.prototype, 'value', { value: 'm', configurable: true })
    try {
      const error = new Error('m')
      Object.defineProperty(error, 'message', Object.assign(Object.create(null), { get: () => 'm' }))
      assert.equal(cross({ error }), undefined)
    } finally {
      delete Object.prototype.value
    }
    for (const other of [new DOMException('m'), Object.create(Error.prototype), new Proxy(new Error('m'), {})])
      assert.equal(cross({ other }), undefined)
    if (markAsUncloneable === undefined) return
    const marked = new Error('m')
    markAsUncloneable(marked)
    assert.equal(cross({ marked }), undefined)
  })

  test('with getters that change what is read later', () => {
    for (const change of [
      (e) => Object.assign(e, { message: 'changed' }),
      (e) => delete e.message,
      (e) => Object.assign(e, { cause: 1 }),
    ])
      fresh(() => {
        const error = new RangeError('m')
        return Object.defineProperty(error, 'name', { get: () => change(error) && 'TypeError' })
      })
  })

  test('within themselves, also where the engine cannot read that', () => {
    const error = new Error('m')
    error.cause = { error, list: [error] }
    const result = crossAgain(error)
    assert.ok(types.isNativeError(result))
    assert.equal(result.cause.error, result)
    assert.equal(result.cause.list[0], result)
    assert.deepEqual(Object.getOwnPropertyDescriptor(result, 'cause'), {
      value: result.cause,
      writable: true,
      enumerable: false,
      configurable: true,
    })
    const twice = crossAgain({ first: error, second: error })
    assert.equal(twice.first, twice.second)
  })

  test('are read without a stack of this thread, and leave everything as it was', () => {
    const { prepareStackTrace, stackTraceLimit } = Error
    const before = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')
    const error = new Error('m')
    const { stack } = error
    let prepared = 0
    try {
      Error.prepareStackTrace = () => `prepared ${++prepared}`
      const result = cross({ error }).error
      assert.equal(result.stack, stack)
      assert.equal(prepared, 0)
      assert.deepEqual(Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit'), before)
      for (const limit of [0, undefined, 'no number']) {
        Error.stackTraceLimit = limit
        assert.equal(cross({ error }).error.stack, stack)
        assert.equal(Error.stackTraceLimit, limit)
      }
      delete Error.stackTraceLimit
      Function.prototype.stackTraceLimit = 3
      assert.equal(cross({ error }).error.stack, stack)
      assert.ok(!Object.hasOwn(Error, 'stackTraceLimit'))
      delete Function.prototype.stackTraceLimit
      assert.equal(cross({ error }).error.stack, stack)
      assert.ok(!Object.hasOwn(Error, 'stackTraceLimit'))
      const accessor = { get: mock.fn(() => 7), set: mock.fn(), configurable: true }
      Object.defineProperty(Error, 'stackTraceLimit', accessor)
      assert.equal(cross({ error }).error.stack, stack)
      assert.deepEqual([accessor.get.mock.callCount(), accessor.set.mock.callCount()], [0, 0])
      Object.defineProperty(Error, 'stackTraceLimit', { value: 5, configurable: true })
      assert.equal(cross({ error }).error.stack, stack)
    } finally {
      Object.defineProperty(Error, 'stackTraceLimit', before)
      Error.stackTraceLimit = stackTraceLimit
      Error.prepareStackTrace = prepareStackTrace
    }
  })
})
