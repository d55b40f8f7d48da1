// Messages belong to the task that posts them, whatever else of its worker has not returned (J13 in lib/scopes.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'

const SCOPES = new URL('./fixtures/scopes.mjs', import.meta.url)

const ids = Array.from({ length: 40 }, (_, id) => id)

/** Runs 40 tasks beside the one that submits them; gives the messages of all, checked for whom they belong to. */
async function messagesOf(t, name, inputOf) {
  const inputs = ids.map((id) => ({ id, ...inputOf(id) }))
  const pool = new WorkerPool(SCOPES, { maxWorkers: 1 })
  t.after(() => pool.close())
  const rounds = []
  // Once with all unknown, and again with what the first round taught.
  for (let round = 0; round < 2; round++) {
    const outer = []
    const task = pool.addTask({ name, inputs }).on('message', (type, contents) => outer.push([type, contents]))
    const heard = await task
    for (const [index, type, contents] of heard) assert.equal(contents, inputs[index].id, `${type} of ${contents}`)
    assert.deepEqual(outer, [
      ['outer', 'given'],
      ['outer', 'saved'],
    ])
    rounds.push(heard.map(([, type, contents]) => `${type} ${contents}`).sort())
  }
  assert.deepEqual(rounds[1], rounds[0])
  return rounds[0]
}

const expected = (messagesOfTask) => ids.flatMap(messagesOfTask).sort()

test('of functions that give their outputs at once', async (t) => {
  const heard = await messagesOf(t, 'mixed', () => ({ saves: true }))
  assert.deepEqual(
    heard,
    expected((id) => [`begins ${id}`, `saved ${id}`]),
  )
})

test('of a function that has given outputs at once and then gives a promise', async (t) => {
  const waits = (id) => id === 20 || id > 30
  const heard = await messagesOf(t, 'mixed', (id) => ({ waits: waits(id) }))
  assert.deepEqual(
    heard,
    expected((id) => [`begins ${id}`, ...Array(waits(id) ? 3 : 0).fill(`goes on ${id}`)]),
  )
})

test('of functions that go on beside each other, also through the client of another task', async (t) => {
  const heard = await messagesOf(t, 'lasting', () => ({ waits: 3, saves: true }))
  assert.deepEqual(
    heard,
    expected((id) => [...Array(3).fill(`goes on ${id}`), ...Array(3).fill(`saved ${id}`)]),
  )
})

test('what a task has left behind is not of another task', async (t) => {
  const pool = new WorkerPool(SCOPES, { maxWorkers: 1, workerConcurrency: 2 })
  t.after(() => pool.close())
  await pool.run(undefined, { name: 'leaves' })
  const heard = []
  const all = []
  pool.onMessage('late', (contents) => all.push(contents))
  await pool.addTask(undefined, { name: 'waits' }).on('message', (type) => heard.push(type))
  assert.deepEqual(heard, ['own'])
  assert.deepEqual(all, ['of a task that has ended'])
})

test('nor when that task was not known to give a promise', async (t) => {
  const pool = new WorkerPool(SCOPES, { maxWorkers: 1, workerConcurrency: 4 })
  t.after(() => pool.close())
  for (let round = 0; round < 3; round++) {
    await pool.run(undefined, { name: 'left' })
    await pool.run(false, { name: 'once' })
  }
  const heard = []
  const waiting = pool.addTask(true, { name: 'once' }).on('message', (type) => heard.push(type))
  await pool.run(7, { name: 'left' })
  await waiting
  assert.deepEqual(heard, ['own'])
})

test('the first task of a worker keeps its own beside one that gives a promise unexpectedly', async (t) => {
  const pool = new WorkerPool(SCOPES, { maxWorkers: 1 })
  t.after(() => pool.close())
  const heard = []
  await pool.addTask(undefined, { name: 'first' }).on('message', (type, step) => heard.push(`${type} ${step}`))
  assert.deepEqual(heard, ['first 0', 'first 1', 'first 2'])
})
