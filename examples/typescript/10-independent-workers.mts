// Shows, with types: four heavy functions at once, each in a worker of its own; who is first, what each gives, when all are done.
// Run:   node examples/typescript/10-independent-workers.mts [scale, from 0 to 1]

import { extname } from 'node:path'
import process from 'node:process'
import { FunctionPool, importPersistentWorker } from 'threadmill/function'
import type * as MathModule from './math.mts'

type MathWorker = Awaited<ReturnType<typeof importPersistentWorker<typeof MathModule>>>

const scale = Number(process.argv[2] ?? 1)
const started = performance.now()
const math = new URL(`./math${extname(import.meta.url)}`, import.meta.url)

// Callbacks may be registered before there are tasks. Each kind is called as often as its name says: `race` once, `then`
// for every result, `allSettled` whenever everything is done.
const pool = new FunctionPool()
  .race((data, { meta }) => console.log(`Finished First: ${meta} = ${data}\n`))
  .then((data, { meta }) => console.log(`${meta} = ${Array.isArray(data) ? data.length : data}`))
  .allSettled((threads) => {
    console.log(`\nDONE! ${threads.length}`)
    console.log(`\n\nRun time: ${Math.round(performance.now() - started)} ms`)
  })

/** Imports the module into a worker of its own, calls one function and ends the worker. */
const alone =
  <T,>(work: (module: MathWorker) => Promise<T>) =>
  async (): Promise<T> => {
    const module = await importPersistentWorker<typeof MathModule>(math)
    const result = await work(module)
    module.terminate()
    return result
  }

// A fraction of the work, for those who have no time for it: fib(42) becomes fib(21) with a scale of 0.5.
const scaled = (value: number): number => Math.max(1, Math.round(value * scale))
const [n, most, steps, decimals] = [scaled(42), scaled(17_000_000), scaled(32), scaled(25)]
pool.addTask(
  alone(({ fib }) => fib(n)),
  `fib(${n})`,
)
pool.addTask(
  alone(({ findPrimesUpTo }) => findPrimesUpTo(most)),
  `findPrimesUpTo(${most})`,
)
pool.addTask(
  alone(({ tribonacci }) => tribonacci(steps)),
  `tribonacci(${steps})`,
)
pool.addTask(
  alone(({ estimatePi }) => estimatePi(decimals)),
  `estimatePi(${decimals})`,
)
