// Several envs: pools made inside worker_threads workers, and workers that end at any moment.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'
import { assertClean, program } from './programs.mjs'

describe('worker threads', () => {
  test('a pool made in a worker works beside one of the main thread; the worker ends by itself', async () => {
    const source = program(
      `const pool = new WorkerPool({ threads: 1 })
       parentPort.postMessage(await pool.kernels.fib(20))`,
      `const workers = [start(), start(), start()]
       const exits = workers.map((worker) => event(worker, 'exit'))
       const pool = new WorkerPool({ threads: 1 })
       const values = await Promise.all([...workers.map((worker) => event(worker, 'message')), pool.kernels.fib(20)])
       const codes = await Promise.all(exits)
       console.log(values.join(), codes.join())`,
    )
    assertClean(await runProgram(source), '6765,6765,6765,6765 0,0,0\n')
  })

  test('24 workers load the addon at the same moment', async () => {
    const source = program(
      `const pool = new WorkerPool({ threads: 1 })
       parentPort.postMessage(await pool.kernels.sha256('x'))`,
      `const digests = await Promise.all(Array.from({ length: 24 }, () => event(start(), 'message')))
       console.log(new Set(digests).size)`,
    )
    assertClean(await runProgram(source), '1\n')
  })

  test('a worker that ends while its kernel works in its memory does not pull it away', async () => {
    const source = program(
      `const pool = new WorkerPool({ threads: 2 })
       const array = new Float64Array(4_000_000).map(() => Math.random())
       const shared = new Uint8Array(new SharedArrayBuffer(50_000_000))
       pool.kernels.sort(array, { transfer: [array.buffer] }).catch(() => {})
       pool.kernels.sha256(shared).catch(() => {})
       while (pool.stats().busyWorkers < 2);
       parentPort.postMessage('busy')
       setInterval(() => {}, 1000)`,
      `for (let round = 0; round < 20; round++) {
         const worker = start()
         await event(worker, 'message')
         await worker.terminate()
         // Whoever gets the memory now would be written into.
         const fill = Array.from({ length: 8 }, () => new Uint8Array(8_000_000).fill(1))
         for (const bytes of fill) if (bytes.some((byte) => byte !== 1)) throw new Error('written into')
       }
       console.log('survived')`,
    )
    assertClean(await runProgram(source, { limit: 120_000 }), 'survived\n')
  })

  test('process.exit in the main thread ends workers with kernels in flight', async () => {
    const source = program(
      `const pool = new WorkerPool({ threads: 2 })
       for (let i = 0; i < 100; i++) pool.kernels.fib(60).catch(() => {})
       parentPort.postMessage('busy')`,
      `const workers = [start(), start()]
       await Promise.all(workers.map((worker) => event(worker, 'message')))
       process.exit(3)`,
    )
    const result = await runProgram(source)
    assert.deepEqual([result.code, result.timedOut, result.stderr], [3, false, ''])
  })
})
