// Workers that are terminated while they load a module: there are moments of `require` in which Node aborts the process then
// (lib/load-gate.ts, src/termination.rs). Each test meets them often, not always: it goes through the time that loading takes.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

let folder
/** Entry modules: one that takes long to link, and one that requires such a one in its tasks. */
let slow
let requiring
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-terminated-'))
  const write = (name, text) => {
    writeFileSync(path.join(folder, name), text)
    return path.join(folder, name)
  }
  const parts = [0, 1, 2, 3, 4]
  for (const part of parts) {
    const functions = Array.from({ length: 2000 }, (_, index) => `export function f${part}_${index}() {}\n`)
    write(`part-${part}.mjs`, functions.join(''))
  }
  const imports = parts.map((part) => `export * from './part-${part}.mjs'\n`).join('')
  slow = write('slow.mjs', `${imports}export default (input) => input\n`)
  // Without a default, as modules are of which `require` gives the namespace itself.
  write('parts.mjs', `${imports}export const done = 1\n`)
  requiring = write('requiring.cjs', `module.exports = () => require('./parts.mjs').done\n`)
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** Makes pools of `file` and destroys them, `ROUNDS` times, from `from` to `to` times what the first task takes. */
const ROUNDS = 80
const repeat = (file, from, to) => `import { setTimeout as wait } from 'node:timers/promises'
  import { WorkerPool } from 'threadmill'
  const makePool = () => new WorkerPool(${JSON.stringify(file)}, { maxWorkers: 1 })
  async function timeOfFirst() {
    const begin = performance.now()
    const pool = makePool()
    await pool.run(1)
    const time = performance.now() - begin
    await pool.close()
    return time
  }
  await timeOfFirst()
  const whole = await timeOfFirst()
  const ends = {}
  for (let round = 0; round < ${ROUNDS}; round++) {
    const pool = makePool()
    const run = pool.run(1).then(() => 'completed', (error) => error.code)
    await wait(whole * (${from} + ${to - from} * (round / ${ROUNDS})))
    await pool.destroy()
    const how = await run
    ends[how] = (ends[how] ?? 0) + 1
  }
  console.log(JSON.stringify(ends))`

async function assertEnds(source) {
  const result = await runProgram(source, { limit: 100_000 })
  assert.deepEqual([result.timedOut, result.code, result.stderr], [false, 0, ''])
  const { completed = 0, ERR_THREADMILL_POOL_CLOSED: closed = 0 } = JSON.parse(result.stdout)
  assert.equal(completed + closed, ROUNDS, result.stdout)
  assert.ok(closed > 0, result.stdout)
}

test('a pool that is destroyed while a worker loads its entry module takes nothing with it', async () => {
  await assertEnds(repeat(slow, 0.6, 1.1))
})

test('nor does one whose worker requires a module in a task', async () => {
  await assertEnds(repeat(requiring, 0.6, 1.1))
})

test('a process that does not exit after all goes on', async () => {
  const source = `import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool(${JSON.stringify(slow)}, { maxWorkers: 1 })
    pool.run(1).then((output) => {
      console.log(output)
      pool.close()
    })
    setImmediate(() => process.emit('exit', 0))`
  const result = await runProgram(source)
  assert.deepEqual([result.code, result.stdout, result.stderr], [0, '1\n', ''])
})

test('a process that exits while a worker loads its entry module ends as it says', async () => {
  const source = (share) => `import { setTimeout as wait } from 'node:timers/promises'
    import { WorkerPool } from 'threadmill'
    const makePool = () => new WorkerPool(${JSON.stringify(slow)}, { maxWorkers: 1 })
    const begin = performance.now()
    const first = makePool()
    await first.run(1)
    const whole = performance.now() - begin
    await first.close()
    const pool = makePool()
    pool.run(1).catch(() => {})
    await wait(whole * ${share})
    process.exit(7)`
  for (let round = 0; round < 20; round++) {
    const result = await runProgram(source(0.4 + 0.5 * (round / 20)))
    assert.deepEqual([result.timedOut, result.code, result.stderr], [false, 7, ''])
  }
})

test('a module that never stops to load puts off no end', async () => {
  const endless = path.join(folder, 'endless.mjs')
  const begin = 'Atomics.store(new Int32Array(workerData), 0, 1)'
  writeFileSync(endless, `import { workerData } from 'node:worker_threads'\n${begin}\nfor (;;);`)
  const source = (end) => `import { WorkerPool } from 'threadmill'
    const begun = new SharedArrayBuffer(4)
    const pool = new WorkerPool(${JSON.stringify(endless)}, { maxWorkers: 1, workerData: begun })
    const run = pool.run(1).catch((error) => error.code)
    while (Atomics.load(new Int32Array(begun), 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    const begin = performance.now()
    process.once('exit', () => console.log(performance.now() - begin < 1000))
    ${end}`
  const faked = "const { mock } = await import('node:test'); mock.timers.enable(); await pool.destroy()"
  for (const end of [faked, 'await pool.destroy()', 'await pool.dispose({ force: true })', 'process.exit()']) {
    const result = await runProgram(source(end), { nodeArgs: ['--no-warnings'] })
    assert.deepEqual([result.timedOut, result.code, result.stderr, result.stdout], [false, 0, '', 'true\n'], end)
  }
})
