// Shows: modules that keep their state in a worker, a task that follows another on the same worker, and a pool that is
//        filled again after it was done.
// Run:   node examples/12-stateful-chaining.mjs [taken off the arguments of fib, from 0] [pause in ms]

import process from 'node:process'
import { FunctionPool, importPersistentWorker, StatusType } from 'threadmill/function'

const less = Number(process.argv[2] ?? 0)
const pause = Number(process.argv[3] ?? 2000)
const started = performance.now()
const math = new URL('./math.mjs', import.meta.url)

const pool = new FunctionPool({ poolSize: 3 }).allSettled((threads) => {
  console.log()
  for (const { message, status, meta } of threads) console.log(message, status.SUCCESS ? 'Success' : 'Error', meta)
  console.log(`DONE! ${threads.length}`)
  console.log(`Run time: ${Math.round(performance.now() - started)} ms\n`)
})

const available = () => console.log(`Available Thread: ${pool.hasAvailableThread() ? 'Yes' : 'No'}`)
const percentage = () => console.log(`${pool.status('completed', StatusType.PERCENT)}% completed`)

/** Two sums, with the state of the module around them, and a Fibonacci number. */
async function work(name, module, [a, b], [c, d], n) {
  console.log(`${name}: state ${await module.state()}`)
  console.log(`${name}: ${a} + ${b} = ${await module.add(a, b)}`)
  console.log(`${name}: state ${await module.state()}`)
  console.log(`${name}: ${c} + ${d} = ${await module.add(c, d)}`)
  console.log(`${name}: state ${await module.state()}`)
  console.log(`${name}: fib(${n}) = ${await module.fib(n)}`)
}

available()

pool.addTask(
  async () => {
    const mathA = await importPersistentWorker(math)
    await work('A', mathA, [1, 2], [3, 4], 42 - less)
    mathA.terminate()
    percentage()
    return 'Done A!'
  },
  { meta: 1 },
)

const mathB = await importPersistentWorker(math)
pool
  .addTask(async () => {
    await work('B', mathB, [5, 6], [7, 8], 41 - less)
    percentage()
    return 'Done B!'
  })
  .on('exit', () => {
    pool.addTask(async () => {
      // The same worker: its module still knows of the sums before.
      await work('B2', mathB, [15, 16], [17, 18], 39 - less)
      mathB.terminate()
      percentage()
      return 'Done B2!'
    })
  })

pool.addTask(async () => {
  const mathC = await importPersistentWorker(math)
  await work('C', mathC, [9, 10], [11, 12], 40 - less)
  mathC.terminate()
  percentage()
  return 'Done C!'
})

available()

setTimeout(() => {
  pool.addTask(async () => {
    await new Promise((resolve) => setTimeout(resolve, pause))
    const mathC2 = await importPersistentWorker(math)
    await work('C2', mathC2, [19, 110], [111, 112], 40 - less)
    mathC2.terminate()
    percentage()
    return 'Done C2!'
  })
}, pause)
