// One worker for one result: what it gives, how it fails, and that nothing of it is left.
import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import path from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { runWorker } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { rejection } from '../helpers/pool.mjs'

const SUM = new URL('./fixtures/sum.cjs', import.meta.url)
const FIB = new URL('./fixtures/fib.mjs', import.meta.url)

/** A script as a data: URL. */
const script = (source) =>
  `data:text/javascript,${encodeURIComponent(`import { parentPort, workerData } from 'node:worker_threads'; ${source}`)}`

test('the first message is the result, whatever form the script is given in', async () => {
  const data = { numbers: [1, 2, 3, 4, 5] }
  const file = fileURLToPath(SUM)
  for (const form of [SUM, SUM.href, file, path.relative(process.cwd(), file)]) {
    assert.deepEqual(await runWorker(form, data), { sum: 15, count: 5 }, String(form))
  }
  assert.equal(await runWorker(FIB, 20), 6765)
  assert.equal(await runWorker(script('parentPort.postMessage(1); parentPort.postMessage(2)')), 1)
  assert.equal(await runWorker(new URL(script('parentPort.postMessage(workerData)')), undefined), undefined)
  const source = `require('node:worker_threads').parentPort.postMessage(process.argv[2])`
  assert.equal(await runWorker(source, null, { eval: true, argv: ['given'] }), 'given')
})

test('an error that the script does not catch rejects with itself', async () => {
  const error = await rejection(runWorker(script(`throw Object.assign(new RangeError('mine'), { code: 'MY_CODE' })`)))
  assert.ok(error instanceof RangeError)
  assert.deepEqual([error.message, error.code], ['mine', 'MY_CODE'])
  assert.equal(await rejection(runWorker(script(`throw 'text'`))), 'text')
  await assert.rejects(runWorker('./no-such-script.js'), { code: /^(ERR_)?MODULE_NOT_FOUND$/ })
  await assert.rejects(runWorker(script('not JavaScript')), SyntaxError)
})

test('an end without a message rejects with the exit code', async () => {
  await assert.rejects(runWorker(script('process.exit(3)')), {
    name: 'ThreadmillError',
    code: 'ERR_THREADMILL_WORKER_CRASHED',
    message: 'Worker stopped with exit code 3',
    exitCode: 3,
  })
  await assert.rejects(runWorker(script('')), {
    code: 'ERR_THREADMILL_WORKER_CRASHED',
    message: 'Worker ended without sending a result',
    exitCode: 0,
  })
})

test('a result that was sent before the end counts', async () => {
  assert.equal(await runWorker(script(`parentPort.postMessage('sent'); process.exit(3)`)), 'sent')
  assert.equal(await runWorker(script(`parentPort.postMessage('sent'); throw new Error('late')`)), 'sent')
})

test('a message that this thread cannot read rejects', async () => {
  // Deep values need a deep stack, and the thread of the test has not got it.
  const deep = `let value = []; for (let i = 0; i < 30_000; i++) value = [value]; parentPort.postMessage(value)`
  await assert.rejects(runWorker(script(deep), undefined, { resourceLimits: { stackSizeMb: 256 } }), RangeError)
})

test('a timeout ends the worker, also one that never returns', async () => {
  const { port1, port2 } = new MessageChannel()
  const closed = once(port1, 'close')
  const running = runWorker(script('for (;;);'), port2, { transferList: [port2], timeout: 200 })
  await assert.rejects(running, {
    name: 'TimeoutError',
    code: 'ERR_THREADMILL_TIMEOUT',
    message: 'Worker sent no result within 200 ms',
  })
  await closed
  assert.equal(await runWorker(FIB, 5, { timeout: Number.POSITIVE_INFINITY }), 5)
})

test('an abort ends the worker and rejects with the reason', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const { port1, port2 } = new MessageChannel()
  const closed = once(port1, 'close')
  const endless = script('workerData.postMessage(1); for (;;);')
  const running = runWorker(endless, port2, { transferList: [port2], signal })
  await once(port1, 'message')
  controller.abort('enough')
  assert.equal(await rejection(running), 'enough')
  await closed

  const bytes = new Uint8Array(8)
  const late = runWorker(SUM, bytes, { signal, transferList: [bytes.buffer] })
  assert.equal(await rejection(late), 'enough')
  assert.equal(bytes.length, 8, 'nothing was moved, no worker was made')
})

test('so does one while the worker is made, by a getter of its data', async () => {
  const controller = new AbortController()
  const data = {
    get value() {
      return controller.abort('meanwhile')
    },
  }
  assert.equal(await rejection(runWorker(script('for (;;);'), data, { signal: controller.signal })), 'meanwhile')
})

test('after the result an abort or a timeout changes nothing, and nothing listens for it', async () => {
  const controller = new AbortController()
  const { signal } = controller
  assert.equal(await runWorker(FIB, 5, { signal, timeout: 60_000 }), 5)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  controller.abort()
})

test('data is cloned, shared or moved', async () => {
  const shared = new Int32Array(new SharedArrayBuffer(4))
  const moved = new Uint8Array([7])
  const source = script(`
    const { shared, moved, date } = workerData
    Atomics.add(shared, 0, 123)
    parentPort.postMessage({ moved, date }, [moved.buffer])`)
  const output = await runWorker(source, { shared, moved, date: new Date(5) }, { transferList: [moved.buffer] })
  assert.deepEqual(output, { moved: new Uint8Array([7]), date: new Date(5) })
  assert.deepEqual([shared[0], moved.length], [123, 0])
})

test('bad input rejects before a worker is made', async () => {
  const type = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' }
  const value = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_VALUE' }
  const range = { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' }
  for (const bad of [undefined, null, 5, {}, () => {}]) await assert.rejects(runWorker(bad), type)
  for (const bad of [
    '',
    'a\0b',
    'https://example.org/a.js',
    'node:fs',
    'file://[bad',
    'file://host/a.js',
    'file:///a%2fb.js',
  ]) {
    await assert.rejects(runWorker(bad), value, bad)
  }
  await assert.rejects(runWorker('./gone.js'), { code: /^(ERR_)?MODULE_NOT_FOUND$/ })
  for (const options of [5, null, [], { timeout: '1' }, { signal: {} }, { transferList: {} }, { transferList: [5] }]) {
    await assert.rejects(runWorker(FIB, 1, options), type)
  }
  for (const timeout of [0, -1, Number.NaN, 2 ** 31]) await assert.rejects(runWorker(FIB, 1, { timeout }), range)
  await assert.rejects(runWorker(5, 1, { eval: true }), type)
  await assert.rejects(
    runWorker(FIB, () => {}),
    { name: 'DataCloneError' },
  )
  await assert.rejects(runWorker(FIB, 1, { argv: 'text' }), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('what others have added to all objects is no option, of a worker of a pool neither', async () => {
  const { code, stdout, stderr } = await runProgram(`
    import { runWorker, WorkerPool } from 'threadmill'
    const source = ${JSON.stringify(script('parentPort.postMessage(workerData)'))}
    const foreign = { timeout: 1, transferList: 1, eval: true, argv: 1, execArgv: ['--no-such-flag'] }
    // One at a time: Node reads some of them for itself.
    for (const [name, value] of Object.entries(foreign)) {
      Object.prototype[name] = value
      try {
        const pool = new WorkerPool('data:text/javascript,export default (input) => input', { maxWorkers: 1 })
        console.log(name, await runWorker(source, 1), await runWorker(source, 2, {}), await pool.run(3))
        await pool.close()
      } finally {
        delete Object.prototype[name]
      }
    }`)
  const names = ['timeout', 'transferList', 'eval', 'argv', 'execArgv']
  assert.deepEqual([code, stdout, stderr], [0, names.map((name) => `${name} 1 2 3\n`).join(''), ''])
})

test('nothing of it keeps the process alive after its end', async () => {
  const { code, stdout, stderr } = await runProgram(`
    import { runWorker } from 'threadmill'
    const source = ${JSON.stringify(`
      require('node:worker_threads').parentPort.postMessage('result')
      setInterval(() => {}, 1000)`)}
    console.log(await runWorker(source, null, { eval: true, timeout: 1e6, signal: new AbortController().signal }))`)
  assert.deepEqual([code, stdout, stderr], [0, 'result\n', ''])
})
