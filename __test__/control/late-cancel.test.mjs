// Tasks that are given up when they have ended, and before that is known here.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transfer, WorkerPool } from 'threadmill'
import { blockUntil, rejection } from '../helpers/pool.mjs'

const MODULE = `data:text/javascript,import { createRequire } from 'node:module';
  const { transfer } = createRequire(${JSON.stringify(import.meta.url)})('threadmill');
  class Point { x = 1 };
  export const made = {
    number: () => 1, nothing: () => undefined, text: () => 'text', record: () => ({ a: 1 }), instance: () => new Point(),
    bytes: () => new Uint8Array(1000), moved: () => { const { buffer } = new Uint8Array(100000); return transfer(buffer, [buffer]) },
    posted: () => { const { port1 } = new MessageChannel(); port1.unref(); return transfer(port1, [port1]) },
    failed: () => { throw new Error('its own') },
  };
  export const one = (kind) => made[kind]();
  export default one`.replace(/\n/g, '')

/** Until the workers of the pool have ended so many tasks, without a turn of the event loop. */
function blockUntilEnded(pool, count) {
  const ended = ({ tasksCompleted, tasksErrored }) => tasksCompleted + tasksErrored
  blockUntil(() => pool.stats().workers.reduce((sum, worker) => sum + ended(worker), 0) >= count)
}

const KINDS = ['number', 'nothing', 'text', 'record', 'instance', 'bytes', 'moved', 'posted', 'failed']

test('whatever they have given, they reject with the reason, and count as ended', { timeout: 60_000 }, async (t) => {
  const pool = new WorkerPool(MODULE, { maxWorkers: 1 })
  t.after(() => pool.destroy())
  await pool.run('number')
  const told = []
  pool.on('task-complete', (error, result) => told.push([error?.message, result]))
  let ended = 1
  for (const kind of KINDS) {
    const controller = new AbortController()
    const byCall = pool.addTask(kind)
    const bySignal = pool.run(kind, { signal: controller.signal })
    ended += 2
    blockUntilEnded(pool, ended)
    controller.abort(new Error('gone'))
    assert.equal(byCall.cancel(new Error('mine')), true, kind)
    assert.equal(byCall.cancel(new Error('another')), false, kind)
    assert.equal((await rejection(byCall)).message, 'mine', kind)
    assert.equal((await rejection(bySignal)).message, 'gone', kind)
    assert.equal(byCall.cancel(), false, kind)
    await pool.whenIdle()
    assert.deepEqual(told.splice(0), [
      ['mine', undefined],
      ['gone', undefined],
    ])
  }
  assert.equal(await pool.run('number'), 1)
  const { tasksAdmitted, tasksCompleted, tasksErrored } = pool.stats()
  assert.deepEqual([tasksAdmitted, tasksCompleted, tasksErrored], [ended + 1, 2, ended - 1])
})

test('kernels too, with memory that is moved', { timeout: 60_000 }, async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  const calls = [
    (options) => pool.kernels.echo(1, options),
    (options) => pool.kernels.sort(new Float64Array(10_000), options),
    (options) => {
      const input = new Float64Array(10_000)
      return pool.kernels.sort(transfer(input, [input.buffer]), options)
    },
    (options) => pool.kernels.gunzip(new Uint8Array(10), options),
  ]
  let ended = 0
  for (const call of calls) {
    const controller = new AbortController()
    const task = call({ signal: controller.signal })
    blockUntilEnded(pool, ++ended)
    controller.abort(new Error('gone'))
    assert.equal((await rejection(task)).message, 'gone')
  }
  assert.equal(await pool.kernels.echo(2), 2)
})

test('one whose time was over before keeps that error, and one that is settled its output', {
  timeout: 60_000,
}, async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  const controller = new AbortController()
  // From the start: one that expires while it waits is no worker's.
  const limits = { timeout: 20, timeoutFrom: 'start' }
  const timed = pool.run(60, { kernel: 'fib', ...limits, signal: controller.signal })
  blockUntilEnded(pool, 1)
  controller.abort(new Error('gone'))
  assert.equal((await rejection(timed)).code, 'ERR_THREADMILL_TIMEOUT')
  const task = pool.addTask(5, { kernel: 'fib' })
  assert.equal(await task, 5)
  assert.equal(task.cancel(), false)
})
