// Checks of pools without a module: kernels on native threads.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { gunzipSync } from 'node:zlib'
import { kernelInfo, WorkerPool } from 'threadmill'
import { addressOf } from '../helpers/internals.mjs'
import { blockUntil, occupy, rejection, until } from '../helpers/pool.mjs'

const numbers = (length) => Float64Array.from({ length }, (_, index) => (index * 7919) % 1_000_003)

/** Runs `body` with a pool, and closes it if that goes well. */
async function withPool(options, body) {
  const pool = new WorkerPool(options)
  await body(pool)
  await pool.close()
}

export const checks = {
  'sha256 agrees with node:crypto': () =>
    withPool({ threads: 2 }, async (pool) => {
      const expected = (input) => createHash('sha256').update(input).digest('hex')
      const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => index)
      const inputs = ['', 'hello', 'äöü 💡 \u{10ffff}', 'x'.repeat(100_000), Buffer.from('buffer'), bytes]
      for (const length of [0, 1, 1000, 70_000]) inputs.push(bytes.subarray(3, 3 + length))
      for (const input of inputs) assert.equal(await pool.kernels.sha256(input), expected(input))
      const shared = new Uint8Array(new SharedArrayBuffer(100_000)).fill(7)
      assert.equal(await pool.kernels.sha256(shared), expected(Buffer.from(shared)))
      const raw = await pool.kernels.sha256('hello', { encoding: 'buffer' })
      assert.deepEqual(raw, new Uint8Array(createHash('sha256').update('hello').digest()))
    }),

  'compressed data is read by node:zlib and back': () =>
    withPool({ threads: 2 }, async (pool) => {
      const text = 'threadmill '.repeat(50_000)
      assert.equal(gunzipSync(await pool.kernels.gzip(text)).toString(), text)
      const packed = await pool.kernels.zstd(text)
      assert.ok(packed.length < 1000)
      assert.equal(Buffer.from(await pool.kernels.unzstd(packed)).toString(), text)
    }),

  'outputs of every kind arrive': () =>
    withPool({ threads: 2 }, async (pool) => {
      assert.equal(await pool.kernels.echo(-0.5), -0.5)
      assert.equal(await pool.kernels.crc32('hello'), 907060870)
      assert.deepEqual(await pool.kernels.primesUpTo(10), new Uint32Array([2, 3, 5, 7]))
      assert.deepEqual(await pool.kernels.regexFind({ text: 'one two', pattern: '\\w+' }), [
        { start: 0, end: 3 },
        { start: 4, end: 7 },
      ])
      const table = await pool.kernels.csvParse('name,size\na,1\nb,2\n')
      assert.deepEqual({ ...table.columns }, { name: ['a', 'b'], size: new Float64Array([1, 2]) })
      const counts = await pool.kernels.mandelbrot({ width: 8, height: 8, maxIterations: 50 })
      assert.equal(counts.length, 64)
      assert.equal(kernelInfo('sort').inPlace, true)
    }),

  'sort works in the memory that is transferred': () =>
    withPool({ threads: 2 }, async (pool) => {
      for (const length of [5, 100_000]) {
        const input = numbers(length)
        const expected = input.slice().sort()
        const address = addressOf(input)
        const promise = pool.kernels.sort(input, { transfer: [input.buffer] })
        assert.deepEqual([input.length, input.buffer.byteLength], [0, 0])
        const output = await promise
        assert.deepEqual(output, expected)
        assert.equal(addressOf(output), address)
      }
    }),

  'without transfer the input stays as it is': () =>
    withPool({ threads: 2 }, async (pool) => {
      const input = numbers(100_000)
      const before = input.slice()
      const promise = pool.kernels.sort(input)
      // A copy was taken at the call.
      input.fill(0)
      assert.deepEqual(await promise, before.sort())
    }),

  'a buffer that cannot be transferred is refused with a DataCloneError': () =>
    withPool({ threads: 1 }, async (pool) => {
      const { buffer } = new WebAssembly.Memory({ initial: 1 })
      const error = await rejection(pool.kernels.sort(new Uint8Array(buffer), { transfer: [buffer] }))
      assert.equal(error.name, 'DataCloneError')
      assert.equal(buffer.byteLength, 65536)
    }),

  'errors have their class and code': () =>
    withPool({ threads: 1, capacity: 1 }, async (pool) => {
      const codeOf = async (promise, Class) => {
        const error = await rejection(promise)
        assert.ok(error instanceof Class, `${error} is no ${Class.name}`)
        return error.code
      }
      assert.equal(await codeOf(pool.kernels.sha256(5), TypeError), 'ERR_THREADMILL_INVALID_ARG_TYPE')
      assert.equal(await codeOf(pool.kernels.fib(61), RangeError), 'ERR_THREADMILL_OUT_OF_RANGE')
      assert.equal(await codeOf(pool.run(1, { kernel: 'nothing' }), Error), 'ERR_THREADMILL_UNKNOWN_KERNEL')
      assert.equal(await codeOf(pool.kernels.gunzip(new Uint8Array(20)), Error), 'ERR_THREADMILL_CORRUPT_DATA')
      const { code, cause } = await rejection(pool.kernels.hashFile({ path: 'nowhere', algorithm: 'sha256' }))
      assert.deepEqual([code, cause.code, cause.path], ['ERR_THREADMILL_IO', 'ENOENT', 'nowhere'])
      assert.throws(() => new WorkerPool({ threads: 0 }), { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' })
      const { release } = await occupy(pool)
      assert.equal(await codeOf(pool.kernels.fib(1), Error), 'ERR_THREADMILL_QUEUE_FULL')
      await release()
    }),

  'running and waiting kernels are cancelled': () =>
    withPool({ threads: 1 }, async (pool) => {
      const { task: running, release } = await occupy(pool)
      const waiting = pool.addTask(20, { kernel: 'fib' })
      assert.equal(waiting.cancel(), true)
      assert.equal(waiting.cancel(), false)
      const error = await rejection(waiting)
      assert.deepEqual([error.name, error.code], ['AbortError', 'ERR_THREADMILL_CANCELLED'])
      assert.equal(running.worker.lane, 'native')
      await release()
      const reason = { my: 'reason' }
      const other = pool.addTask(60, { kernel: 'fib' })
      other.cancel(reason)
      assert.equal(await rejection(other), reason)
    }),

  'a timeout ends running and waiting kernels': () =>
    withPool({ threads: 1 }, async (pool) => {
      const running = pool.run(60, { kernel: 'fib', timeout: 30 })
      const waiting = pool.run(60, { kernel: 'fib', timeout: 30 })
      for (const error of await Promise.all([rejection(running), rejection(waiting)])) {
        assert.deepEqual([error.name, error.code], ['TimeoutError', 'ERR_THREADMILL_TIMEOUT'])
      }
    }),

  'an AbortSignal ends a kernel with its reason': () =>
    withPool({ threads: 1 }, async (pool) => {
      const controller = new AbortController()
      const running = pool.addTask(60, { kernel: 'fib', signal: controller.signal })
      await until(() => running.worker !== undefined)
      const reason = new Error('enough')
      controller.abort(reason)
      assert.equal(await rejection(running), reason)
      assert.equal(await rejection(pool.kernels.fib(1, { signal: controller.signal })), reason)
      const { name } = await rejection(pool.kernels.fib(60, { signal: AbortSignal.timeout(20) }))
      assert.equal(name, 'TimeoutError')
    }),

  'a long kernel reports progress': () =>
    withPool({ threads: 1 }, async (pool) => {
      const task = pool.addTask(30, { kernel: 'estimatePi' })
      const progress = await new Promise((resolve) => task.on('progress', resolve))
      assert.ok(progress.fraction > 0 && progress.fraction < 1)
      task.cancel()
      await rejection(task)
    }),

  'outcomes and progress keep their async context': () =>
    withPool({ threads: 1 }, async (pool) => {
      const store = new AsyncLocalStorage()
      const task = pool.addTask(30, { kernel: 'estimatePi' })
      const progress = new Promise((resolve) => {
        store.run('mine', () => task.on('progress', () => resolve(store.getStore())))
      })
      assert.equal(await progress, 'mine')
      task.cancel()
      const seen = await store.run('other', () => task.catch(() => store.getStore()))
      assert.equal(seen, 'other')
    }),

  'kernels run while this thread is busy': () =>
    withPool({ threads: 1 }, async (pool) => {
      const sums = [pool.kernels.fib(20), pool.kernels.fib(21)]
      blockUntil(() => pool.stats().native[0].tasksCompleted === 2)
      assert.deepEqual(await Promise.all(sums), [6765, 10946])
    }),

  'many kernels in flight all settle': () =>
    withPool({ threads: 2 }, async (pool) => {
      const values = await Promise.all(Array.from({ length: 20_000 }, (_, index) => pool.kernels.echo(index)))
      assert.ok(values.every((value, index) => value === index))
      assert.equal(pool.isIdle, true)
      assert.equal(pool.stats().tasksCompleted, 20_000)
    }),

  'map gives outputs in order and takes inputs as they are consumed': () =>
    withPool({ threads: 2 }, async (pool) => {
      let taken = 0
      let close
      const closed = new Promise((resolve) => {
        close = resolve
      })
      async function* inputs() {
        try {
          for (;;) yield ++taken
        } finally {
          close()
        }
      }
      const outputs = []
      for await (const output of pool.map(inputs(), { kernel: 'echo', concurrency: 4 })) {
        outputs.push(output)
        if (output === 50) break
      }
      assert.deepEqual(
        outputs,
        Array.from({ length: 50 }, (_, index) => index + 1),
      )
      assert.ok(taken < 60, `${taken} taken`)
      await closed
      const failing = pool.map([1, 61, 2], { kernel: 'fib' })
      assert.deepEqual(await failing.next(), { value: 1, done: false })
      assert.equal((await rejection(failing.next())).code, 'ERR_THREADMILL_OUT_OF_RANGE')
    }),

  'close finishes kernels, dispose drops waiting ones, destroy all': async () => {
    const start = async () => {
      const pool = new WorkerPool({ threads: 1 })
      const { release } = await occupy(pool)
      return { pool, release, waiting: pool.kernels.fib(10).catch((error) => error.code) }
    }
    const first = await start()
    const closed = first.pool.close()
    assert.equal((await rejection(first.pool.kernels.fib(1))).code, 'ERR_THREADMILL_POOL_CLOSED')
    await first.release()
    await closed
    assert.equal(await first.waiting, 55)
    const second = await start()
    const disposed = second.pool.dispose()
    assert.equal(await second.waiting, 'ERR_THREADMILL_POOL_CLOSED')
    await second.release()
    await disposed
    const pool = new WorkerPool({ threads: 1 })
    const running = pool.addTask(60, { kernel: 'fib' })
    await until(() => running.worker !== undefined)
    const [error] = await Promise.all([rejection(running), pool.destroy()])
    assert.equal(error.code, 'ERR_THREADMILL_POOL_CLOSED')
  },

  'a worker thread has a pool of its own': () =>
    withPool({ threads: 1 }, async (pool) => {
      const worker = new Worker(new URL('./fixtures/own-pool.mjs', import.meta.url), { workerData: 'idle' })
      const exit = once(worker, 'exit')
      const [value] = await once(worker, 'message')
      assert.equal(value, 6765)
      assert.deepEqual(await exit, [0])
      assert.equal(await pool.kernels.fib(20), 6765)
    }),
}
