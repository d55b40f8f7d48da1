// Which worker gets a task, by estimated cost; and pool.stream().
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { occupy, rejection, until } from '../helpers/pool.mjs'

const CLIENT = new URL('./fixtures/client.mjs', import.meta.url)
const NEVER = 'data:text/javascript,export default () => new Promise(() => {})'

/** Tasks that wait for `open`, so that later ones pile up behind them. */
function gated() {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  return {
    task: (name) => ({ do: 'note', name, gate }),
    open() {
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
    },
  }
}

test('longest-first runs what is estimated longest first; a measured key counts more', async (t) => {
  const asked = []
  const pool = new WorkerPool(CLIENT, {
    maxWorkers: 1,
    schedule: 'longest-first',
    inherentCostEstimator: (task) => {
      asked.push(task)
      return task.argument.cost ?? 0
    },
  })
  t.after(() => pool.close())
  await pool.run({ do: 'block', ms: 60 }, { key: 'slow' })
  const { task, open } = gated()
  const first = pool.addTask(task('first'))
  await until(() => first.worker !== undefined)
  const order = []
  const add = (name, cost, options) =>
    pool.run({ do: 'echo', value: name, cost }, options).then((value) => order.push(value))
  const done = [add('short', 1), add('long', 50), add('middle', 20), add('measured', 0, { key: 'slow' })]
  assert.equal(asked.length, 6)
  const estimated = pool.addTask({ do: 'echo', value: 1, cost: 7 })
  assert.equal(estimated.taskCost, 7)
  open()
  await Promise.all([first, estimated, ...done])
  assert.deepEqual(order, ['measured', 'long', 'middle', 'short'])
})

test('a worker that costs less gets the tasks until its load outweighs that', async (t) => {
  const { task, open } = gated()
  const pool = new WorkerPool(CLIENT, {
    maxWorkers: 2,
    eager: false,
    inherentCostEstimator: () => 10,
    workerCostEstimator: (_task, worker) => (worker.id === 1 ? 0 : 25),
  })
  t.after(() => pool.close())
  pool.resizeUpTo(2)
  const ids = Array.from({ length: 6 }, (_, n) => pool.addTask(task(n)))
  open()
  await Promise.all(ids)
  // Loads of worker 1 before each: 0, 11, 22, then 33 is more than the 25 of worker 0; after that they alternate.
  assert.deepEqual(ids.map((each) => each.worker.id).slice(0, 4), [1, 1, 1, 0])
})

test('estimators that throw or give nonsense count as 0', async (t) => {
  let call = 0
  const nonsense = () => {
    const values = [Number.NaN, -1, Number.POSITIVE_INFINITY, 'x', undefined]
    if (call === values.length) throw new Error('estimator')
    return values[call++]
  }
  const pool = new WorkerPool(CLIENT, { maxWorkers: 2, inherentCostEstimator: nonsense, workerCostEstimator: nonsense })
  t.after(() => pool.close())
  const inputs = Array.from({ length: 10 }, (_, value) => ({ do: 'echo', value }))
  assert.deepEqual(
    await Promise.all(inputs.map((input) => pool.run(input))),
    inputs.map(({ value }) => value),
  )
  assert.throws(() => new WorkerPool(CLIENT, { inherentCostEstimator: 5 }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  assert.throws(() => new WorkerPool(CLIENT, { eager: 1 }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
})

test('an estimator can follow the task that it is given', async (t) => {
  const seen = []
  const inherentCostEstimator = (task) => {
    task.then((output) => seen.push(output)).catch(() => {})
    task.catch((reason) => seen.push(reason.message))
    task.finally(() => seen.push('end')).catch(() => {})
    return 500
  }
  const pool = new WorkerPool(CLIENT, { maxWorkers: 1, inherentCostEstimator })
  t.after(() => pool.close())
  const task = pool.addTask({ do: 'echo', value: 1 })
  assert.equal(task.taskCost, 500)
  assert.equal(await task, 1)
  assert.equal(await pool.run({ do: 'echo', value: 2 }), 2)
  await assert.rejects(
    pool.run(() => {}),
    { name: 'DataCloneError' },
  )
  assert.deepEqual(seen.filter((each) => each !== 'end').slice(0, 2), [1, 2])
  assert.equal(seen.filter((each) => each === 'end').length, 2)
})

test('workers have numbers below `maxWorkers`, whoever asks for one of them', async (t) => {
  const module =
    'data:text/javascript,export default async (input, client) => { if (input === undefined) return client.id; return await client.addTask(undefined, input) }'
  const numbers = (pool) => pool.workers.map(({ id }) => id)
  for (const [affinityStrength, isSure] of [
    ['force', true],
    ['strong', false],
    ['light', false],
  ]) {
    const pool = new WorkerPool(module, { maxWorkers: 4 })
    t.after(() => pool.destroy())
    let most = 0
    pool.on('worker-launched', () => {
      most = Math.max(most, pool.workers.length)
    })
    const ranOn = await pool.run({ workerAffinity: 2, affinityStrength })
    if (isSure) assert.equal(ranOn, 2)
    await until(() => pool.workers.length === 3)
    assert.deepEqual(numbers(pool), [0, 1, 2])
    pool.resizeUpTo(4)
    assert.deepEqual(numbers(pool), [0, 1, 2, 3])
    const forced = [3, 0, 2, 1].map((workerAffinity) =>
      pool.run(undefined, { workerAffinity, affinityStrength: 'force' }),
    )
    assert.deepEqual(await Promise.all(forced), [3, 0, 2, 1])
    await assert.rejects(pool.run(undefined, { workerAffinity: 4, affinityStrength: 'force' }), {
      code: 'ERR_THREADMILL_OUT_OF_RANGE',
    })
    assert.equal(most, 4)
  }
})

test('what a task submits is there for others before it goes on, and so are outputs before it', async (t) => {
  const module = `data:text/javascript,export default async (input, client) => {
    const there = { workerAffinity: 1, affinityStrength: 'force' };
    if (input.count) return (await Promise.all(Array.from({ length: input.count }, () => client.addTask({}, there)))).length;
    if (input.gate === undefined) return input.value;
    const gate = new Int32Array(input.gate);
    if (input.counts) { Atomics.add(gate, 0, 1); Atomics.notify(gate, 0); return }
    for (let n = 0; n < 3; n++) client.addTask({ gate: input.gate, counts: true }, there);
    await null;
    for (let count = 0; count < 4; count = Atomics.load(gate, 0)) if (Atomics.wait(gate, 0, count, 20000) === 'timed-out') return 'alone';
    return 'not alone' };
    export const plain = (value) => value`.replaceAll('\n', '')
  const pool = new WorkerPool(module, { maxWorkers: 2, minWorkers: 2 })
  t.after(() => pool.destroy())
  const there = { workerAffinity: 0, affinityStrength: 'force' }
  await Promise.all([0, 1].map((workerAffinity) => pool.run({ value: 1 }, { ...there, workerAffinity })))
  // Then it is known here, and in the worker, that they are tiny: several go together.
  assert.equal(await pool.run({ count: 500 }, there), 500)
  for (const isAlone of [true, false]) {
    await Promise.all(Array.from({ length: 500 }, (_, value) => pool.run(value, { ...there, name: 'plain' })))
    const gate = new Int32Array(new SharedArrayBuffer(4))
    const atOnce = isAlone ? [] : [1, 2, 3].map((value) => pool.run(value, { ...there, name: 'plain' }))
    const before = isAlone ? [] : [...atOnce, pool.run({ value: 4 }, there)]
    const task = pool.run({ gate: gate.buffer }, there)
    assert.deepEqual(await Promise.all(before), isAlone ? [] : [1, 2, 3, 4])
    // It waits for this thread as well, which has the outputs.
    Atomics.add(gate, 0, 1)
    Atomics.notify(gate, 0)
    assert.equal(await task, 'not alone')
  }
})

test('without eager a task stays where it was put', async (t) => {
  const { task, open } = gated()
  const pool = new WorkerPool(CLIENT, { maxWorkers: 2, eager: false })
  t.after(() => pool.close())
  pool.resizeUpTo(2)
  // Both workers are busy, two more wait for each.
  const tasks = Array.from({ length: 6 }, (_, n) => pool.addTask(task(n)))
  open()
  await Promise.all(tasks)
  const counts = [0, 1].map((id) => tasks.filter(({ worker }) => worker.id === id).length)
  assert.deepEqual(counts, [3, 3])
})

test('a stream maps inputs to outputs, in order', async (t) => {
  const pool = new WorkerPool(CLIENT, { maxWorkers: 2 })
  t.after(() => pool.close())
  const inputs = Array.from({ length: 500 }, (_, value) => ({ do: 'echo', value: { value } }))
  const outputs = []
  const sink = new Writable({
    objectMode: true,
    write(chunk, _encoding, callback) {
      outputs.push(chunk.value)
      callback()
    },
  })
  await pipeline(Readable.from(inputs), pool.stream({ concurrency: 8 }), sink)
  assert.deepEqual(
    outputs,
    inputs.map((_, index) => index),
  )
  const sums = await pool.stream({ kernel: 'fib' }).end(10).toArray()
  assert.deepEqual(sums, [55])
})

test('a stream holds its source up, and is unordered on request', async (t) => {
  const pool = new WorkerPool(CLIENT, { maxWorkers: 2 })
  t.after(() => pool.close())
  const { task, open } = gated()
  const stream = pool.stream({ concurrency: 2, ordered: false })
  let taken = 0
  function* inputs() {
    yield task('slow')
    for (let value = 1; value <= 100; value++) {
      taken = value
      yield { do: 'echo', value: { value } }
    }
  }
  const source = Readable.from(inputs(), { highWaterMark: 1 })
  source.pipe(stream)
  const first = await new Promise((resolve) => stream.once('readable', () => resolve(stream.read())))
  assert.deepEqual(first, { value: 1 }, 'the slow one is overtaken')
  // Nobody reads: what is taken ends at both buffers and the window.
  await pool.run({ do: 'where' }, { timeout: 60_000 })
  assert.ok(taken < 40, `${taken} taken`)
  open()
  const rest = await stream.toArray()
  assert.equal(rest.length, 100)
})

test('the first failure destroys a stream, and so do an abort and the end of the pool', async (t) => {
  const pool = new WorkerPool(CLIENT, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  const failing = pool.stream()
  failing.write({ do: 'throw', reason: new RangeError('in a task') })
  failing.resume()
  assert.equal(
    (await rejection(pipeline(failing, new Writable({ objectMode: true, write() {} })))).message,
    'in a task',
  )
  const nothing = pool.stream().end({ do: 'echo', value: null })
  assert.equal((await rejection(nothing.toArray())).code, 'ERR_THREADMILL_INVALID_ARG_VALUE')
  const controller = new AbortController()
  const aborted = pool.stream({ signal: controller.signal })
  aborted.write({ do: 'where' })
  controller.abort(new Error('enough'))
  assert.equal((await rejection(aborted.toArray())).message, 'enough')
  assert.throws(() => pool.stream({ concurrency: 0 }), { code: 'ERR_THREADMILL_OUT_OF_RANGE' })
  const late = pool.stream()
  pool.close()
  late.write({ do: 'where' })
  assert.equal((await rejection(late.toArray())).code, 'ERR_THREADMILL_POOL_CLOSED')
})

test('destroying a stream cancels its tasks', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  const stream = pool.stream({ kernel: 'fib', concurrency: 3 })
  for (let n = 0; n < 3; n++) stream.write(60)
  await until(() => pool.stats().tasksAdmitted === 3)
  stream.destroy()
  await until(() => pool.isIdle)
})

test('destroying a stream cancels no task that has taken the place of one of its own', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  // More than the stream buffers of outputs that nobody reads.
  const stream = pool.stream({ kernel: 'fib', concurrency: 40 })
  for (let n = 0; n < 40; n++) stream.write(1)
  await until(() => pool.stats().tasksCompleted === 40)
  const gate = await occupy(pool)
  const others = Array.from({ length: 40 }, () => pool.kernels.fib(10))
  stream.destroy()
  await gate.release()
  assert.deepEqual(await Promise.all(others), Array(40).fill(55))
})

test('destroying a stream in a getter of an input cancels the task of that', async (t) => {
  const pool = new WorkerPool(NEVER, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  const stream = pool.stream()
  stream.write({
    get value() {
      return stream.destroy().destroyed
    },
  })
  assert.equal(stream.destroyed, true)
  await until(() => pool.isIdle)
})

test('writes that a stream has not taken are answered when it is destroyed', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  const enough = new Error('enough')
  for (const [reason, code] of [[enough], [undefined, 'ERR_STREAM_DESTROYED']]) {
    const stream = pool.stream({ kernel: 'fib', concurrency: 1 })
    stream.on('error', (error) => assert.equal(error, enough))
    const write = () => new Promise((resolve) => stream.write(60, resolve))
    await write()
    const waiting = [write(), write()]
    stream.destroy(reason)
    for (const error of await Promise.all(waiting)) {
      assert.ok(error instanceof Error)
      assert.deepEqual([error.code, error === reason], [code, reason !== undefined])
    }
  }
  const full = new WorkerPool(NEVER, { maxWorkers: 1, capacity: 1 })
  t.after(() => full.destroy())
  const stream = full.stream()
  const input = {
    get value() {
      full.run(1).catch(() => {})
      return stream.destroy().destroyed
    },
  }
  const error = await new Promise((resolve) => stream.write(input, resolve))
  assert.equal(error.code, 'ERR_THREADMILL_QUEUE_FULL')
})

test('a stream that has ended keeps no listener on its signal', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  const { signal } = new AbortController()
  const stream = pool.stream({ kernel: 'fib', signal })
  assert.equal(getEventListeners(signal, 'abort').length, 1)
  assert.deepEqual(await stream.end(5).toArray(), [5])
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})
