// Flags of Node, and what programs have replaced before the package was loaded.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-flags-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function outputOf(source, settings) {
  const { code, stdout, stderr } = await runProgram(source, settings)
  assert.deepEqual([code, stderr], [0, ''])
  return stdout
}

test('a package is resolved with the conditions that Node was started with', async () => {
  const place = path.join(folder, 'node_modules', 'conditional')
  mkdirSync(place, { recursive: true })
  const exports = { './entry': { custom: './custom.mjs', import: './import.mjs' } }
  writeFileSync(path.join(place, 'package.json'), JSON.stringify({ name: 'conditional', exports }))
  for (const name of ['custom', 'import']) {
    writeFileSync(path.join(place, `${name}.mjs`), `export default () => '${name}'`)
  }
  const source = `import { importPersistentWorker, WorkerPool } from 'threadmill'
    process.chdir(${JSON.stringify(folder)})
    const pool = new WorkerPool('conditional/entry', { maxWorkers: 1 })
    const module = await importPersistentWorker('conditional/entry')
    console.log(await pool.run(), await module.default())
    await pool.close()
    await module.terminate()`
  for (const nodeArgs of [['--conditions=custom'], ['-C', 'custom'], ['--conditions', 'custom']]) {
    assert.equal(await outputOf(source, { nodeArgs }), 'custom custom\n', nodeArgs.join(' '))
  }
  assert.equal(await outputOf(source, { env: { NODE_OPTIONS: '--conditions=custom' } }), 'custom custom\n')
  assert.equal(await outputOf(source, {}), 'import import\n')
})

test('errors keep their class where built-ins are frozen', async () => {
  const source = `import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool('data:text/javascript,export default () => { throw new RangeError("out") }', 1)
    const error = await pool.run().catch((reason) => reason)
    console.log(error instanceof RangeError, error.message)
    await pool.close()`
  assert.equal(await outputOf(source, { nodeArgs: ['--frozen-intrinsics', '--no-warnings'] }), 'true out\n')
})

test('fakes that were there before the package hold up no task', async () => {
  const source = `globalThis.queueMicrotask = () => {}
    const { WorkerPool } = await import('threadmill')
    const pool = new WorkerPool()
    console.log(await pool.run(async () => 5, { mainThread: true }))
    await pool.close()`
  assert.equal(await outputOf(source, {}), '5\n')
})

/** Both do without a transfer list, and refuse nothing. The second looks as a native function does. */
const CLONES = {
  'a polyfill': '(value) => JSON.parse(JSON.stringify(value))',
  'a polyfill that is bound': 'function (value) { return JSON.parse(JSON.stringify(value)) }.bind(undefined)',
  nothing: 'undefined',
}

for (const [title, clone] of Object.entries(CLONES)) {
  test(`memory moves and values are refused where structuredClone was ${title} before the package`, async () => {
    const preload = path.join(folder, 'clone.cjs')
    writeFileSync(preload, `globalThis.structuredClone = ${clone}`)
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool('data:text/javascript,export default (input) => input', 1)
      const nameOf = (promise) => promise.then(() => 'none', (error) => error.name)
      const [words, part, bytes] = [new Float64Array([2, 1]), new Uint8Array(8).fill(1), new Uint8Array(8).fill(2)]
      console.log((await pool.run(words, { kernel: 'sort', transfer: [words.buffer] })).join(), words.length)
      console.log((await pool.run(part, { transfer: [part.buffer] })).join(), part.length)
      console.log((await pool.run({ bytes }, { transfer: [bytes.buffer] })).bytes.join(), bytes.length)
      class Named { date = new Date(0) }
      console.log((await pool.run(new Named())).date.getTime())
      console.log(await nameOf(pool.run(() => {})), await nameOf(pool.run({ it() {} })))
      await pool.close()`
    const lines = ['1,2 0', '1,1,1,1,1,1,1,1 0', '2,2,2,2,2,2,2,2 0', '0', 'DataCloneError DataCloneError']
    assert.equal(await outputOf(source, { nodeArgs: ['--require', preload] }), `${lines.join('\n')}\n`)
  })
}
