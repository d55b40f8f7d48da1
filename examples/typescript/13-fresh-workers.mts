// Shows, with types: a new worker for every call: as thunks that a pool starts when there is room, and as plain calls; modules from
//        data: URLs and packages; and a pool that is done twice.
// Run:   node examples/typescript/13-fresh-workers.mts [n of fib] [pause in ms]

import { extname } from 'node:path'
import process from 'node:process'
import { FunctionPool, importPersistentWorker, importTaskWorker, importWorker } from 'threadmill/function'
import type * as MathModule from './math.mts'

const n = Number(process.argv[2] ?? 42)
const pause = Number(process.argv[3] ?? 2000)
const math = new URL(`./math${extname(import.meta.url)}`, import.meta.url)

// Calling a function of this one gives a function that calls it: just what a pool wants.
const thunks = await importTaskWorker<typeof MathModule>(math)
// Calling a function of this one calls it.
const calls = await importWorker<typeof MathModule>(math)

const pool = new FunctionPool({ poolSize: 15 })
  .then((data, { meta }) => console.log(`${meta}: ${data}`))
  .allSettled((threads) => console.log(`Threads completed: ${threads.length}`))

for (let task = 1; task <= 5; task++) pool.addTask(thunks.fib(n), `thunk ${task}`)
for (let task = 1; task <= 3; task++) pool.addTask(() => calls.fib(n), `call ${task}`)
setTimeout(() => {
  for (let task = 6; task <= 7; task++) pool.addTask(thunks.fib(n), `thunk ${task}`)
}, pause)

const hello = await importTaskWorker<{ helloWorld(): string; default: number }>(
  'data:text/javascript,export const helloWorld = () => "Hello World!"; export default 42',
)
console.log(await hello.helloWorld()(), await hello.default()())

const counting = await importPersistentWorker<{ counter: number; count(): void }>(
  'data:text/javascript,export let counter = 0; export const count = () => { counter++ }',
)
await counting.count()
await counting.count()
console.log(`counter: ${await counting.counter()}`)
counting.terminate()

// A package, here one that comes with Node: `default` is what it exports as a whole.
const os = await importTaskWorker<typeof import('node:os')>('node:os')
console.log(`endianness: ${await os.endianness()()}`)
