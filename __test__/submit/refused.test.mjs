// Tasks that are refused and waits for room that are over: nothing is left of them.
import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MessageChannel } from 'node:worker_threads'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { kernelNamed, startKernel } from '../helpers/internals.mjs'
import { occupy, until } from '../helpers/pool.mjs'

const MODULE = 'data:text/javascript,export default (input) => input'
const FULL = 'ERR_THREADMILL_QUEUE_FULL'

function closing(t, ...args) {
  const pool = new WorkerPool(...args)
  t.after(() => pool.destroy())
  return pool
}

test('a task whose own input has taken the room lets go of its signal and closes its ports', async (t) => {
  const pool = closing(t, MODULE, { maxWorkers: 1, capacity: 1 })
  const { signal } = new AbortController()
  const { port1, port2 } = new MessageChannel()
  const closed = once(port2, 'close')
  let inner
  const input = {
    port: port1,
    get value() {
      inner ??= pool.run(5)
      return 1
    },
  }
  await assert.rejects(pool.run(input, { signal, transfer: [port1] }), { code: FULL })
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  await closed
  assert.equal(await inner, 5)
})

test('tasks whose inputs cannot be copied do not count when workers are launched', async (t) => {
  const pool = closing(t, MODULE, { maxWorkers: 4 })
  await pool.run(1)
  for (let round = 0; round < 20; round++) await assert.rejects(pool.run({ run() {} }), { name: 'DataCloneError' })
  for (let round = 0; round < 5; round++) await pool.run(1)
  assert.equal(pool.workers.length, 1)
})

test('when whoever waited for room has been told, less than was refused is room again', async (t) => {
  const pool = closing(t, { threads: 1, capacityBytes: 1000 })
  const gate = await occupy(pool)
  const submit = () => pool.addTask(new Uint8Array(600), { kernel: 'sha256' })
  const first = submit()
  assert.throws(submit, { code: FULL })
  const told = pool.ready()
  first.cancel()
  await assert.rejects(first.then(), { code: 'ERR_THREADMILL_CANCELLED' })
  await told
  const second = submit()
  await pool.ready()
  assert.equal(pool.isIdle, false)
  await gate.release()
  await second
})

test('a pool keeps nothing of a wait for room that is over', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc')
  const pool = closing(t, { threads: 1, capacity: 1 })
  const waited = await (async () => {
    const { signal } = new AbortController()
    const gate = await occupy(pool)
    const ready = pool.ready({ signal })
    await gate.release()
    await ready
    return new WeakRef(signal)
  })()
  await until(() => {
    gc()
    return waited.deref() === undefined
  })
})

/** What users' code that runs while a task is submitted can do to it. */
const MEANWHILE = {
  'a listener of worker-launched takes the room': [
    (pool) => {
      pool.once('worker-launched', () => pool.run(1).catch(() => {}))
    },
    { capacity: 1 },
    { code: FULL },
  ],
  'a listener of worker-launched aborts': [
    (pool, controller) => {
      pool.once('worker-launched', () => controller.abort(new Error('wanted')))
    },
    {},
    { message: 'wanted' },
  ],
  'a listener of worker-launched closes the pool': [
    (pool) => {
      pool.once('worker-launched', () => pool.close())
    },
    {},
    { code: 'ERR_THREADMILL_POOL_CLOSED' },
  ],
}

for (const [title, [prepare, options, expected]] of Object.entries(MEANWHILE)) {
  test(`a call that is refused since ${title} moves nothing, and is not counted`, async (t) => {
    const pool = closing(t, MODULE, { maxWorkers: 1, ...options })
    const controller = new AbortController()
    prepare(pool, controller)
    const [bytes, buffer] = [new Uint8Array(8), new ArrayBuffer(8)]
    const call = pool.run([bytes, buffer], { transfer: [bytes.buffer, buffer], signal: controller.signal })
    await assert.rejects(call, expected)
    assert.deepEqual([bytes.length, buffer.byteLength], [8, 8])
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
    await pool.whenIdle()
    const { tasksAdmitted, tasksCompleted } = pool.stats()
    assert.equal(tasksAdmitted, tasksCompleted)
  })
}

test('a call that is refused since an estimator takes the room moves nothing', async (t) => {
  let [asked, inner] = [0]
  const pool = closing(t, MODULE, {
    maxWorkers: 1,
    capacity: 1,
    inherentCostEstimator() {
      if (asked++ === 0) inner = pool.run(5)
      return 1
    },
  })
  const bytes = new Uint8Array(8)
  await assert.rejects(pool.run(bytes, { transfer: [bytes.buffer] }), { code: FULL })
  assert.equal(bytes.length, 8)
  assert.equal(await inner, 5)
})

test('a call whose worker cannot be launched moves nothing', async (t) => {
  const pool = closing(t, MODULE, { maxWorkers: 1, execArgv: ['--no-such-flag'] })
  const bytes = new Uint8Array(8)
  await assert.rejects(pool.run(bytes, { transfer: [bytes.buffer] }), { code: 'ERR_WORKER_INVALID_EXEC_ARGV' })
  assert.equal(bytes.length, 8)
})

test('a call for a kernel without memory for a copy moves nothing', async () => {
  const { stdout, stderr } = await runProgram(`
    const Real = Uint8Array
    globalThis.Uint8Array = new Proxy(Real, {
      construct(target, args, newTarget) {
        if (args[0] === 8192) throw new RangeError('Array buffer allocation failed')
        return Reflect.construct(target, args, newTarget)
      },
    })
    const { WorkerPool } = await import('threadmill')
    const pool = new WorkerPool({ threads: 1 })
    const [re, im] = [new Float64Array(1024), new Float64Array(1024)]
    const error = await pool.kernels.fft({ re, im }, { transfer: [re.buffer] }).catch((reason) => reason)
    console.log(error.code, re.length, im.length)
    await pool.close()`)
  assert.deepEqual([stdout, stderr], ['ERR_THREADMILL_SYSTEM 1024 1024\n', ''])
})

test('of two views of a buffer that moves, the first has its memory and the other one a copy', async (t) => {
  const pool = closing(t, { threads: 1 })
  const a = Float64Array.of(1, 2, 3, 4)
  const given = { a, b: a.subarray(0), m: 2, k: 2, n: 2 }
  const known = await pool.kernels.matmul(given)
  assert.deepEqual(await pool.kernels.matmul(given, { transfer: [a.buffer] }), known)
  assert.equal(a.length, 0)
})

test('a task that cannot be handed over is settled, and its slot is free again', async () => {
  const settled = []
  const reason = new Error('wanted')
  const host = {
    settings: { retries: { limit: 0 } },
    tickets: [],
    checkOpen() {},
    checkRoom() {},
    began() {
      throw reason
    },
    settled: (succeeded, value) => settled.push([succeeded, value]),
  }
  const kernel = kernelNamed('fib')
  host.tickets[kernel.index] = { owner: host, kernel: kernel.index, priority: 0, affinity: -1, timeout: -1 }
  const submitted = new Promise((resolve, reject) => {
    assert.equal(startKernel(host, kernel, 5, undefined, { resolve, reject }), -1)
  })
  await assert.rejects(submitted, reason)
  assert.deepEqual(settled, [[false, reason]])
})
