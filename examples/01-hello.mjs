// Shows: a function of your own that runs in worker threads.
// Run:   node examples/01-hello.mjs [name ...]

import process from 'node:process'
import { WorkerPool } from 'threadmill'

const names = process.argv.length > 2 ? process.argv.slice(2) : ['Ada', 'Grace', 'Linus']

// Workers load the module by themselves, so the pool gets its place and not the function.
const pool = new WorkerPool(new URL('./01-hello.worker.mjs', import.meta.url))

// All are greeted at the same time; `map` gives the outputs in the order of the inputs.
for await (const greeting of pool.map(names)) console.log(greeting)

await pool.close()
