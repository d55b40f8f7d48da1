// Scripts without an entry function that talk through parentPort.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import path from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { MessageChannel, Worker } from 'node:worker_threads'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { rejection, until } from '../helpers/pool.mjs'

const RAW = new URL('./fixtures/raw.cjs', import.meta.url)
const LISTENERS = new URL('./fixtures/raw-listeners.mjs', import.meta.url)
const LOOP = new URL('./fixtures/raw-loop.mjs', import.meta.url)

function poolOf(t, script, options) {
  const pool = new WorkerPool(script, options)
  t.after(() => pool.destroy())
  return pool
}

/** A script as a data: URL. */
const script = (source) =>
  `data:text/javascript,${encodeURIComponent(`import { parentPort } from 'node:worker_threads'; ${source}`)}`

test('a task is a message to the script, and what it posts next is the output', async (t) => {
  const relative = `./${path.relative(process.cwd(), fileURLToPath(RAW)).replaceAll(path.sep, '/')}`
  for (const form of [RAW, relative]) {
    const pool = poolOf(t, form, { maxWorkers: 2, workerData: 'data' })
    const input = { date: new Date(5), map: new Map([[1, 2]]) }
    const { message, isMainThread, workerData } = await pool.run(input)
    assert.deepEqual([message, isMainThread, workerData], [input, false, 'data'])
    assert.equal((await pool.run(undefined)).message, undefined)
    assert.equal((await pool.run(null)).message, null)
  }
})

test('replies find their tasks, whatever the order in which they come', async (t) => {
  const pool = poolOf(t, RAW, 2)
  const { port1, port2 } = new MessageChannel()
  const slow = pool.run({ do: 'port', port: port2 }, { transfer: [port2] })
  assert.equal(await pool.run({ do: 'tick', value: 'fast', delay: 1 }), 'fast')
  port1.postMessage('go on')
  assert.equal(await slow, 'answered')

  const random = Array.from({ length: 200 }, (_, index) => ({ do: 'tick', value: index, delay: (index * 7) % 4 }))
  assert.deepEqual(
    await Promise.all(random.map((input) => pool.run(input))),
    random.map(({ value }) => value),
  )
  const threads = new Set()
  for (const { threadId } of await Promise.all(Array.from({ length: 100 }, () => pool.run(0)))) threads.add(threadId)
  assert.ok(threads.size <= 2)
})

test('with several tasks on a worker, replies are matched in the order of posting', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1, workerConcurrency: 2 })
  const first = pool.run({ do: 'tick', value: 'posted last', delay: 100 })
  const second = pool.run({ do: 'tick', value: 'posted first', delay: 1 })
  assert.deepEqual(await Promise.all([first, second]), ['posted first', 'posted last'])
})

test('a getter of a reply that posts one itself takes no reply from another task', async (t) => {
  const source = script(`
    const inputs = []
    parentPort.on('message', (input) => {
      if (inputs.push(input) < 3) return
      parentPort.postMessage({ get outer() { parentPort.postMessage('inner'); return inputs[0] } })
      parentPort.postMessage(inputs[1])
      parentPort.postMessage(inputs[2])
    })`)
  const pool = poolOf(t, source, { maxWorkers: 1, workerConcurrency: 3 })
  const heard = []
  pool.onMessage('message', (contents) => heard.push(contents))
  assert.deepEqual(await Promise.all([1, 2, 3].map((input) => pool.run(input))), ['inner', 2, 3])
  assert.deepEqual(heard, [{ outer: 1 }])
})

test('what is posted outside of a task is a message, and so is what the pool says', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  const messages = []
  pool.onMessage('message', (contents, worker) => messages.push([contents, worker.id]))
  assert.equal(await pool.run({ do: 'twice' }), 'output')
  await until(() => messages.length === 2)
  assert.deepEqual(messages, [
    ['loaded', 0],
    ['beside', 0],
  ])
  pool.workers[0].postMessageToWorker('message', 'said')
  await until(() => messages.length === 3)
  assert.equal(messages[2][0].message, 'said')
  pool.postMessageToWorkers('other', 'nobody listens')
  assert.equal((await pool.run('still there')).message, 'still there')
})

test('the output is the value as it was when it was posted', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  assert.deepEqual(await pool.run({ do: 'reuse' }), new Uint8Array([1, 2, 3]))
})

test('buffers and ports move both ways', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  for (const asOptions of [false, true]) {
    const bytes = new Uint8Array([41, 2]).buffer
    const { held, list } = await pool.run({ do: 'move', bytes, asOptions }, { transfer: [bytes] })
    assert.deepEqual([bytes.byteLength, held, list], [0, new Uint8Array([42, 2]), asOptions])
    assert.equal(await pool.run({ do: 'held' }), 0)
  }
  const { port1, port2 } = new MessageChannel()
  const answer = pool.run({ do: 'port', port: port2 }, { transfer: [port2] })
  port1.postMessage('ping')
  assert.deepEqual(await once(port1, 'message'), ['ping back'])
  assert.equal(await answer, 'answered')
})

test('a listener that throws or rejects fails its task, and the worker goes on', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  const { threadId } = await pool.run(0)
  const error = await rejection(pool.run({ do: 'throw' }))
  assert.ok(error instanceof RangeError)
  assert.deepEqual([error.message, error.code], ['mine', 'MY_CODE'])
  await assert.rejects(pool.run({ do: 'uncloneable' }), { name: 'DataCloneError' })
  assert.equal(await pool.run({ do: 'caught' }), 'DataCloneError')
  assert.equal((await pool.run(0)).threadId, threadId)

  const listeners = poolOf(t, LISTENERS, { maxWorkers: 1 })
  await assert.rejects(listeners.run({ do: 'reject' }), { name: 'TypeError', message: 'later' })
  assert.ok(Array.isArray(await listeners.run({ do: 'on' })))
})

test('what fails after the output ends the worker, as in any other', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  const exits = []
  pool.on('worker-exit', (_worker, code, error) => exits.push([code, error?.message]))
  assert.equal(await pool.run({ do: 'late' }), 'output')
  await until(() => exits.length > 0)
  assert.deepEqual(exits, [[1, 'after the output']])
  assert.equal((await pool.run('again')).message, 'again')
})

test('every way to listen works, several at a time', async (t) => {
  const pool = poolOf(t, LISTENERS, { maxWorkers: 1 })
  assert.deepEqual(await pool.run({ do: 'a' }), [
    'once a',
    'addListener a',
    'addEventListener event a',
    'addEventListener once event a',
    'handleEvent event a',
    'same event a',
    'onmessage event a',
    'events.once a',
  ])
  const rest = ['addListener', 'addEventListener event', 'handleEvent event', 'same event', 'onmessage event']
  assert.deepEqual(
    await pool.run({ do: 'quiet' }),
    rest.map((way) => `${way} quiet`),
  )
  assert.deepEqual(await pool.run({ do: 'b' }), ['addListener b', 'addEventListener event b', 'same event b'])
})

test('a script that listens to one message at a time gets one at a time', async (t) => {
  for (const workerConcurrency of [1, 4]) {
    const pool = poolOf(t, LOOP, { maxWorkers: 1, workerConcurrency })
    const inputs = Array.from({ length: 50 }, (_, index) => index)
    assert.deepEqual(
      await Promise.all(inputs.map((input) => pool.run(input))),
      inputs.map((input) => input * 2),
    )
  }
})

test('a late reply to a task that was given up is not the output of the next', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  await pool.run(0)
  const task = pool.addTask({ do: 'tick', value: 'late', delay: 100 })
  await until(() => task.worker !== undefined)
  assert.equal(task.cancel('no'), true)
  const next = pool.run({ do: 'tick', value: 'next', delay: 1 })
  assert.equal(await rejection(task), 'no')
  assert.equal(await next, 'next')
})

test('a script that ends its thread fails its task, and another one is launched', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  for (const [how, exitCode] of [
    ['end', 0],
    ['exit', 3],
  ]) {
    await assert.rejects(pool.run({ do: how }), { code: 'ERR_THREADMILL_WORKER_CRASHED', exitCode })
    assert.equal((await pool.run(how)).message, how)
  }
})

test('a listener that throws at a message of the pool ends its thread, also while a task is open', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  const flags = new Int32Array(new SharedArrayBuffer(4))
  const task = pool.run({ do: 'never', flags })
  const error = rejection(task)
  await until(() => Atomics.load(flags, 0) === 1)
  pool.postMessageToWorkers('message', { do: 'throw' })
  assert.equal((await error).code, 'ERR_THREADMILL_WORKER_CRASHED')
  assert.equal((await error).cause.code, 'MY_CODE')
})

test('a task waits for its reply: a timeout ends the wait', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  const flags = new Int32Array(new SharedArrayBuffer(4))
  const task = pool.run({ do: 'never', flags }, { timeout: 200, timeoutFrom: 'start' })
  await assert.rejects(task, { name: 'TimeoutError' })
  await until(() => Atomics.load(flags, 0) === 1)
})

test('a module with neither says what it could have been; an entry function counts more than a listener', async (t) => {
  const neither = poolOf(t, script('parentPort.postMessage(1); export const other = 1'))
  await assert.rejects(neither.run(1), {
    code: 'ERR_THREADMILL_ENTRY',
    message:
      /has no function workerEntrypoint, processTask or default, and does not listen on parentPort; it exports other/,
  })
  const named = poolOf(t, script(`parentPort.on('message', () => {})`), { entrypointSymbol: 'mine' })
  await assert.rejects(named.run(1), { code: 'ERR_THREADMILL_ENTRY', message: /has no export 'mine'/ })
  const both = script(`parentPort.on('message', () => parentPort.postMessage('raw')); export default () => 'entry'`)
  assert.equal(await poolOf(t, both).run(1), 'entry')
  const pool = poolOf(t, RAW)
  await assert.rejects(pool.run(1, { name: 'mine' }), { code: 'ERR_THREADMILL_ENTRY', message: /has no export 'mine'/ })
  await assert.rejects(poolOf(t, script('throw new Error("no")')).run(1), {
    code: 'ERR_THREADMILL_ENTRY',
    message: /no$/,
  })
})

test('an entry module may post on parentPort and listen there', async (t) => {
  const module = script(`
    let heard = 0
    parentPort.on('message', () => heard++)
    export default (value) => {
      parentPort.postMessage(value)
      return heard
    }`)
  const pool = poolOf(t, module, { maxWorkers: 1 })
  const messages = []
  pool.onMessage('message', (contents) => messages.push(contents))
  assert.equal(await pool.run('posted'), 0)
  assert.deepEqual(messages, ['posted'])
})

test('workers that are not of a pool are left alone', async (t) => {
  const pool = poolOf(t, RAW, { maxWorkers: 1 })
  const worker = new Worker(RAW, { workerData: 'own' })
  t.after(() => worker.terminate())
  const messages = []
  worker.on('message', (message) => messages.push(message))
  worker.postMessage('a')
  assert.equal((await pool.run('b')).message, 'b')
  await until(() => messages.length === 2)
  assert.equal(messages[0], 'loaded')
  assert.deepEqual([messages[1].message, messages[1].workerData], ['a', 'own'])
})

test('an idle pool of scripts keeps no process alive, and close ends it', async () => {
  for (const end of ['', 'await pool.close(); console.log("closed")']) {
    const { code, stdout, stderr } = await runProgram(`
      import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool(${JSON.stringify(RAW.href)})
      console.log((await pool.run('a')).message)
      ${end}`)
    assert.deepEqual([code, stdout, stderr], [0, end === '' ? 'a\n' : 'a\nclosed\n', ''])
  }
})
