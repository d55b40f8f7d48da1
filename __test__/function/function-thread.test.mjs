// Status flags, and threads by themselves.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import process from 'node:process'
import { describe, test } from 'node:test'
import { FunctionThread, Status, ThreadStatus } from 'threadmill/function'
import { Gate, microtasks, next, record, uncaught } from '../helpers/function.mjs'

const EVENTS = ['status', 'init', 'message', 'error', 'messageerror', 'exit']
const failure = new Error('failure')

const thread = (workerFn, meta) => new FunctionThread({ workerFn, meta })

/** A thread that has ended, in an object, because threads are thenable. */
async function ended(workerFn) {
  const instance = thread(workerFn)
  const exit = next(instance, 'exit')
  instance.start()
  await exit
  return { instance }
}

describe('Status', () => {
  test('has these flags and is frozen', () => {
    const flags = { INIT: 1, READY: 2, ACTIVE: 4, SUCCESS: 8, ERROR: 16, COMPLETED: 24, STARTED: 28 }
    assert.deepEqual(Status, flags)
    assert.ok(Object.isFrozen(Status))
  })
})

describe('ThreadStatus', () => {
  const flags = ['INIT', 'READY', 'ACTIVE', 'SUCCESS', 'ERROR', 'STARTED', 'COMPLETED']
  const set = (status) => flags.filter((flag) => status[flag])

  test('starts at INIT', () => {
    const status = new ThreadStatus()
    assert.equal(status.value, Status.INIT)
    assert.deepEqual(set(status), ['INIT'])
  })

  const cases = [
    [0, []],
    [Status.READY, ['READY']],
    [Status.ACTIVE, ['ACTIVE', 'STARTED']],
    [Status.SUCCESS, ['SUCCESS', 'STARTED', 'COMPLETED']],
    [Status.ERROR, ['ERROR', 'STARTED', 'COMPLETED']],
    [Status.ACTIVE | Status.ERROR, ['ACTIVE', 'ERROR', 'STARTED', 'COMPLETED']],
    [Status.INIT | Status.READY, ['INIT', 'READY']],
  ]
  for (const [value, expected] of cases) {
    test(`the value ${value} has ${expected.join(', ') || 'no flags'}`, () => {
      const status = new ThreadStatus()
      status.value = value
      assert.equal(status.value, value)
      assert.deepEqual(set(status), expected)
    })
  }

  test('the flags are booleans that cannot be set', () => {
    const status = new ThreadStatus()
    for (const flag of flags) {
      assert.equal(typeof status[flag], 'boolean')
      assert.throws(() => {
        status[flag] = true
      }, TypeError)
    }
  })
})

describe('constructor', () => {
  test('gives a thread that is ready', () => {
    const meta = {}
    const instance = thread(() => {}, meta)
    assert.ok(instance instanceof EventEmitter)
    assert.ok(instance.status instanceof ThreadStatus)
    assert.deepEqual([instance.status.value, instance.message, instance.error], [Status.READY, undefined, undefined])
    assert.equal(instance.meta, meta)
    instance.meta = 'other'
    assert.equal(instance.meta, 'other')
  })

  test('status, message and error cannot be assigned', () => {
    const instance = thread(() => {})
    for (const name of ['status', 'message', 'error']) {
      assert.throws(() => {
        instance[name] = 5
      }, TypeError)
    }
  })

  for (const options of [undefined, null, {}, { workerFn: 'text' }, Object.create({ workerFn() {} })]) {
    test(`${JSON.stringify(options)} throws`, () => {
      assert.throws(() => new FunctionThread(options), { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    })
  }
})

describe('a run', () => {
  test('that succeeds tells its events in order', async () => {
    const gate = new Gate()
    const instance = thread(gate.fn)
    const { status } = instance
    const seen = record(instance, EVENTS)
    instance.once('init', () => assert.equal(gate.calls, 0))
    assert.equal(instance.start(), true)
    assert.equal(gate.calls, 1)
    const before = [
      ['status', status, Status.ACTIVE, Status.READY],
      ['init', instance],
    ]
    assert.deepEqual(seen.splice(0), before)
    assert.ok(status.ACTIVE)
    instance.once('status', () => assert.equal(instance.message, 'result'))
    gate.open('result')
    await microtasks()
    assert.deepEqual(seen, [
      ['status', status, Status.SUCCESS, Status.ACTIVE, 'result'],
      ['message', 'result'],
      ['exit', 0],
    ])
    assert.equal(instance.status, status)
    assert.deepEqual([instance.message, instance.error, status.value], ['result', undefined, Status.SUCCESS])
  })

  test('exit comes in a later microtask than message', async () => {
    const instance = thread(async () => 1)
    const order = []
    instance.on('message', () => {
      order.push('message')
      queueMicrotask(() => order.push('microtask'))
    })
    instance.on('exit', () => order.push('exit'))
    instance.start()
    await microtasks()
    assert.deepEqual(order, ['message', 'microtask', 'exit'])
  })

  test('that fails tells its events in order', async () => {
    const gate = new Gate()
    const instance = thread(gate.fn)
    const { status } = instance
    const seen = record(instance, EVENTS)
    instance.start()
    seen.length = 0
    instance.once('status', () => assert.equal(instance.error, failure))
    gate.fail(failure)
    await microtasks()
    assert.deepEqual(seen, [
      ['status', status, Status.ERROR, Status.ACTIVE, failure],
      ['error', failure],
      ['exit', 1],
    ])
    assert.deepEqual([instance.message, instance.error, status.value], [undefined, failure, Status.ERROR])
  })

  test('happens once, whatever its end', async () => {
    for (const end of ['open', 'fail']) {
      const gate = new Gate()
      const instance = thread(gate.fn).catch(() => {})
      assert.deepEqual([instance.start(), instance.start()], [true, false])
      gate[end]()
      await microtasks()
      assert.equal(instance.start(), false)
      instance.status.value = Status.READY
      assert.equal(instance.start(), false)
      assert.equal(gate.calls, 1)
    }
  })

  test('a thread that is not ready does not start', () => {
    const gate = new Gate()
    const instance = thread(gate.fn)
    for (const state of [Status.INIT, Status.ACTIVE, Status.SUCCESS, Status.ERROR]) {
      instance.status.value = state
      assert.equal(instance.start(), false)
    }
    assert.equal(gate.calls, 0)
  })

  test('a synchronous throw is a failing run', async () => {
    const instance = thread(() => {
      throw failure
    })
    const seen = record(instance, ['error', 'exit'])
    assert.equal(instance.start(), true)
    assert.deepEqual(seen, [])
    await microtasks()
    assert.deepEqual(seen, [
      ['error', failure],
      ['exit', 1],
    ])
  })

  test('a plain value is a successful run, and any thenable is awaited', async () => {
    // biome-ignore lint/suspicious/noThenProperty: tested
    const thenable = { then: (resolve) => resolve('from thenable') }
    for (const [value, expected] of [
      [5, 5],
      [undefined, undefined],
      [null, null],
      [thenable, 'from thenable'],
    ]) {
      const instance = thread(() => value)
      const seen = record(instance, ['message', 'exit'])
      instance.start()
      await microtasks()
      assert.deepEqual(seen, [
        ['message', expected],
        ['exit', 0],
      ])
    }
  })

  test('a failure without a reason is a failure', async () => {
    const instance = thread(() => Promise.reject())
    const seen = record(instance, ['error', 'exit'])
    instance.start()
    await microtasks()
    assert.deepEqual(seen, [
      ['error', undefined],
      ['exit', 1],
    ])
    assert.ok(instance.status.ERROR)
  })
})

describe('faults of listeners', () => {
  test('a message listener that throws turns the thread into an error', async () => {
    const instance = thread(() => 'result')
    const seen = record(instance, ['status', 'messageerror', 'error', 'exit'], (args) => args.slice(-1))
    const states = record(instance, ['status'], ([, state, before]) => [state, before])
    instance.on('message', () => {
      throw failure
    })
    instance.start()
    await microtasks()
    assert.deepEqual(seen.slice(1), [
      ['status', 'result'],
      ['status', failure],
      ['messageerror', failure],
      ['exit', 1],
    ])
    assert.deepEqual(states.slice(1), [
      ['status', Status.SUCCESS, Status.ACTIVE],
      ['status', Status.ERROR, Status.SUCCESS],
    ])
    assert.deepEqual([instance.message, instance.error, instance.status.value], ['result', failure, Status.ERROR])
  })

  test('an error listener that throws gives a messageerror with the failure', async () => {
    const instance = thread(() => Promise.reject(failure))
    const seen = record(instance, ['messageerror', 'exit'])
    instance.on('error', () => {
      throw new Error('listener')
    })
    assert.deepEqual(await uncaught(() => instance.start()), [])
    assert.deepEqual(seen, [
      ['messageerror', failure],
      ['exit', 1],
    ])
  })

  for (const reason of [failure, 'text', undefined]) {
    test(`no error listener at all gives a messageerror with ${reason}, and nothing is thrown`, async () => {
      const instance = thread(() => Promise.reject(reason))
      const seen = record(instance, ['messageerror', 'exit'])
      const rejections = []
      const listener = (error) => rejections.push(error)
      process.on('unhandledRejection', listener)
      assert.deepEqual(await uncaught(() => instance.start()), [])
      process.off('unhandledRejection', listener)
      assert.deepEqual(rejections, [])
      assert.deepEqual(seen, [
        ['messageerror', reason],
        ['exit', 1],
      ])
      assert.equal(instance.error, reason)
    })
  }

  for (const event of ['status', 'init', 'messageerror', 'exit']) {
    test(`what a listener of ${event} throws is an uncaught exception, and the run ends`, async () => {
      const instance = thread(() => (event === 'messageerror' ? Promise.reject(5) : 5))
      instance.once(event, () => {
        throw failure
      })
      const codes = []
      if (event !== 'exit') instance.on('exit', (code) => codes.push(code))
      assert.deepEqual(await uncaught(() => instance.start()), [failure])
      if (event !== 'exit') assert.deepEqual(codes, [event === 'messageerror' ? 1 : 0])
      assert.ok(instance.status.COMPLETED)
    })
  }
})

describe('then, catch and finally', () => {
  test('return the thread and listen', async () => {
    const calls = []
    const ok = thread(async () => 'result')
    assert.equal(
      ok
        .then((result) => calls.push(['then', result]))
        .catch((...args) => calls.push(['catch', ...args]))
        .finally((...args) => calls.push(['finally', ...args])),
      ok,
    )
    assert.deepEqual([ok.listenerCount('message'), ok.listenerCount('error'), ok.listenerCount('exit')], [1, 1, 1])
    ok.start()
    await microtasks()
    assert.deepEqual(calls.splice(0), [
      ['then', 'result'],
      ['finally', 0],
    ])
    assert.deepEqual([ok.listenerCount('message'), ok.listenerCount('error'), ok.listenerCount('exit')], [1, 1, 1])

    const failing = thread(async () => {
      throw failure
    })
    failing.then(() => calls.push('then')).catch((...args) => calls.push(['catch', ...args]))
    failing.finally((...args) => calls.push(['finally', ...args])).start()
    await microtasks()
    assert.deepEqual(calls, [
      ['catch', failure, 'error'],
      ['finally', 1],
    ])
  })

  test('catch hears messageerror', async () => {
    const calls = []
    const instance = thread(() => 1).then(() => {
      throw failure
    })
    instance.catch((...args) => calls.push(args)).start()
    await microtasks()
    assert.deepEqual(calls, [[failure, 'messageerror']])
  })

  test('a failure that an error listener could not deal with reaches both kinds of catch', async () => {
    const calls = []
    const instance = thread(() => Promise.reject(failure))
    instance.catch((...args) => calls.push(args)).then(undefined, (reason) => calls.push(['before', reason]))
    instance.on('error', () => {
      throw new Error('listener')
    })
    instance.then(undefined, (reason) => calls.push(['after', reason])).start()
    await microtasks()
    assert.deepEqual(calls, [
      [failure, 'error'],
      ['before', failure],
      [failure, 'messageerror'],
      ['after', failure],
    ])
  })

  test('a thread can be awaited, before, while and after it runs', async () => {
    for (const [workerFn, expected] of [
      [async () => 'result', { value: 'result' }],
      [() => Promise.reject(failure), { reason: failure }],
    ]) {
      const settle = (instance) =>
        Promise.resolve(instance).then(
          (value) => ({ value }),
          (reason) => ({ reason }),
        )
      const instance = thread(workerFn)
      const before = settle(instance)
      await microtasks()
      instance.start()
      const during = settle(instance)
      assert.deepEqual(await Promise.all([before, during]), [expected, expected])
      await microtasks()
      assert.deepEqual(await settle(instance), expected)
    }
  })

  test('on a completed thread they are called with what there was, asynchronously', async () => {
    const calls = []
    const watch = (instance) =>
      instance
        .then((result) => calls.push(['then', result]))
        .catch((...args) => calls.push(['catch', ...args]))
        .finally((...args) => calls.push(['finally', ...args]))
    watch((await ended(() => 5)).instance)
    assert.deepEqual(calls, [])
    await microtasks()
    assert.deepEqual(calls.splice(0), [
      ['then', 5],
      ['finally', 0],
    ])
    watch((await ended(() => Promise.reject(failure))).instance)
    await microtasks()
    assert.deepEqual(calls.splice(0), [
      ['catch', failure, 'error'],
      ['finally', 1],
    ])
    const faulty = thread(() => 5).then(() => {
      throw failure
    })
    faulty.start()
    await microtasks()
    watch(faulty).then(undefined, (reason) => calls.push(['failure', reason]))
    await microtasks()
    assert.deepEqual(calls, [
      ['catch', failure, 'messageerror'],
      ['finally', 1],
      ['failure', failure],
    ])
  })

  test('called inside a listener they are called once', async () => {
    const calls = []
    const instance = thread(() => 5)
    instance.on('message', () => instance.then((result) => calls.push(result)))
    instance.on('message', () => instance.finally((code) => calls.push(`exit ${code}`)))
    instance.on('exit', () => instance.finally((code) => calls.push(`late exit ${code}`)))
    instance.start()
    await microtasks()
    assert.deepEqual(calls, [5, 'exit 0', 'late exit 0'])
    const failing = thread(() => Promise.reject(failure))
    failing.on('error', () => failing.catch((_reason, kind) => calls.push(kind)))
    calls.length = 0
    failing.start()
    await microtasks()
    assert.deepEqual(calls, ['error'])
  })

  test('plain listeners are never replayed', async () => {
    const { instance } = await ended(() => 5)
    const seen = record(instance, EVENTS)
    await microtasks()
    assert.deepEqual(seen, [])
  })

  test('without a function they do nothing', async () => {
    const instance = thread(() => 5)
    assert.equal(instance.then().catch().finally().then(null, null), instance)
    assert.deepEqual(instance.eventNames(), [])
    instance.start()
    await microtasks()
    instance.then().catch().finally()
  })
})
