// Workers whose threads the system refuses: at once, where `new Worker` throws, and after it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

/** Replaces `Worker` by one that can be refused. `refusals.now`: how many of the next. */
const PRELUDE = `
  import { createRequire } from 'node:module'
  const threads = createRequire(import.meta.url)('node:worker_threads')
  const refusals = { now: 0, later: 0 }
  const refusal = () => Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
  const { Worker } = threads
  threads.Worker = class extends Worker {
    constructor(...given) {
      if (refusals.now-- > 0) throw refusal()
      super(...given)
      if (refusals.later-- > 0) {
        this.once('online', () => {
          this.emit('error', refusal())
          this.terminate()
        })
      }
    }
  }
  const { importPersistentWorker, runWorker, WorkerPool } = await import('threadmill')
  const codeOf = (promise) => promise.then((value) => value, (error) => error.code + ' ' + error.cause?.code)
  const module = 'data:text/javascript,' + encodeURIComponent(\`export default async (input) => {
    if (input === 'crash') process.exit(1)
    await new Promise(setImmediate)
    return input
  }\`)
`
const REFUSED = 'ERR_THREADMILL_SYSTEM ERR_WORKER_INIT_FAILED'

async function outputOf(source) {
  const { code, stdout, stderr } = await runProgram(`${PRELUDE}${source}`)
  assert.deepEqual([code, stderr], [0, ''])
  return JSON.parse(stdout)
}

test('others run what waits', async () => {
  const outputs = await outputOf(`
    const pool = new WorkerPool(module, { maxWorkers: 3 })
    const outputs = [await pool.run(0)]
    refusals.now = 100
    outputs.push(...(await Promise.all([1, 2, 3, 4].map((input) => codeOf(pool.run(input))))), pool.workers.length)
    pool.resize({ min: 2, max: 3 })
    outputs.push(await codeOf(pool.run(5)))
    await pool.close()
    console.log(JSON.stringify(outputs))`)
  assert.deepEqual(outputs, [0, 1, 2, 3, 4, 1, 5])
})

test('without any, a task is refused, and the next one tries again', async () => {
  const outputs = await outputOf(`
    const pool = new WorkerPool(module, { maxWorkers: 1 })
    refusals.now = 1
    const outputs = [await codeOf(pool.run(1)), await codeOf(pool.run(2))]
    await pool.close()
    refusals.now = 1
    outputs.push(await codeOf(runWorker(module)))
    console.log(JSON.stringify(outputs))`)
  assert.deepEqual(outputs, [REFUSED, 2, REFUSED])
})

test('without a replacement for one that has crashed, what waits is rejected, and the next one tries again', async () => {
  const outputs = await outputOf(`
    const pool = new WorkerPool(module, { maxWorkers: 1 })
    const outputs = [await pool.run(0)]
    refusals.now = 1
    const tasks = ['crash', 1, 2].map((input) => pool.run(input))
    outputs.push(...(await Promise.all(tasks.map(codeOf))), await codeOf(pool.run(3)))
    await pool.close()
    console.log(JSON.stringify(outputs))`)
  assert.deepEqual(outputs, [0, 'ERR_THREADMILL_WORKER_CRASHED undefined', REFUSED, REFUSED, 3])
})

test('a thread that cannot start says nothing of the module', async () => {
  const outputs = await outputOf(`
    const pool = new WorkerPool(module, { maxWorkers: 1 })
    refusals.later = 1
    const outputs = [await codeOf(pool.run(1)), await codeOf(pool.run(2))]
    await pool.close()
    refusals.later = 1
    outputs.push(await codeOf(importPersistentWorker(module)))
    console.log(JSON.stringify(outputs))`)
  assert.deepEqual(outputs, [REFUSED, 2, REFUSED])
})
