// Entry modules that cannot be used, and workers that cannot load one: every task settles once, and the pool goes on or says
// why it does not.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { rejection, until } from '../helpers/pool.mjs'
import { settledOnce, untilGone, watched } from './watched.mjs'

const FORCE = { affinityStrength: 'force' }
const CRASHED = { code: 'ERR_THREADMILL_WORKER_CRASHED' }

describe('an entry module that cannot be used', () => {
  const script = (source) => `data:text/javascript,${encodeURIComponent(source)}`
  const entry = 'export const workerEntrypoint = (input) => input;'
  const starting = (source) => [script(`${entry} workerEntrypoint.onWorkerStart = ${source}`)]
  const MODULES = {
    'is missing': [new URL('./fixtures/there-is-none.mjs', import.meta.url), /there-is-none/],
    'is a package that is missing': ['threadmill-there-is-none', /threadmill-there-is-none/],
    'imports what is missing': [script(`import 'node:there-is-none'; ${entry}`), /there-is-none/],
    'does not parse': [script('export const = 1'), /Unexpected token/],
    'throws while it loads': [script(`throw new RangeError('at load'); ${entry}`), /at load/],
    'throws undefined while it loads': [script('throw undefined'), /undefined/],
    'throws null while it loads': [script('throw null'), /null/],
    'rejects while it loads': [script(`${entry} await Promise.reject(new RangeError('at load'))`), /at load/],
    'has no function': [script('export const other = 1'), /no function workerEntrypoint.*other/],
    'has not the export': [script(entry), /no export 'nothing'/, { entrypointSymbol: 'nothing' }],
    'has something else there': [
      script('export const thing = 5'),
      /no function 'thing'/,
      { entrypointSymbol: 'thing' },
    ],
    'cannot start': [...starting(`() => { throw new RangeError('at start') }`), /at start/],
    'rejects at its start': [...starting(`() => Promise.reject(new RangeError('at start'))`), /at start/],
    'rejects with undefined at its start': [
      ...starting('() => Promise.reject(undefined)'),
      /onWorkerStart of entry module .* failed: undefined/,
    ],
    'rejects later at its start': [
      ...starting(`async () => { await new Promise(setImmediate); throw new RangeError('at start') }`),
      /at start/,
    ],
  }
  for (const [title, [module, text, options]] of Object.entries(MODULES)) {
    test(`it ${title}`, async (t) => {
      const seen = watched(t, module, { maxWorkers: 2, ...options })
      const { pool, launched, exits } = seen
      const bytes = new ArrayBuffer(8)
      const tasks = [
        pool.run(1),
        pool.run({ a: new Map() }, { priority: 1 }),
        pool.run(1, { workerAffinity: 1, ...FORCE }),
        pool.run(1, { affinityKey: 'key', ...FORCE }),
        pool.run(bytes, { transfer: [bytes] }),
        pool.run(1, { name: 'other' }),
        pool.addTask(1).then(),
      ]
      const kernel = pool.run(10, { kernel: 'fib' })
      for (const { reason } of await Promise.allSettled(tasks)) {
        assert.equal(reason?.code, 'ERR_THREADMILL_ENTRY')
        assert.match(reason.message, text)
      }
      assert.equal(await kernel, 55)
      await settledOnce(seen, 8)
      await untilGone(exits, 2)
      // From now on at once, with the same cause, and without another attempt.
      for (let count = 0; count < 5; count++) {
        const { code, message } = await rejection(pool.run(1))
        assert.equal(code, 'ERR_THREADMILL_ENTRY')
        assert.match(message, text)
        await assert.rejects(pool.addTask(1), { code: 'ERR_THREADMILL_ENTRY' })
      }
      await assert.rejects(pool.map([1]).next(), { code: 'ERR_THREADMILL_ENTRY' })
      pool.resizeUpTo(2)
      assert.deepEqual(launched.sort(), [0, 1])
      assert.deepEqual(pool.workers, [])
      assert.equal(await pool.kernels.fib(10), 55)
      assert.equal(pool.isIdle, true)
      await pool.close()
    })
  }

  test('the cause is what was thrown', async (t) => {
    const { pool } = watched(t, script(`throw Object.assign(new RangeError('at load'), { code: 'E_LOAD' })`))
    const { cause } = await rejection(pool.run(1))
    assert.ok(cause instanceof RangeError)
    assert.deepEqual([cause.message, cause.code], ['at load', 'E_LOAD'])
  })

  test('there is none where nothing was thrown', async (t) => {
    for (const options of [{}, { entrypointSymbol: 'nothing' }]) {
      const { pool } = watched(t, script('export const other = 1'), options)
      assert.equal('cause' in (await rejection(pool.run(1))), false)
    }
  })

  /** Modules, exit codes, of which each version of Node has its own, and what was thrown, if that is known. */
  const ENDING = {
    'exits while it loads': [script(`${entry} process.exit(0)`), [0]],
    'waits for nothing': [script(`${entry} await new Promise(() => {})`), [0, 13]],
    'throws out of a timer while it loads': [
      script(
        `${entry} setImmediate(() => { throw new RangeError('later') }); await new Promise((resolve) => setTimeout(resolve, 60_000))`,
      ),
      [1],
      /later/,
    ],
    'fills its heap while it loads': [
      script(`${entry} for (const all = []; ; ) all.push(new Array(10_000).fill(all.length))`),
      [1],
      /memory/,
    ],
    'exits at its start': [...starting('() => process.exit(3)'), [3]],
    'waits for nothing at its start': [...starting('() => new Promise(() => {})'), [0]],
  }
  for (const [title, [module, exitCodes, thrown]] of Object.entries(ENDING)) {
    test(`it ${title}: that is told, whatever the limit of crashes, and nothing is launched again`, async (t) => {
      for (const crashLimit of [3, Number.POSITIVE_INFINITY]) {
        const resourceLimits = { maxOldGenerationSizeMb: 16 }
        const seen = watched(t, module, { crashLimit, resourceLimits, disposeTimeout: 0 })
        const { pool, launched, exits } = seen
        const broken = []
        pool.on('broken', (error) => broken.push(error.code))
        const tasks = [pool.run(1), pool.run(1, { workerAffinity: 0, ...FORCE }), pool.run(new SharedArrayBuffer(1))]
        const settled = await Promise.allSettled(tasks)
        const { code: exitCode, error } = exits[0]
        assert.ok(exitCodes.includes(exitCode), `exit code ${exitCode}`)
        for (const { reason } of settled) {
          assert.deepEqual([reason?.code, reason.exitCode], ['ERR_THREADMILL_ENTRY', exitCode])
          const start = `the worker ended with exit code ${exitCode} before it was ready for tasks`
          assert.ok(reason.message.startsWith(start), reason.message)
          if (thrown === undefined) assert.equal(Object.hasOwn(reason, 'cause'), false)
          else assert.match(reason.cause.message, thrown)
          assert.match(reason.message, thrown ?? /tasks$/)
        }
        assert.deepEqual([error.code, error.exitCode], ['ERR_THREADMILL_ENTRY', exitCode])
        await settledOnce(seen, 3)
        await assert.rejects(pool.addTask(1), { code: 'ERR_THREADMILL_ENTRY', exitCode })
        assert.equal(seen.completed.size, 4, 'it is told of as any other')
        assert.deepEqual(broken, ['ERR_THREADMILL_ENTRY'])
        assert.deepEqual([launched, exits.length, pool.workers], [[0], 1, []])
        await pool.close()
      }
    })
  }

  for (const [title, module] of Object.entries({
    loading: script(`${entry} setInterval(() => {}, 1000); await new Promise(() => {})`),
    starting: starting('() => new Promise(() => setInterval(() => {}, 1000))')[0],
  })) {
    test(`it never ends ${title}: timeouts and the end of the pool come all the same`, async (t) => {
      const seen = watched(t, module)
      const { pool } = seen
      await assert.rejects(pool.run(1, { timeout: 1 }), { code: 'ERR_THREADMILL_TIMEOUT' })
      const tasks = [pool.run(1), pool.run(1, { workerAffinity: 0, ...FORCE })]
      const disposed = pool.dispose()
      for (const { reason } of await Promise.allSettled(tasks)) assert.equal(reason?.code, 'ERR_THREADMILL_POOL_CLOSED')
      await disposed
      await settledOnce(seen, 3)
    })
  }

  test('the first worker cannot start, another one can: the pool goes on with that', async (t) => {
    const source = `import { workerData } from 'node:worker_threads'
      ${entry} workerEntrypoint.onWorkerStart = ({ id }) => {
        if (id === 0) throw new Error('not me')
        Atomics.wait(new Int32Array(workerData), 0, 0)
      }`
    const { pool, gates, exits } = watched(t, script(source), { maxWorkers: 2, minWorkers: 2 })
    const gate = gates.closed()
    await assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_ENTRY', message: /not me/ })
    await untilGone(exits, 1)
    await assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_ENTRY', message: /not me/ })
    gates.open(gate)
    let output
    await until(() => {
      pool.run(1).then(
        (value) => {
          output = value
        },
        () => {},
      )
      return output !== undefined
    })
    assert.equal(output, 1)
    await pool.close()
  })
})

describe('a worker that cannot load the module, after others could', () => {
  const MAY_FAIL = new URL('./fixtures/may-fail.mjs', import.meta.url)
  const ENTRY = { code: 'ERR_THREADMILL_ENTRY', message: /^onWorkerStart of entry module '.*' failed: no database$/ }

  /** A pool whose workers cannot start as long as `isDown` is set, or since `end` was called end while they do. */
  function withDatabase(t, options) {
    const seen = watched(t, MAY_FAIL, options)
    const down = new Int32Array(seen.gates.memory)
    seen.gates.closed()
    const set = (value) => Atomics.store(down, 0, value)
    return Object.assign(seen, { isDown: (value) => set(value ? 1 : 0), end: () => set(2) })
  }

  test('the others run what waits', async (t) => {
    const seen = withDatabase(t, { maxWorkers: 2, crashLimit: 1 })
    const { pool, gates, exits, launched, isDown } = seen
    await pool.run(1)
    const held = await gates.hold(pool, 0)
    isDown(true)
    const waiting = [pool.run(1), pool.run(1, { workerAffinity: 0, ...FORCE })]
    await untilGone(exits, 1)
    assert.deepEqual([exits[0].id, exits[0].error.cause.message], [1, 'no database'])
    // Others are not launched in a loop, whatever comes.
    const attempts = launched.length
    for (let count = 0; count < 10; count++) waiting.push(pool.run(1))
    assert.ok(launched.length - attempts <= 1)
    assert.equal(await held.release(), 0)
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set([0]))
    await settledOnce(seen, 14)
    await pool.close()
  })

  test('what waits is rejected where there are no others, and the next task launches again', async (t) => {
    const seen = withDatabase(t)
    const { pool, exits, launched, isDown } = seen
    await pool.run(1)
    isDown(true)
    const forced = { workerAffinity: 0, ...FORCE }
    const crash = pool.run('exit', forced)
    const waiting = [pool.run(1, forced), pool.run(1)]
    await assert.rejects(crash, CRASHED)
    for (const promise of waiting) {
      const error = await rejection(promise)
      assert.deepEqual([error.code, error.cause.message], [ENTRY.code, 'no database'])
      assert.match(error.message, ENTRY.message)
    }
    for (let count = 3; count <= 7; count++) {
      await assert.rejects(pool.run(1), ENTRY)
      assert.ok(launched.length >= count)
    }
    isDown(false)
    // The next one may be submitted while the last attempt fails.
    await until(() => pool.workers.length === 0)
    assert.equal(await pool.run(1), 0)
    assert.equal(exits.length, launched.length - 1)
    assert.equal(pool.stats().crashes, exits.length)
    await settledOnce(seen, 10)
    await pool.close()
  })

  test('one that ends while it starts is one of them', async (t) => {
    const seen = withDatabase(t, { crashLimit: Number.POSITIVE_INFINITY })
    const { pool, exits, launched, end } = seen
    await pool.run(1)
    end()
    const crash = pool.run('exit')
    const waiting = [pool.run(1), pool.run(1)]
    await assert.rejects(crash, CRASHED)
    for (const { reason } of await Promise.allSettled(waiting)) {
      assert.deepEqual([reason?.code, reason.exitCode], ['ERR_THREADMILL_ENTRY', 4])
    }
    assert.deepEqual([exits.length, launched.length], [2, 2])
    seen.isDown(false)
    assert.equal(await pool.run(1), 0)
    await settledOnce(seen, 5)
    await pool.close()
  })

  test('in time there are as many as there are to be, without another task', async (t) => {
    const { pool, exits, isDown } = withDatabase(t, { maxWorkers: 3, minWorkers: 3 })
    const all = () => Promise.all([0, 1, 2].map((workerAffinity) => pool.run(1, { workerAffinity, ...FORCE })))
    await all()
    isDown(true)
    await assert.rejects(pool.run('exit'), CRASHED)
    await untilGone(exits, 2)
    assert.equal(pool.workers.length, 2)
    isDown(false)
    await until(() => pool.workers.length === 3)
    assert.deepEqual(await all(), [0, 1, 2])
    await pool.close()
  })

  test('what is forced to its number waits for the next one', async (t) => {
    const { pool, exits, isDown } = withDatabase(t, { maxWorkers: 2 })
    const [at0, at1] = [0, 1].map((workerAffinity) => ({ workerAffinity, ...FORCE }))
    assert.deepEqual(await Promise.all([pool.run(1, at0), pool.run(1, at1)]), [0, 1])
    isDown(true)
    await assert.rejects(pool.run('exit', at1), CRASHED)
    const forced = pool.run(1, at1)
    await untilGone(exits, 2)
    assert.equal(await pool.run(1, at0), 0)
    isDown(false)
    assert.equal(await forced, 1)
    await pool.close()
  })
})
