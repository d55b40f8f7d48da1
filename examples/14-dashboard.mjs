// Shows: a dashboard: a page with two pools at work, and the same figures as JSON.
// Run:   node examples/14-dashboard.mjs [seconds, up to 3600] [port]

import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { WorkerPool } from 'threadmill'
import { serveDashboard } from 'threadmill/dashboard'

const [seconds, port] = [Number(process.argv[2] ?? 60), Number(process.argv[3] ?? 0)]
if (!(seconds > 0 && seconds <= 3600 && Number.isInteger(port) && port >= 0 && port < 65_536)) {
  console.error('usage: node examples/14-dashboard.mjs [seconds, up to 3600] [port]')
  process.exit(1)
}

const module = new URL('./14-dashboard.worker.mjs', import.meta.url)
const reports = new WorkerPool(module, { maxWorkers: 4, name: 'reports' })
const files = new WorkerPool({ threads: 2, name: 'files' })
const text = 'some text that is packed again and again '.repeat(2000)

const dashboard = await serveDashboard([reports, files], { port })
console.log(`open ${dashboard.url}`)

/** Calls `submit` again and again until the time is up. */
async function produce(submit) {
  const end = performance.now() + seconds * 1000
  for (let turn = 0; performance.now() < end; turn++) {
    // Waves, so that there is something to see.
    await delay(30 + 25 * Math.sin(turn / 20))
    submit(turn)
  }
}

let failures = 0
const failed = () => failures++
await Promise.all([
  produce((turn) => {
    reports.run(20_000 + 10_000 * (turn % 50), { name: 'report' }).catch(failed)
    if (turn % 3 === 0) reports.run(turn % 30 === 0 ? 2000 : 60, { name: 'upload' }).catch(failed)
  }),
  produce((turn) => {
    files.kernels.zstd(text, { level: 1 + (turn % 5) }).catch(failed)
    files.kernels.blake3(text).catch(failed)
    if (turn % 40 === 1) files.kernels.fib(36, { timeout: 20 }).catch(failed)
  }),
])
await Promise.all([reports.whenIdle(), files.whenIdle()])

const { pools } = await (await fetch(`${dashboard.url}stats`)).json()
for (const { name, stats } of pools) console.log(`${name}: ${stats.tasksCompleted + stats.tasksErrored} tasks`)
console.log(`${failures} took too long, as some should`)
await Promise.all([dashboard.close(), reports.close(), files.close()])
