// What diagnostics_channel tells of pools.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { rejection, until } from '../helpers/pool.mjs'

const TASKS = ['threadmill:task:submit', 'threadmill:task:end', 'threadmill:task:retry']
const OTHERS = ['worker:launch', 'worker:online', 'worker:exit', 'pool:create', 'pool:close'].map(
  (name) => `threadmill:${name}`,
)
const module = `data:text/javascript,
  export default async (input, client) => {
    if (input === 'fail') throw new RangeError('no');
    if (input === 'crash') process.exit(3);
    if (input === 'nest') return await client.kernels.fib(5) + await client.addTask(1);
    if (input === 'nest-twice') {
      const told = ['first', 'second'].map((type) => new Promise((resolve) => client.onMessage(type, resolve)));
      for (const message of told) { await message; await client.addTask(1) }
    }
    if (input === 'wait') return new Promise((resolve) => client.onMessage('go', resolve));
    return input
  };
  export const other = () => 'other'`

/** Messages from now on to the end of the test, as [channel, message]. */
function listen(t, names = [...TASKS, ...OTHERS]) {
  const heard = []
  const listener = (message, name) => heard.push([name, message])
  const stop = () => names.map((name) => unsubscribe(name, listener))
  for (const name of names) subscribe(name, listener)
  t.after(stop)
  const of = (name) => heard.filter(([each]) => each === `threadmill:${name}`).map(([, message]) => message)
  return { heard, of, stop }
}

test('a task of a kernel: submit and end', async (t) => {
  const { heard, of } = listen(t, TASKS)
  const pool = new WorkerPool({ name: 'kernels', threads: 1 })
  const before = Date.now()
  const promise = pool.kernels.fib(20)
  assert.deepEqual(
    heard.map(([name]) => name),
    ['threadmill:task:submit'],
  )
  await promise
  const [submit] = of('task:submit')
  const { timestamp, ...rest } = submit
  assert.deepEqual(rest, { pool: 'kernels', id: 0, lane: 'native', kernel: 'fib', name: undefined })
  assert.ok(timestamp >= before && timestamp <= Date.now())
  const [{ elapsed, runTime, ...end }] = of('task:end')
  assert.deepEqual(end, { ...submit, succeeded: true, error: undefined, worker: 0, retries: 0 })
  assert.ok(runTime > 0 && runTime <= elapsed)
  await pool.close()
})

test('tasks of an entry module, one that cannot be cloned among them, and a refused one, which is told of nowhere', async (t) => {
  const { heard, of } = listen(t, TASKS)
  const pool = new WorkerPool(module, { name: 'entry', maxWorkers: 1 })
  await pool.run(1, { name: 'other' })
  const error = await rejection(pool.run('fail'))
  const cannot = await rejection(pool.run(() => {}))
  await rejection(pool.run(1, { priority: 'none' }))
  await pool.run(1, { mainThread: true })
  assert.deepEqual(
    of('task:submit').map(({ lane, kernel, name }) => [lane, kernel, name]),
    [
      ['js', undefined, 'other'],
      ['js', undefined, undefined],
      ['js', undefined, undefined],
      ['js', undefined, undefined],
    ],
  )
  assert.deepEqual(
    of('task:end').map((message) => [message.succeeded, message.error, message.worker]),
    [
      [true, undefined, 0],
      [false, error, 0],
      [false, cannot, undefined],
      [true, undefined, -1],
    ],
  )
  assert.equal(heard.length, 8)
  await pool.close()
})

test('a name that the options only inherit is none, as for the task', async (t) => {
  const { of } = listen(t)
  const pool = new WorkerPool(module, { maxWorkers: 1 })
  assert.equal(await pool.run(1, Object.create({ name: 'other' })), 1)
  assert.equal(await pool.run(1, { name: 'other' }), 'other')
  assert.deepEqual(
    of('task:submit').map(({ name }) => name),
    [undefined, 'other'],
  )
  await pool.close()
})

test('a task that never ran has no worker', async (t) => {
  const { of } = listen(t, TASKS)
  const pool = new WorkerPool({ threads: 1 })
  const running = pool.addTask(60, { kernel: 'fib' })
  await until(() => running.worker !== undefined)
  const waiting = pool.addTask(1, { kernel: 'echo' })
  waiting.cancel('never mind')
  running.cancel('enough')
  await Promise.all([rejection(waiting), rejection(running)])
  const ended = new Map(of('task:end').map((message) => [message.kernel, message]))
  const { error, worker, runTime } = ended.get('echo')
  assert.deepEqual([error, worker, runTime], ['never mind', undefined, 0])
  await pool.close()
})

test('runs that are repeated', async (t) => {
  const { of } = listen(t, TASKS)
  const pool = new WorkerPool(module, { maxWorkers: 1, retries: { limit: 2, delay: 0, on: 'both' } })
  const error = await rejection(pool.run('fail'))
  const messages = of('task:retry')
  assert.deepEqual(
    messages.map(({ attempt, error: { message } }) => [attempt, message]),
    [
      [1, 'no'],
      [2, 'no'],
    ],
  )
  const [{ retries, error: last }] = of('task:end')
  assert.deepEqual([retries, last], [2, error])
  assert.equal(pool.stats().retries, 2)
  await pool.close()
})

test('tasks that workers submit', async (t) => {
  const { of } = listen(t, TASKS)
  const pool = new WorkerPool(module, { maxWorkers: 1 })
  assert.equal(await pool.run('nest'), 6)
  const kinds = (name) => of(name).map(({ id, lane, kernel }) => `${id} ${lane} ${kernel}`)
  assert.deepEqual(kinds('task:submit').sort(), ['0 js undefined', '1 native fib', '2 js undefined'])
  assert.deepEqual(kinds('task:end').sort(), kinds('task:submit').sort())
  await pool.close()
})

test('who comes later hears of later tasks alone, who leaves hears no more', async (t) => {
  const pool = new WorkerPool(module, { maxWorkers: 1 })
  const early = pool.addTask('wait')
  await until(() => early.worker !== undefined)
  const { heard, stop } = listen(t, TASKS)
  pool.postMessageToWorkers('go', 1)
  await early
  assert.deepEqual(heard, [])
  await pool.run(1)
  assert.equal(heard.length, 2)
  const late = pool.addTask(2)
  stop()
  await late
  await pool.run(3)
  await pool.run('nest')
  assert.equal(heard.length, 3)
  await pool.close()
})

test('of tasks that a worker submits, who comes later hears from the first one on that the owner was told of', async (t) => {
  const pool = new WorkerPool(module, { maxWorkers: 1, workerConcurrency: 2 })
  const early = pool.addTask('nest-twice')
  await until(() => early.worker !== undefined)
  const { of } = listen(t, TASKS)
  pool.postMessageToWorkers('first')
  await until(() => pool.stats().tasksCompleted === 1)
  // The worker tells of what it has submitted before it answers.
  await pool.run(2)
  assert.deepEqual([of('task:submit').length, of('task:end').length], [1, 1])
  pool.postMessageToWorkers('second')
  await early
  assert.deepEqual([of('task:submit').length, of('task:end').length], [2, 2])
  await pool.close()
})

test('one that is subscribed to alone', async (t) => {
  const { heard } = listen(t, ['threadmill:task:end'])
  const pool = new WorkerPool({ threads: 1 })
  await pool.kernels.echo(1)
  for await (const _ of pool.map([1, 2], { kernel: 'echo' }));
  assert.equal(heard.length, 3)
  await pool.close()
})

test('pools and workers', async (t) => {
  const { heard } = listen(t, OTHERS)
  const pool = new WorkerPool(module, { name: 'both', minWorkers: 1, maxWorkers: 3, threads: 2 })
  await rejection(pool.run('crash'))
  assert.equal(pool.stats().crashes, 1)
  await pool.run(1)
  await pool.close()
  assert.deepEqual(
    heard.map(([name, message]) => [name.slice('threadmill:'.length), message]),
    [
      ['pool:create', { pool: 'both', threads: 2, maxWorkers: 3 }],
      ['worker:launch', { pool: 'both', lane: 'js', worker: 0 }],
      ['worker:online', { pool: 'both', lane: 'js', worker: 0 }],
      ['worker:exit', { pool: 'both', lane: 'js', worker: 0, exitCode: 3, error: undefined, reason: 'crashed' }],
      ['worker:launch', { pool: 'both', lane: 'js', worker: 0 }],
      ['worker:online', { pool: 'both', lane: 'js', worker: 0 }],
      ['worker:exit', { pool: 'both', lane: 'js', worker: 0, exitCode: 0, error: undefined, reason: 'closed' }],
      ['pool:close', { pool: 'both', tasksCompleted: 1, tasksErrored: 1 }],
    ],
  )
})

test('the time in which a task ran is that of all of its runs', async (t) => {
  const { of } = listen(t, TASKS)
  const again =
    'data:text/javascript,export default (input, { attempt }) => { if (attempt < 2) throw new Error("again") }'
  const pool = new WorkerPool(again, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  const runs = []
  pool.on('retry', ({ taskCost }) => runs.push(taskCost))
  const task = pool.addTask(1, { retries: { limit: 2, delay: 0, on: 'both' } })
  await task
  await until(() => of('task:end').length === 1)
  const [{ runTime, retries, elapsed }] = of('task:end')
  assert.equal(retries, 2)
  assert.equal(runTime, runs[0] + runs[1] + task.taskCost)
  assert.ok(runTime <= elapsed)
})

test('the end of a pool tells of tasks that its workers submitted', async (t) => {
  const { of } = listen(t, OTHERS)
  const pool = new WorkerPool(module, { name: 'nested', maxWorkers: 1 })
  assert.equal(await pool.run('nest'), 6)
  await assert.rejects(pool.run('fail'))
  await pool.close()
  assert.deepEqual(of('pool:close'), [{ pool: 'nested', tasksCompleted: 3, tasksErrored: 1 }])
  assert.equal(pool.stats().tasksCompleted, 3)
})

test('a pool that cannot be made after all is closed once', async (t) => {
  const { of } = listen(t, OTHERS)
  assert.throws(() => new WorkerPool(module, { name: 'broken', minWorkers: 1, execArgv: ['--no-such-flag'] }))
  await until(() => of('pool:close').length > 0)
  // Whatever else were told of it would come before this one is closed.
  const pool = new WorkerPool(module, { name: 'next', maxWorkers: 1 })
  await pool.run(1)
  await pool.close()
  for (const name of ['pool:create', 'pool:close']) {
    assert.deepEqual(
      of(name).map((message) => message.pool),
      ['broken', 'next'],
    )
  }
})

test('a subscriber that throws is an uncaught exception and harms nothing', async () => {
  const { stdout, stderr, code } = await runProgram(`
    import { subscribe } from 'node:diagnostics_channel'
    import { WorkerPool } from 'threadmill'
    const errors = []
    process.on('uncaughtException', (error) => errors.push(error.message))
    for (const name of ['task:submit', 'task:end', 'pool:create', 'pool:close']) {
      subscribe('threadmill:' + name, () => { throw new Error(name) })
    }
    const pool = new WorkerPool({ threads: 1 })
    console.log(await pool.kernels.echo(7))
    await pool.close()
    setImmediate(() => console.log(errors.join()))
  `)
  assert.equal(stderr, '')
  assert.equal(stdout, '7\npool:create,task:submit,task:end,pool:close\n')
  assert.equal(code, 0)
})
