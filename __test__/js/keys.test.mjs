// Tasks with an affinityKey: one key, one worker; and what moves when a worker goes or comes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { Gates } from '../helpers/gates.mjs'
import { rejection, until } from '../helpers/pool.mjs'

const GATES = new URL('./fixtures/gates.mjs', import.meta.url)
const KEYS = Array.from({ length: 60 }, (_, index) => `key ${index}`)
const FORCE = { affinityStrength: 'force' }

/** A pool with all its workers ready. */
async function started(t, workers, options = {}) {
  const gates = new Gates()
  const pool = new WorkerPool(GATES, { maxWorkers: workers, workerData: gates.memory, ...options })
  t.after(() => pool.destroy())
  pool.resizeUpTo(workers)
  for (let index = 0; index < workers; index++) await pool.run(undefined, { workerAffinity: index, ...FORCE })
  return { pool, gates }
}

/** Where each key is now, one task at a time, so that no worker is launched for them. */
async function homes(pool, options = FORCE, keys = KEYS) {
  const found = new Map()
  for (const affinityKey of keys) found.set(affinityKey, (await pool.run(undefined, { affinityKey, ...options })).id)
  return found
}

const keysOf = (places, worker) => KEYS.filter((key) => places.get(key) === worker)

/** Ends a worker that runs nothing. */
async function kill(pool, worker) {
  // An idle pool does not keep the process alive.
  const alive = setInterval(() => {}, 1000)
  const gone = new Promise((resolve) => pool.once('worker-exit', resolve))
  pool.workers.find(({ id }) => id === worker).postMessageToWorker('leave')
  assert.equal((await gone).id, worker)
  clearInterval(alive)
}

test('forced and light tasks of a key run on its worker, every worker has keys', async (t) => {
  const { pool } = await started(t, 3)
  const places = await homes(pool)
  assert.deepEqual([...new Set(places.values())].sort(), [0, 1, 2])
  for (const affinityStrength of ['light', 'strong', 'force', 0, 1, 2]) {
    assert.deepEqual(await homes(pool, { affinityStrength }), places)
  }
  assert.deepEqual(await homes(pool, {}), places)
})

test('many forced tasks at once, with keys of any text', async (t) => {
  const { pool } = await started(t, 3)
  const keys = ['', ' ', '__proto__', 'constructor', 'ключ', '\u{1f511}', 'a\0b', 'a'.repeat(10_000), ...KEYS]
  const places = await homes(pool, FORCE, keys)
  const results = await Promise.all(
    Array.from({ length: 20 }, () => keys)
      .flat()
      .map(async (affinityKey) => [affinityKey, (await pool.run(undefined, { affinityKey, ...FORCE })).id]),
  )
  for (const [key, id] of results) assert.equal(id, places.get(key), key)
})

test('a light task does not wait for its worker, a forced one does', async (t) => {
  const { pool, gates } = await started(t, 2)
  const places = await homes(pool)
  const [busy, idle] = [0, 1]
  const affinityKey = keysOf(places, busy)[0]
  const held = await gates.hold(pool, busy)
  const forced = pool.addTask(undefined, { affinityKey, ...FORCE })
  assert.equal((await pool.run(undefined, { affinityKey })).id, idle)
  assert.equal((await pool.run(undefined, { affinityKey: keysOf(places, idle)[0], ...FORCE })).id, idle)
  assert.equal(forced.worker, undefined)
  await held.release()
  assert.equal((await forced).id, busy)
})

test('when a worker goes its keys move and no others; none moves when one comes', async (t) => {
  const { pool } = await started(t, 3)
  let places = await homes(pool)
  for (const gone of [1, 0, 2]) {
    await kill(pool, gone)
    assert.deepEqual(
      pool.workers.map(({ id }) => id),
      [0, 1, 2].filter((id) => id !== gone),
    )
    const without = await homes(pool)
    for (const key of KEYS) {
      if (places.get(key) === gone) assert.notEqual(without.get(key), gone)
      else assert.equal(without.get(key), places.get(key), key)
    }
    // Those of the lost one are shared out, and stay where they went.
    assert.equal(new Set(keysOf(places, gone).map((key) => without.get(key))).size, 2)
    assert.deepEqual(await homes(pool), without)
    pool.resizeUpTo(3)
    assert.equal(pool.workers.length, 3)
    assert.deepEqual(await homes(pool), without)
    places = without
  }
})

test('forced tasks that wait for a worker that crashes run on its replacement, others where they were', async (t) => {
  const { pool, gates } = await started(t, 3)
  const places = await homes(pool)
  const threads = new Set()
  for (const key of KEYS) threads.add((await pool.run(undefined, { affinityKey: key, ...FORCE })).threadId)
  const gate = gates.closed()
  const crash = pool.addTask({ do: 'crash', gate }, { workerAffinity: 1, ...FORCE })
  await until(() => crash.worker !== undefined)
  const exits = []
  const launches = []
  pool.on('worker-exit', (worker, code) => exits.push([worker.id, code]))
  pool.on('worker-launched', ({ id }) => launches.push(id))
  const waiting = KEYS.map((affinityKey) => pool.run(undefined, { affinityKey, ...FORCE }))
  gates.open(gate)
  assert.equal((await rejection(crash.then())).code, 'ERR_THREADMILL_WORKER_CRASHED')
  const results = await Promise.all(waiting)
  for (const [index, { id, threadId }] of results.entries()) {
    assert.equal(id, places.get(KEYS[index]))
    assert.equal(threads.has(threadId), id !== 1, 'the replacement is another thread')
  }
  assert.deepEqual([exits, launches], [[[1, 3]], [1]])
  assert.deepEqual(await homes(pool), places)
})

test('a worker that joins takes its share of new keys, and no other', async (t) => {
  const gates = new Gates()
  const pool = new WorkerPool(GATES, { maxWorkers: 4, workerData: gates.memory })
  t.after(() => pool.destroy())
  const places = await homes(pool)
  assert.deepEqual([...new Set(places.values())], [0])
  for (let joining = 1; joining < 4; joining++) {
    pool.resizeUpTo(joining + 1)
    assert.deepEqual(await homes(pool, FORCE, [...places.keys()]), places)
    const fresh = await homes(
      pool,
      FORCE,
      KEYS.map((key) => `${key} of ${joining}`),
    )
    assert.deepEqual([...new Set(fresh.values())].sort(), [0, 1, 2, 3].slice(0, joining + 1))
    for (const [key, place] of fresh) places.set(key, place)
  }
})

test('the same key from the pool, from map and from a worker is the same worker', async (t) => {
  const { pool } = await started(t, 3)
  const places = await homes(pool)
  for (const affinityKey of KEYS.slice(0, 20)) {
    const options = { affinityKey, ...FORCE }
    for await (const { id } of pool.map([undefined, undefined], options)) assert.equal(id, places.get(affinityKey))
    for (const workerAffinity of [0, 1, 2]) {
      const { id } = await pool.run({ do: 'submit', options }, { workerAffinity, ...FORCE })
      assert.equal(id, places.get(affinityKey))
    }
  }
})

test('after a crash loop the keys of the lost worker still have one', async (t) => {
  const { pool } = await started(t, 2)
  const places = await homes(pool)
  const crashes = [1, 2, 3, 4].map(() => pool.run({ do: 'crash' }, { workerAffinity: 1, ...FORCE }))
  for (const { reason } of await Promise.allSettled(crashes)) {
    assert.equal(reason.code, 'ERR_THREADMILL_WORKER_CRASHED')
  }
  // Pending is only this one, for which no worker is launched.
  const task = pool.addTask(undefined, { affinityKey: keysOf(places, 1)[0], timeout: 5000, ...FORCE })
  assert.ok([0, 1].includes((await task).id))
})

test('a key and a number together are refused', async (t) => {
  const { pool } = await started(t, 1)
  await assert.rejects(pool.run(1, { affinityKey: 'a', workerAffinity: 0 }), {
    code: 'ERR_THREADMILL_INVALID_ARG_VALUE',
  })
  await assert.rejects(pool.run(1, { affinityKey: 5 }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
})
