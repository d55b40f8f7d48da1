// Values and signals that misbehave: they cost the call that brought them, and nothing else.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { runWorker, WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { occupy, rejection } from '../helpers/pool.mjs'

const TYPE = 'ERR_THREADMILL_INVALID_ARG_TYPE'
const VALUE = 'ERR_THREADMILL_INVALID_ARG_VALUE'
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

async function withPool(options, body) {
  const pool = new WorkerPool(options)
  try {
    await body(pool)
  } finally {
    await pool.destroy()
  }
}

const HOSTILE_REASONS = [
  [
    'a revoked proxy',
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      return proxy
    },
  ],
  [
    'a proxy that throws',
    () =>
      new Proxy(
        {},
        {
          getPrototypeOf() {
            throw new Error('trap')
          },
        },
      ),
  ],
  ['an object below such a proxy', () => Object.create(HOSTILE_REASONS[1][1]())],
]

describe('hostile values', () => {
  test('the task’s own copy is out of reach, whatever class the buffer is of', () =>
    withPool({ threads: 1 }, async (pool) => {
      const made = []
      class Spy extends ArrayBuffer {
        constructor(length) {
          super(length)
          made.push(this)
        }
      }
      const buffer = new Spy(8 * 100_000)
      buffer.slice = () => assert.fail('called')
      const output = await pool.kernels.sort(new Float64Array(buffer))
      assert.deepEqual(made, [buffer])
      assert.notEqual(output.buffer, buffer)
    }))

  test('own properties of a view do not change what is read', () =>
    withPool({ threads: 1 }, async (pool) => {
      await pool.kernels.sha256(Buffer.from('SECRET-'.repeat(20)))
      const bytes = new Uint8Array([1, 2, 3, 4])
      Object.defineProperty(bytes, 'byteLength', { value: 140 })
      Object.defineProperty(bytes, 'byteOffset', { value: 1 })
      Object.defineProperty(bytes, 'buffer', { value: new ArrayBuffer(1000) })
      assert.equal(await pool.kernels.sha256(bytes), sha256(Uint8Array.of(1, 2, 3, 4)))
    }))

  test('a getter that detaches an earlier member is an error, and the pool is as before', () =>
    withPool({ threads: 1, capacity: 1 }, async (pool) => {
      const input = (a = new Float64Array(4)) => ({
        a,
        get b() {
          structuredClone(a.buffer, { transfer: [a.buffer] })
          return new Float64Array(4)
        },
        m: 2,
        k: 2,
        n: 2,
      })
      await assert.rejects(pool.kernels.matmul(input()), { code: VALUE, message: /^input\.a must be memory/ })
      const kept = new ArrayBuffer(8)
      await assert.rejects(pool.kernels.matmul(input(), { transfer: [kept] }), { code: VALUE })
      assert.equal(kept.byteLength, 8, 'it was not moved')
      assert.equal(pool.isIdle, true)
      assert.equal(await pool.kernels.fib(10), 55)
    }))

  for (const [title, length] of [
    ['a small one', 4],
    ['a big one', 400_000],
  ]) {
    test(`a signal that detaches the input when it is subscribed to: ${title}`, () =>
      withPool({ threads: 1, capacity: 1 }, async (pool) => {
        const input = new Float32Array(length)
        const signal = {
          aborted: false,
          addEventListener: () => structuredClone(input.buffer, { transfer: [input.buffer] }),
          removeEventListener() {},
        }
        await assert.rejects(pool.kernels.sort(input, { signal }), { code: VALUE, message: /detached/ })
        assert.equal(pool.isIdle, true)
      }))
  }

  test('a getter that detaches memory of an option is an error', () =>
    withPool({ threads: 1 }, async (pool) => {
      const salt = new Uint8Array(16)
      const options = {
        salt,
        get timeCost() {
          structuredClone(salt.buffer, { transfer: [salt.buffer] })
          return 1
        },
      }
      await assert.rejects(pool.kernels.argon2Hash('password', options), { code: VALUE, message: /^options\.salt/ })
    }))

  test('what is moved is what the list gave when it was checked', () =>
    withPool({ threads: 1 }, async (pool) => {
      class Lines extends Array {
        entries() {
          return [].entries()
        }
      }
      const bytes = new Float32Array([2, 1])
      const lists = [Lines.of(new MessageChannel().port1), Object.setPrototypeOf([5], null)]
      for (const transfer of lists) {
        await assert.rejects(pool.kernels.sort(bytes, { transfer }), { code: TYPE, message: /^options\.transfer\[0\]/ })
      }
      let reads = 0
      const changing = Object.defineProperty([], 0, { get: () => (reads++ === 0 ? bytes.buffer : 'another') })
      assert.deepEqual(await pool.kernels.sort(bytes, { transfer: changing }), Float32Array.of(1, 2))
      assert.equal(bytes.length, 0)
      const fresh = new Float32Array([2, 1])
      const bare = Object.setPrototypeOf([fresh.buffer], null)
      assert.deepEqual(await pool.kernels.sort(fresh, { transfer: bare }), Float32Array.of(1, 2))
      assert.throws(() => pool.installSignalHandlers(Object.setPrototypeOf(['SIGKILL'], null)), { code: VALUE })
    }))

  test('memory whose length can change is told by itself, whatever its properties say', () =>
    withPool({ threads: 1 }, async (pool) => {
      for (const buffer of [
        Object.defineProperty(new ArrayBuffer(8, { maxByteLength: 16 }), 'resizable', { value: false }),
        Object.defineProperty(new SharedArrayBuffer(8, { maxByteLength: 16 }), 'growable', { value: false }),
      ]) {
        await assert.rejects(pool.kernels.sort(new Uint8Array(buffer)), { code: VALUE, message: /fixed length/ })
      }
    }))

  for (const [title, make] of HOSTILE_REASONS) {
    test(`a task that is given up for ${title} settles`, async () => {
      const reason = make()
      await withPool({ threads: 1, capacity: 3 }, async (pool) => {
        const gate = await occupy(pool)
        const controller = new AbortController()
        const byCancel = pool.addTask(1, { kernel: 'fib' })
        const bySignal = pool.run(1, { kernel: 'fib', signal: controller.signal })
        // Not handed on: a promise would look for its `then`.
        const ended = [byCancel, bySignal].map((task) => task.then(assert.fail, (error) => error === reason))
        byCancel.cancel(reason)
        controller.abort(reason)
        assert.deepEqual(await Promise.all(ended), [true, true])
        const stopped = new AbortController()
        const stream = pool.stream({ kernel: 'fib', signal: stopped.signal })
        const failed = new Promise((resolve) => stream.on('error', resolve))
        stream.write(2)
        stopped.abort(reason)
        assert.ok((await failed) instanceof Error)
        await gate.release()
        await pool.whenIdle()
        assert.equal(await pool.kernels.fib(10), 55)
      })
    })
  }

  test('a worker gives tasks up for whatever reason', async () => {
    const source = `data:text/javascript,export default async (input, client) => {
      if (input !== 'outer') return new Promise(() => {});
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      const task = client.addTask('inner', { workerAffinity: 1 });
      task.cancel(proxy);
      return task.then(undefined, (reason) => reason === proxy)
    }`
    const pool = new WorkerPool(source, { maxWorkers: 2 })
    assert.equal(await pool.run('outer', { workerAffinity: 0 }), true)
    await pool.whenIdle()
    await pool.close()
  })

  test('a signal whose reason cannot be read cancels all that follow it, for what its getter throws', () =>
    withPool({ threads: 1 }, async (pool) => {
      const gate = await occupy(pool)
      const broken = () => {
        const controller = new AbortController()
        Object.defineProperty(controller.signal, 'reason', {
          get() {
            throw new Error('no reason')
          },
        })
        return controller
      }
      const controller = broken()
      const { signal } = controller
      const tasks = [1, 2, 3].map((input) => rejection(pool.kernels.fib(input, { signal })))
      const outputs = pool.map([1, 2], { kernel: 'fib', signal })
      const output = rejection(outputs.next())
      const source = `data:text/javascript,setInterval(() => {}, 1000)`
      const script = broken()
      const alone = rejection(runWorker(source, 1, { signal: script.signal }))
      controller.abort()
      script.abort()
      for (const error of await Promise.all([...tasks, output, alone])) assert.equal(error.message, 'no reason')
      assert.equal((await rejection(pool.kernels.fib(1, { signal }))).message, 'no reason')
      assert.equal((await rejection(pool.map([1], { kernel: 'fib', signal }).next())).message, 'no reason')
      assert.equal((await rejection(runWorker(source, 1, { signal }))).message, 'no reason')
      await gate.release()
      await pool.whenIdle()
    }))

  test('a listener of a stream that throws does not keep its task', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const caught = []
      process.on('uncaughtException', (error) => caught.push(error.message))
      const pool = new WorkerPool({ threads: 1 })
      const stream = pool.stream({ kernel: 'fib' })
      stream.on('data', (value) => { throw new Error('got ' + value) })
      for (const input of [5, 6]) {
        stream.write(input)
        await pool.whenIdle()
      }
      stream.destroy()
      await pool.close()
      console.log(caught.join(), pool.stats().tasksCompleted)`
    const { code, stdout, stderr } = await runProgram(source, { limit: 10_000 })
    assert.deepEqual([code, stdout, stderr], [0, 'got 5,got 8 2\n', ''])
  })

  test('signals that throw cost nobody else', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const caught = []
      process.on('uncaughtException', (error) => caught.push(error.message))
      const pool = new WorkerPool({ threads: 1 })
      const signal = (members) => ({ aborted: false, addEventListener() {}, removeEventListener() {}, ...members })
      const late = pool.kernels.fib(3, { signal: signal({ removeEventListener() { throw new Error('remove') } }) })
      const others = Array.from({ length: 600 }, () => pool.kernels.fib(10))
      const early = await pool.kernels.fib(3, { signal: signal({ addEventListener() { throw new Error('add') } }) }).catch((error) => error.message)
      const values = new Set(await Promise.all(others))
      // Exceptions come in a tick of their own.
      await new Promise(setImmediate)
      console.log(await late, early, [...values].join(), pool.isIdle, caught.join())`
    const { code, stdout, stderr } = await runProgram(source)
    assert.deepEqual([code, stdout, stderr], [0, '2 add 55 true remove\n', ''])
  })

  test('a signal that fires while it is being subscribed to cancels', () =>
    withPool({ threads: 1 }, async (pool) => {
      const gate = await occupy(pool)
      const signal = {
        aborted: false,
        reason: 'early',
        addEventListener(_name, listener) {
          this.aborted = true
          listener()
        },
        removeEventListener() {},
      }
      assert.equal(await rejection(pool.kernels.fib(1, { signal })), 'early')
      await gate.release()
    }))

  test('a signal that is aborted while the input is read refuses the task', async () => {
    const ran = new Int32Array(new SharedArrayBuffer(4))
    const source = `data:text/javascript,import { workerData } from 'node:worker_threads';
      export default () => Atomics.add(new Int32Array(workerData), 0, 1)`
    const pool = new WorkerPool(source, { maxWorkers: 1, workerData: ran.buffer })
    await pool.run()
    const aborting = (controller, input) =>
      Object.defineProperty(input, 'late', { enumerable: true, get: () => controller.abort('late') })
    const inputs = [
      () => ({}),
      () => [new Map([[1, 2]])],
      () => ({ memory: new SharedArrayBuffer(8) }),
      () => ({ bytes: new Uint8Array(100_000) }),
    ]
    for (const make of inputs) {
      for (const options of [{}, { retries: 1 }]) {
        const controller = new AbortController()
        const input = aborting(controller, make())
        assert.equal(await rejection(pool.run(input, { ...options, signal: controller.signal })), 'late')
        assert.equal(pool.isIdle, true, 'it was never queued')
      }
    }
    const bytes = new Float32Array(4)
    const controller = new AbortController()
    const { signal } = controller
    signal.addEventListener = () => controller.abort('late')
    const sorted = pool.kernels.sort(bytes, { signal, transfer: [bytes.buffer] })
    assert.equal(await rejection(sorted), 'late')
    assert.equal(bytes.length, 4)
    await pool.run()
    await pool.close()
    assert.deepEqual([ran[0], pool.stats().tasksAdmitted], [2, 2])
  })

  test('one signal followed by many tasks makes no listener warning', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool({ threads: 1 })
      const controller = new AbortController()
      const tasks = Array.from({ length: 100 }, () => pool.kernels.fib(60, { signal: controller.signal }).catch((error) => error))
      controller.abort('all')
      console.log(new Set(await Promise.all(tasks)))`
    const { code, stdout, stderr } = await runProgram(source)
    assert.deepEqual([code, stdout, stderr], [0, `Set(1) { 'all' }\n`, ''])
  })

  test('tasks go on under faked timers and microtasks', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool({ threads: 1 })
      for (let i = 0; i < 50; i++) await pool.kernels.fib(5)
      globalThis.queueMicrotask = () => {}
      globalThis.performance = { now: () => 0 }
      const values = await Promise.all(Array.from({ length: 50 }, () => pool.kernels.fib(10)))
      console.log(new Set(values))`
    const { code, stdout, stderr } = await runProgram(source)
    assert.deepEqual([code, stdout, stderr], [0, 'Set(1) { 55 }\n', ''])
  })

  test('an index setter of all arrays gets no memory of a task, and does not take it away', async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool({ threads: 1 })
      const numbers = Float64Array.from({ length: 2_000_000 }, (_, index) => (index * 7919) % 1000003)
      const shared = new Uint8Array(new SharedArrayBuffer(64 * 2 ** 20))
      await pool.kernels.sha256(shared)
      const seen = []
      // Node itself may see it.
      const own = numbers.buffer
      Object.defineProperty(Array.prototype, 0, {
        configurable: true,
        get() {},
        set(value) {
          if ((value instanceof ArrayBuffer && value !== own) || ArrayBuffer.isView(value)) seen.push(value.byteLength)
          Object.defineProperty(this, 0, { value, writable: true, enumerable: true, configurable: true })
        },
      })
      const tasks = [pool.kernels.sort(numbers, { transfer: [numbers.buffer] }), pool.kernels.sha256(shared)]
      delete Array.prototype[0]
      gc()
      const [sorted, hash] = await Promise.all(tasks)
      console.log(sorted.every((number, at) => at === 0 || number >= sorted[at - 1]), hash.length, seen)
      await pool.close()`
    const { code, stdout, stderr } = await runProgram(source, { nodeArgs: ['--expose-gc'] })
    assert.deepEqual([code, stdout, stderr], [0, 'true 64 []\n', ''])
  })

  test('an input or output that there is no memory for rejects its task alone', {
    skip: process.platform !== 'linux',
  }, async () => {
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool({ threads: 1, capacity: 1 })
      const { readFileSync } = await import('node:fs')
      const { execFileSync } = await import('node:child_process')
      await pool.kernels.fib(3)
      const big = new Uint8Array(600_000_000)
      const used = Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
      // From here on the process may grow by 300 MB: not enough for a copy, nor for the output below.
      execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (used + 300_000_000)])
      const input = await pool.kernels.sha256(big).catch((error) => error)
      const output = await pool.kernels.mandelbrot({ width: 8192, height: 8192, maxIterations: 1 }).catch((error) => error)
      console.log(input.code, output.code, pool.isIdle, await pool.kernels.fib(10))`
    const { code, stdout, stderr } = await runProgram(source)
    assert.equal(stderr, '')
    assert.equal(code, 0)
    assert.match(stdout, /^ERR_THREADMILL_SYSTEM ERR_THREADMILL_(OUTPUT_TOO_LARGE|SYSTEM) true 55\n$/)
  })
})
