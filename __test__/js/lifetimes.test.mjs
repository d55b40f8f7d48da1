// How long things live: what a worker does beside its tasks, the end of pools and processes, and what is left behind.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { until } from '../helpers/pool.mjs'

const LIFETIMES = new URL('./fixtures/lifetimes.mjs', import.meta.url)

/** A pool whose workers count in shared memory; see the fixture. */
function counting(t, options) {
  const counts = new Int32Array(new SharedArrayBuffer(16))
  const pool = new WorkerPool(LIFETIMES, { maxWorkers: 1, workerData: counts.buffer, ...options })
  t.after(() => pool.destroy())
  return { pool, counts }
}

/** Sees to it that the worker is never without a task until `action` is done. */
async function busyWhile(pool, options, action) {
  let done = false
  let ended = 0
  const keep = async () => {
    while (!done) {
      await pool.run(1, options)
      ended++
    }
  }
  // So many that the worker always has the next one.
  const tasks = Array.from({ length: 200 }, keep)
  await until(() => ended > 0)
  try {
    await action()
  } finally {
    done = true
  }
  await Promise.all(tasks)
}

async function echo(port, text) {
  const socket = connect(port, '127.0.0.1')
  socket.write(text)
  const [data] = await once(socket, 'data')
  socket.destroy()
  return String(data)
}

describe('beside its tasks a worker', () => {
  test('runs timers while it is idle', async (t) => {
    const { pool, counts } = counting(t)
    await pool.run(undefined, { name: 'tick' })
    const before = Atomics.load(counts, 0)
    await until(() => Atomics.load(counts, 0) > before + 5)
    assert.equal(pool.isIdle, true)
  })

  test('serves sockets while it is idle', async (t) => {
    const { pool } = counting(t)
    const port = await pool.run(undefined, { name: 'listen' })
    assert.equal(await echo(port, 'one'), 'one')
    assert.equal(await pool.run(2), 2)
    assert.equal(await echo(port, 'two'), 'two')
  })

  for (const name of [undefined, 'short']) {
    const kind = name === undefined ? 'synchronous' : 'asynchronous'
    test(`runs timers and serves sockets in the middle of ${kind} tasks without a pause`, async (t) => {
      const { pool, counts } = counting(t)
      const port = await pool.run(undefined, { name: 'listen' })
      await pool.run(undefined, { name: 'tick' })
      await busyWhile(pool, { name }, async () => {
        for (const word of ['one', 'two', 'three']) {
          const before = Atomics.load(counts, 0)
          assert.equal(await echo(port, word), word)
          await until(() => Atomics.load(counts, 0) > before + 1)
        }
      })
      const many = Array.from({ length: 5000 }, () => pool.run(1, { name }))
      await Promise.all(many)
      // Tasks of 0.1 ms and more, and the event loop comes round after 10 ms: a hundred, and some for what it does itself.
      const longest = await pool.run(undefined, { name: 'longestRun' })
      assert.ok(longest <= 500, `${longest} tasks without a turn of the event loop`)
    })
  }

  test('hears messages in the middle of tasks without a pause', async (t) => {
    const { pool } = counting(t)
    await pool.run(1)
    await busyWhile(pool, {}, async () => {
      pool.postMessageToWorkers('context')
      while ((await pool.run(undefined, { name: 'heardIn' })) === undefined);
    })
  })
})

describe('with a task that never returns', () => {
  const prelude = `import { WorkerPool } from 'threadmill'
    const counts = new Int32Array(new SharedArrayBuffer(16))
    const pool = new WorkerPool(${JSON.stringify(LIFETIMES.href)}, { maxWorkers: 2, workerData: counts.buffer })
    await pool.run(1)
    const task = pool.addTask(process.argv[2], { name: 'endless' })
    task.catch((error) => console.log(error.code))
    while (Atomics.load(counts, 2) === 0) await new Promise(setImmediate)
    const end = (how) => console.log('end ' + how + ' ' + Date.now())
  `
  /** ms that an end may take. */
  const SECOND = 1000
  const ENDS = {
    'destroy()': [`end('destroy'); await pool.destroy(); end('destroyed')`, 0, /POOL_CLOSED/],
    'dispose({ force: true })': [`end('dispose'); await pool.dispose({ force: true })`, 0, /POOL_CLOSED/],
    'process.exit()': [`end('exit'); process.exit(7)`, 7],
    'an uncaught error': [`end('throw'); setImmediate(() => { throw new Error('by design') })`, 1],
    'an unhandled rejection': [`end('reject'); Promise.reject(new Error('by design'))`, 1],
    'the end of the program, once the task is given up': [`end('cancel'); task.cancel()`, 0, /CANCELLED/],
    SIGINT: [`end('signal'); process.kill(process.pid, 'SIGINT'); setInterval(() => {}, 1000)`, 'SIGINT'],
    SIGTERM: [`end('signal'); process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)`, 'SIGTERM'],
    'SIGINT with a listener': [
      `process.on('SIGINT', () => process.exit(9)); end('signal'); process.kill(process.pid, 'SIGINT')`,
      9,
    ],
  }
  for (const kind of ['loop', 'wait', 'regex', 'microtasks']) {
    test(`${kind}: the end comes within a second`, async () => {
      for (const [title, [source, code, output]] of Object.entries(ENDS)) {
        if (kind !== 'loop' && !['destroy()', 'process.exit()', 'SIGINT'].includes(title)) continue
        // Windows ends processes by signals in its own way.
        if (process.platform === 'win32' && title.startsWith('SIG')) continue
        const result = await runProgram(prelude + source, { args: [kind], limit: 20_000 })
        const ended = Date.now()
        assert.equal(result.timedOut, false, `${title} does not end: ${result.stdout} ${result.stderr}`)
        assert.equal(result.code ?? result.signal, code, `${title}: ${result.stderr}`)
        if (output !== undefined) assert.match(result.stdout, output)
        const began = Number(/^end \w+ (\d+)$/m.exec(result.stdout)[1])
        assert.ok(ended - began < SECOND, `${title} took ${ended - began} ms`)
        assert.doesNotMatch(result.stderr, /panicked|FATAL|Assertion/)
      }
    })
  }
})

test('exit handlers of workers have run when close() or dispose() resolves', async (t) => {
  for (const how of ['close', 'dispose']) {
    const { pool, counts } = counting(t, { maxWorkers: 3 })
    pool.resizeUpTo(3)
    await Promise.all([0, 1, 2].map((workerAffinity) => pool.run(1, { workerAffinity, affinityStrength: 'force' })))
    assert.equal(counts[1], 0)
    await pool[how]()
    assert.equal(counts[1], 3)
  }
})

describe('profiles of workers are complete after close()', () => {
  const source = `import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool(${JSON.stringify(LIFETIMES.href)}, { maxWorkers: 2 })
    pool.resizeUpTo(2)
    const runs = Array.from({ length: 20 }, (_, index) =>
      pool.run(index, { name: 'covered', workerAffinity: index % 2, affinityStrength: 'force' }))
    await Promise.all(runs)
    await pool.close()
    console.log('closed')`

  /** Runs the program with a folder for its reports, and gives those. */
  async function reports(options) {
    const folder = mkdtempSync(path.join(tmpdir(), 'threadmill-'))
    try {
      const result = await runProgram(source, options(folder))
      assert.deepEqual([result.stdout, result.stderr, result.code], ['closed\n', '', 0])
      return readdirSync(folder).map((file) => JSON.parse(readFileSync(path.join(folder, file), 'utf8')))
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  test('NODE_V8_COVERAGE counts every call', async () => {
    const found = await reports((folder) => ({ env: { NODE_V8_COVERAGE: folder } }))
    const scripts = found.flatMap(({ result }) => result.filter(({ url }) => url === LIFETIMES.href))
    const counts = (name) =>
      scripts.map(({ functions }) => functions.find(({ functionName }) => functionName === name).ranges[0].count)
    assert.deepEqual(
      [counts('covered'), counts('inner')],
      [
        [10, 10],
        [100, 100],
      ],
    )
  })

  test('--cpu-prof has one for each worker, with its functions', async () => {
    const found = await reports((folder) => ({ nodeArgs: ['--cpu-prof', `--cpu-prof-dir=${folder}`] }))
    const ofWorkers = found.filter(({ nodes }) =>
      nodes.some(({ callFrame }) => callFrame.functionName === 'covered' && callFrame.url === LIFETIMES.href),
    )
    assert.equal(ofWorkers.length, 2)
    for (const { samples } of ofWorkers) assert.ok(samples.length > 0)
  })
})

describe('asynchronous context', () => {
  const context = new AsyncLocalStorage()
  const LENGTH = 20
  const each = (action) =>
    Promise.all(
      Array.from({ length: LENGTH }, (_, index) => context.run(`context ${index}`, () => action(`context ${index}`))),
    )

  test('of promise reactions is that of their registration', async (t) => {
    const { pool } = counting(t, { maxWorkers: 2 })
    await each(async (mine) => {
      const seen = []
      const note = () => seen.push(context.getStore())
      await pool.run(1)
      note()
      await pool.run(1, { name: 'fails' }).catch(note)
      await pool.run({ memory: new SharedArrayBuffer(1) }).then(note)
      await pool.addTask(1)
      note()
      await pool.addTask(1).then(note)
      await pool.addTask(1).finally(note)
      await pool.addTask(1, { name: 'fails' }).catch(note)
      await pool.run(5, { kernel: 'fib' }).then(note)
      const cancelled = pool.addTask(1)
      cancelled.cancel()
      await cancelled.then(note, note)
      await pool.run(1, { signal: AbortSignal.abort() }).catch(note)
      await pool.run(() => {}).catch(note)
      await pool.whenIdle().then(note)
      assert.deepEqual(seen, Array(12).fill(mine))
    })
    await each(async (mine) => {
      await pool.close()
      assert.equal(context.getStore(), mine)
    })
  })

  test('of a task is not kept by the worker that is launched for it', async (t) => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc')
    const { pool } = counting(t)
    const store = await (async () => {
      const found = {}
      await context.run(found, () => pool.run(1))
      return new WeakRef(found)
    })()
    // What the loop has last run in a context may still have it.
    await pool.run(1)
    await until(() => {
      gc()
      return store.deref() === undefined
    })
    assert.equal(pool.workers.length, 1)
  })

  test('of listeners is that of their registration', async (t) => {
    const { pool } = counting(t)
    const seen = []
    const note = (what) => () => seen.push(`${what} ${context.getStore()}`)
    const events = ['task-added', 'task-complete', 'worker-launched', 'worker-exit']
    context.run('mine', () => {
      for (const event of events) pool.on(event, note(event)).once(event, note(event))
    })
    await context.run('another', async () => {
      await pool.run(1)
      await pool.destroy()
    })
    assert.deepEqual(seen.sort(), events.flatMap((event) => [`${event} mine`, `${event} mine`]).sort())
  })

  test('of listeners of messages and progress is that of their registration', async (t) => {
    const { pool } = counting(t, { threads: 1 })
    const seen = []
    context.run('pool', () => pool.onMessage('exiting', () => seen.push(context.getStore())))
    await context.run('another', () => pool.run('exiting', { name: 'tell' }))
    assert.deepEqual(seen, ['pool'])
    const task = context.run('another', () => pool.addTask('secret', { kernel: 'bcryptHash', cost: 20 }))
    const progressed = new Promise((resolve) =>
      context.run('task', () => task.on('progress', () => resolve(context.getStore()))),
    )
    assert.equal(await progressed, 'task')
    task.cancel()
    await assert.rejects(task.then())
  })

  test('of the consumer of map is its own', async (t) => {
    const { pool } = counting(t, { maxWorkers: 2 })
    await each(async (mine) => {
      const inputs = Array.from({ length: 30 }, (_, index) => index)
      for await (const _output of pool.map(inputs)) assert.equal(context.getStore(), mine)
      assert.equal(context.getStore(), mine)
    })
  })

  test('of the source of map is that of its consumer', async (t) => {
    const { pool } = counting(t, { maxWorkers: 2 })
    await each(async (mine) => {
      const seen = new Set()
      function* inputs() {
        for (let index = 0; index < 30; index++) {
          seen.add(context.getStore())
          yield index
        }
      }
      for await (const _output of pool.map(inputs()));
      assert.deepEqual([...seen], [mine])
    })
  })

  test('in a worker: of listeners that of their registration, of submitted tasks that of the task', async (t) => {
    const { pool } = counting(t)
    await pool.run(1)
    pool.postMessageToWorkers('context')
    while ((await pool.run(undefined, { name: 'heardIn' })) === undefined);
    assert.equal(await pool.run(undefined, { name: 'heardIn' }), 'start')
    const results = await Promise.all(['a', 'b', 'c'].map((name) => pool.run(name, { name: 'submitIn' })))
    for (const [index, seen] of results.entries()) assert.deepEqual(seen, Array(5).fill('abc'[index]))
  })

  test('of a task is not that of one that submits another one in a context of its own', async (t) => {
    const { pool } = counting(t)
    const seen = new Set()
    const look = async () => seen.add(await pool.run(undefined, { name: 'currentContext' }))
    for (let round = 0; round < 20; round++) {
      await Promise.all([look(), pool.run('mine', { name: 'submitLate' }), ...Array.from({ length: 20 }, look)])
    }
    assert.deepEqual([...seen], ['none'])
  })
})
