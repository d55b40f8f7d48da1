// Memory of a process whose producers have a million tasks and whose pool has room for a thousand.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

const MODULE = 'data:text/javascript,export default (n) => n'
const TASKS = 1_000_000
const MIB = 2 ** 20

/**
 * Runs a producer and gives what memory grew by after its first tenth, bytes, and the most tasks that were unfinished. Of
 * the JavaScript heap what is in use counts: how much of it an engine keeps at hand is its own affair, also of what it has
 * taken out of the heap and not given back to the system.
 */
async function grown(pool, producer) {
  const source = `
    import { Readable, Writable } from 'node:stream'
    import { pipeline } from 'node:stream/promises'
    import { setFlagsFromString } from 'node:v8'
    import { runInNewContext } from 'node:vm'
    import { WorkerPool } from 'threadmill'
    const TASKS = ${TASKS}
    const pool = new WorkerPool(${pool})
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc')
    let kept = 0
    function memory() {
      gc()
      const { rss, heapUsed } = process.memoryUsage()
      return rss - kept + heapUsed
    }
    let [count, first, last, most] = [0, 0, 0, 0]
    function note(value) {
      if (++count % 10_000 !== 0) return
      kept = Math.max(kept, process.memoryUsage().heapTotal)
      const { tasksAdmitted, tasksCompleted } = pool.stats()
      most = Math.max(most, tasksAdmitted - tasksCompleted)
      if (count > TASKS / 10 && count < TASKS / 5) first = Math.max(first, memory())
      if (count > TASKS - TASKS / 10) last = Math.max(last, memory())
    }
    function* numbers() {
      for (let n = 0; n < TASKS; n++) yield n
    }
    ${producer}
    await pool.close()
    console.log(JSON.stringify({ count, grown: last - first, most }))`
  const { code, stdout, stderr } = await runProgram(source, { limit: 110_000 })
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  return JSON.parse(stdout)
}

const KERNELS = '{ capacity: 1000 }'
const ENTRY = `${JSON.stringify(MODULE)}, { capacity: 1000, maxWorkers: 2 }`
const producers = {
  'a loop that awaits ready()': [
    KERNELS,
    `for (const n of numbers()) {
       await pool.ready()
       pool.kernels.echo(n).then(note)
     }
     await pool.whenIdle()`,
  ],
  'map over kernels': [
    KERNELS,
    `for await (const value of pool.map(numbers(), { kernel: 'echo', concurrency: 900 })) note(value)`,
  ],
  'map over an entry function': [
    ENTRY,
    'for await (const value of pool.map(numbers(), { concurrency: 900 })) note(value)',
  ],
  'a stream': [
    ENTRY,
    `const sink = new Writable({ objectMode: true, write(value, _, done) { note(value); done() } })
     await pipeline(Readable.from(numbers()), pool.stream({ concurrency: 900 }), sink)`,
  ],
}

for (const [name, [pool, producer]] of Object.entries(producers)) {
  test(`memory stays flat: ${name}`, async () => {
    const { count, grown: bytes, most } = await grown(pool, producer)
    assert.equal(count, TASKS)
    assert.ok(most <= 1000, `${most} tasks were unfinished`)
    assert.ok(bytes < 32 * MIB, `${(bytes / MIB).toFixed(1)} MiB more`)
  })
}
