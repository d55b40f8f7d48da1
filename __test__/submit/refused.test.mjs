// Tasks that are refused and waits for room that are over: nothing is left of them.
import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MessageChannel } from 'node:worker_threads'
import { WorkerPool } from 'threadmill'
import { occupy, until } from '../helpers/pool.mjs'

const MODULE = 'data:text/javascript,export default (input) => input'
const FULL = 'ERR_THREADMILL_QUEUE_FULL'

function closing(t, ...args) {
  const pool = new WorkerPool(...args)
  t.after(() => pool.destroy())
  return pool
}

test('a task whose own input has taken the room lets go of its signal and closes its ports', async (t) => {
  const pool = closing(t, MODULE, { maxWorkers: 1, capacity: 1 })
  const { signal } = new AbortController()
  const { port1, port2 } = new MessageChannel()
  const closed = once(port2, 'close')
  let inner
  const input = {
    port: port1,
    get value() {
      inner ??= pool.run(5)
      return 1
    },
  }
  await assert.rejects(pool.run(input, { signal, transfer: [port1] }), { code: FULL })
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  await closed
  assert.equal(await inner, 5)
})

test('tasks whose inputs cannot be copied do not count when workers are launched', async (t) => {
  const pool = closing(t, MODULE, { maxWorkers: 4 })
  await pool.run(1)
  for (let round = 0; round < 20; round++) await assert.rejects(pool.run({ run() {} }), { name: 'DataCloneError' })
  for (let round = 0; round < 5; round++) await pool.run(1)
  assert.equal(pool.workers.length, 1)
})

test('when whoever waited for room has been told, less than was refused is room again', async (t) => {
  const pool = closing(t, { threads: 1, capacityBytes: 1000 })
  const gate = await occupy(pool)
  const submit = () => pool.addTask(new Uint8Array(600), { kernel: 'sha256' })
  const first = submit()
  assert.throws(submit, { code: FULL })
  const told = pool.ready()
  first.cancel()
  await assert.rejects(first.then(), { code: 'ERR_THREADMILL_CANCELLED' })
  await told
  const second = submit()
  await pool.ready()
  assert.equal(pool.isIdle, false)
  await gate.release()
  await second
})

test('a pool keeps nothing of a wait for room that is over', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc')
  const pool = closing(t, { threads: 1, capacity: 1 })
  const waited = await (async () => {
    const { signal } = new AbortController()
    const gate = await occupy(pool)
    const ready = pool.ready({ signal })
    await gate.release()
    await ready
    return new WeakRef(signal)
  })()
  await until(() => {
    gc()
    return waited.deref() === undefined
  })
})
