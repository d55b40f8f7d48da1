// Shows: messages both ways while a task runs: settings to the workers, partial results from them, and events.
// Run:   node examples/02-messages.mjs [steps] [digits]

import process from 'node:process'
import { WorkerPool } from 'threadmill'

const [steps, digits] = [process.argv[2] ?? '5', process.argv[3] ?? '6'].map(Number)
if (!Number.isInteger(steps) || steps < 1 || !Number.isInteger(digits) || digits < 0 || digits > 15) {
  console.error('usage: node examples/02-messages.mjs [steps, from 1] [digits, 0 to 15]')
  process.exit(1)
}

const pool = new WorkerPool(new URL('./02-messages.worker.mjs', import.meta.url), { maxWorkers: 1 })

pool.on('worker-launched', (worker) => {
  console.log(`worker ${worker} launched`)
  // A worker that is still starting gets it after its onWorkerStart, and before its first task.
  worker.postMessageToWorker('settings', { digits })
})
pool.onMessage('step', ({ step, estimate }, worker) => console.log(`worker ${worker}, step ${step}: ${estimate}`))
pool.onMessage('goodbye', (tasks, worker) => console.log(`worker ${worker} leaves after ${tasks} task(s)`))

// Messages of a task are heard before its output.
console.log(`pi is about ${await pool.run(steps)}`)

await pool.close()
