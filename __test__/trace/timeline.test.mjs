// What a timeline tells of kernels and entry functions, provoked with gates.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { Gates } from '../helpers/gates.mjs'
import { blockUntil, occupy, rejection, until } from '../helpers/pool.mjs'
import { named, read, traced } from '../helpers/timeline.mjs'

const LIMIT = { timeout: 60_000 }
const gatesModule = new URL('../js/fixtures/gates.mjs', import.meta.url)

function kernels(t, options = {}) {
  const pool = new WorkerPool({ name: 'k', threads: 2, ...options })
  t.after(() => pool.destroy())
  return pool
}

function gated(t, options = {}) {
  const gates = new Gates()
  const pool = new WorkerPool(gatesModule, {
    name: 'g',
    maxWorkers: 2,
    threads: 1,
    workerData: gates.memory,
    ...options,
  })
  t.after(() => pool.destroy())
  return { pool, gates }
}

test('each kernel is a slice of its worker, with an arrow from its submission', LIMIT, async (t) => {
  const pool = kernels(t)
  const { tasks, flows, processes, lost, trace, tracks } = await traced(pool, async () => {
    await Promise.all(Array.from({ length: 40 }, (_, n) => pool.kernels.echo(n)))
    await pool.kernels.fib(20)
    await rejection(pool.kernels.gunzip(new Uint8Array([1])))
  })
  assert.deepEqual([...processes.values()], ['threadmill k'])
  assert.equal(tracks[0], 'main')
  assert.equal(named(tasks, 'echo').length, 40)
  assert.equal(new Set(tasks.map(({ task }) => task)).size, 42)
  assert.ok(tasks.every(({ track, from, to, waited }) => /^native [01]$/.test(track) && to >= from && waited >= 0))
  assert.equal(named(tasks, 'fib')[0].outcome, 'ok')
  assert.equal(named(tasks, 'gunzip')[0].outcome, 'failed')
  assert.equal(flows.size, 42)
  for (const { from, steps, to } of flows.values()) {
    assert.equal(from, 'main')
    assert.deepEqual(steps, [to])
  }
  assert.deepEqual([lost, trace.otherData.lost, trace.displayTimeUnit], [0, 0, 'ms'])
  assert.deepEqual(JSON.parse(JSON.stringify(trace)).traceEvents.length, trace.traceEvents.length)
})

test('each task of an entry function is a slice of its worker, named by its export', LIMIT, async (t) => {
  const module = 'data:text/javascript,export default (n) => n; export const half = (n) => n / 2'
  const pool = new WorkerPool(module, { maxWorkers: 2 })
  t.after(() => pool.destroy())
  const { tasks, flows, slices } = await traced(pool, async () => {
    await Promise.all([1, 2, 3].map((n) => pool.run(n)))
    await pool.run({ some: 'object' })
    await pool.run(8, { name: 'half' })
  })
  assert.deepEqual([named(tasks, 'entry').length, named(tasks, 'half').length], [4, 1])
  assert.ok(tasks.every(({ track, outcome }) => /^js [01]$/.test(track) && outcome === 'ok'))
  assert.equal(flows.size, 5)
  assert.ok([...flows.values()].every(({ from, to }) => from === 'main' && /^js/.test(to)))
  assert.ok(named(slices, 'submit').every(({ track, depth }) => track === 'main' && depth <= 1))
})

test('tasks of the owner have a track of their own', LIMIT, async (t) => {
  const pool = kernels(t)
  const { tasks } = await traced(pool, () => pool.run(() => 1, { mainThread: true }))
  assert.deepEqual(
    tasks.map(({ name, track, outcome }) => [name, track, outcome]),
    [['entry', 'main, tasks', 'ok']],
  )
})

test('tasks that overlap on one worker lie on tracks beside each other', LIMIT, async (t) => {
  const module = `data:text/javascript,
    let meet
    const met = new Promise((resolve) => { meet = resolve })
    export default async (n) => { if (n === 2) meet(); await met }`
  const pool = new WorkerPool(module.replaceAll('\n', '%0A'), { maxWorkers: 1, workerConcurrency: 2 })
  t.after(() => pool.destroy())
  const { tasks } = await traced(pool, () => Promise.all([pool.run(1), pool.run(2)]))
  assert.deepEqual(tasks.map(({ track }) => track).sort(), ['js 0', 'js 0 (2)'])
})

test('what a worker submits begins at that worker', LIMIT, async (t) => {
  const { pool } = gated(t)
  const { tasks, flows } = await traced(pool, async () => {
    await pool.run({ do: 'submit', options: { kernel: 'crc32' } }).catch(() => {})
    await pool.run({ do: 'submit' })
  })
  const [outer, inner] = tasks.filter(({ name }) => name === 'entry').slice(-2)
  assert.ok(tasks.length >= 3, 'the outer ones and an inner one')
  assert.ok(outer !== undefined && inner !== undefined)
  const begins = [...flows.values()].map(({ from }) => from)
  assert.ok(begins.includes('main') && begins.some((from) => /^js \d/.test(from)), String(begins))
})

test('the queue is told as it grows and shrinks, and is empty in the end', LIMIT, async (t) => {
  const pool = kernels(t, { threads: 1 })
  const held = await occupy(pool)
  pool.trace.start()
  const tasks = Array.from({ length: 30 }, () => pool.kernels.fib(1, { key: 'x' }))
  await until(() => pool.stats().queueLength === 30)
  await held.release()
  await Promise.all(tasks)
  const { counters } = read(pool.trace.stop())
  const depths = named(counters, 'waiting tasks').map(({ native, arriving }) => native + arriving)
  assert.equal(Math.max(...depths), 30)
  assert.equal(depths.at(-1), 0)
})

test('tasks that wait when it begins are in the queue, and their slices have no arrow', LIMIT, async (t) => {
  const pool = kernels(t, { threads: 1 })
  const held = await occupy(pool)
  const waiting = pool.kernels.fib(10)
  await until(() => pool.stats().queueLength === 1)
  const { counters, tasks, flows } = await traced(pool, async () => {
    await held.release()
    await waiting
  })
  assert.equal(counters[0].native, 1)
  assert.equal(flows.size, 0)
  // The one that ran before is shown from the beginning of the trace on.
  assert.deepEqual(
    tasks.map(({ outcome }) => outcome),
    ['given up', 'ok'],
  )
})

test('a task that still runs is shown up to now', LIMIT, async (t) => {
  const pool = kernels(t)
  pool.trace.start()
  const held = await occupy(pool)
  const { tasks, flows } = read(pool.trace.stop())
  assert.deepEqual([tasks.length, tasks[0].outcome, tasks[0].name], [1, 'running', 'fib'])
  assert.ok(tasks[0].to > tasks[0].from)
  assert.equal([...flows.values()][0].to, undefined, 'the arrow has not arrived')
  await held.release()
})

test('steal: a task that was meant for another worker', LIMIT, async (t) => {
  const pool = kernels(t)
  const held = await occupy(pool, { workerAffinity: 0, affinityStrength: 'force' })
  const { tasks, instants } = await traced(pool, () => pool.kernels.fib(10, { workerAffinity: 0 }))
  assert.deepEqual(
    named(instants, 'steal').map(({ track, task }) => [track, task]),
    [['native 1', tasks.find(({ outcome }) => outcome === 'ok').task]],
  )
  await held.release()
})

test('steal, of a JS worker', LIMIT, async (t) => {
  const { pool, gates } = gated(t)
  await Promise.all([0, 1].map((worker) => pool.run(0, { workerAffinity: worker, affinityStrength: 'force' })))
  const held = await gates.hold(pool, 0)
  const { instants } = await traced(pool, () => pool.run(0, { workerAffinity: 0 }))
  assert.deepEqual(
    named(instants, 'steal').map(({ track }) => track),
    ['js 1'],
  )
  await held.release()
})

test('cancel: tasks that wait, and tasks that run', LIMIT, async (t) => {
  const pool = kernels(t, { threads: 1 })
  const { instants, tasks } = await traced(pool, async () => {
    const held = await occupy(pool)
    const waiting = pool.addTask(10, { kernel: 'fib' })
    const late = rejection(pool.kernels.fib(10, { timeout: 1 }))
    const cancelled = rejection(waiting)
    waiting.cancel()
    await Promise.all([cancelled, late])
    await held.release()
    // The worker has stopped once it does something else.
    await pool.kernels.fib(1)
  })
  assert.deepEqual(
    named(instants, 'cancel')
      .map(({ track, why }) => `${why} ${track}`)
      .sort(),
    ['cancelled main', 'cancelled native 0', 'timeout main'],
  )
  assert.deepEqual(
    tasks.map(({ outcome }) => outcome),
    ['given up', 'ok'],
  )
})

test('crash: a JS worker that ends while it runs a task', LIMIT, async (t) => {
  const { pool } = gated(t, { maxWorkers: 1 })
  const { instants, tasks } = await traced(pool, async () => {
    await rejection(pool.run({ do: 'crash' }))
    await pool.run(0)
  })
  assert.deepEqual(
    named(instants, 'crash').map(({ track }) => track),
    ['js 0'],
  )
  assert.deepEqual(
    tasks.map(({ outcome }) => outcome),
    ['crashed', 'ok'],
  )
})

test('a task that runs again has a slice for each run, and one arrow through all', LIMIT, async (t) => {
  const module = 'data:text/javascript,let runs = 0; export default () => { if (runs++ < 2) throw new Error("again") }'
  const pool = new WorkerPool(module, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  const { tasks, flows } = await traced(pool, () => pool.run(0, { retries: { limit: 2, delay: 1, on: 'error' } }))
  assert.deepEqual(
    tasks.map(({ outcome }) => outcome),
    ['failed', 'failed', 'ok'],
  )
  assert.equal(new Set(tasks.map(({ task }) => task)).size, 1)
  assert.deepEqual([...flows.values()][0].steps, ['js 0', 'js 0', 'js 0'])
})

/** Traces two tasks with a pause between until the worker has parked meanwhile. */
async function parks(pool, action) {
  const end = Date.now() + 30_000
  for (;;) {
    const { instants } = await traced(pool, async () => {
      await action()
      await new Promise((resolve) => setTimeout(resolve, 5))
      await action()
    })
    const [park, wake] = [named(instants, 'park')[0], named(instants, 'wake').at(-1)]
    if (park !== undefined && wake?.ts > park.ts) return [park.track, wake.track]
    assert.ok(Date.now() < end, JSON.stringify(instants))
  }
}

test('park and wake', LIMIT, async (t) => {
  const pool = kernels(t, { threads: 1 })
  assert.deepEqual(await parks(pool, () => pool.kernels.fib(1)), ['native 0', 'native 0'])
  const { pool: js } = gated(t, { maxWorkers: 1 })
  assert.deepEqual(await parks(js, () => js.run(0)), ['js 0', 'js 0'])
})

test('stalls of the event loop are marked on the main track', LIMIT, async (t) => {
  const pool = kernels(t)
  const { slices } = await traced(pool, async () => {
    await pool.kernels.fib(1)
    const end = Date.now() + 80
    blockUntil(() => Date.now() >= end)
    await new Promise((resolve) => setTimeout(resolve, 1))
  })
  const stalls = named(slices, 'event loop stalled')
  assert.ok(stalls.length > 0 && stalls.every(({ track }) => track === 'main'))
  assert.ok(
    stalls.some(({ from, to }) => to - from >= 50_000),
    JSON.stringify(stalls),
  )
})

test('a stall that stop() is part of is marked', LIMIT, async (t) => {
  const pool = kernels(t)
  pool.trace.start()
  const end = Date.now() + 80
  blockUntil(() => Date.now() >= end)
  assert.equal(named(read(pool.trace.stop()).slices, 'event loop stalled').length, 1)
})

test('the oldest records are overwritten, and it is told how many', LIMIT, async (t) => {
  const pool = kernels(t, { threads: 1 })
  const action = async () => {
    for (let n = 0; n < 100; n++) await pool.kernels.fib(1)
  }
  const { lost, trace, tasks } = await traced(pool, action, { capacity: 64 })
  assert.ok(lost > 100, `${lost} lost`)
  assert.equal(trace.otherData.lost, lost)
  assert.ok(tasks.length > 0 && tasks.length < 64)
  assert.equal(tasks.at(-1).task, 99, 'the last one is there')
  const { lost: none } = await traced(pool, action)
  assert.equal(none, 0)
})

test('it can be begun again, and has nothing of before', LIMIT, async (t) => {
  const pool = kernels(t)
  assert.equal((await traced(pool, () => pool.kernels.fib(1))).tasks.length, 1)
  await pool.kernels.fib(1)
  const again = await traced(pool, () => pool.kernels.sha256('x'))
  assert.deepEqual(
    again.tasks.map(({ name }) => name),
    ['sha256'],
  )
})

for (const end of ['close', 'destroy']) {
  test(`what was recorded can be had after ${end}, once`, LIMIT, async (t) => {
    const { pool } = gated(t)
    pool.trace.start()
    await pool.run(0)
    await pool[end]()
    const { tasks } = read(pool.trace.stop())
    assert.equal(tasks.length, 1)
    assert.throws(() => pool.trace.stop(), { code: 'ERR_THREADMILL_TRACE_NOT_STARTED', name: 'ThreadmillError' })
    assert.throws(() => pool.trace.start(), { code: 'ERR_THREADMILL_POOL_CLOSED' })
  })
}

test('tasks that are given up at the end', LIMIT, async (t) => {
  const { pool, gates } = gated(t, { maxWorkers: 1 })
  pool.trace.start()
  const held = rejection(pool.run({ do: 'block', gate: gates.closed() }))
  const waiting = rejection(pool.run(0))
  await until(() => pool.stats().js[0]?.busy)
  await pool.destroy()
  await Promise.all([held, waiting])
  const { tasks, instants } = read(pool.trace.stop())
  assert.deepEqual(
    tasks.map(({ outcome }) => outcome),
    ['given up'],
  )
  assert.deepEqual(
    named(instants, 'cancel')
      .map(({ track, why }) => `${why} ${track}`)
      .sort(),
    ['closed js 0', 'closed main'],
  )
})

test('two pools are traced side by side', LIMIT, async (t) => {
  const [one, two] = [kernels(t), kernels(t)]
  one.trace.start()
  two.trace.start()
  await Promise.all([one.kernels.fib(1), two.kernels.fib(2), two.kernels.fib(3)])
  const [first, second] = [one.trace.stop(), two.trace.stop()]
  const both = read({
    traceEvents: [...first.traceEvents, ...second.traceEvents].sort((a, b) => a.ts - b.ts),
  })
  assert.deepEqual([both.processes.size, both.tasks.length, both.flows.size], [2, 3, 3])
})

test('wrong options', LIMIT, (t) => {
  const pool = kernels(t)
  for (const capacity of ['64', null, true]) {
    assert.throws(() => pool.trace.start({ capacity }), { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  }
  for (const capacity of [0, -64, 32, 100, 64.5, Number.NaN, 2 ** 23, Number.POSITIVE_INFINITY]) {
    assert.throws(() => pool.trace.start({ capacity }), { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' })
  }
  assert.throws(() => pool.trace.start(5), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  // None of them began anything.
  assert.throws(() => pool.trace.stop(), { code: 'ERR_THREADMILL_TRACE_NOT_STARTED' })
  pool.trace.start()
  assert.throws(() => pool.trace.start(), { code: 'ERR_THREADMILL_TRACE_STARTED' })
  assert.ok(pool.trace.stop().traceEvents.length > 0)
})
