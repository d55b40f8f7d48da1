// Shows, with types: workers that are imported before they are needed, that serve several tasks, and that are ended from elsewhere.
// Run:   node examples/typescript/11-shared-workers.mts [scale, from 0 to 1]

import { extname } from 'node:path'
import process from 'node:process'
import { FunctionPool, importPersistentWorker } from 'threadmill/function'
import type * as MathModule from './math.mts'

const scale = Number(process.argv[2] ?? 1)
const scaled = (value: number): number => Math.max(1, Math.round(value * scale))
const [n, most, steps, decimals] = [scaled(42), scaled(17_000_000), scaled(32), scaled(25)]
const primesMeta = `findPrimesUpTo(${most})`
const started = performance.now()
const math = new URL(`./math${extname(import.meta.url)}`, import.meta.url)
const lengthOrValue = (data: unknown) => (Array.isArray(data) ? data.length : data)

const mathB = await importPersistentWorker<typeof MathModule>(math)

const pool = new FunctionPool()
  .race((data, { meta }) => console.log(`Finished First: ${meta} = ${lengthOrValue(data)}\n`))
  .then((data, { meta }) => {
    console.log(`${meta} = ${lengthOrValue(data)}`)
    if (meta === primesMeta) mathB.terminate()
  })
  .allSettled((threads) => {
    console.log(`\nDONE! ${threads.length}`)
    console.log(`\n\nRun time: ${Math.round(performance.now() - started)} ms`)
  })

pool.addTask(async () => {
  const mathA = await importPersistentWorker<typeof MathModule>(math)
  const result = await mathA.fib(n)
  mathA.terminate()
  return result
}, `fib(${n})`)

pool.addTask(() => mathB.findPrimesUpTo(most), primesMeta)

pool.addTask(async () => {
  const mathC = await importPersistentWorker<typeof MathModule>(math)
  const result = await mathC.tribonacci(steps)
  mathC.terminate()
  return result
}, `tribonacci(${steps})`)

const mathD = await importPersistentWorker<typeof MathModule>(math)
const piMeta = `estimatePi(${decimals})`
pool
  .addTask(async () => {
    // Both run in the same worker, one after the other.
    const [first, second] = await Promise.all([mathD.estimatePi(decimals), mathD.estimatePi(decimals)])
    return first + second
  }, piMeta)
  // A task that is added here keeps the pool from being done, also when it was the last one that ran.
  .then((previous) => {
    pool.addTask(async () => {
      const result = await mathD.estimatePi(decimals)
      mathD.terminate()
      return result + previous
    }, `${piMeta} #2`)
  })
