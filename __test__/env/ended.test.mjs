// Workers that end with thousands of kernels of their pools in flight.
import process from 'node:process'
import { test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'
import { assertClean, program } from './programs.mjs'

// With THREADMILL_STRESS=full 50 rounds each, spread over processes.
const rounds = process.env.THREADMILL_STRESS === 'full' ? 50 : 8
for (const kind of ['terminate', 'process.exit']) {
  test(`20 workers ended by ${kind} with 20,000 kernels in flight, ${rounds} times`, {
    timeout: 900_000,
  }, async () => {
    const source = program(
      `const pool = new WorkerPool({ threads: 2 })
       const ignore = () => {}
       const bytes = new Uint8Array(1000), big = new Uint8Array(200_000), shared = new Uint8Array(new SharedArrayBuffer(100_000))
       for (let i = 0; i < 950; i++) pool.kernels.sha256(bytes).catch(ignore)
       for (let i = 0; i < 30; i++) pool.kernels.sha256(shared).catch(ignore)
       for (let i = 0; i < 18; i++) pool.kernels.sort(big.slice(), { transfer: [] }).catch(ignore)
       for (let i = 0; i < 2; i++) pool.kernels.fib(60).catch(ignore)
       parentPort.postMessage('busy')
       ${kind === 'process.exit' ? 'setImmediate(() => process.exit(0))' : 'setInterval(ignore, 1000)'}`,
      `for (let round = 0; round < ${Math.min(rounds, 10)}; round++) {
         await Promise.all(Array.from({ length: 20 }, async () => {
           const worker = start()
           const exited = event(worker, 'exit')
           await event(worker, 'message')
           ${kind === 'terminate' ? 'worker.terminate()' : ''}
           await exited
         }))
       }
       console.log('survived')`,
    )
    for (let i = 0; i < Math.ceil(rounds / 10); i++) {
      assertClean(await runProgram(source, { limit: 300_000 }), 'survived\n')
    }
  })
}
