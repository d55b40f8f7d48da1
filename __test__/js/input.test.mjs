// What a worker reads from `process.stdin`: nothing (`endInput` in lib/stdio.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'

const MODULE =
  `data:text/javascript,import { once } from 'node:events'; import { createInterface } from 'node:readline';
  export const end = async () => { process.stdin.resume(); await once(process.stdin, 'end'); return 'ended' };
  export const pieces = async () => { let count = 0; for await (const piece of process.stdin) count++; return count };
  export const lines = async () => { let count = 0; for await (const line of createInterface({ input: process.stdin })) count++; return count };
  export const same = () => process.stdin === process.stdin;
  export const nothing = () => {};
  export const seen = async () => { while (globalThis.seen === undefined) await new Promise(setImmediate); return globalThis.seen };
  const hasStreams = () => process.listeners('exit').some(({ name }) => name === 'flushSync');
  export default () => { const before = hasStreams(); process.stdin; return [before, hasStreams()] }`.replace(/\n/g, '')

async function run(t, name, options) {
  const pool = new WorkerPool(MODULE, { maxWorkers: 1, ...options })
  t.after(() => pool.destroy())
  return pool.run(undefined, { name })
}

test('it is at its end', async (t) => {
  assert.equal(await run(t, 'end'), 'ended')
  assert.equal(await run(t, 'pieces'), 0)
  assert.equal(await run(t, 'lines'), 0)
  assert.equal(await run(t, 'same'), true)
})

test('so it is for what flags have loaded before the worker begins', async (t) => {
  const preload = `process.stdin.on('end', () => { globalThis.seen = 'ended' }); process.stdin.resume()`
  const execArgv = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`]
  const pool = new WorkerPool(MODULE, { maxWorkers: 1, execArgv })
  t.after(() => pool.destroy())
  assert.equal(await pool.run(undefined, { name: 'seen' }), 'ended')
})

test('also where nobody can see the flags any more', async () => {
  const preload = fileURLToPath(new URL('./fixtures/waits-for-stdin.cjs', import.meta.url))
  const source = `import { WorkerPool } from 'threadmill'
    delete process.env.NODE_OPTIONS
    const pool = new WorkerPool(${JSON.stringify(MODULE)}, { maxWorkers: 1 })
    console.log(await pool.run(undefined, { name: 'seen' }))
    await pool.close()`
  const { code, stdout, stderr } = await runProgram(source, {
    env: { NODE_OPTIONS: `--require ${JSON.stringify(preload)}` },
  })
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'ended\n', stderr: '' })
})

test('no stream of a worker is made before somebody asks for one', async (t) => {
  // Not with the flags of a test runner, which may load what asks.
  const pool = new WorkerPool(MODULE, { maxWorkers: 1, execArgv: [] })
  t.after(() => pool.destroy())
  // What its owner may have asked it for when it was launched has been heard by the second.
  for (let round = 0; round < 3; round++) await pool.run(undefined, { name: 'nothing' })
  assert.deepEqual(await pool.run(), [false, true])
})
