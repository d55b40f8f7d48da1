// Tasks on the thread that owns the pool, beside each other.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { rejection, until } from '../helpers/pool.mjs'

const on = { mainThread: true }

/** A pool whose next tasks come in one exchange, if they are submitted at once. */
async function together(t, options) {
  const pool = new WorkerPool({ threads: 1, workerConcurrency: 3, ...options })
  t.after(() => pool.close())
  await pool.run(() => {}, on)
  return pool
}

test('one that another has cancelled, or whose pool it has destroyed, does not begin (J17)', async (t) => {
  const ways = {
    CANCELLED: (_pool, task) => assert.equal(task.cancel(), true),
    POOL_CLOSED: (pool) => {
      pool.destroy()
    },
  }
  for (const [code, way] of Object.entries(ways)) {
    const pool = await together(t)
    const begun = []
    let second
    const first = pool.run(() => {
      begun.push('first')
      way(pool, second)
    }, on)
    first.catch(() => {})
    second = pool.addTask(() => begun.push('second'), on)
    assert.equal((await rejection(second)).code, `ERR_THREADMILL_${code}`)
    assert.deepEqual(begun, ['first'], code)
    if (code === 'POOL_CLOSED') continue
    await first
    // They hold no room either.
    const running = Array.from({ length: 3 }, () => pool.run(() => begun.push('next'), on))
    await Promise.all(running)
    assert.equal(pool.stats().busyWorkers, 0)
  }
})

test('one that a worker submits runs in the async context of no other', async (t) => {
  const source = `
    const storages = Symbol.for('threadmill test storage')
    export const workerEntrypoint = (input, client) => client.run(input, { mainThread: true, name: 'guest' })
    export const guest = () => globalThis[storages].getStore() ?? 'none'
    export const submits = async (wait, client) => {
      await wait
      return client.run(5, { kernel: 'fib' })
    }`
  const module = `data:text/javascript,${encodeURIComponent(source)}`
  const storage = new AsyncLocalStorage()
  globalThis[Symbol.for('threadmill test storage')] = storage
  // The pool, its first task and whatever ends beside the guest have a context.
  const pool = storage.run('of the pool', () => new WorkerPool(module, { maxWorkers: 1 }))
  t.after(() => pool.close())
  assert.equal(await storage.run('of the first', () => pool.run(1, { ...on, name: 'guest' })), 'of the first')
  assert.equal(await pool.run(1), 'none')
  // While one waits for what it has submitted, others begin.
  let open
  const wait = new Promise((resolve) => {
    open = resolve
  })
  const own = storage.run('of another', () => pool.run(wait, { ...on, name: 'submits' }))
  const guest = pool.addTask(2)
  await until(() => guest.worker !== undefined && pool.stats().queueLength > 0)
  open()
  assert.equal(await own, 5)
  assert.equal(await guest, 'none')
})

const module = `data:text/javascript,${encodeURIComponent(`
  const work = async ({ id, begun, wait, seen, signals }, client) => {
    const { signal } = client
    signals[id] = signal
    client.postMessageToPool('begins', id)
    client.progress(1, 2)
    begun()
    await wait
    client.postMessageToPool('goes on', id)
    client.progress(2, 2)
    seen[id] = [signal.aborted, client.signal === signal]
  }
  export const workerEntrypoint = (input, client) => work(input, client)
  export const named = workerEntrypoint
  export const prepared = (input, client) => work(input, client)
  prepared.preTask = async () => {}
  export const adds = async (input, client) => {
    const added = client.addTask({ ...input, id: input.id + 1, begun: () => {} }, { mainThread: true, name: 'named' })
    await work(input, client)
    await added
  }`)}`

for (const name of [undefined, 'named', 'prepared']) {
  test(`messages, progress and the signal of ${name ?? 'the entry function'} are of their task (J18)`, async (t) => {
    const pool = new WorkerPool(module, { maxWorkers: 1, workerConcurrency: 2, cancelGrace: 2 ** 31 - 1 })
    const seen = []
    const signals = []
    const heard = []
    let open
    const wait = new Promise((resolve) => {
      open = resolve
    })
    t.after(() => {
      open()
      return pool.close()
    })
    let count = 0
    const begun = () => count++
    const tasks = [0, 1].map((id) =>
      pool
        .addTask({ id, begun, wait, seen, signals }, { ...on, name })
        .on('message', (type, contents) => heard.push(`${id} ${type} ${contents}`))
        .on('progress', ({ done }) => heard.push(`${id} done ${done}`)),
    )
    await until(() => count === 2)
    assert.equal(tasks[1].cancel(), true)
    assert.equal((await rejection(tasks[1])).code, 'ERR_THREADMILL_CANCELLED')
    await until(() => signals[1].aborted)
    open()
    await tasks[0]
    await until(() => seen.length === 2 && heard.length === 8)
    const own = [0, 1].flatMap((id) => [`${id} begins ${id}`, `${id} done 1`, `${id} done 2`, `${id} goes on ${id}`])
    assert.deepEqual(heard.sort(), own)
    assert.deepEqual(seen, [
      [false, true],
      [true, true],
    ])
  })
}

test('a task that had begun before any could overlap keeps its own (J18)', async (t) => {
  const pool = new WorkerPool(module, { maxWorkers: 1 })
  t.after(() => pool.close())
  const heard = []
  const all = []
  pool.onMessage('goes on', (contents) => all.push(contents))
  const input = { id: 0, begun: () => {}, wait: new Promise(setImmediate), seen: [], signals: [] }
  const task = pool.addTask(input, { ...on, name: 'adds' })
  task.on('message', (type, contents) => heard.push(`${type} ${contents}`))
  await task
  assert.deepEqual(heard, ['begins 0', 'goes on 0'])
  assert.deepEqual(all.sort(), [0, 1])
})
