// Pools with workers that come and go in one process: what they leave behind.
// THREADMILL_STRESS=full makes a thousand of them, which takes longer than a file may take in `npm test`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

const LIFETIMES = new URL('./fixtures/lifetimes.mjs', import.meta.url)
const full = process.env.THREADMILL_STRESS === 'full'

test('pools made and closed again and again leave no threads, handles or memory behind', async () => {
  const rounds = full ? 1000 : 200
  const source = `import { readdirSync } from 'node:fs'
    import { WorkerPool } from 'threadmill'
    const threads = () => (process.platform === 'linux' ? readdirSync('/proc/self/task').length : 0)
    const ENDS = ['close', 'dispose', 'destroy']
    async function round(index) {
      const pool = new WorkerPool(${JSON.stringify(LIFETIMES.href)}, { maxWorkers: index % 4 === 0 ? 2 : 1, threads: 1 })
      pool.on('task-complete', () => {}).onMessage('x', () => {})
      const controller = new AbortController()
      const runs = [pool.run(1), pool.run({ a: 1 }, { signal: controller.signal }), pool.run(new SharedArrayBuffer(8))]
      const bytes = new ArrayBuffer(100_000)
      runs.push(pool.run(bytes, { transfer: [bytes] }), pool.run(1, { timeout: 60_000 }), pool.run(10, { kernel: 'fib' }))
      runs.push(pool.run(1, { name: 'fails' }).catch(() => {}))
      await Promise.all(runs)
      await pool[ENDS[index % 3]]()
    }
    async function measure() {
      for (let i = 0; i < 5; i++) {
        globalThis.gc()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      return { rss: process.memoryUsage().rss, heap: process.memoryUsage().heapUsed, threads: threads() }
    }
    for (let index = 0; index < 30; index++) await round(index)
    const handles = process.getActiveResourcesInfo().sort().join()
    const before = await measure()
    for (let index = 0; index < ${rounds}; index++) await round(index)
    const after = await measure()
    console.log(JSON.stringify({
      handles: process.getActiveResourcesInfo().sort().join() === handles ? 'the same' : process.getActiveResourcesInfo(),
      threads: after.threads - before.threads,
      rss: after.rss - before.rss,
      heap: after.heap - before.heap,
    }))`
  const result = await runProgram(source, { nodeArgs: ['--expose-gc'], limit: full ? 900_000 : 110_000 })
  assert.deepEqual([result.timedOut, result.code, result.stderr], [false, 0, ''])
  const { handles, threads, rss, heap } = JSON.parse(result.stdout)
  assert.equal(handles, 'the same')
  assert.ok(threads <= 0, `${threads} more threads`)
  assert.ok(heap / rounds < 4096, `${heap / rounds} bytes of heap per pool`)
  // Memory of the process comes and goes in steps, by 15 MiB or so.
  assert.ok(rss < 32 * 1024 * 1024, `${rss} bytes of memory`)
})
