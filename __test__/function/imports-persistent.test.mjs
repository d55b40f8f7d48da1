// Modules whose exports run in a worker that stays: its state, the order of calls, and its end.
import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { importPersistentWorker, importWorker } from 'threadmill/function'
import { rejection, until } from '../helpers/pool.mjs'
import { CRASHED, MODULE, math, persistent } from './imports.mjs'

describe('a persistent worker', () => {
  test('keeps its state, and one worker serves all calls', async (t) => {
    const proxy = await persistent(t, math)
    assert.equal(await proxy.state(), 0)
    assert.equal(await proxy.add(1, 2), 3)
    assert.equal(await proxy.state(), 1)
    assert.equal(await proxy.add(3, 4), 7)
    assert.equal(await proxy.getState(), 2)
    const other = await persistent(t, math)
    assert.equal(await other.state(), 0)
  })

  test('live exports: a value that changes, one that becomes another', async (t) => {
    const proxy = await persistent(t)
    await proxy.count()
    assert.equal(await proxy.counter(), 1)
    assert.equal(await proxy.later(), undefined)
    await proxy.setLater({ now: 1 })
    assert.deepEqual(await proxy.later(), { now: 1 })
  })

  test('an export that becomes a function is called, with the exports for `this` like any other', async (t) => {
    const proxy = await persistent(t)
    assert.equal(await proxy.later(1, 2), undefined)
    await proxy.makeLater()
    assert.equal(await proxy.later(40, 2), 42)
    assert.equal(await proxy.ofThis('nothing'), null)
    const commonJs = await persistent(t, new URL('./fixtures/commonjs.cjs', import.meta.url))
    assert.equal(await commonJs.timesPlain(8), 40)
  })

  test('replies reach their calls, whichever comes first', async (t) => {
    const proxy = await persistent(t)
    const numbers = new Int32Array(new SharedArrayBuffer(8))
    const settled = []
    const a = proxy.gate(numbers, 0, 'a').then((value) => settled.push(value))
    const b = proxy.gate(numbers, 1, 'b').then((value) => settled.push(value))
    for (const index of [1, 0]) {
      Atomics.store(numbers, index, 1)
      // The call may not have begun to wait: then it finds the number.
      Atomics.notify(numbers, index)
      await (index === 1 ? b : a)
    }
    assert.deepEqual(settled, ['b', 'a'])
    const many = await Promise.all(Array.from({ length: 5000 }, (_, index) => proxy.echo({ index })))
    assert.deepEqual(
      many,
      Array.from({ length: 5000 }, (_, index) => ({ index })),
    )
  })

  test('calls are delivered in their order; a function runs until it waits', async (t) => {
    const proxy = await persistent(t)
    await Promise.all([proxy.note(1), proxy.noteLater(2), proxy.note(3), proxy.note({ four: 4 }), proxy.note('5')])
    const notes = await proxy.notes()
    const begun = notes.filter((note) => note !== 'end 2')
    assert.deepEqual(begun, [1, 'begin 2', 3, { four: 4 }, '5'])
    assert.ok(notes.indexOf('end 2') > notes.indexOf('begin 2'))
  })

  test('nor does one overtake a call whose arguments have to be fetched', { timeout: 60_000 }, async (t) => {
    const proxy = await persistent(t)
    const key = createSecretKey(Buffer.alloc(16))
    const numbers = new Int32Array(new SharedArrayBuffer(4))
    for (let round = 0; round < 20; round++) {
      Atomics.store(numbers, 0, 0)
      const calls = [proxy.hold(numbers), proxy.note(key), proxy.note(1), proxy.note(key), proxy.note(2)]
      Atomics.store(numbers, 0, 1)
      Atomics.notify(numbers, 0)
      await Promise.all(calls)
      const begun = (await proxy.notes()).slice(4 * round).map((note) => (typeof note === 'number' ? note : 'key'))
      assert.deepEqual(begun, ['key', 1, 'key', 2], `round ${round}`)
    }
  })

  test('however many calls wait, a later one begins', { timeout: 60_000 }, async (t) => {
    const proxy = await persistent(t)
    const numbers = new Int32Array(new SharedArrayBuffer(4))
    const waiting = Array.from({ length: 5000 }, (_, index) => proxy.gate(numbers, 0, index))
    assert.equal(await proxy.echo('later'), 'later')
    Atomics.store(numbers, 0, 1)
    Atomics.notify(numbers, 0)
    assert.deepEqual(
      await Promise.all(waiting),
      Array.from({ length: 5000 }, (_, index) => index),
    )
  })

  test('terminate: ends a computation, gives the exit code, again the same', async () => {
    const proxy = await importPersistentWorker(MODULE)
    const spinning = rejection(proxy.spin())
    const never = rejection(proxy.never())
    const ended = proxy.terminate()
    assert.equal(await ended, 1)
    assert.equal(await proxy.terminate(), 1)
    for (const error of await Promise.all([spinning, never])) {
      assert.deepEqual([error.code, error.exitCode], [CRASHED, 1])
    }
    assert.match((await rejection(proxy.echo(1))).message, /exit code 1/)
  })

  test('terminate right after a result loses nothing', async () => {
    for (let round = 0; round < 20; round++) {
      const proxy = await importPersistentWorker(math)
      const sum = await proxy.add(round, 1)
      proxy.terminate()
      assert.equal(sum, round + 1)
    }
  })

  test('terminateKey: another name, which wins over an export', async () => {
    const proxy = await importPersistentWorker(MODULE, {}, { terminateKey: 'close' })
    assert.deepEqual([typeof proxy.close, typeof proxy.terminate], ['function', 'undefined'])
    assert.equal('close' in proxy, true)
    assert.equal(await proxy.close(), 1)
    const own = await importPersistentWorker(MODULE, {}, { terminateKey: 'echo' })
    assert.equal(Object.keys(own).includes('echo'), false)
    assert.equal(await own.echo('not called'), 1)
    const plain = await importWorker('data:text/javascript,export const terminate = () => "of the module"')
    assert.equal(await plain.terminate(), 'of the module')
    assert.deepEqual(
      { ...(await rejection(importPersistentWorker(MODULE, {}, { terminateKey: 'then' }))) },
      { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' },
    )
  })

  test('its death rejects every pending call with the reason, and later ones at once', async () => {
    for (const [name, check] of [
      ['throwLater', (error) => error instanceof RangeError && error.message === 'boom'],
      ['exit', (error) => error.code === CRASHED && error.exitCode === 9],
    ]) {
      const proxy = await importPersistentWorker(MODULE)
      const pending = [proxy.never(), proxy.never(), proxy[name](9)].map(rejection)
      for (const error of await Promise.all(pending)) assert.equal(check(error), true)
      assert.equal(check(await rejection(proxy.echo(1))), true)
      assert.equal(typeof (await proxy.terminate()), 'number')
    }
  })

  test('out of memory', async () => {
    const proxy = await importPersistentWorker(MODULE, { resourceLimits: { maxOldGenerationSizeMb: 16 } })
    const [error, other] = await Promise.all([rejection(proxy.eatMemory()), rejection(proxy.never())])
    assert.equal(error.code, 'ERR_WORKER_OUT_OF_MEMORY')
    assert.equal(other, error)
  })

  test('an import that fails ends its worker', async () => {
    const alive = new Set()
    class Watched extends Worker {
      constructor(...given) {
        super(...given)
        alive.add(this)
        this.once('exit', () => alive.delete(this))
      }
    }
    const module = 'data:text/javascript,throw new Error("no module")'
    const failed = importPersistentWorker(module, {}, { WorkerType: Watched })
    assert.equal(alive.size, 1)
    assert.equal((await rejection(failed)).message, 'no module')
    await until(() => alive.size === 0)
  })

  test('a timeout rejects the others too', async () => {
    const proxy = await importPersistentWorker(MODULE, {}, { timeout: 100 })
    const other = rejection(proxy.never())
    const spinning = rejection(proxy.spin())
    assert.equal((await other).message, 'Worker timeout after 100ms')
    assert.match((await spinning).message, /^Worker (timeout after 100ms|was terminated because a call took too long)$/)
    assert.match((await rejection(proxy.echo(1))).message, /^Worker was terminated because a call took too long$/)
  })

  test('no timeout with 0 and Infinity', async (t) => {
    for (const timeout of [0, Number.POSITIVE_INFINITY]) {
      const proxy = await persistent(t, MODULE, {}, { timeout })
      assert.equal(await proxy.wait(5, 'in time'), 'in time')
    }
  })
})
