// Shows: a pipeline of parallel stages: functions of your own and kernels, joined by streams that hold their source up.
// Run:   node examples/09-pipeline.mjs [days, from 1]

import process from 'node:process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { WorkerPool } from 'threadmill'

const days = Number(process.argv[2] ?? 7)
if (!Number.isInteger(days) || days < 1) {
  console.error('usage: node examples/09-pipeline.mjs [days, from 1]')
  process.exit(1)
}

const pool = new WorkerPool(new URL('./09-pipeline.worker.mjs', import.meta.url))

function* dates() {
  for (let day = 0; day < days; day++) yield new Date(Date.UTC(2026, 0, 1 + day)).toISOString().slice(0, 10)
}

// Every stage works on several days at a time and gives them on in their order. None takes more days than the next one can
// follow, so a year needs no more memory than a week.
await pipeline(
  Readable.from(dates()),
  pool.stream({ name: 'measure' }), // your function: a day of measurements as CSV text
  pool.stream({ kernel: 'csvParse' }), // a kernel: columns of numbers
  async function* (tables) {
    for await (const { columns } of tables) yield columns.celsius
  },
  pool.stream({ kernel: 'stats', quantiles: [0.5] }), // a kernel: mean, extremes, median
  pool.stream({ name: 'judge' }), // your function: one line
  async (lines) => {
    let day = 0
    for await (const line of lines) console.log(`day ${++day}: ${line}`)
  },
)

const { native, js } = pool.stats()
const sum = (workers) => workers.reduce((total, { tasksCompleted }) => total + tasksCompleted, 0)
console.log(`${sum(js)} tasks in JavaScript, ${sum(native)} kernels`)

// The same without streams: `map` takes what another `map` gives.
const packed = pool.map(pool.map(dates(), { name: 'measure' }), { kernel: 'zstd' })
let bytes = 0
for await (const { length } of packed) bytes += length
console.log(`${bytes > 0 ? 'packed' : 'nothing'}: ${Math.ceil(bytes / 1024)} KiB`)

await pool.close()
