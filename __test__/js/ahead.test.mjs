// Inputs that are posted to workers ahead (J12 in lib/ahead.ts). Whether one is depends on what tasks take, so the tests of
// pools hold for either way; how many are, and to whom, is tested without a pool.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { MessageChannel, Worker } from 'node:worker_threads'
import { WorkerPool } from 'threadmill'
import { Gates } from '../helpers/gates.mjs'
import { Ahead, makeLastLook, postBefore } from '../helpers/internals.mjs'
import { rejection, until } from '../helpers/pool.mjs'

const AHEAD = new URL('./fixtures/ahead.mjs', import.meta.url)
const CRASHED = 'ERR_THREADMILL_WORKER_CRASHED'

describe('who gets an input ahead (J12)', () => {
  /** Workers that only count, with a clock that stands still. */
  function lane({ workers, runTime }) {
    const state = {
      runTime,
      now: 1,
      idle: -1,
      asked: 0,
      leaving: new Set(),
      loading: new Set(),
      gone: new Set(),
      posted: [],
    }
    const way = (worker) => ({
      postInput: ({ key }) => !state.gone.has(worker) && state.posted.push([worker, key]) > 0,
    })
    let nextKey = 0
    const host = {
      idleWorker() {
        state.asked++
        return state.idle
      },
      get runTime() {
        return state.runTime
      },
      mostWorkers: workers,
      taking: (worker) => (state.leaving.has(worker) ? undefined : way(worker)),
      isReady: (worker) => !state.loading.has(worker),
      newKey: () => nextKey++,
    }
    return { state, ahead: new Ahead(host, () => state.now) }
  }

  /** The workers that inputs go to, until one has to wait. */
  function pushAll(ahead) {
    const workers = []
    for (let pushed = ahead.push(0, []); pushed !== undefined; pushed = ahead.push(0, [])) workers.push(pushed.worker)
    return workers
  }

  test('whoever waits for work comes first, whatever tasks take', () => {
    for (const runTime of [undefined, 0.01, 1000]) {
      const { state, ahead } = lane({ workers: 3, runTime })
      state.idle = 2
      assert.deepEqual(ahead.push(0, []), { key: 0, worker: 2 })
      assert.deepEqual(state.posted, [[2, 0]])
    }
  })

  test('nobody who works, as long as it is not known that tasks are short', () => {
    for (const runTime of [undefined, 0.5, 1000]) assert.deepEqual(pushAll(lane({ workers: 2, runTime }).ahead), [])
  })

  test('a few each, in turns, and fewer the longer tasks take', () => {
    assert.deepEqual(pushAll(lane({ workers: 2, runTime: 0 }).ahead), Array(8).fill([0, 1]).flat())
    assert.deepEqual(pushAll(lane({ workers: 2, runTime: 0.1 }).ahead), Array(4).fill([0, 1]).flat())
    assert.deepEqual(pushAll(lane({ workers: 2, runTime: 0.3 }).ahead), [0, 1])
  })

  test('the one that has least; none that takes no more tasks', () => {
    const { state, ahead } = lane({ workers: 3, runTime: 0.1 })
    const keys = Array.from({ length: 9 }, () => ahead.push(0, []))
    for (const { key, worker } of keys) if (worker === 1) assert.equal(ahead.end(key), 1)
    state.leaving.add(2)
    assert.deepEqual(pushAll(ahead), [1, 1, 1, 0, 1])
  })

  test('none that has not loaded its module', () => {
    const { state, ahead } = lane({ workers: 2, runTime: 0.1 })
    state.loading.add(0)
    assert.deepEqual(pushAll(ahead), [1, 1, 1, 1])
    state.loading.clear()
    assert.equal(ahead.push(0, []).worker, 0)
  })

  test('none to one that looks for inputs no more', () => {
    const { state, ahead } = lane({ workers: 1, runTime: 0.1 })
    state.gone.add(0)
    assert.equal(ahead.push(0, []), undefined)
    assert.equal(ahead.countOf(0), 0)
    state.gone.clear()
    assert.deepEqual(ahead.push(0, []), { key: 1, worker: 0 })
  })

  test('none to one that has not ended a task for a while, until it does', () => {
    const { state, ahead } = lane({ workers: 2, runTime: 0.01 })
    const first = ahead.push(0, [])
    state.now += 3
    assert.equal(ahead.push(0, []).worker, 1)
    state.now += 3
    assert.equal(ahead.push(0, []), undefined)
    assert.equal(ahead.has(first.key), true)
    ahead.end(first.key)
    assert.equal(ahead.has(first.key), false)
    assert.equal(ahead.push(0, []).worker, 0)
  })

  test('while all have something ahead, the scheduler is not asked who waits for work', () => {
    const { state, ahead } = lane({ workers: 2, runTime: 0.01 })
    ahead.push(0, [])
    ahead.push(0, [])
    assert.equal(state.asked, 2)
    assert.equal(pushAll(ahead).length, 14)
    assert.equal(state.asked, 2)
  })
})

describe('a worker that looks for the last time (K1, K2)', () => {
  /** A thread that does so when told to, and counts what it finds. */
  async function looking(t) {
    const { port1, port2 } = new MessageChannel()
    const look = makeLastLook()
    const gate = new Int32Array(new SharedArrayBuffer(8))
    const internals = new URL('../helpers/internals.mjs', import.meta.url).href
    const source = `const { parentPort, receiveMessageOnPort, workerData } = require('node:worker_threads')
      import(${JSON.stringify(internals)}).then(({ lookLast }) => {
        const { look, gate, port } = workerData
        parentPort.postMessage('there')
        Atomics.wait(gate, 0, 0)
        Atomics.store(gate, 1, 1)
        lookLast(look)
        let count = 0
        while (receiveMessageOnPort(port) !== undefined) count++
        parentPort.postMessage(count)
      })`
    const workerData = { look, gate, port: port2 }
    const worker = new Worker(source, { eval: true, workerData, transferList: [port2] })
    t.after(() => worker.terminate())
    assert.deepEqual(await once(worker, 'message'), ['there'])
    const begin = () => {
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
      while (Atomics.load(gate, 1) === 0);
    }
    return { look, port: port1, begin, count: once(worker, 'message').then(([count]) => count) }
  }

  test('sees what is being posted then, and nothing is posted after', async (t) => {
    const { look, port, begin, count } = await looking(t)
    const posted = postBefore(look, () => {
      // As a getter of what is posted may.
      const inner = postBefore(look, () => port.postMessage(0))
      assert.equal(inner, true)
      begin()
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30)
      port.postMessage(1)
    })
    assert.equal(posted, true)
    assert.equal(await count, 2)
    assert.equal(
      postBefore(look, () => assert.fail()),
      false,
    )
    port.close()
  })

  test('waits for nothing that was refused, and not for ever', async (t) => {
    const { look, port, begin, count } = await looking(t)
    const refuse = () => {
      throw new Error('refused')
    }
    assert.throws(() => postBefore(look, refuse), { message: 'refused' })
    postBefore(look, () => {
      begin()
      // Whatever it waits for does not come before it has looked.
      const deadline = performance.now() + 5000
      while (postBefore(look, () => {}) && performance.now() < deadline);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400)
      port.postMessage(1)
    })
    assert.equal(await count, 0)
    port.close()
  })
})

/** A pool whose tasks have been short so far. */
async function quickPool(t, options) {
  const gates = new Gates()
  const pool = new WorkerPool(AHEAD, { maxWorkers: 1, workerData: gates.memory, ...options })
  t.after(() => pool.destroy())
  for (let round = 0; round < 8; round++) await Promise.all(Array.from({ length: 8 }, (_, at) => move(pool, at)))
  return { pool, gates }
}

function move(pool, number, options = {}) {
  const { task, bytes } = moving(pool, number, options)
  assert.equal(bytes.byteLength, 0, 'it is detached at the call')
  return task
}

function moving(pool, number, { input, ...options } = {}) {
  const bytes = new Uint8Array(1000).fill(number)
  return { bytes, task: pool.addTask({ ...input, bytes }, { ...options, transfer: [bytes.buffer] }) }
}

/** How each of the tasks has ended. */
const endings = (tasks) => Promise.allSettled(tasks)

function isMoved({ status, value }, number) {
  assert.equal(status, 'fulfilled')
  assert.equal(value.bytes[0], number + 1)
  assert.ok(value.bytes.subarray(1).every((byte) => byte === number))
  return true
}

/** One task that does as `input` says, and more that are submitted with it. */
function behind(pool, input, count = 12) {
  const first = move(pool, 0, { input })
  return [first, Array.from({ length: count }, (_, at) => move(pool, at))]
}

test('many in flight come back whole, each once', async (t) => {
  const { pool } = await quickPool(t, { maxWorkers: 2 })
  const rounds = Array.from({ length: 40 }, async (_, at) => {
    for (let round = 0; round < 25; round++) isMoved((await endings([move(pool, at)]))[0], at)
  })
  await Promise.all(rounds)
  assert.equal(pool.stats().tasksCompleted, 64 + 1000)
})

test('tasks with inputs that move run in the order of all tasks', async (t) => {
  const { pool, gates } = await quickPool(t)
  const gate = gates.closed()
  const ended = []
  const note = (task, name) => task.then(() => ended.push(name))
  const [first] = behind(pool, { do: 'block', gate }, 0)
  const tasks = [first]
  for (let at = 0; at < 30; at++) {
    const task = at % 3 === 0 ? pool.addTask({ bytes: new Uint8Array(10) }) : move(pool, at)
    tasks.push(note(task, at))
  }
  gates.open(gate)
  await Promise.all(tasks)
  assert.deepEqual(
    ended,
    Array.from({ length: 30 }, (_, at) => at),
  )
})

test('a message comes after the tasks that were submitted before it have been handed over', async (t) => {
  const { pool, gates } = await quickPool(t)
  const gate = gates.closed()
  const heard = []
  pool.onMessage('heard', (contents) => heard.push(contents))
  const [first, rest] = behind(pool, { do: 'block', gate }, 3)
  pool.workers[0].postMessageToWorker('told', 1)
  gates.open(gate)
  await Promise.all([first, ...rest])
  await until(() => heard.length === 1)
  assert.equal(heard[0][0], 1)
})

for (const how of ['crash', 'throw late']) {
  test(`a worker that ends by itself gives back what it has not begun (${how})`, async (t) => {
    const { pool, gates } = await quickPool(t)
    const gate = gates.closed()
    const [first, rest] = behind(pool, { do: how, gate })
    gates.open(gate)
    assert.equal((await rejection(first)).code, CRASHED)
    for (const [at, end] of (await endings(rest)).entries()) isMoved(end, at)
    assert.equal(pool.isIdle, true)
  })
}

test('and what is being posted to it just then', async (t) => {
  for (let round = 0; round < 5; round++) {
    const { pool, gates } = await quickPool(t)
    const gate = gates.closed()
    const [first, rest] = behind(pool, { do: 'crash', gate }, 2)
    await until(() => first.worker !== undefined)
    const wait = new Int32Array(new SharedArrayBuffer(4))
    const bytes = new Uint8Array(1000).fill(3)
    const input = {
      bytes,
      get do() {
        gates.open(gate)
        // Without it, the worker would be gone by then.
        Atomics.wait(wait, 0, 0, 60)
        return undefined
      },
    }
    const late = [pool.addTask(input, { transfer: [bytes.buffer] }), move(pool, 4)]
    assert.equal((await rejection(first)).code, CRASHED)
    for (const [at, end] of (await endings([...rest, ...late])).entries()) isMoved(end, [0, 1, 3, 4][at])
    assert.equal(pool.isIdle, true)
    await pool.close()
  }
})

test('so does one that is used up', async (t) => {
  const { pool, gates } = await quickPool(t)
  const gate = gates.closed()
  const [first, rest] = behind(pool, { do: 'used up', gate })
  gates.open(gate)
  assert.equal((await rejection(first)).message, 'used up')
  for (const [at, end] of (await endings(rest)).entries()) isMoved(end, at)
})

test('a task that does not end when it is given up costs others at most what had been posted ahead', async (t) => {
  const { pool, gates } = await quickPool(t)
  const gate = gates.closed()
  const [first, rest] = behind(pool, { do: 'block', gate })
  await until(() => first.worker !== undefined)
  first.cancel('no')
  assert.equal(await rejection(first), 'no')
  let lost = 0
  for (const [at, end] of (await endings(rest)).entries()) {
    if (end.status === 'rejected') lost++
    if (end.status === 'rejected') assert.equal(end.reason.code, CRASHED)
    else isMoved(end, at)
  }
  assert.ok(lost <= 8, `${lost} were lost`)
  isMoved((await endings([move(pool, 1)]))[0], 1)
})

test('one that waits asynchronously costs nobody anything', async (t) => {
  const { pool } = await quickPool(t)
  const [first, rest] = behind(pool, { do: 'wait' })
  await until(() => first.worker !== undefined)
  first.cancel('no')
  assert.equal(await rejection(first), 'no')
  for (const [at, end] of (await endings(rest)).entries()) isMoved(end, at)
})

test('a cancelled task does not run, and a port in its input is closed', async (t) => {
  const { pool, gates } = await quickPool(t)
  const gate = gates.closed()
  const [first] = behind(pool, { do: 'block', gate }, 0)
  const { port1, port2 } = new MessageChannel()
  const told = []
  port1.on('message', (message) => told.push(message))
  // One that was not posted ahead is closed at once.
  const closed = once(port1, 'close')
  const task = pool.addTask({ do: 'port', port: port2 }, { transfer: [port2] })
  const late = move(pool, 1, { timeout: 1 })
  const [ended] = [rejection(task), task.cancel('no')]
  assert.equal((await rejection(late)).code, 'ERR_THREADMILL_TIMEOUT')
  gates.open(gate)
  await Promise.all([first, closed])
  assert.equal(await ended, 'no')
  isMoved((await endings([move(pool, 1)]))[0], 1)
  assert.deepEqual(told, [])
})

test('so is that of one that waited for a worker, while that is busy', async (t) => {
  const gates = new Gates()
  // What tasks take is not known yet: nothing is posted ahead to a worker that is busy.
  const pool = new WorkerPool(AHEAD, { maxWorkers: 1, workerData: gates.memory })
  t.after(() => pool.destroy())
  const gate = gates.closed()
  const first = move(pool, 0, { input: { do: 'block', gate } })
  await until(() => first.worker !== undefined)
  const { port1, port2 } = new MessageChannel()
  const closed = once(port1, 'close')
  const task = pool.addTask({ do: 'port', port: port2 }, { transfer: [port2] })
  task.cancel('no')
  assert.equal(await rejection(task), 'no')
  await closed
  gates.open(gate)
  assert.equal((await first).bytes[0], 1)
})

test('and those of tasks that are cancelled as soon as their inputs are posted to an idle worker', async (t) => {
  const { pool } = await quickPool(t)
  for (let closed = 0; closed < 20; ) {
    const before = closed
    const { port1, port2 } = new MessageChannel()
    port1.once('close', () => closed++).on('message', () => {})
    const task = pool.addTask({ do: 'port', port: port2 }, { transfer: [port2] })
    task.cancel('no')
    // It may have begun; then it closes its port itself.
    await endings([task])
    await until(() => closed > before)
  }
})

test('closing finishes what has been posted, disposing rejects what has not begun, destroying all', async (t) => {
  for (const [end, mayRun, mayReject] of [
    ['close', true, false],
    ['dispose', false, true],
    ['destroy', false, true],
  ]) {
    const { pool, gates } = await quickPool(t)
    const gate = gates.closed()
    const [first, rest] = behind(pool, { do: 'block', gate })
    await until(() => first.worker !== undefined)
    const ended = pool[end]()
    gates.open(gate)
    const [firstEnd, ...ends] = await endings([first, ...rest])
    await ended
    assert.equal(firstEnd.status, end === 'destroy' ? 'rejected' : 'fulfilled')
    for (const [at, ending] of ends.entries()) {
      if (ending.status === 'fulfilled') assert.ok(mayRun && isMoved(ending, at))
      else assert.ok(mayReject && ending.reason.code === 'ERR_THREADMILL_POOL_CLOSED', String(ending.reason))
    }
  }
})
