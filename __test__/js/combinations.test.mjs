// Promises of index.d.ts where two features meet.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { WorkerPool } from 'threadmill'
import { until } from '../helpers/pool.mjs'

const FORCE = { affinityStrength: 'force' }
const module = (source) => `data:text/javascript,${encodeURIComponent(source)}`
const ECHO = module('export default (input) => input')

function open(t, source, options) {
  const pool = new WorkerPool(module(source), { maxWorkers: 1, ...options })
  t.after(() => pool.destroy())
  return pool
}

describe('the client is the same object', () => {
  const SOURCE = `const known = new WeakMap()
    const state = (client) => known.get(client) + ' ' + client.own
    export const direct = (_input, client) => client.own
    export const later = async (_input, client) => { await undefined; return state(client) }
    export const fanOut = async (_input, client) => {
      const sub = await Promise.all([1, 2].map(() => client.run(0, { name: 'direct' })))
      return [...sub, state(client)]
    }
    const entry = (input, client) => (input === 'kernel' ? client.kernels.fib(10) : state(client))
    export default Object.assign(entry, { onWorkerStart(client) { known.set(client, 'known'); client.own = 'own' } })`
  for (const workerConcurrency of [1, 3]) {
    test(`whatever the worker has submitted, ${workerConcurrency} tasks at once`, async (t) => {
      const pool = open(t, SOURCE, { workerConcurrency })
      for (let round = 0; round < 3; round++) {
        assert.equal(await pool.run(0), 'known own')
        assert.equal(await pool.run(0, { name: 'later' }), 'known own')
        assert.equal(await pool.run('kernel'), 55)
        // Beside a task that waits they may have objects of their own, with all that was put on the one.
        assert.deepEqual(await pool.run(0, { name: 'fanOut' }), ['own', 'own', 'known own'])
      }
      await pool.close()
    })
  }
})

describe('options that are no object are refused', () => {
  const THINGS = [5, 'text', () => {}, [], true, null]
  test('by map and stream', (t) => {
    const pool = open(t, 'export default (input) => input')
    for (const options of THINGS) {
      assert.throws(() => pool.map([1], options), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
      assert.throws(() => pool.stream(options), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    }
  })

  test('in workers', async (t) => {
    const pool = open(
      t,
      `const codeOf = (call) => Promise.resolve().then(call).then(() => 'none', (error) => error.code)
      const things = [5, 'text', () => {}, [], true, null]
      export const echo = (input) => input
      export default (_input, client) => Promise.all(things.flatMap((options) => [
        codeOf(() => client.run(1, options)), codeOf(() => client.addTask(1, options))]))`,
    )
    const codes = await pool.run()
    assert.deepEqual(codes, Array(2 * THINGS.length).fill('ERR_THREADMILL_INVALID_ARG_TYPE'))
  })
})

test('dispose gives the same promise as close and destroy', async (t) => {
  const pool = open(t, 'export default (input) => input')
  await pool.run(1)
  const ended = pool.dispose()
  assert.equal(pool.dispose(), ended)
  assert.equal(pool.close(), ended)
  assert.equal(pool.dispose({ force: true }), ended)
  await assert.rejects(pool.dispose(5), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  await ended
  assert.equal(pool.dispose(), ended)
})

test('a listener that is there once and for good is taken away once', async (t) => {
  const pool = open(t, 'export default (input) => input')
  let calls = 0
  const listener = () => calls++
  pool.on('task-complete', listener).once('task-complete', listener).on('task-complete', listener)
  for (let index = 0; index < 3; index++) await pool.run(index)
  await pool.whenIdle()
  assert.equal(calls, 3 + 2 + 2)
  pool.off('task-complete', listener).off('task-complete', listener)
  await pool.run(1)
  await pool.whenIdle()
  assert.equal(calls, 7)
})

test('URL objects of other realms are modules', async (t) => {
  const Other = runInNewContext(
    `(class { constructor(href) { this.href = href } get [Symbol.toStringTag]() { return 'URL' } })`,
  )
  const pool = new WorkerPool(new Other(ECHO), { maxWorkers: 1 })
  t.after(() => pool.destroy())
  assert.equal(await pool.run(7), 7)
})

test('workers know of a new bound', async (t) => {
  const pool = open(
    t,
    `export const where = (_input, client) => client.id
    export default (workerAffinity, client) => client.run(0, { name: 'where', workerAffinity, affinityStrength: 'force' })`,
  )
  await assert.rejects(pool.run(2), { code: 'ERR_THREADMILL_OUT_OF_RANGE' })
  pool.resize({ max: 3 })
  assert.equal(await pool.run(2), 2)
  pool.resize({ max: 1 })
  await assert.rejects(pool.run(2), { code: 'ERR_THREADMILL_OUT_OF_RANGE' })
})

test('workers beyond the bound do only what is forced to them', async (t) => {
  const pool = open(t, 'export default () => new Promise((resolve) => setTimeout(resolve, 5))', {
    maxWorkers: 3,
    minWorkers: 3,
  })
  const tasks = [0, 1, 2].flatMap((workerAffinity) => [1, 2, 3].map(() => pool.run(0, { workerAffinity, ...FORCE })))
  pool.resize({ min: 0, max: 1 })
  await Promise.all(tasks)
  await pool.whenIdle()
  await until(() => pool.workers.length <= 1)
  await Promise.all([1, 2, 3, 4].map(() => pool.run(0)))
  assert.equal(pool.workers.length, 1)
})

describe('a stream whose pool is closed', () => {
  test('gives what was admitted, and then the reason', async (t) => {
    const pool = open(t, 'export default (input) => input', { maxWorkers: 2 })
    const stream = pool.stream({ concurrency: 4 })
    for (const input of [1, 2, 3]) stream.write(input)
    const outputs = []
    const failed = once(stream, 'error')
    const closed = pool.close()
    stream.on('data', (output) => outputs.push(output))
    const [error] = await failed
    assert.deepEqual([outputs, error.code], [[1, 2, 3], 'ERR_THREADMILL_POOL_CLOSED'])
    await closed
  })

  test('ends as ever when all was written', async (t) => {
    const pool = open(t, 'export default (input) => input')
    const stream = pool.stream()
    stream.write(1)
    stream.end(2)
    const closed = pool.close()
    assert.deepEqual(await stream.toArray(), [1, 2])
    await closed
  })
})

test('after the end messages do not reach the executor on this thread', async (t) => {
  const heard = []
  globalThis.hears = (what) => heard.push(what)
  t.after(() => delete globalThis.hears)
  const pool = open(t, `export default (_input, client) => { client.onMessage('x', () => hears('x')) }`)
  const task = pool.addTask(0, { mainThread: true })
  await task
  pool.postMessageToWorkers('x')
  await until(() => heard.length === 1)
  await pool.close()
  pool.postMessageToWorkers('x')
  task.worker.postMessageToWorker('x')
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(heard, ['x'])
})

test('a port that is moved out of a sub-task arrives, whoever listens', async (t) => {
  const pool = open(
    t,
    `import { MessageChannel } from 'node:worker_threads'
    import { transfer } from '${import.meta.resolve('threadmill')}'
    export const port = () => { const { port1, port2 } = new MessageChannel(); port1.unref(); return transfer({ port: port2 }, [port2]) }
    export default async (_input, client) => {
      const { port } = await client.run(0, { name: 'port' })
      port.close()
      return port.constructor.name
    }`,
  )
  const seen = []
  pool.on('task-complete', (error, output) => seen.push(error ?? output))
  assert.equal(await pool.run(), 'MessagePort')
  await pool.whenIdle()
  assert.deepEqual(seen, [undefined, 'MessagePort'])
})

test('the copy of a pool in its own workers has none', async (t) => {
  const pool = open(
    t,
    `import { WorkerPool } from '${import.meta.resolve('threadmill')}'
    const pool = new WorkerPool(import.meta.url, { maxWorkers: 2 })
    export default () => [pool.workers.length, pool.isIdle]`,
  )
  assert.deepEqual(await pool.run(), [0, true])
})
