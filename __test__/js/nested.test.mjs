// Tasks submitted from inside a worker.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { until } from '../helpers/pool.mjs'

const NESTED = new URL('./fixtures/nested.mjs', import.meta.url)

function closing(t, pool) {
  t.after(() => pool.close())
  return pool
}

for (const maxWorkers of [1, 2]) {
  test(`recursion ends, with ${maxWorkers} worker(s) and one task at a time`, async (t) => {
    const pool = closing(t, new WorkerPool(NESTED, { maxWorkers }))
    assert.equal(await pool.run(15), 610)
    assert.equal(await pool.run({ do: 'chain', depth: 500 }), 500)
    assert.equal(await pool.run({ do: 'fan', count: 10_000 }), 10_000)
    await pool.whenIdle()
    assert.equal(pool.isIdle, true)
  })
}

test('workers can make pools of the same package, whose workers can', async (t) => {
  const pool = closing(t, new WorkerPool(new URL('./fixtures/pools.mjs', import.meta.url), { maxWorkers: 1 }))
  const deepest = ['the deepest', { value: new Map([[1, 2n]]) }]
  assert.deepEqual(await pool.run(3), [55, 55, 55, ...deepest])
})

test('a failure reaches the task that submitted it, bad options throw there', async (t) => {
  const pool = closing(t, new WorkerPool(NESTED, { maxWorkers: 1 }))
  assert.equal(await pool.run({ do: 'fail' }), 'caught deep')
  assert.equal(await pool.run({ do: 'bad' }), 'ERR_THREADMILL_OUT_OF_RANGE')
})

test('client.run gives promises, which do what handles do', async (t) => {
  const run = { name: 'byRun' }
  for (const maxWorkers of [1, 2]) {
    const pool = closing(t, new WorkerPool(NESTED, { maxWorkers }))
    assert.equal(await pool.run({ do: 'chain', depth: 300 }, run), 300)
    assert.deepEqual(
      await pool.run({ do: 'fan', count: 10_000 }, run),
      Array.from({ length: 10_000 }, (_, index) => index),
    )
    assert.equal(await pool.run({ do: 'fail' }, run), 'caught deep')
    assert.deepEqual(await pool.run({ do: 'bad' }, run), [
      'ERR_THREADMILL_OUT_OF_RANGE',
      'ERR_THREADMILL_UNKNOWN_KERNEL',
      'DataCloneError',
      'Promise',
    ])
    assert.equal(await pool.run({ do: 'kernel' }, run), createHash('sha256').update('hello').digest('hex'))
    assert.deepEqual(await pool.run({ do: 'where' }, run), { onMain: true })
    await pool.whenIdle()
  }
})

test('a worker can share, transfer and get back what only postMessage can move', async (t) => {
  for (const maxWorkers of [1, 2]) {
    const pool = closing(t, new WorkerPool(NESTED, { maxWorkers }))
    assert.deepEqual(await pool.run({ do: 'posted' }), { shared: 7, left: 0, moved: [1, 2, 3], back: 5 })
    // Nothing of it is kept.
    assert.equal(await pool.run({ do: 'many posted', count: 200 }), 200)
  }
})

test('an output that moves outlives its worker, until the worker that submitted the task has it', async (t) => {
  const pool = closing(t, new WorkerPool(NESTED, { minWorkers: 2, maxWorkers: 2 }))
  for (let round = 0; round < 3; round++) {
    const gate = new Int32Array(new SharedArrayBuffer(4))
    pool.once('worker-exit', () => {
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
    })
    const task = pool.run({ do: 'outlive', gate }, { workerAffinity: 0, affinityStrength: 'force' })
    assert.deepEqual(await task, [1, 2, 3])
  }
})

test('an output that nobody waits for any more is not kept', async () => {
  const source = `
    import { setTimeout } from 'node:timers/promises'
    import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool(${JSON.stringify(NESTED.href)}, { minWorkers: 2, maxWorkers: 2 })
    for (const options of [{ mainThread: true }, { workerAffinity: 1, affinityStrength: 'force' }]) {
      for (let round = 0; round < 5; round++) {
        const gate = new Int32Array(new SharedArrayBuffer(4))
        pool.once('worker-exit', () => Atomics.store(gate, 0, 1))
        const asker = pool.run({ do: 'ask and end', gate, options }, { workerAffinity: 0, affinityStrength: 'force' })
        await asker.catch(() => {})
        // What it had asked for goes on.
        while (Atomics.load(gate, 0) !== 2) await setTimeout(1)
        await pool.run(1)
      }
      // The engine frees memory in the background.
      const isSmall = () => process.memoryUsage().arrayBuffers < 25e6
      for (let turn = 0; turn < 500 && !isSmall(); turn++) {
        gc()
        await setTimeout(10)
      }
      console.log(isSmall())
    }
    await pool.close()`
  const { code, stdout, stderr } = await runProgram(source, { nodeArgs: ['--expose-gc'] })
  assert.deepEqual([code, stdout, stderr], [0, 'true\ntrue\n', ''])
})

test('a worker can use the kernels of its pool, also by name', async (t) => {
  const pool = closing(t, new WorkerPool(NESTED, { maxWorkers: 1, threads: 2 }))
  const hash = createHash('sha256').update('hello').digest('hex')
  assert.deepEqual(await pool.run({ do: 'kernels' }), {
    digest: hash,
    byName: 55,
    refused: 'ERR_THREADMILL_UNKNOWN_KERNEL',
    invalid: 'ERR_THREADMILL_INVALID_ARG_TYPE',
    many: 200,
    sorted: [1, 2, 3],
  })
  await pool.whenIdle()
  assert.ok(pool.stats().native.reduce((sum, worker) => sum + worker.tasksCompleted, 0) >= 203)
})

test('a worker can send tasks to the thread that made the pool', async (t) => {
  const pool = closing(t, new WorkerPool(NESTED, { maxWorkers: 1 }))
  assert.deepEqual(await pool.run({ do: 'to main' }), { onMain: true, worker: -1, shared: 3 })
})

test('a pool is not idle while a task that a worker submitted is unsettled', async (t) => {
  const pool = closing(t, new WorkerPool(NESTED, { maxWorkers: 1 }))
  for (let round = 0; round < 50; round++) {
    const before = pool.stats().tasksCompleted
    assert.equal(await pool.run({ do: 'forget' }), 'forgot')
    await pool.whenIdle()
    assert.equal(pool.stats().tasksCompleted, before + 2)
  }
})

test('the tasks of a worker that crashes do not keep the pool busy', async (t) => {
  const pool = closing(t, new WorkerPool(NESTED, { maxWorkers: 2 }))
  await assert.rejects(pool.run({ do: 'crash' }), { code: 'ERR_THREADMILL_WORKER_CRASHED' })
  await pool.whenIdle()
  assert.equal(await pool.run(5), 5)
})

test('what a worker that crashes had submitted and nobody has begun is dropped, so that the pool can close', async () => {
  const pool = new WorkerPool(NESTED, { maxWorkers: 1 })
  await assert.rejects(pool.run({ do: 'crash many' }), { code: 'ERR_THREADMILL_WORKER_CRASHED' })
  await pool.close()
})

test('close waits for what tasks submit, whenever they do; dispose refuses it from then on', async (t) => {
  const go = new Int32Array(new SharedArrayBuffer(4))
  const source = `data:text/javascript,
    export default async (input, client) => {
      if (input === 'leaf') return client.kernels.echo(1);
      await Atomics.waitAsync(input, 0, 0).value;
      return client.run('leaf')
    }`
  const ends = [(pool) => pool.close(), (pool) => pool.dispose()]
  const runs = ends.map((end) => {
    const pool = closing(t, new WorkerPool(source, { maxWorkers: 1 }))
    const result = pool.run(go)
    return { result, end: () => end(pool), pool }
  })
  const [closed, disposed] = runs
  await until(() => runs.every(({ pool }) => pool.stats().busyWorkers === 1))
  const refused = assert.rejects(disposed.result, { code: 'ERR_THREADMILL_POOL_CLOSED' })
  const all = runs.map(({ end }) => end())
  await assert.rejects(closed.pool.run('leaf'), { code: 'ERR_THREADMILL_POOL_CLOSED' })
  Atomics.store(go, 0, 1)
  Atomics.notify(go, 0)
  await refused
  assert.equal(await closed.result, 1)
  await Promise.all(all)
})

test('close ends a fan of tasks that submits on and on', async () => {
  const pool = new WorkerPool(NESTED, { maxWorkers: 2 })
  const result = pool.run({ do: 'fan', count: 1000 })
  const closed = pool.close()
  assert.equal(await result, 1000)
  await closed
})

test('a pool whose tasks never stop to submit others is ended by a limit', async (t) => {
  const source =
    'data:text/javascript,export default async (n, client) => { for (;;) if (n > 0) await client.run(0); else return 0 }'
  const pool = closing(t, new WorkerPool(source, { maxWorkers: 1 }))
  const refused = assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_POOL_CLOSED' })
  await until(() => pool.stats().tasksCompleted > 10)
  await pool.close({ timeout: 50 })
  await refused
})

test('a pool that nobody holds any more ends after its tasks, and lets them submit others until then', () => {
  const script = `
    const { WorkerPool } = require('threadmill')
    const { setFlagsFromString } = require('node:v8')
    setFlagsFromString('--expose-gc')
    const collect = require('node:vm').runInNewContext('gc')
    const done = new WorkerPool(${JSON.stringify(fileURLToPath(NESTED))}, { maxWorkers: 1 }).run({ do: 'late' })
    const timer = setInterval(collect, 10)
    done.then(console.log).finally(() => clearInterval(timer))`
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000, cwd })
  assert.deepEqual([child.stdout, child.stderr, child.status], ['1\n', '', 0])
})

/** Tasks that submit and do not await what they get. `cell`: what they wait for, and whether the other worker is occupied. */
const CARELESS = `data:text/javascript,${encodeURIComponent(`export default async ({ what, cell }, client) => {
  if (what === 'fails') throw new Error('fails')
  if (what === 'submits') client.addTask({ what: 'fails' })
  if (what === 'occupies') Atomics.store(cell, 1, 1)
  if (what === 'submits what waits') {
    // On this one it would begin, as long as somebody here waits for others.
    const there = { workerAffinity: 1, affinityStrength: 'force' }
    client.addTask({ what: 'occupies', cell }, there)
    while (Atomics.load(cell, 1) === 0) await new Promise(setImmediate)
    client.addTask({ what: 'none' }, there)
    // It goes out at the end of a turn, and a message at once.
    await new Promise(setImmediate)
  }
  if (what.startsWith('submits')) client.postMessageToPool('begun')
  while (cell !== undefined && Atomics.load(cell, 0) === 0) await new Promise(setImmediate)
  if (what === 'submits late') client.addTask({ what: 'none' })
  // Time for the thread to hear of it.
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  return what
}`)}`

/** A task of those, what it waits for, and what has been told of others. */
function careless(t, what, options) {
  const cell = new Int32Array(new SharedArrayBuffer(8))
  const go = () => Atomics.store(cell, 0, 1)
  // Before the pool is closed, which waits for them.
  t.after(go)
  const pool = closing(t, new WorkerPool(CARELESS, { maxWorkers: 1, ...options }))
  const begun = new Promise((resolve) => pool.onMessage('begun', resolve))
  const codes = new Promise((resolve) => pool.once('task-complete', (error) => resolve(error?.code ?? error?.message)))
  return { pool, go, begun, codes, task: pool.run({ what, cell }) }
}

test('a failure that nobody awaits harms no task of the worker that submitted it, where somebody is told of it', async (t) => {
  const { go, codes, task } = careless(t, 'submits', { workerConcurrency: 2 })
  assert.equal(await codes, 'fails')
  go()
  assert.equal(await task, 'submits')
})

test('nor does what a pool that is disposed of rejects', async (t) => {
  const { pool, go, begun, codes, task } = careless(t, 'submits what waits', { maxWorkers: 2 })
  await begun
  const disposed = pool.dispose()
  assert.equal(await codes, 'ERR_THREADMILL_POOL_CLOSED')
  go()
  assert.equal(await task, 'submits what waits')
  await disposed
})

test('nor what is submitted to it after that', async (t) => {
  const { pool, go, begun, task } = careless(t, 'submits late')
  await begun
  const disposed = pool.dispose()
  go()
  assert.equal(await task, 'submits late')
  await disposed
})
