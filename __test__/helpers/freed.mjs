// What stays of memory that was on its way when its task came to nothing.
import assert from 'node:assert/strict'
import { runProgram } from './child.mjs'

const MOVES = new URL('../js/fixtures/moves.mjs', import.meta.url)

/**
 * Has tasks with 8 MiB each cancelled, refused, given up while they run, and left behind, in a process of its own; then
 * all of it has to be gone.
 *
 * @param {string} submit source of a function of a typed array that gives what `addTask` takes
 * @param {string} late name of the function that gives its output when it is told to
 */
export async function assertFreed(submit, late) {
  const { code, stdout, stderr } = await runProgram(
    `
    import { WorkerPool } from 'threadmill'
    const MIB = 2 ** 20
    const submit = ${submit}
    const input = () => submit(new Uint8Array(8 * MIB).fill(1))
    const rss = async () => { for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise((r) => setTimeout(r, 20)) } return process.memoryUsage.rss() / MIB }
    async function round() {
      const pool = new WorkerPool(new URL(${JSON.stringify(MOVES.href)}), { maxWorkers: 1, cancelGrace: Infinity })
      const cell = new Int32Array(new SharedArrayBuffer(4))
      const busy = pool.run(cell, { name: 'waits' })
      const tasks = Array.from({ length: 12 }, () => pool.addTask(...input()))
      const ended = Promise.allSettled(tasks)
      for (const task of tasks.slice(0, 6)) task.cancel()
      Atomics.store(cell, 0, 1); Atomics.notify(cell, 0)
      await busy
      const begun = new Int32Array(new SharedArrayBuffer(8))
      const given = pool.addTask({ cell: begun, length: 8 * MIB }, { name: ${JSON.stringify(late)}, priority: 1 })
      while (Atomics.load(begun, 1) === 0) await new Promise(setImmediate)
      given.cancel()
      Atomics.store(begun, 0, 1); Atomics.notify(begun, 0)
      await Promise.allSettled([given])
      await Promise.any(tasks.slice(6))
      await pool.destroy()
      await pool.run(...input()).catch(() => {})
      await ended
    }
    await round()
    const before = await rss()
    for (let i = 0; i < 12; i++) await round()
    // What ended threads have left goes a little later.
    let left = await rss() - before
    for (let tries = 0; tries < 30 && left > 100; tries++) left = await rss() - before
    console.log(Math.round(left))
    `,
    // The C library would keep what is freed for itself, as soon as it has seen memory of that size come and go.
    { nodeArgs: ['--expose-gc'], env: { MALLOC_MMAP_THRESHOLD_: '131072' } },
  )
  assert.equal(code, 0, stderr)
  // 1,344 MiB came and went.
  assert.ok(Number(stdout) < 150, `${stdout} MiB stayed`)
}
