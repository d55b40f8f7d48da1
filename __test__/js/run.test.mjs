// Tasks of an entry module: results, errors, names, hooks.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ThreadmillError, WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { rejection } from '../helpers/pool.mjs'

const TASKS = new URL('./fixtures/tasks.mjs', import.meta.url)
/** Closes the pool after the test. */
function closing(t, pool) {
  t.after(() => pool.close())
  return pool
}
const fixture = (name) => new URL(`./fixtures/${name}`, import.meta.url)

test('values come back as a structured clone', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 2 }))
  const values = [
    undefined,
    null,
    true,
    false,
    0,
    -0,
    Number.NaN,
    'text',
    'h\u00e9 \u{1f600}',
    '\ud800',
    10n,
    -(2n ** 70n),
  ]
  values.push({ a: 1, b: ['x', { c: null }] }, [1, [2, [3]]], new Date(5), new Map([[{ k: 1 }, new Set([1])]]), /x/gi)
  values.push(
    new Uint8Array([1, 2, 3]),
    new Float64Array(10_000).fill(0.5),
    Object.assign(new Error('e'), { cause: 1 }),
  )
  const cyclic = { name: 'c' }
  cyclic.self = cyclic
  values.push(cyclic)
  for (const value of values) {
    if (typeof value === 'number') assert.ok(Object.is(await pool.run(value), value * 2))
    else assert.deepEqual(await pool.run(value), structuredClone(value))
  }
})

test('workers start where hooks give the source of CommonJS modules', async () => {
  const source = `
    import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool(${JSON.stringify(TASKS.href)}, { maxWorkers: 1 })
    console.log(await pool.run(21))
    await pool.close()`
  const { code, stdout } = await runProgram(source, { nodeArgs: ['--import', fixture('cjs-source.mjs').href] })
  assert.deepEqual([code, stdout], [0, '42\n'])
})

test('a hundred thousand numbers give a hundred thousand results', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 2 }))
  const results = await Promise.all(Array.from({ length: 100_000 }, (_, index) => pool.run(index)))
  assert.ok(results.every((result, index) => result === index * 2))
  assert.equal(pool.stats().tasksCompleted, 100_000)
  assert.equal(pool.isIdle, true)
})

test('what the task got is the value at the call', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const input = { list: [1] }
  const bytes = new Uint8Array([1])
  const results = [pool.run(input), pool.run(bytes)]
  input.list.push(2)
  bytes[0] = 9
  assert.deepEqual(await Promise.all(results), [{ list: [1] }, new Uint8Array([1])])
})

test('an error arrives as itself', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const error = await pool.run({ do: 'throw', message: 'no' }).catch((reason) => reason)
  assert.ok(error instanceof TypeError)
  assert.equal(error.message, 'no')
  assert.equal(error.code, 'E_MINE')
  assert.deepEqual(error.extra, [1, 2])
  assert.match(error.stack, /tasks\.mjs/)
  for (const value of [undefined, 0, '', null, 'text', { a: 1 }]) {
    for (const how of ['throw value', 'reject']) {
      const reason = await pool.run({ do: how, value }).then(
        () => assert.fail('it resolved'),
        (reason) => reason,
      )
      assert.deepEqual(reason, value)
    }
  }
  assert.equal(await pool.run(4), 8)
})

test('an input or an output that cannot be cloned rejects, and nothing else is harmed', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  await assert.rejects(
    pool.run(() => {}),
    { name: 'DataCloneError' },
  )
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  await assert.rejects(pool.run(proxy), { name: 'DataCloneError' })
  const task = pool.addTask(Symbol('s'))
  await assert.rejects(task.then(), { name: 'DataCloneError' })
  await assert.rejects(pool.run({ do: 'uncloneable' }), { name: 'DataCloneError' })
  assert.equal(await pool.run(4), 8)
  assert.equal(pool.isIdle, true)
})

test('asynchronous tasks overlap up to workerConcurrency', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1, workerConcurrency: 3 }))
  await pool.run(0)
  const order = []
  const one = (ms) => pool.run({ do: 'later', ms, value: ms }).then((value) => order.push(value))
  await Promise.all([one(300), one(150), one(5)])
  assert.deepEqual(order, [5, 150, 300])
})

test('another export by name, kernels beside, and typed errors for both', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  assert.equal(await pool.run('a', { name: 'shout' }), 'A!')
  assert.equal(await pool.run(5, { kernel: 'fib' }), 5)
  assert.equal(await pool.kernels.fib(10), 55)
  for (const name of ['missing', 'notAFunction', '__proto__', 'toString']) {
    const error = await rejection(pool.run(1, { name }))
    assert.equal(error.code, 'ERR_THREADMILL_ENTRY')
    assert.ok(error instanceof ThreadmillError, 'whichever thread reports it')
  }
  await assert.rejects(pool.run(1, { name: 5 }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  await assert.rejects(pool.run(1, { kernel: 'nope' }), { code: 'ERR_THREADMILL_UNKNOWN_KERNEL' })
})

test('preTask runs first, and fails the task when it fails', async (t) => {
  const pool = closing(t, new WorkerPool(fixture('hooks.mjs'), { maxWorkers: 1 }))
  assert.equal(await pool.run('x'), 'ran x')
  await assert.rejects(pool.run('bad'), { name: 'RangeError', message: 'not prepared' })
})

test('map gives the outputs in order', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 2 }))
  const outputs = []
  for await (const output of pool.map(Array(500).keys())) outputs.push(output)
  assert.deepEqual(
    outputs,
    Array.from({ length: 500 }, (_, index) => index * 2),
  )
})

test('a task handle knows its worker and its cost', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1 }))
  const task = pool.addTask({ do: 'spin', ms: 20 }, { meta: 'mine' })
  assert.equal(task.id, 0)
  assert.equal(task.options.meta, 'mine')
  assert.equal(await task, 0)
  assert.equal(task.worker.id, 0)
  assert.equal(task.worker.lane, 'js')
  assert.equal(`${task.worker}`, '0')
  assert.ok(task.taskCost >= 19, String(task.taskCost))
})

test('a module that cannot be used rejects what waits and what comes, with the cause', async () => {
  for (const [module, text] of [
    ['./does-not-exist.mjs', /does-not-exist/],
    [fixture('start-fails.mjs'), /no database/],
    ['data:text/javascript,export const x = 1', /no function workerEntrypoint/],
  ]) {
    const pool = new WorkerPool(module, { maxWorkers: 2 })
    const results = await Promise.allSettled([pool.run(1), pool.run(2), pool.run(3)])
    for (const { status, reason } of results) {
      assert.equal(status, 'rejected')
      assert.ok(reason instanceof ThreadmillError)
      assert.equal(reason.code, 'ERR_THREADMILL_ENTRY')
      assert.match(reason.message, text)
    }
    await assert.rejects(pool.run(4), { code: 'ERR_THREADMILL_ENTRY' })
    await pool.whenIdle()
    await pool.close()
  }
})

test('modules and options that cannot be are refused at once', () => {
  const code = (code) => ({ code: `ERR_THREADMILL_${code}` })
  assert.throws(() => new WorkerPool(''), code('INVALID_ARG_VALUE'))
  assert.throws(() => new WorkerPool(() => {}), code('INVALID_ARG_TYPE'))
  assert.throws(() => new WorkerPool('http://localhost/x.js'), code('INVALID_ARG_VALUE'))
  assert.throws(() => new WorkerPool(TASKS, { maxWorkers: 0 }), code('OUT_OF_RANGE'))
  assert.throws(() => new WorkerPool(TASKS, 0), code('OUT_OF_RANGE'))
  assert.throws(() => new WorkerPool(TASKS, { workerConcurrency: 1.5 }), code('OUT_OF_RANGE'))
  assert.throws(() => new WorkerPool(TASKS, { taskPerWorker: '2' }), code('INVALID_ARG_TYPE'))
  assert.throws(() => new WorkerPool(TASKS, { trimWhenIdle: 1 }), code('INVALID_ARG_TYPE'))
  assert.throws(() => new WorkerPool(TASKS, { entrypointSymbol: 5 }), code('INVALID_ARG_TYPE'))
})

test('resize() tells of what it was given', async (t) => {
  const pool = new WorkerPool(TASKS, { minWorkers: 2, maxWorkers: 3 })
  t.after(() => pool.destroy())
  const told = (bounds) => {
    try {
      pool.resize(bounds)
    } catch (error) {
      return error.message
    }
  }
  assert.equal(
    told({ max: 1 }),
    'bounds.max must be at least the fewest workers, 2, where bounds.min is not given; got 1',
  )
  assert.equal(told({ min: 4 }), 'bounds.min must be at most bounds.max, 3; got 4')
  assert.equal(told({ max: 0 }), 'bounds.max must be a whole number from 1 to 1024; got 0')
  assert.equal(told({ min: 0, max: 1 }), undefined)
})
