// What is beside the pools.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import process from 'node:process'
import { afterEach, describe, test } from 'node:test'
import { MessageChannel, Worker } from 'node:worker_threads'
import { asyncEventEmitter, close, exitEventSupported, exitKey } from 'threadmill/function'
import { runProgram } from '../helpers/child.mjs'
import { microtasks } from '../helpers/function.mjs'

const require = createRequire(import.meta.url)

describe('entry points', () => {
  const required = require('threadmill/function')

  test('the singular and the plural one are the same module', async () => {
    assert.equal(require('threadmill/functions'), required)
    assert.equal((await import('threadmill/functions')).FunctionPool, required.FunctionPool)
    const utilities = require('threadmill/utils')
    const names = [
      'asyncEventEmitter',
      'close',
      'exitEventSupported',
      'exitKey',
      'startProfilingCpu',
      'stopProfilingCpu',
    ]
    assert.deepEqual(Object.keys(utilities).sort(), names)
    for (const name of names) assert.equal(utilities[name], required[name])
  })

  test('import finds every name that require gives, and the package has them too', async () => {
    const places = [await import('threadmill/function'), require('threadmill'), await import('threadmill')]
    const names = Object.keys(required)
    assert.ok(names.includes('FunctionPool'))
    for (const name of names) {
      for (const place of places) assert.equal(place[name], required[name], name)
    }
  })

  test('the package loads them when one is asked for', async () => {
    const source = `
      import { createRequire } from 'node:module'
      import fs from 'node:fs'
      const require = createRequire(import.meta.url)
      const { readFileSync } = fs
      const read = []
      fs.readFileSync = (file, ...rest) => (read.push(String(file)), readFileSync(file, ...rest))
      const loaded = () => [...read, ...Object.keys(require.cache)].some((file) => file.endsWith('pack-function.js'))
      const threadmill = require('threadmill')
      console.log(loaded(), Object.keys(threadmill).includes('FunctionPool'), typeof threadmill.FunctionPool, loaded())`
    const { stdout, stderr } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([stdout, stderr], ['false true function true\n', ''])
  })
})

test('exitKey', () => assert.equal(exitKey, '@@TerminateThread'))

describe('exitEventSupported', () => {
  test('is true here, and leaves nothing behind', async () => {
    const answer = exitEventSupported(60_000)
    assert.ok(answer instanceof Promise)
    assert.equal(await answer, true)
    const source = `
      import { exitEventSupported } from 'threadmill/function'
      console.log(await exitEventSupported(60_000), process.getActiveResourcesInfo().join())`
    const { code, stdout, stderr } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([code, stderr], [0, ''])
    assert.doesNotMatch(stdout, /Timeout|Worker|MessagePort/)
  })

  test('is false when the event takes longer, and the worker has ended then', async () => {
    const source = `
      import worker_threads, { Worker } from 'node:worker_threads'
      import { exitEventSupported } from 'threadmill/function'
      let probe
      worker_threads.Worker = class extends Worker {
        constructor(...args) {
          super(...args)
          probe = this
        }
      }
      const answer = await exitEventSupported(1)
      console.log(answer, probe.threadId)`
    const { code, stdout, stderr } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([code, stdout, stderr], [0, 'false -1\n', ''])
  })

  test('is false when no worker can be created', async () => {
    const worker_threads = require('node:worker_threads')
    worker_threads.Worker = class {
      constructor() {
        throw new Error('none')
      }
    }
    try {
      assert.equal(await exitEventSupported(), false)
    } finally {
      worker_threads.Worker = Worker
    }
  })

  test('a delay that is no number rejects', async () => {
    await assert.rejects(exitEventSupported('250'), { name: 'TypeError', message: /^delay must be a number/ })
  })
})

describe('close', () => {
  afterEach(() => {
    delete process.env.USE_EXIT_FALLBACK
  })

  /** What the other side of a port hears when it is closed. */
  function heard() {
    const { port1, port2 } = new MessageChannel()
    const messages = []
    port2.on('message', (message) => messages.push(message))
    const closed = new Promise((resolve) => port2.on('close', resolve))
    close(port1)
    return closed.then(() => messages)
  }

  test('closes the port', async () => assert.deepEqual(await heard(), []))

  test('posts the key first if the environment says so', async () => {
    process.env.USE_EXIT_FALLBACK = '1'
    assert.deepEqual(await heard(), [exitKey])
    process.env.USE_EXIT_FALLBACK = '0'
    assert.deepEqual(await heard(), [])
  })

  test('does nothing without a port', () => {
    close()
    close(undefined)
    close(null)
  })
})

describe('asyncEventEmitter', () => {
  /** An emitter and its function. */
  function make(timeout) {
    const emitter = new EventEmitter()
    return { emitter, emit: asyncEventEmitter(emitter, timeout) }
  }

  test('gives the value itself without listeners, at once', async () => {
    const { emit } = make(60_000)
    const value = {}
    const promise = emit('event', value)
    assert.ok(promise instanceof Promise)
    let given
    promise.then((result) => {
      given = result
    })
    await microtasks()
    assert.equal(given, value)
    assert.equal(await emit('error', value), value)
    assert.equal(await emit('event'), undefined)
  })

  test('gives listeners a callback, the value and the arguments; the first call decides', async () => {
    const { emitter, emit } = make(60_000)
    const calls = []
    emitter.on('event', (callback, ...args) => {
      calls.push(args)
      setImmediate(callback, 'slow')
    })
    emitter.on('event', (callback) => {
      callback('first')
      callback('again')
    })
    assert.equal(await emit('event', 'value', 1, 2), 'first')
    assert.deepEqual(calls, [['value', 1, 2]])
    emitter.removeAllListeners().on('event', (callback) => setImmediate(callback, undefined))
    assert.equal(await emit('event', 'value'), undefined)
  })

  test('gives the original value after the timeout, by default 1 ms', async () => {
    const { emitter, emit } = make()
    let late
    emitter.on('event', (callback) => {
      late = callback
    })
    assert.equal(await emit('event', 'value'), 'value')
    late('too late')
    assert.equal(await emit.waitFor(2, 'event', 'other'), 'other')
  })

  test('waitFor has a timeout of its own', async () => {
    const { emitter, emit } = make(1)
    emitter.on('event', (callback, value, extra) => setTimeout(callback, 20, value + extra))
    assert.equal(await emit.waitFor(60_000, 'event', 1, 2), 3)
    assert.equal(await emit('event', 1, 2), 1)
  })

  test('rejects with what a listener throws', async () => {
    const { emitter, emit } = make(60_000)
    const error = new Error('listener')
    emitter.on('event', () => {
      throw error
    })
    await assert.rejects(emit('event', 1), error)
  })

  test('an answer ends the wait: no timer keeps the process alive', async () => {
    const source = `
      import { EventEmitter } from 'node:events'
      import { asyncEventEmitter } from 'threadmill/function'
      const emitter = new EventEmitter().on('event', (callback) => callback(5))
      console.log(await asyncEventEmitter(emitter, 1e9)('event', 1))`
    const { stdout, timedOut } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([stdout, timedOut], ['5\n', false])
  })

  test('wrong arguments throw', async () => {
    for (const emitter of [undefined, null, {}]) assert.throws(() => asyncEventEmitter(emitter), TypeError)
    assert.throws(() => asyncEventEmitter(new EventEmitter(), '1'), TypeError)
    await assert.rejects(make().emit.waitFor('1', 'event'), TypeError)
  })
})
