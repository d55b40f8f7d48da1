// Workers that end in the middle of their work: every task settles once, and the pool goes on or says why it does not.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { transfer, WorkerPool } from 'threadmill'
import { rejection, until } from '../helpers/pool.mjs'
import { settledOnce, untilGone, watched } from './watched.mjs'

const CRASHES = new URL('./fixtures/crashes.mjs', import.meta.url)
const FORCE = { affinityStrength: 'force' }
const CRASHED = { code: 'ERR_THREADMILL_WORKER_CRASHED' }
const node = Number.parseInt(process.versions.node, 10)

describe('a worker ends in the middle of a task', () => {
  /** Inputs that end a worker, with exit code and cause. */
  const ENDS = {
    'an exception out of a timer': [{ do: 'throw later', what: 'error' }, 1, /by design/],
    'an unhandled rejection': [{ do: 'reject later', what: 'error' }, 1, /by design/],
    'process.exit(0)': [{ do: 'exit', code: 0 }, 0],
    'process.exit(7)': [{ do: 'exit', code: 7 }, 7],
    'process.exit(0) out of a timer': [{ do: 'exit later', code: 0 }, 0],
    'no memory left': [{ do: 'fill' }, 1, /memory/],
  }
  for (const [title, [input, exitCode, cause]] of Object.entries(ENDS)) {
    test(title, async (t) => {
      const seen = watched(t, CRASHES, { maxWorkers: 2, resourceLimits: { maxOldGenerationSizeMb: 16 } })
      const { pool, launched, exits } = seen
      pool.resizeUpTo(2)
      const at = (workerAffinity) => ({ workerAffinity, ...FORCE })
      const before = [await pool.run(1, at(0)), await pool.run(1, at(1))]
      const crash = pool.addTask(input, at(0))
      const beside = [pool.run(1, at(0)), pool.run(1, at(1)), pool.run(1), pool.run(1, { workerAffinity: 0 })]
      const error = await rejection(crash.then())
      assert.equal(error.code, CRASHED.code)
      assert.equal(error.exitCode, exitCode)
      if (cause === undefined) assert.equal(error.cause, undefined)
      else assert.match(error.cause.message, cause)
      assert.equal(crash.worker.id, 0)
      const [again, other] = await Promise.all(beside)
      assert.deepEqual([again.id, other], [0, before[1]])
      assert.notEqual(again.threadId, before[0].threadId)
      assert.equal(exits.length, 1)
      assert.deepEqual([exits[0].id, exits[0].code, exits[0].error], [0, exitCode, error.cause])
      assert.deepEqual(launched, [0, 1, 0])
      assert.deepEqual(
        pool.workers.map(({ id }) => id),
        [0, 1],
      )
      await settledOnce(seen, 7)
      await pool.close()
    })
  }

  test('all that it ran fails, and nothing that waited', async (t) => {
    const seen = watched(t, CRASHES, { workerConcurrency: 4 })
    const { pool, exits } = seen
    await pool.run(1)
    const running = [1, 2, 3].map(() => pool.addTask({ do: 'never' }))
    await until(() => running.every((task) => task.worker !== undefined))
    const crash = pool.run({ do: 'exit', code: 5 })
    const waiting = [1, 2, 3, 4, 5].map(() => pool.run(1))
    for (const { reason } of await Promise.allSettled([...running, crash])) {
      assert.deepEqual([reason?.code, reason?.exitCode], [CRASHED.code, 5])
    }
    for (const { id } of await Promise.all(waiting)) assert.equal(id, 0)
    assert.equal(exits.length, 1)
    await settledOnce(seen, 10)
  })

  test('what was forced to it runs on its replacement, in its order, under the same number', async (t) => {
    const seen = watched(t, CRASHES, { maxWorkers: 3 })
    const { pool, gates, launched } = seen
    pool.resizeUpTo(3)
    const before = []
    for (const workerAffinity of [0, 1, 2]) before.push(await pool.run(1, { workerAffinity, ...FORCE }))
    const gate = gates.closed()
    const crash = pool.addTask({ do: 'block and exit', gate, code: 1 }, { workerAffinity: 1, ...FORCE })
    await until(() => crash.worker !== undefined)
    const order = []
    const forced = Array.from({ length: 10 }, (_, index) =>
      pool.run(1, { workerAffinity: 1, ...FORCE }).then((who) => {
        order.push(index)
        return who
      }),
    )
    const others = [0, 2].map((workerAffinity) => pool.run(1, { workerAffinity, ...FORCE }))
    assert.deepEqual(await Promise.all(others), [before[0], before[2]])
    gates.open(gate)
    await assert.rejects(crash.then(), CRASHED)
    const results = await Promise.all(forced)
    assert.deepEqual(new Set(results.map(({ id }) => id)), new Set([1]))
    assert.equal(new Set(results.map(({ threadId }) => threadId)).size, 1)
    assert.notEqual(results[0].threadId, before[1].threadId)
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.deepEqual(launched, [0, 1, 2, 1])
    await settledOnce(seen, 16)
  })

  test('inputs and outputs that are posted: those of others arrive', async (t) => {
    const seen = watched(t, CRASHES)
    const { pool } = seen
    const mine = () => {
      const bytes = new Uint8Array(1000)
      return pool.run(transfer({ bytes }, [bytes.buffer]))
    }
    const results = await Promise.allSettled([
      mine(),
      pool.run({ do: 'exit', code: 1, memory: new SharedArrayBuffer(1) }),
      mine(),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.equal(results[1].reason.code, CRASHED.code)
    await settledOnce(seen, 3)
  })

  test('an asynchronous task that has returned has its result, also when its worker ends right after', async (t) => {
    const { pool } = watched(t, CRASHES)
    await pool.run(1)
    for (let round = 0; round < 3; round++) assert.equal(await pool.run({ do: 'return and exit' }), 'returned')
  })

  test('an exit event without an end changes nothing', async (t) => {
    const source = `export default (how) => {
      if (how === 'emit') process.emit('exit', 0)
      if (how === 'exit') setImmediate(() => process.exit(4))
      return how === 'exit' ? new Promise(() => {}) : new Map([[1, how]])
    }`
    const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
    t.after(() => pool.close())
    for (const how of ['emit', 'emit', 'other']) assert.equal((await pool.run(how)).get(1), how)
    assert.equal((await rejection(pool.run('exit'))).exitCode, 4)
  })

  for (const [what, thrown] of Object.entries({ null: null, undefined, "'text'": 'text', '{ a: 1 }': { a: 1 } })) {
    test(`what is thrown is told apart from an exit: ${what}`, async (t) => {
      const source = `export default () => new Promise(() => setImmediate(() => { throw ${what} }))`
      const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
      t.after(() => pool.close())
      const error = await rejection(pool.run(1))
      assert.equal(error.message, `worker 0 ended with exit code 1 while it ran the task: uncaught ${what}`)
      assert.deepEqual([Object.hasOwn(error, 'cause'), error.cause, error.worker], [true, thrown, 0])
    })
  }

  for (const output of [
    '7',
    "'text'",
    '({ a: 1 })',
    'new Map([[1, 2]])',
    'new Date(0)',
    '[1, 2]',
    "new Error('mine')",
  ]) {
    test(`an asynchronous task fails whose thread begins to end before it returns ${output}`, async (t) => {
      // The thread goes on for some microtasks.
      const source = `
        const ends = { throws() { throw new Error('by design') }, exits() { process.exit(3) } }
        export default async (how) => { queueMicrotask(ends[how]); await null; await null; return ${output} }`
      const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
      t.after(() => pool.close())
      const thrown = await rejection(pool.run('throws'))
      assert.deepEqual([thrown.code, thrown.cause.message], [CRASHED.code, 'by design'])
      const exited = await rejection(pool.run('exits'))
      assert.deepEqual([exited.code, exited.exitCode], [CRASHED.code, 3])
    })
  }

  test('messages for it are gone, those for its replacement arrive', async (t) => {
    const { pool, exits } = watched(t, CRASHES)
    const heard = []
    pool.onMessage('last', (contents, { id }) => heard.push([contents, id]))
    await pool.run({ do: 'exit in a message' })
    const [worker] = pool.workers
    worker.postMessageToWorker('go')
    for (let count = 0; count < 10; count++) worker.postMessageToWorker('go')
    await untilGone(exits, 1)
    assert.deepEqual([exits[0].code, pool.workers], [6, []])
    worker.postMessageToWorker('go')
    pool.postMessageToWorkers('go')
    await pool.run({ do: 'exit in a message' })
    assert.deepEqual(heard, [
      [1, 0],
      [1, 0],
    ])
    assert.equal(pool.workers[0], worker)
    worker.postMessageToWorker('go')
    await untilGone(exits, 2)
  })

  test('close() finishes what waits, dispose() rejects it', async (t) => {
    const closing = watched(t, CRASHES)
    const first = closing.pool.run({ do: 'exit', code: 1 })
    const waiting = [closing.pool.run(1), closing.pool.run(1, { workerAffinity: 0, ...FORCE })]
    const closed = closing.pool.close()
    await assert.rejects(first, CRASHED)
    for (const { id } of await Promise.all(waiting)) assert.equal(id, 0)
    await closed
    await settledOnce(closing, 3)

    const disposing = watched(t, CRASHES)
    const gate = disposing.gates.closed()
    const running = disposing.pool.addTask({ do: 'block and exit', gate, code: 1 })
    await until(() => running.worker !== undefined)
    const rejected = [disposing.pool.run(1), disposing.pool.run(1, { workerAffinity: 0, ...FORCE })]
    const disposed = disposing.pool.dispose()
    for (const { reason } of await Promise.allSettled(rejected)) {
      assert.equal(reason?.code, 'ERR_THREADMILL_POOL_CLOSED')
    }
    disposing.gates.open(gate)
    assert.ok([CRASHED.code, 'ERR_THREADMILL_POOL_CLOSED'].includes((await rejection(running.then())).code))
    await disposed
    await settledOnce(disposing, 3)
  })

  test('room that it took is there again', async (t) => {
    const { pool } = watched(t, CRASHES, { capacity: 2 })
    for (let round = 0; round < 3; round++) {
      const tasks = [pool.run({ do: 'exit', code: 1 }), pool.run(1)]
      await assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_QUEUE_FULL' })
      assert.deepEqual(
        (await Promise.allSettled(tasks)).map(({ status }) => status),
        ['rejected', 'fulfilled'],
      )
    }
  })
})

describe('what is no crash', () => {
  for (const [input, name] of [
    [{ do: 'abort' }, 'TypeError'],
    [{ do: 'overflow' }, 'RangeError'],
  ]) {
    test(`${input.do} fails its task alone`, async (t) => {
      const seen = watched(t, CRASHES)
      const { pool, exits } = seen
      const before = await pool.run(1)
      const [failed, ...others] = await Promise.allSettled([pool.run(input), pool.run(1), pool.run(1)])
      assert.equal(failed.reason?.name, name)
      for (const { value } of others) assert.deepEqual(value, before)
      assert.deepEqual(exits, [])
      await settledOnce(seen, 4)
    })
  }

  test('an exception that the entry module handles', async (t) => {
    const { pool, exits } = watched(t, CRASHES)
    const handled = []
    pool.onMessage('handled', (message) => handled.push(message))
    assert.equal(await pool.run({ do: 'handled' }), 'went on')
    assert.deepEqual([handled, exits], [['by design'], []])
  })
})

test('a loop without end: dispose({ force: true }) and destroy() end it, and all settles once', async (t) => {
  for (const end of [(pool) => pool.dispose({ force: true }), (pool) => pool.destroy()]) {
    const seen = watched(t, CRASHES, { maxWorkers: 2 })
    const { pool, exits } = seen
    const spinning = [0, 1].map((workerAffinity) => pool.addTask({ do: 'spin' }, { workerAffinity, ...FORCE }))
    await until(() => spinning.every((task) => task.worker !== undefined))
    const waiting = [pool.run(1), pool.run(1, { workerAffinity: 1, ...FORCE }), pool.run(new SharedArrayBuffer(1))]
    const ended = end(pool)
    for (const { reason } of await Promise.allSettled([...spinning, ...waiting])) {
      assert.equal(reason?.code, 'ERR_THREADMILL_POOL_CLOSED')
    }
    await ended
    assert.equal(exits.length, 2)
    await settledOnce(seen, 5)
    await assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_POOL_CLOSED' })
  }
})

describe('a loop of crashes', () => {
  test('three in a row reject what waits and launch no other worker; then the pool goes on', async (t) => {
    const seen = watched(t, CRASHES)
    const { pool, launched, exits } = seen
    // Forced as well, because what is forced goes first.
    const crashes = [1, 2, 3].map(() => pool.run({ do: 'exit', code: 1 }, { workerAffinity: 0, ...FORCE }))
    const waiting = [
      pool.run(1),
      pool.run(1, { workerAffinity: 0, ...FORCE }),
      pool.run(1, { affinityKey: 'key', ...FORCE }),
      pool.run(new SharedArrayBuffer(1)),
    ]
    for (const { reason } of await Promise.allSettled(crashes)) {
      assert.deepEqual([reason?.code, reason?.exitCode], [CRASHED.code, 1])
    }
    for (const { reason } of await Promise.allSettled(waiting)) {
      assert.equal(reason?.code, CRASHED.code)
      assert.match(reason.message, /again and again/)
    }
    await settledOnce(seen, 7)
    assert.deepEqual([launched.length, exits.length, pool.workers], [3, 3, []])
    assert.equal((await pool.run(1, { workerAffinity: 0, ...FORCE })).id, 0)
    assert.equal((await pool.run(1)).id, 0)
    await pool.close()
  })

  test('a task that succeeds in between begins the count anew', async (t) => {
    const seen = watched(t, CRASHES)
    const { pool, launched } = seen
    const tasks = []
    for (let index = 0; index < 12; index++) tasks.push(pool.run(index % 3 === 2 ? 1 : { do: 'exit', code: 1 }))
    for (const [index, { status }] of (await Promise.allSettled(tasks)).entries()) {
      assert.equal(status, index % 3 === 2 ? 'fulfilled' : 'rejected')
    }
    assert.equal(launched.length, 9)
    await settledOnce(seen, 12)
  })

  test('a task that fails in an ordinary way does not', async (t) => {
    const seen = watched(t, CRASHES)
    const { pool } = seen
    const kinds = [
      { do: 'exit', code: 1 },
      { do: 'throw', what: 'error' },
    ]
    const tasks = Array.from({ length: 7 }, (_, index) => pool.run(kinds[index % 2]))
    const codes = (await Promise.allSettled(tasks)).map(({ reason }) => reason.code)
    // The third crash rejects what comes after it.
    const crashed = CRASHED.code
    assert.deepEqual(codes, [crashed, 'E_DESIGN', crashed, 'E_DESIGN', crashed, crashed, crashed])
    await settledOnce(seen, 7)
  })
})

describe('a worker that fails while it runs no task', () => {
  const module = `data:text/javascript,export default (input) => { if (input === 'late') Promise.reject(new Error('by design')); if (input === 'exit') setImmediate(() => process.exit(3)); if (input === 'crash') process.exit(3); return input }`

  /** What the process is warned of while `run` runs. */
  async function warnings(t, run, options, entry = module) {
    const pool = new WorkerPool(entry, { maxWorkers: 1, name: 'quiet', ...options })
    t.after(() => pool.destroy())
    const seen = []
    const note = (warning) => warning.name === 'ThreadmillWarning' && seen.push(warning)
    process.on('warning', note)
    await run(pool)
    await pool.close()
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', note)
    return seen
  }

  test('is told of by a warning, where nobody listens', async (t) => {
    for (const [input, code, why] of [
      ['late', 1, ': by design'],
      ['exit', 3, ''],
    ]) {
      const seen = await warnings(t, async (pool) => {
        await pool.run(input)
        await until(() => pool.workers.length === 0)
      })
      assert.deepEqual(
        seen.map(({ message }) => message),
        [`worker 0 of pool 'quiet' ended with exit code ${code} while it ran no task${why}`],
      )
      if (input === 'late') assert.match(seen[0].detail, /by design\n +at /)
    }
  })

  test('also when it is to end', async (t) => {
    const seen = await warnings(t, (pool) => pool.run('late'), { recycle: { tasks: 1 } })
    assert.equal(seen.length, 1)
  })

  test('and by its event alone, where somebody does', async (t) => {
    const exits = []
    const seen = await warnings(t, async (pool) => {
      pool.on('worker-exit', (_worker, code, error) => exits.push([code, error?.message]))
      await pool.run('late')
      await until(() => pool.workers.length === 0)
    })
    assert.deepEqual([seen, exits], [[], [[1, 'by design']]])
  })

  const BROKEN = {
    'cannot load the module': [`throw new Error('by design')`, /^cannot load entry module '.*': by design$/],
    'cannot start': [
      `const fn = () => {}; fn.onWorkerStart = async () => { throw new Error('by design') }; export default fn`,
      /^onWorkerStart of entry module '.*' failed: by design$/,
    ],
  }
  for (const [title, [source, text]] of Object.entries(BROKEN)) {
    const broken = `data:text/javascript,${source}`
    const options = { minWorkers: 2, maxWorkers: 2 }

    test(`or ${title}: one warning of all, or the event of each`, async (t) => {
      const allFail = (pool) => until(() => pool.stats().crashes === 2)
      const seen = await warnings(t, allFail, options, broken)
      assert.equal(seen.length, 1)
      const [, why] = /^worker [01] of pool 'quiet' ended with exit code [01] while it ran no task: (.*)$/.exec(
        seen[0].message,
      )
      assert.match(why, text)
      assert.match(seen[0].detail, /^Error: by design\n +at .*data:/)

      const exits = []
      const listened = await warnings(
        t,
        async (pool) => {
          pool.on('worker-exit', (_worker, _code, error) => exits.push(error))
          await allFail(pool)
        },
        options,
        broken,
      )
      assert.deepEqual([listened.length, exits.length], [0, 2])
      for (const { code, message, cause } of exits) {
        assert.deepEqual([code, cause.message], ['ERR_THREADMILL_ENTRY', 'by design'])
        assert.match(message, text)
      }
    })

    test(`or ${title}: no warning of what a task was told`, async (t) => {
      for (const workers of [{}, options]) {
        const seen = await warnings(
          t,
          (pool) => assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_ENTRY' }),
          workers,
          broken,
        )
        assert.deepEqual(seen, [])
      }
    })
  }

  test('nor is there one of what fails tasks, ends by itself or is terminated', async (t) => {
    const seen = await warnings(t, async (pool) => {
      await assert.rejects(pool.run('crash'), CRASHED)
      await pool.run(1)
      await pool.destroy()
    })
    assert.deepEqual(seen, [])
  })
})

describe('crashLimit', () => {
  const exits = (pool, count) => Array.from({ length: count }, () => pool.run({ do: 'exit', code: 1 }))
  const succeeds = (settled) => settled.map(({ status }) => status === 'fulfilled')

  test('so many in a row are too many', async (t) => {
    for (const crashLimit of [1, 2, 5]) {
      const { pool, launched } = watched(t, CRASHES, { crashLimit })
      const tasks = [...exits(pool, crashLimit - 1), pool.run(1), ...exits(pool, crashLimit), pool.run(1), pool.run(1)]
      const settled = await Promise.allSettled(tasks)
      const expected = tasks.map((_, index) => index === crashLimit - 1)
      assert.deepEqual(succeeds(settled), expected)
      assert.match(settled.at(-1).reason.message, /again and again/)
      assert.equal(launched.length, 2 * crashLimit - 1)
      await pool.run(1)
    }
  })

  test('with Infinity a crash fails its own task only', async (t) => {
    const seen = watched(t, CRASHES, { crashLimit: Number.POSITIVE_INFINITY, maxWorkers: 2 })
    const tasks = [...exits(seen.pool, 12), ...[1, 2, 3].map((input) => seen.pool.run(input))]
    assert.deepEqual(succeeds(await Promise.allSettled(tasks)), [...Array(12).fill(false), true, true, true])
    await settledOnce(seen, 15)
  })

  test('anything else is refused', () => {
    for (const [crashLimit, name] of [
      [0, 'RangeError'],
      [-1, 'RangeError'],
      [1.5, 'RangeError'],
      [2 ** 31, 'RangeError'],
      [Number.NaN, 'RangeError'],
      ['3', 'TypeError'],
      [null, 'TypeError'],
    ]) {
      assert.throws(() => new WorkerPool(CRASHES, { crashLimit }), { name, message: /options\.crashLimit/ })
    }
  })
})

describe('things that are no errors', () => {
  const THINGS = [
    ...['error', 'undefined', 'zero', 'empty string', 'null', 'false', 'NaN', 'text', 'bigint', 'symbol', 'function'],
    ...['frozen', 'null prototype', 'proxy', 'hostile proxy', 'revoked proxy', 'throwing getters'],
    ...['error with throwing getters', 'error with a function', 'error that is its own cause', 'promise'],
    ...['port', 'a list with a port', 'error with a port', 'stream'],
  ]
  /** Those that arrive as they are. */
  const PLAIN = {
    undefined,
    zero: 0,
    'empty string': '',
    null: null,
    false: false,
    NaN: Number.NaN,
    text: 'text',
    bigint: 5n,
    frozen: { a: [1] },
    'null prototype': { a: 1 },
  }
  for (const how of ['throw', 'reject']) {
    test(`${how}: the task fails with them or with an error that says so`, async (t) => {
      const seen = watched(t, CRASHES)
      const { pool, exits } = seen
      for (const what of THINGS) {
        const [failed, next] = await Promise.allSettled([pool.run({ do: how, what }), pool.run(1)])
        assert.equal(failed.status, 'rejected', what)
        if (what in PLAIN) assert.deepEqual(failed.reason, PLAIN[what])
        else assert.ok(failed.reason instanceof Error, what)
        assert.equal(next.status, 'fulfilled', what)
      }
      assert.deepEqual(exits, [])
      await settledOnce(seen, 2 * THINGS.length)
    })
  }

  for (const how of ['throw later', 'reject later']) {
    test(`${how}: the worker ends, the task that ran fails, the next one runs`, async (t) => {
      const seen = watched(t, CRASHES)
      const { pool, exits } = seen
      // Node 20 itself cannot tell the thread that made a worker of an error that is its own cause.
      const things = THINGS.filter((what) => node > 20 || what !== 'error that is its own cause')
      for (const what of things) {
        const [failed, next] = await Promise.allSettled([pool.run({ do: how, what }), pool.run(1)])
        assert.equal(failed.status, 'rejected', what)
        assert.equal(next.status, 'fulfilled', what)
        // Node 20 throws where such an error is rejected with, so that the task itself fails.
        if (what === 'error with throwing getters' && how === 'reject later') continue
        assert.equal(failed.reason?.code, CRASHED.code, what)
        assert.equal(failed.reason.exitCode, 1)
        assert.ok(failed.reason instanceof Error)
        assert.deepEqual(exits.at(-1).error, failed.reason.cause, what)
        if (how === 'throw later' && what in PLAIN) assert.deepEqual(failed.reason.cause, PLAIN[what])
      }
      await settledOnce(seen, 2 * things.length)
    })
  }
})

test('hooks that fail at the end do not keep the pool from closing', async (t) => {
  const entry = 'export const workerEntrypoint = (input) => input;'
  for (const source of [
    `() => { throw new Error('at the end') }`,
    '() => Promise.reject(undefined)',
    '() => process.exit(9)',
    `async () => { setImmediate(() => { throw new Error('at the end') }); await new Promise(() => {}) }`,
  ]) {
    for (const end of ['close', 'dispose']) {
      const seen = watched(
        t,
        `data:text/javascript,${encodeURIComponent(`${entry} workerEntrypoint.onWorkerExit = ${source}`)}`,
      )
      assert.equal(await seen.pool.run(1), 1)
      await seen.pool[end]()
      assert.equal(seen.exits.length, 1)
      await settledOnce(seen, 1)
    }
  }
})

for (const [what, code] of Object.entries({
  'throws that error': 'process.exit(2)',
  'has caught that error': 'try { process.exit(2) } catch {} return 5',
  'waits after that': 'try { process.exit(2) } catch {} return new Promise(() => {})',
})) {
  test(`a listener to the end of the thread that throws does not keep it: a task that ${what}`, async (t) => {
    const module = `data:text/javascript,export default (input) => { if (input === 1) return input;
      process.on('exit', () => { throw new Error('by design') }); ${code} }`.replaceAll('\n', '')
    const pool = new WorkerPool(module, { maxWorkers: 1 })
    t.after(() => pool.destroy())
    const crash = await rejection(pool.run(0))
    assert.deepEqual([crash.code, crash.exitCode], ['ERR_THREADMILL_WORKER_CRASHED', 2])
    assert.equal(await pool.run(1), 1)
  })
}

test('a task that a worker submitted has the number and the exit code of the worker that ended, too', async (t) => {
  const source = `export default ([how, code], client) => {
    if (how === 'exit') process.exit(code)
    const options = { workerAffinity: 1, affinityStrength: 'force' }
    const tell = ({ code, exitCode, worker }) => [code, exitCode, worker]
    const input = ['exit', code]
    return (how === 'run' ? client.run(input, options) : client.addTask(input, options).then()).catch(tell)
  }`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { minWorkers: 2, maxWorkers: 2 })
  t.after(() => pool.destroy())
  for (const [how, code] of [
    ['run', 9],
    ['addTask', 0],
  ]) {
    const told = await pool.run([how, code], { workerAffinity: 0, ...FORCE })
    assert.deepEqual(told, [CRASHED.code, code, 1])
  }
})

describe('what the pool counts as a crash', () => {
  test('is counted when its listeners hear of it', async (t) => {
    const pool = new WorkerPool('data:text/javascript,export default (code) => process.exit(code)', { maxWorkers: 1 })
    t.after(() => pool.destroy())
    const told = []
    pool.on('worker-exit', (_worker, code, _error, reason) => told.push([reason, code, pool.stats().crashes]))
    for (const code of [3, 4]) await rejection(pool.run(code))
    assert.deepEqual(told, [
      ['crashed', 3, 1],
      ['crashed', 4, 2],
    ])
  })

  test('is a worker that cannot load the module, too', async (t) => {
    const pool = new WorkerPool('data:text/javascript,throw new Error("never")', { maxWorkers: 1 })
    t.after(() => pool.destroy())
    const told = []
    pool.on('worker-exit', (_worker, _code, _error, reason) => told.push([reason, pool.stats().crashes]))
    const { code } = await rejection(pool.run(1))
    assert.equal(code, 'ERR_THREADMILL_ENTRY')
    await until(() => told.length > 0)
    assert.deepEqual(told, [['start-failed', 1]])
  })

  test('the error of broken is that of the tasks that waited', async (t) => {
    const pool = new WorkerPool('data:text/javascript,export default () => process.exit(4)', { maxWorkers: 1 })
    t.after(() => pool.destroy())
    const broken = []
    pool.on('broken', (error) => broken.push(error))
    const errors = await Promise.all(Array.from({ length: 5 }, () => rejection(pool.run(1))))
    const { code, exitCode, worker } = broken[0]
    assert.deepEqual([code, exitCode, worker], [CRASHED.code, 4, 0])
    assert.deepEqual([errors[4].code, errors[4].exitCode, errors[4].worker], [CRASHED.code, 4, 0])
  })
})
