// How listeners are called: those that were there at the time, in the async context of their registration, with nothing for `this`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'

const ENTRY = 'data:text/javascript,export default (n) => n'

test('what a listener throws is an uncaught exception of its own async context', { timeout: 60_000 }, async () => {
  const child = await runProgram(`
    import { AsyncLocalStorage } from 'node:async_hooks'
    import { WorkerPool } from 'threadmill'
    const storage = new AsyncLocalStorage()
    const heard = []
    process.on('uncaughtException', (error) => heard.push([error.message, storage.getStore()].join()))
    const module = 'data:text/javascript,export default (n, client) => { client.postMessageToPool("said", n); return n }'
    const pool = new WorkerPool(module, { maxWorkers: 1 })
    const thrower = (name) => () => { throw new Error(name) }
    storage.run('of the event', () => pool.on('task-complete', thrower('event')))
    storage.run('of the message', () => pool.onMessage('said', thrower('message')))
    const task = storage.run('of the call', () => pool.addTask(1))
    storage.run('of the task', () => task.on('message', thrower('task')))
    await task
    await pool.close()
    console.log(heard.sort().join('; '))
  `)
  const expected = 'event,of the event; message,of the message; task,of the task\n'
  assert.deepEqual([child.stdout, child.stderr, child.code], [expected, '', 0])
})

test('those that were there are called, once those that are called once, and none knows how it is kept', async (t) => {
  const pool = new WorkerPool(ENTRY, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  const called = []
  const late = () => called.push('late')
  const removed = () => called.push('removed')
  pool.on('task-complete', function first() {
    called.push(this)
    pool.off('task-complete', removed).on('task-complete', late)
  })
  pool.once('task-complete', () => called.push('once'))
  pool.on('task-complete', removed)
  pool.once('task-complete', () => called.push('once more'))
  await pool.run(1)
  assert.deepEqual(called.splice(0), [undefined, 'once', 'removed', 'once more'])
  await pool.run(2)
  assert.deepEqual(called.splice(0), [undefined, 'late'])
  pool.off('task-complete', late).off('task-complete', late)
  await pool.run(3)
  assert.deepEqual(called, [undefined])
})

test('many listeners that are called once each', async (t) => {
  const pool = new WorkerPool(ENTRY, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  const most = 5000
  const called = []
  for (let n = 0; n < most; n++) {
    // One of them has another one forgotten, behind it or before it.
    pool.once('task-complete', n === 10 ? () => pool.off('task-complete', others[most / 2]) : () => called.push(n))
  }
  const others = []
  for (let n = 0; n < most; n++) {
    others[n] = () => called.push(-n)
    pool.on('task-complete', others[n])
  }
  await pool.run(1)
  await pool.close()
  const expected = [...Array(most).keys()].filter((n) => n !== 10)
  assert.deepEqual(called.slice(0, most - 1), expected)
  // Who is forgotten meanwhile is called once more.
  assert.equal(called.length, 2 * most - 1)
})
