// Bad input is refused before anything is queued, with a typed error that names the option, the expectation and the
// value.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { kernelInfo, ThreadmillError, WorkerPool } from 'threadmill'
import { rejection } from '../helpers/pool.mjs'

const TYPE = 'ERR_THREADMILL_INVALID_ARG_TYPE'
const VALUE = 'ERR_THREADMILL_INVALID_ARG_VALUE'
const RANGE = 'ERR_THREADMILL_OUT_OF_RANGE'

describe('pool options', () => {
  const cases = [
    ['threads: 0', { threads: 0 }, RangeError, RANGE],
    ['threads: 1e9', { threads: 1e9 }, RangeError, RANGE],
    ['threads: 1.5', { threads: 1.5 }, RangeError, RANGE],
    ['threads: NaN', { threads: Number.NaN }, RangeError, RANGE],
    ["threads: '2'", { threads: '2' }, TypeError, TYPE],
    ['name: 5', { name: 5 }, TypeError, TYPE],
    ["name: ''", { name: '' }, TypeError, VALUE],
    ['capacity: 0', { capacity: 0 }, RangeError, RANGE],
    ['capacity: -1', { capacity: -1 }, RangeError, RANGE],
    ['timeout: 0', { timeout: 0 }, RangeError, RANGE],
    ['timeout: NaN', { timeout: Number.NaN }, RangeError, RANGE],
    ["timeout: '5'", { timeout: '5' }, TypeError, TYPE],
    ["timeoutFrom: 'end'", { timeoutFrom: 'end' }, TypeError, VALUE],
    ["schedule: 'lifo'", { schedule: 'lifo' }, TypeError, VALUE],
    ["pin: 'all'", { pin: 'all' }, TypeError, TYPE],
    ['pin: []', { pin: [] }, TypeError, VALUE],
    ['pin: [-1]', { pin: [-1] }, RangeError, RANGE],
    ['nice: 20', { nice: 20 }, RangeError, RANGE],
    ["filename: './task.js'", { filename: './task.js' }, TypeError, VALUE],
    ['options: 5', 5, TypeError, TYPE],
    ['options: null', null, TypeError, TYPE],
    ['options: []', [], TypeError, TYPE],
  ]
  for (const [title, options, Kind, code] of cases) {
    test(`${title} throws`, () => {
      assert.throws(
        () => new WorkerPool(options),
        (error) => error instanceof Kind && error.code === code && /must be .*; got /.test(error.message),
      )
    })
  }

  test('undefined means the default, unknown options and inherited ones do not count', async () => {
    const inherited = Object.create({ threads: 0, timeout: Number.NaN })
    for (const options of [undefined, {}, { threads: undefined, name: undefined }, { colour: 'red' }, inherited]) {
      const pool = new WorkerPool(options)
      assert.ok(pool.stats().poolSize >= 1)
      await pool.close()
    }
  })
})

describe('task options and inputs', () => {
  let pool
  before(() => {
    pool = new WorkerPool({ threads: 2 })
  })
  after(() => pool.close())

  const detached = () => {
    const buffer = new ArrayBuffer(8)
    structuredClone(buffer, { transfer: [buffer] })
    return buffer
  }
  const detachedView = () => {
    const view = new Uint8Array(8)
    structuredClone(view.buffer, { transfer: [view.buffer] })
    return view
  }
  const twice = new ArrayBuffer(8)
  const cases = [
    ['a missing kernel', 1, {}, TypeError, TYPE],
    ['no options', 1, undefined, TypeError, TYPE],
    ['an unknown kernel', 1, { kernel: 'nope' }, ThreadmillError, 'ERR_THREADMILL_UNKNOWN_KERNEL'],
    [
      'a kernel name from Object.prototype',
      1,
      { kernel: 'toString' },
      ThreadmillError,
      'ERR_THREADMILL_UNKNOWN_KERNEL',
    ],
    ['an inherited kernel name', 1, Object.create({ kernel: 'fib' }), TypeError, TYPE],
    ['a number for bytes', 5, { kernel: 'sha256' }, TypeError, TYPE],
    ['an array for bytes', [1], { kernel: 'sha256' }, TypeError, TYPE],
    ['no input', undefined, { kernel: 'sha256' }, TypeError, TYPE],
    ['a function', () => {}, { kernel: 'sha256' }, TypeError, TYPE],
    ['a symbol', Symbol('s'), { kernel: 'sha256' }, TypeError, TYPE],
    ['a string for a number', '5', { kernel: 'fib' }, TypeError, TYPE],
    ['NaN for a number', Number.NaN, { kernel: 'fib' }, RangeError, RANGE],
    ['a fraction for a whole number', 1.5, { kernel: 'fib' }, RangeError, RANGE],
    ['a number out of range', 1e9, { kernel: 'fib' }, RangeError, RANGE],
    ['a detached buffer', detached(), { kernel: 'sha256' }, TypeError, VALUE],
    ['a view of a detached buffer', detachedView(), { kernel: 'sha256' }, TypeError, VALUE],
    ['a kernel option of wrong type', new Uint8Array(4), { kernel: 'sort', descending: 5 }, TypeError, TYPE],
    ['a plain array for a typed array', [3, 1], { kernel: 'sort' }, TypeError, TYPE],
    ['a DataView for a typed array', new DataView(new ArrayBuffer(8)), { kernel: 'sort' }, TypeError, TYPE],
    ['NaN priority', 1, { kernel: 'fib', priority: Number.NaN }, RangeError, RANGE],
    ['infinite priority', 1, { kernel: 'fib', priority: Number.POSITIVE_INFINITY }, RangeError, RANGE],
    ['a priority of unknown name', 1, { kernel: 'fib', priority: 'urgent' }, TypeError, VALUE],
    ['a priority of wrong type', 1, { kernel: 'fib', priority: {} }, TypeError, TYPE],
    ['a worker index out of range', 1, { kernel: 'fib', workerAffinity: 2 }, RangeError, RANGE],
    ['a negative worker index', 1, { kernel: 'fib', workerAffinity: -1 }, RangeError, RANGE],
    ['a worker index of wrong type', 1, { kernel: 'fib', workerAffinity: '0' }, TypeError, TYPE],
    ['a kernel for the thread of the owner', 1, { kernel: 'fib', workerAffinity: 'main' }, TypeError, TYPE],
    ['the same by another name', 1, { kernel: 'fib', mainThread: true }, TypeError, TYPE],
    ['a mainThread of wrong type', 1, { kernel: 'fib', mainThread: 0 }, TypeError, TYPE],
    ['an unknown strength', 1, { kernel: 'fib', workerAffinity: 0, affinityStrength: 'firm' }, TypeError, VALUE],
    ['strength 3', 1, { kernel: 'fib', workerAffinity: 0, affinityStrength: 3 }, TypeError, VALUE],
    ['a key and a worker', 1, { kernel: 'fib', workerAffinity: 0, affinityKey: 'a' }, TypeError, VALUE],
    ['an affinityKey of wrong type', 1, { kernel: 'fib', affinityKey: 5 }, TypeError, TYPE],
    ['a cost key of wrong type', 1, { kernel: 'fib', key: 5 }, TypeError, TYPE],
    ['timeout 0', 1, { kernel: 'fib', timeout: 0 }, RangeError, RANGE],
    ['a negative timeout', 1, { kernel: 'fib', timeout: -5 }, RangeError, RANGE],
    ['a NaN timeout', 1, { kernel: 'fib', timeout: Number.NaN }, RangeError, RANGE],
    ['a timeout of wrong type', 1, { kernel: 'fib', timeout: '5' }, TypeError, TYPE],
    ['an unknown timeoutFrom', 1, { kernel: 'fib', timeoutFrom: 'end' }, TypeError, VALUE],
    ['a signal that is none', 1, { kernel: 'fib', signal: {} }, TypeError, TYPE],
    [
      'a signal that has only the prototype of one',
      1,
      { kernel: 'fib', signal: Object.create(AbortSignal.prototype) },
      TypeError,
      TYPE,
    ],
    ['a transfer that is no array', 1, { kernel: 'fib', transfer: 5 }, TypeError, TYPE],
    ['a transfer of a view', 1, { kernel: 'fib', transfer: [new Uint8Array(4)] }, TypeError, TYPE],
    ['a transfer of shared memory', 1, { kernel: 'fib', transfer: [new SharedArrayBuffer(4)] }, TypeError, TYPE],
    ['a transfer of the same buffer twice', 1, { kernel: 'fib', transfer: [twice, twice] }, TypeError, VALUE],
    ['a transfer of a detached buffer', 1, { kernel: 'fib', transfer: [detached()] }, TypeError, VALUE],
    ['an unknown encoding', 'a', { kernel: 'sha256', encoding: 'utf8' }, TypeError, VALUE],
    ['an encoding of wrong type', 'a', { kernel: 'sha256', encoding: 5 }, TypeError, TYPE],
    ['a level out of range', 'a', { kernel: 'gzip', level: 10 }, RangeError, RANGE],
    ['a missing member', {}, { kernel: 'hashFile' }, TypeError, TYPE],
    ['an inherited member', Object.create({ path: 'x', algorithm: 'sha256' }), { kernel: 'hashFile' }, TypeError, TYPE],
    ['options that are no object', 1, 5, TypeError, TYPE],
  ]
  for (const [title, input, options, Kind, code] of cases) {
    test(`${title}: run rejects and addTask throws, nothing is queued`, async () => {
      const matches = (error) => {
        assert.ok(error instanceof Kind, `${error}`)
        assert.equal(error.code, code, `${error}`)
        return true
      }
      const admitted = pool.stats().tasksAdmitted
      await assert.rejects(pool.run(input, options), matches)
      assert.throws(() => pool.addTask(input, options), matches)
      assert.equal(pool.stats().tasksAdmitted, admitted)
      assert.equal(pool.isIdle, true)
    })
  }

  test('a resizable buffer is refused', { skip: typeof ArrayBuffer.prototype.resize !== 'function' }, async () => {
    const buffer = new ArrayBuffer(8, { maxByteLength: 16 })
    await assert.rejects(pool.kernels.sha256(buffer), { name: 'TypeError', code: VALUE })
    await assert.rejects(pool.kernels.sha256(new Uint8Array(buffer)), { name: 'TypeError', code: VALUE })
    await assert.rejects(pool.kernels.sort(new Uint8Array(buffer), { transfer: [buffer] }), { code: VALUE })
  })

  test('a buffer is not detached by a call that is refused', async () => {
    const buffer = new ArrayBuffer(16)
    await assert.rejects(pool.kernels.sort(new Float64Array(buffer), { transfer: [buffer], priority: Number.NaN }))
    await assert.rejects(pool.kernels.sort([], { transfer: [buffer] }))
    assert.equal(buffer.byteLength, 16)
  })

  test('an aborted signal rejects with its reason before anything is queued', async () => {
    const reason = new Error('no')
    const admitted = pool.stats().tasksAdmitted
    const buffer = new ArrayBuffer(16)
    const options = { signal: AbortSignal.abort(reason), transfer: [buffer] }
    assert.equal(await rejection(pool.kernels.sort(new Float64Array(buffer), options)), reason)
    assert.equal(buffer.byteLength, 16)
    assert.equal(await rejection(pool.addTask(1, { kernel: 'fib', signal: AbortSignal.abort(reason) })), reason)
    assert.equal(pool.stats().tasksAdmitted, admitted)
  })

  test('options that are undefined mean the default', async () => {
    const options = {
      priority: undefined,
      timeout: undefined,
      signal: undefined,
      transfer: undefined,
      mainThread: undefined,
      encoding: undefined,
    }
    assert.equal((await pool.kernels.sha256('', options)).length, 64)
  })

  test('inherited options do not count', async () => {
    const options = Object.create({ encoding: 'nope', priority: Number.NaN, timeout: -1 })
    assert.equal((await pool.kernels.sha256('', options)).length, 64)
  })

  test('messages name the option, the expectation and the value', async () => {
    const error = await rejection(pool.run(1, { kernel: 'fib', workerAffinity: 7 }))
    assert.equal(error.message, 'options.workerAffinity must be a whole number from 0 to 1; got 7')
  })

  test('listeners and names are checked', () => {
    assert.throws(() => pool.onMessage(5, () => {}), { code: TYPE })
    assert.throws(() => pool.onMessage('x', 5), { code: TYPE })
    assert.throws(() => pool.map(5, { kernel: 'fib' }), { code: TYPE })
    for (const iterator of [{}, { next: 5 }, 5, null]) {
      assert.throws(() => pool.map({ [Symbol.asyncIterator]: () => iterator }, { kernel: 'fib' }), { code: TYPE })
      assert.throws(() => pool.map({ [Symbol.iterator]: () => iterator }, { kernel: 'fib' }), { code: TYPE })
    }
    assert.throws(() => pool.map([], { kernel: 'fib', concurrency: 0 }), { code: RANGE })
    assert.throws(() => pool.map([], { kernel: 'fib', ordered: 1 }), { code: TYPE })
    for (const workers of [undefined, null, '2', 1n, Symbol('s'), Object.create(null)]) {
      assert.throws(() => pool.resizeUpTo(workers), { name: 'TypeError', code: TYPE, message: /^workers must be/ })
    }
    assert.throws(() => pool.resizeUpTo(1.5), { name: 'RangeError', code: RANGE, message: /^workers must be/ })
    // They ask for nothing.
    for (const workers of [Number.NaN, -1, Number.NEGATIVE_INFINITY]) assert.equal(pool.resizeUpTo(workers), undefined)
    assert.throws(() => kernelInfo(5), { code: TYPE })
    assert.equal(kernelInfo('nope'), undefined)
    assert.equal(kernelInfo('toString'), undefined)
  })
})

describe('names with lone surrogates, which other threads would not tell apart, are refused', () => {
  const names = ['\ud800', 'a\udfffb']
  const accepted = ['\ufffd', '\u{1f600}', '']
  const source = `
    export default async (ask, client) => {
      const asked = {
        post: () => client.postMessageToPool(ask.name),
        listen: () => client.onMessage(ask.name, () => {}),
        run: () => client.run({}, { [ask.option]: ask.name }),
      }
      await asked[ask.how]?.()
    }`
  let pool
  before(() => {
    pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
  })
  after(() => pool.close())

  test('as type of a message, on both sides', async () => {
    const calls = [
      (name) => pool.onMessage(name, () => {}),
      (name) => pool.removeMessageListener(name, () => {}),
      (name) => pool.postMessageToWorkers(name),
      (name) => pool.workers[0].postMessageToWorker(name),
      ...['post', 'listen'].flatMap((how) => [
        (name) => pool.run({ how, name }),
        (name) => pool.run({ how, name }, { mainThread: true }),
      ]),
    ]
    await pool.run({})
    for (const call of calls) {
      for (const name of names) {
        const error = await rejection((async () => call(name))())
        assert.equal(error.code, VALUE)
        assert.match(error.message, /^type must be a string without lone surrogates; got /)
      }
      for (const name of accepted) await call(name)
    }
  })

  test('as name or key of a task, on both sides', async () => {
    for (const option of ['name', 'key', 'affinityKey']) {
      for (const name of names) {
        const refused = (promise) =>
          assert.rejects(promise, { code: VALUE, message: new RegExp(`^options.${option} must be a string without`) })
        await refused(pool.run({}, { [option]: name }))
        await refused(pool.run({ how: 'run', option, name }))
        if (option !== 'name') await refused(pool.kernels.fib(1, { [option]: name }))
      }
      if (option !== 'name') for (const name of accepted) await pool.run({}, { [option]: name })
    }
  })
})

describe('what cannot be looked at is refused as anything else', () => {
  const fail = () => assert.fail('no matter')
  const revoked = (target) => {
    const { proxy, revoke } = Proxy.revocable(target, {})
    revoke()
    return proxy
  }
  const things = {
    'a revoked proxy': revoked({}),
    'a revoked proxy of an array': revoked([]),
    'a revoked proxy of a function': revoked(() => {}),
    'an object whose tag throws': Object.defineProperty({}, Symbol.toStringTag, { get: fail }),
    'a function whose name throws': Object.defineProperty(() => {}, 'name', { get: fail }),
    'a function whose name is a symbol': Object.defineProperty(() => {}, 'name', { value: Symbol('s') }),
  }
  const source = 'data:text/javascript,export default () => 1'
  const places = {
    'options of a pool': (value) => new WorkerPool(source, value),
    ...Object.fromEntries(
      ['threads', 'name', 'pin', 'retries', 'recycle', 'autoScale', 'handleSignals', 'costs'].map((name) => [
        `the option ${name}`,
        (value) => new WorkerPool(source, { [name]: value }),
      ]),
    ),
    'options of a task': (value, { entry }) => entry.run(1, value),
    'options of a kernel': (value, { native }) => native.kernels.fib(1, value),
    'options with a kernel': (value, { native }) => native.addTask(1, value),
    'options of map': (value, { entry }) => entry.map([1], value),
    'inputs of map': (value, { entry }) => entry.map(value),
    ...Object.fromEntries(
      ['priority', 'signal', 'transfer', 'retries', 'timeout', 'affinityKey'].map((name) => [
        `the option ${name} of a task`,
        (value, { entry }) => entry.run(1, { [name]: value }),
      ]),
    ),
    'an input of a kernel': (value, { native }) => native.kernels.matmul(value),
    'a list in an input of a kernel': (value, { native }) =>
      native.kernels.fuzzyTopK({ query: 'a', candidates: value, k: 1 }),
    bounds: (value, { native }) => native.resize(value),
  }
  // Objects without options, and functions without inputs: those are all right, or fail for their own reason.
  const isUsable = (place, thing) =>
    (thing === 'an object whose tag throws' && /^options|retries|recycle|autoScale|bounds/.test(place)) ||
    (thing === 'a revoked proxy of a function' && place === 'inputs of map')
  for (const [place, give] of Object.entries(places)) {
    test(place, async () => {
      const pools = { entry: new WorkerPool(source, { maxWorkers: 1 }), native: new WorkerPool({ threads: 1 }) }
      for (const [thing, value] of Object.entries(things)) {
        if (isUsable(place, thing)) continue
        const error = await rejection((async () => give(value, pools))())
        assert.ok(error instanceof TypeError, thing)
        assert.ok(error.code === TYPE || error.code === VALUE, `${thing}: ${error.message}`)
        assert.match(error.message, /must be .*; got ./)
      }
      await pools.entry.close()
      await pools.native.close()
    })
  }
})

test('a closed pool refuses', async () => {
  const pool = new WorkerPool({ threads: 1, name: 'shut' })
  await pool.kernels.fib(3)
  const closing = pool.close()
  assert.match((await rejection(pool.kernels.fib(3))).message, /'shut' is closed/)
  await closing
  await assert.rejects(pool.kernels.fib(3), { code: 'ERR_THREADMILL_POOL_CLOSED' })
  await assert.rejects(pool.addTask(3, { kernel: 'fib' }), { code: 'ERR_THREADMILL_POOL_CLOSED' })
})

test('beyond its capacity a pool refuses, and has room again when a task has ended', async () => {
  const pool = new WorkerPool({ threads: 1, capacity: 2 })
  const first = pool.addTask(60, { kernel: 'fib' })
  const second = pool.kernels.fib(10)
  await assert.rejects(pool.kernels.fib(10), { name: 'ThreadmillError', code: 'ERR_THREADMILL_QUEUE_FULL' })
  first.cancel()
  await assert.rejects(Promise.resolve(first), { name: 'AbortError' })
  assert.equal(await second, 55)
  assert.equal(await pool.kernels.fib(10), 55)
  await pool.close()
})

describe('options of tasks for an entry function', () => {
  const module = 'data:text/javascript,export default (input, client) => client.id'
  let pool
  before(() => {
    pool = new WorkerPool(module, { maxWorkers: 1 })
  })
  after(() => pool.close())

  for (const [title, options, code] of [
    ['a fraction of a worker', { workerAffinity: 1.5 }, RANGE],
    ['a worker below -1', { workerAffinity: -7 }, RANGE],
    ['null for a worker', { workerAffinity: null }, TYPE],
    ['an unknown name for a worker', { workerAffinity: 'x' }, VALUE],
    ['a number for a key', { affinityKey: 5 }, TYPE],
    ['a key with a lone surrogate', { affinityKey: '\ud800' }, VALUE],
  ]) {
    test(`${title}, also where the worker does not matter`, async () => {
      for (const mainThread of [false, true]) {
        assert.equal((await rejection(pool.run(1, { mainThread, ...options }))).code, code)
        assert.throws(() => pool.addTask(1, { mainThread, ...options }), { code })
      }
    })
  }

  test('workers and keys that are nobody else mean the thread of the owner', async () => {
    for (const options of [{ workerAffinity: 5 }, { affinityKey: 'a' }, { workerAffinity: 0, affinityKey: 'a' }]) {
      assert.equal(await pool.run(1, { mainThread: true, ...options }), -1)
    }
  })

  test('null is no options, whoever is asked', async () => {
    assert.equal((await rejection(pool.run(1, null))).code, TYPE)
    assert.throws(() => pool.addTask(1, null), { code: TYPE })
    const asked = (_, client) => client.run(1, null)
    const other = new WorkerPool(`data:text/javascript,export default ${asked}`, { maxWorkers: 1 })
    assert.equal((await rejection(other.run(1))).code, TYPE)
    await other.close()
  })
})
