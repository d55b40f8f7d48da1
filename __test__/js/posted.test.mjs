// Values that only postMessage can move: transfer, shared memory, ports; and the module that makes its own pool.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSecretKey } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { assertFreed } from '../helpers/freed.mjs'

const POSTED = new URL('./fixtures/posted.mjs', import.meta.url)

function closing(t, pool) {
  t.after(() => pool.close())
  return pool
}

test('a port that is in no list is refused with a DataCloneError, on the way in and out', async (t) => {
  const pool = closing(t, new WorkerPool(POSTED, { maxWorkers: 1 }))
  await pool.run({ bytes: new Uint8Array(1) })
  const { port1 } = new MessageChannel()
  const refused = { name: 'DataCloneError', code: 25 }
  const bytes = new ArrayBuffer(8)
  await assert.rejects(pool.run(port1), refused)
  await assert.rejects(pool.run([{ port1 }], { retries: 1 }), refused)
  await assert.rejects(pool.run({ port1, bytes }, { transfer: [bytes] }), refused)
  for (const how of ['output', 'in an output', 'message', 'input']) {
    await assert.rejects(pool.run(how, { name: 'leak' }), refused, how)
  }
  assert.throws(() => pool.postMessageToWorkers('port', port1), refused)
  assert.throws(() => pool.workers[0].postMessageToWorker('port', { port1 }), refused)
  assert.equal((await pool.run({ bytes: new Uint8Array(1) })).bytes.length, 1)
  port1.close()
})

test('transferred buffers detach at the call and come back moved', async (t) => {
  const pool = closing(t, new WorkerPool(POSTED, { maxWorkers: 2 }))
  const results = []
  for (let round = 0; round < 20; round++) {
    const bytes = new Uint8Array(100_000).fill(round)
    results.push(pool.run({ bytes }, { transfer: [bytes.buffer] }))
    assert.equal(bytes.length, 0)
  }
  for (const [round, { bytes }] of (await Promise.all(results)).entries()) {
    assert.equal(bytes.length, 100_000)
    assert.ok(bytes.every((byte) => byte === round + 1))
  }
  const marked = new Uint8Array([1])
  const output = await pool.run(transfer({ bytes: marked }, [marked.buffer]))
  assert.equal(marked.length, 0)
  assert.deepEqual(output.bytes, new Uint8Array([2]))
})

test('shared memory is shared', async (t) => {
  const pool = closing(t, new WorkerPool(POSTED, { maxWorkers: 1 }))
  const shared = new Int32Array(new SharedArrayBuffer(8))
  const output = await pool.run({ shared })
  assert.equal(shared[0], 7)
  output.shared[1] = 9
  assert.equal(shared[1], 9)
})

test('a port works on the other side', async (t) => {
  const pool = closing(t, new WorkerPool(POSTED, { maxWorkers: 1 }))
  const { port1, port2 } = new MessageChannel()
  const done = pool.run({ port: port2 }, { transfer: [port2] })
  port1.postMessage('ping')
  const [message] = await once(port1, 'message')
  assert.equal(message, 'ping back')
  assert.equal(await done, 'answered')
  port1.close()
})

test('what cannot be moved rejects and is not queued; a cancelled one is gone', async (t) => {
  const pool = closing(t, new WorkerPool(POSTED, { maxWorkers: 1 }))
  const { port1, port2 } = new MessageChannel()
  // Node names the error differently from version to version, as it does for postMessage.
  await assert.rejects(pool.run({ port: port2 }), /transfer/i)
  port1.close()
  await assert.rejects(pool.run(1, { transfer: [5] }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  await assert.rejects(pool.run(1, { transfer: 5 }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  assert.throws(() => transfer(1, 'x'), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  const bytes = new Uint8Array(10)
  const task = pool.addTask({ bytes }, { transfer: [bytes.buffer] })
  assert.equal(task.cancel('no'), true)
  assert.equal(await task.catch((reason) => reason), 'no')
  await assert.rejects(pool.run({ throw: 'moved' }, { transfer: [] }), { message: 'moved' })
  assert.deepEqual(await pool.run({ bytes: new Uint8Array([1]) }), { bytes: new Uint8Array([2]) })
})

for (const workerConcurrency of [1, 4]) {
  test(`inputs that are copied reach whichever worker runs the task, ${workerConcurrency} at a time`, async (t) => {
    const pool = new WorkerPool(POSTED, { maxWorkers: 3, workerConcurrency })
    t.after(() => pool.destroy())
    const key = createSecretKey(Buffer.from('secret'))
    await pool.run({ id: 0, key }, { name: 'keyed' })
    const tasks = Array.from({ length: 600 }, (_, id) => {
      const failing = id % 10 === 3 ? new Int32Array(new SharedArrayBuffer(4)) : undefined
      const input = { id, key, failing, ends: id === 200, blob: id % 50 === 7 ? new Blob([`text ${id}`]) : undefined }
      const retries = failing === undefined ? undefined : { limit: 1, on: 'error' }
      return pool.addTask(input, { name: 'keyed', retries })
    })
    for (let id = 0; id < 600; id += 7) tasks[id].cancel()
    const ends = await Promise.allSettled(tasks)
    let crashed = 0
    for (const [id, { status, value, reason }] of ends.entries()) {
      if (status === 'rejected') {
        if (reason.code === 'ERR_THREADMILL_WORKER_CRASHED') crashed++
        else assert.deepEqual([id % 7, reason.code], [0, 'ERR_THREADMILL_CANCELLED'])
        continue
      }
      assert.equal(value.id, id)
      assert.ok(value.key.equals(key))
      assert.equal(value.text, id % 50 === 7 ? `text ${id}` : undefined)
    }
    // The one that ends its worker, and those that it ran beside it. What ran beside one that was cancelled runs again.
    assert.ok(crashed >= 1 && crashed <= workerConcurrency, `${crashed} crashed`)
  })
}

for (const workerConcurrency of [1, 4]) {
  test(`an input that cannot be read fails its task and no other, ${workerConcurrency} at a time`, async (t) => {
    const pool = new WorkerPool(POSTED, { maxWorkers: 1, workerConcurrency })
    t.after(() => pool.destroy())
    const key = createSecretKey(Buffer.from('secret'))
    const blobOf = (id) => new Blob([`text ${id}`], { type: id % 10 === 3 ? 'text/unreadable' : 'text/plain' })
    const runs = Array.from({ length: 200 }, (_, id) => pool.run({ id, key, blob: blobOf(id) }, { name: 'keyed' }))
    for (const [id, { reason, value }] of (await Promise.allSettled(runs)).entries()) {
      assert.equal(id % 10 === 3 ? reason?.message : value?.text, id % 10 === 3 ? 'unreadable' : `text ${id}`)
    }
  })
}

test('and their memory goes with their tasks, whatever becomes of those', () =>
  assertFreed(`(view) => [{ view, blob: new Blob([]) }, { name: 'backWhole' }]`, 'fillsLate'))

test('the process waits for an output that is on its way', () => {
  const script = `
    const { WorkerPool } = require('threadmill')
    new WorkerPool(${JSON.stringify(fileURLToPath(POSTED))}, { maxWorkers: 1 })
      .run({ bytes: new Uint8Array(5e6) }).then(({ bytes }) => console.log(bytes.length))`
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000, cwd })
  assert.deepEqual([child.stdout, child.stderr, child.status], ['5000000\n', '', 0])
})

test('a module that is the entry of its own pool makes it once', () => {
  const self = fileURLToPath(new URL('./fixtures/self-entry.mjs', import.meta.url))
  const child = spawnSync(process.execPath, [self], { encoding: 'utf8', timeout: 60_000 })
  assert.deepEqual([child.stdout, child.stderr, child.status], ['Hello, World!\n', '', 0])
})

test('in a worker the pool that it is a worker of does nothing, whatever it is told', async () => {
  const { code, stdout, stderr } = await runProgram(`
    import { isMainThread } from 'node:worker_threads'
    import { WorkerPool } from 'threadmill'
    const note = (text) => console.log((isMainThread ? 'main: ' : 'worker: ') + text)
    export const workerEntrypoint = (name) => 'Hello, ' + name + '!'
    const options = { maxWorkers: 1, threads: 1, handleSignals: true, maxMemoryUsage: 2 ** 40 }
    const pool = new WorkerPool(import.meta.url, options)
    pool.ref().unref().installSignalHandlers().startHealthMonitoring().stopHealthMonitoring()
    pool.onShutdown(() => note('shut down'))
    pool.on('task-added', () => note('added')).onMessage('a', note).postMessageToWorkers('a').resizeUpTo(1)
    pool.resize({ max: 1000 })
    pool.trace.start()
    pool.run('World').then(note)
    pool.kernels.fib(10).then(note)
    pool.addTask('abc', { kernel: 'sha256' }).then((digest) => note(digest.length))
    pool.addTask('here', { mainThread: true }).then(note)
    pool.map([5], { kernel: 'echo' }).next().then(({ value }) => note(value))
    pool.stream({ kernel: 'echo' }).on('data', note).end(6)
    pool.ready().then(() => pool.whenIdle()).then(() => {
      pool.stats()
      pool.trace.stop()
      return pool.close()
    })
  `)
  assert.deepEqual([code, stderr], [0, ''])
  const heard = [...Array(6).fill('added'), 'Hello, World!', 'Hello, here!', '5', '55', '6', '64', 'shut down']
  assert.deepEqual(stdout.trimEnd().split('\n').sort(), heard.map((text) => `main: ${text}`).sort())
})

test('a module that awaits a task of the pool that it is the entry of cannot be used, also with ref()', async () => {
  const { timedOut, stdout } = await runProgram(
    `
    import { WorkerPool } from 'threadmill'
    export const workerEntrypoint = (name) => 'Hello, ' + name + '!'
    const pool = new WorkerPool(import.meta.url, { maxWorkers: 1 }).ref()
    await pool.run('World').catch(({ code }) => console.log(code))
    await pool.close()
  `,
    { limit: 30_000 },
  )
  assert.deepEqual([timedOut, stdout], [false, 'ERR_THREADMILL_ENTRY\n'])
})

test('a message that the worker cannot read costs no task', async (t) => {
  const source = `export const workerEntrypoint = (input) => input
    workerEntrypoint.onWorkerStart = (client) => { client.onMessage('deep', () => {}) }`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, {
    maxWorkers: 1,
    resourceLimits: { stackSizeMb: 1 },
  })
  t.after(() => pool.close())
  const exits = []
  pool.on('worker-exit', (_worker, code) => exits.push(code))
  await pool.run(0)
  let sent = 0
  for (let depth = 500; depth <= 8000; depth += 500) {
    let deep = {}
    for (let level = 0; level < depth; level++) deep = { deep }
    try {
      pool.workers[0].postMessageToWorker('deep', deep)
      sent++
    } catch {
      // Too deep for this thread.
    }
    assert.equal(await pool.run(depth), depth)
  }
  assert.ok(sent > 3)
  assert.deepEqual(exits, [])
})

test('a message that the pool cannot read is lost, and not in silence', async (t) => {
  const source = `export const workerEntrypoint = (depth, client) => {
    let deep = {}
    for (let level = 0; level < depth; level++) deep = { deep }
    try {
      client.postMessageToPool('deep', deep)
      return 1
    } catch {
      return 0
    }
  }`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, {
    maxWorkers: 1,
    resourceLimits: { stackSizeMb: 64 },
  })
  t.after(() => pool.close())
  let [heard, warned, sent] = [0, 0, 0]
  const listener = ({ name, message }) => {
    if (name === 'ThreadmillWarning' && /^a message of type 'deep' of worker 0 cannot be read/.test(message)) warned++
  }
  process.on('warning', listener)
  t.after(() => process.off('warning', listener))
  pool.onMessage('deep', () => heard++)
  for (let depth = 1000; depth <= 32_000; depth *= 2) sent += await pool.run(depth)
  await new Promise(setImmediate)
  assert.ok(warned > 0, `${heard} of ${sent} heard`)
  assert.equal(heard + warned, sent)
})
