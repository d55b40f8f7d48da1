// Tasks and workers that misbehave.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { canClone } from '../helpers/internals.mjs'

const FAULTS = new URL('./fixtures/faults.mjs', import.meta.url)

test('destroy ends a task that never returns, dispose one that was given up', async () => {
  for (const what of ['spin', 'never']) {
    const pool = new WorkerPool(FAULTS, { maxWorkers: 1, disposeTimeout: 50 })
    await pool.run('fine')
    const task = pool.addTask(what)
    while (task.worker === undefined) await new Promise(setImmediate)
    const destroyed = pool.destroy()
    await assert.rejects(task.then(), { code: 'ERR_THREADMILL_POOL_CLOSED' })
    await destroyed

    const late = new WorkerPool(FAULTS, { maxWorkers: 1, disposeTimeout: 50 })
    await late.run('fine')
    await assert.rejects(late.run(what, { timeout: 20, timeoutFrom: 'start' }), { code: 'ERR_THREADMILL_TIMEOUT' })
    await late.dispose()
  }
})

test('a task for the number of a worker that ended while idle gets a new worker', async () => {
  const pool = new WorkerPool(FAULTS, 2)
  const forced = (workerAffinity) => pool.run('fine', { workerAffinity, affinityStrength: 'force' })
  await Promise.all([forced(0), forced(1)])
  // An idle pool does not keep the process alive.
  const alive = setInterval(() => {}, 1000)
  const gone = new Promise((resolve) => pool.once('worker-exit', resolve))
  await pool.run('exit soon', { workerAffinity: 0, affinityStrength: 'force' })
  await gone
  clearInterval(alive)
  assert.deepEqual(await Promise.all([forced(0), forced(1)]), ['fine', 'fine'])
  await pool.close()
})

test('an output with hostile getters and an input without room fail alone', async () => {
  const pool = new WorkerPool(FAULTS, { maxWorkers: 1, workerConcurrency: 3 })
  const results = await Promise.allSettled([pool.run('bad then'), pool.run('fine'), pool.run('fine')])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  )
  await pool.run('no room')
  const [large, small] = await Promise.allSettled([pool.run({ v: new Uint8Array(10e6) }), pool.run('fine')])
  // The engine has another way to make memory, where it reads the input itself.
  assert.equal(large.status, canClone() ? 'fulfilled' : 'rejected')
  assert.equal(small.value, 'fine')
  await pool.close()
})

test('a worker that cannot be created fails the call, and the pool still closes', async () => {
  const pool = new WorkerPool(FAULTS, { maxWorkers: 1, execArgv: ['--nonsense'] })
  for (let count = 0; count < 2; count++) await assert.rejects(pool.run(1), { code: 'ERR_WORKER_INVALID_EXEC_ARGV' })
  await pool.close()
})

test('a queue of asynchronous tasks leaves timers of the worker their turn', async () => {
  const pool = new WorkerPool(FAULTS, { maxWorkers: 1 })
  await pool.run('timer')
  const many = Array.from({ length: 100_000 }, () => pool.run('async'))
  // The last one tells whether the timer of the first has fired in between.
  const fired = pool.run('waited')
  await Promise.all(many)
  assert.equal(await fired, 1)
  await pool.close()
})

/** Fails with the reason that is asked for, at once; ends its worker when there is none. */
const FAILS = `data:text/javascript,${encodeURIComponent(`
  export default async function main(input, client) {
    if (input.nested !== undefined) {
      return client.run(input.nested).then(() => 'fulfilled', ({ name, message, stack, code }) => ({ name, message, code, hasStack: /main/.test(stack) }))
    }
    if (input.exits) process.exit(7)
    const reason = new RangeError(input.message)
    if (input.code !== undefined) reason.code = input.code
    throw reason
  }`)}`

test('failures that are handed over together keep what each of them says', async (t) => {
  const pool = new WorkerPool(FAILS, { maxWorkers: 1 })
  t.after(() => pool.close())
  // Some are too long to go with others.
  const messages = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat(i % 7 === 0 ? 5000 : i)} \u{1F600}`)
  const outcomes = await Promise.allSettled(messages.map((message, code) => pool.run({ message, code })))
  for (const [i, { status, reason }] of outcomes.entries()) {
    assert.equal(status, 'rejected')
    assert.ok(reason instanceof RangeError)
    assert.deepEqual([reason.message, reason.code], [messages[i], i])
    assert.match(reason.stack, /^RangeError: .*\n +at main \(data:/su)
  }
})

test('a failure is told when its worker ends right after it', async (t) => {
  const pool = new WorkerPool(FAILS, { maxWorkers: 1, crashLimit: Number.POSITIVE_INFINITY })
  t.after(() => pool.close())
  for (let round = 0; round < 20; round++) {
    const tasks = [{ message: 'first' }, { message: 'second' }, { exits: true }].map((input) => pool.run(input))
    const reasons = (await Promise.allSettled(tasks)).map(({ reason }) => reason.code ?? reason.message)
    assert.deepEqual(reasons, ['first', 'second', 'ERR_THREADMILL_WORKER_CRASHED'])
  }
})

test('sub-tasks and retries get the same reasons', async (t) => {
  const pool = new WorkerPool(FAILS, { maxWorkers: 1 })
  t.after(() => pool.close())
  const told = await pool.run({ nested: { message: 'inner', code: 'E_INNER' } })
  assert.deepEqual(told, { name: 'RangeError', message: 'inner', code: 'E_INNER', hasStack: true })
  const reasons = []
  pool.on('retry', (_task, _count, reason) => reasons.push(reason))
  const failed = await pool
    .run({ message: 'again', code: 5 }, { retries: { limit: 2, delay: 0, on: 'error' } })
    .catch((reason) => reason)
  assert.deepEqual(
    [...reasons, failed].map((reason) => [reason instanceof RangeError, reason.message, reason.code]),
    Array(3).fill([true, 'again', 5]),
  )
})
