// What cannot go on with its message, input or event costs nobody else anything: ports that were closed on the way, and values
// that are nested too deep for the thread that is to read them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'

const moduleOf = (source) => `data:text/javascript,${encodeURIComponent(source)}`
const immediate = () => new Promise((resolve) => setImmediate(resolve))

/** A channel whose far end has just been closed, which this end does not show yet. */
function closedPort() {
  const { port1, port2 } = new MessageChannel()
  port1.close()
  return port2
}

/** What posts such a port, where that still can be done. */
function tryPost(post) {
  try {
    post()
  } catch (error) {
    if (error.name !== 'DataCloneError') throw error
  }
}

test('a message with a port that was closed while it was kept costs neither the launch nor a task', async (t) => {
  const warnings = []
  const warned = (warning) => warnings.push(warning.message)
  process.on('warning', warned)
  // What awaits the end of an idle worker does not keep the event loop.
  const timer = setInterval(() => {}, 1000)
  t.after(() => {
    process.off('warning', warned)
    clearInterval(timer)
  })
  const source = `export default (input) => { if (input === 'stuck') for (;;); return input }`
  for (let round = 0; round < 12; round++) {
    const pool = new WorkerPool(moduleOf(source), { maxWorkers: 1, cancelGrace: 0 })
    t.after(() => pool.destroy())
    assert.equal(await pool.run(1), 1)
    const exit = once(pool, 'worker-exit')
    await assert.rejects(pool.run('stuck', { timeout: 5, timeoutFrom: 'start' }), { code: 'ERR_THREADMILL_TIMEOUT' })
    await immediate()
    const port = closedPort()
    tryPost(() => pool.workers[0]?.postMessageToWorker('m', { port }, [port]))
    await exit
    let launched = 0
    pool.on('worker-launched', () => launched++)
    assert.equal(await pool.addTask(7), 7)
    assert.equal(launched, 1)
    await pool.close()
  }
  await immediate()
  assert.ok(warnings.every((message) => /'m' for worker 0 cannot be sent/.test(message)))
})

describe('an input with a port that was closed, ahead in a worker that ends', () => {
  const source = `import { workerData } from 'node:worker_threads'
  async function exit() {
    // Until this thread, too, knows that the port is closed.
    for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate)
    process.exit(3)
  }
  export default (job) => {
    job.port?.close()
    // Until all have been posted.
    if (job.op) Atomics.wait(workerData, 0, 0)
    if (job.op === 'exit') return exit()
    if (job.op === 'throw') { setTimeout(() => { throw new Error('mine') }); return new Promise(() => {}) }
    if (job.op === 'wait') return new Promise(() => {})
    return job.n
  }`
  const posted = (job) => {
    const bytes = new ArrayBuffer(8)
    return transfer({ ...job, bytes, blob: new Blob(['x']) }, [bytes])
  }
  const ends = {
    wait: [{ timeout: 200, timeoutFrom: 'start' }, { code: 'ERR_THREADMILL_TIMEOUT' }],
    exit: [{}, { code: 'ERR_THREADMILL_WORKER_CRASHED', exitCode: 3 }],
    throw: [{}, { code: 'ERR_THREADMILL_WORKER_CRASHED', message: /mine/ }],
  }
  for (const [op, [options, reason]] of Object.entries(ends)) {
    test(`is lost alone: ${op}`, async (t) => {
      const gate = new Int32Array(new SharedArrayBuffer(4))
      const pool = new WorkerPool(moduleOf(source), { maxWorkers: 1, cancelGrace: 0, workerData: gate })
      t.after(() => pool.destroy())
      pool.on('worker-exit', () => {})
      // Until they are known to be short, and posted ahead.
      for (let n = 0; n < 300; n++) await pool.run(posted({ n }))
      const ended = assert.rejects(pool.run(posted({ op }), options), reason)
      const port = new MessageChannel()
      const closed = pool.run(transfer({ n: -1, port: port.port2 }, [port.port2]))
      port.port1.close()
      const others = Array.from({ length: 5 }, (_, n) => pool.run(posted({ n })))
      await immediate()
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
      await ended
      // It may have begun; and where no worker had it, it can be posted to none.
      await closed.catch(({ name, code }) => {
        assert.ok(name === 'DataCloneError' || code === 'ERR_THREADMILL_WORKER_CRASHED')
      })
      assert.deepEqual(await Promise.all(others), [0, 1, 2, 3, 4])
      await pool.close()
    })
  }
})

describe('nested too deep for who reads it', () => {
  const deep = 'const deep = (n) => { let d = 1; for (let i = 0; i < n; i++) d = { d }; return d }'
  const DEPTHS = [5000, 7000, 9000, 12_000]

  for (const listens of [true, false]) {
    test(`a message of a sub-task, ${listens ? 'listened to' : 'by the pool'}`, async () => {
      const source = `${deep}
        export default async ({ n, isSub }, client) => {
          if (isSub) {
            try { client.postMessageToPool('m', deep(n)) } catch { return 'not posted' }
            return 'posted'
          }
          const task = client.addTask({ n, isSub: true })
          if (${listens}) task.on('message', () => {})
          const output = await task
          return [output, await client.run({ n: 1, isSub: true })].length
        }`
      const program = `
        import { WorkerPool } from 'threadmill'
        process.on('warning', () => {})
        const ended = []
        for (const n of ${JSON.stringify(DEPTHS)}) {
          const pool = new WorkerPool(${JSON.stringify(moduleOf(source))}, { maxWorkers: 2 })
          pool.on('worker-exit', (worker, code, error) => { if (error) ended.push(error.message) })
          ended.push(await pool.run({ n }))
          await pool.close()
        }
        console.log(JSON.stringify(ended))`
      const { code, stdout } = await runProgram(program, { nodeArgs: ['--no-warnings'] })
      assert.deepEqual([code, stdout.trim()], [0, JSON.stringify(DEPTHS.map(() => 2))])
    })
  }

  test('options of a sub-task that the owner is told of', async () => {
    const source = `${deep}
      export default async ({ n, isSub }, client) => isSub ? n : client.addTask({ n, isSub: true }, { unknown: deep(n) })`
    const program = `
      import { WorkerPool } from 'threadmill'
      const heard = []
      for (const n of ${JSON.stringify(DEPTHS)}) {
        // Deeper than this thread can read.
        const pool = new WorkerPool(${JSON.stringify(moduleOf(source))}, { maxWorkers: 2, resourceLimits: { stackSizeMb: 4 } })
        pool.on('task-added', () => heard.push('added')).on('task-complete', (error) => heard.push(error ?? 'complete'))
        await pool.run({ n })
        await pool.whenIdle()
        await pool.close()
      }
      console.log(heard.sort().join())`
    const { code, stdout, stderr } = await runProgram(program)
    const each = (event) => DEPTHS.flatMap(() => [event, event])
    assert.deepEqual([code, stdout.trim(), stderr], [0, [...each('added'), ...each('complete')].join(), ''])
  })
})
