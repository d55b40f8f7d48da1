// Flags of Node, and what programs have replaced before the package was loaded.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { after, test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-flags-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function outputOf(source, settings) {
  const { code, stdout, stderr } = await runProgram(source, settings)
  assert.deepEqual([code, stderr], [0, ''])
  return stdout
}

const conditional = path.join(folder, 'node_modules', 'conditional')
mkdirSync(conditional, { recursive: true })
const exports = { './entry': { custom: './custom.mjs', 'in two words': './words.mjs', import: './import.mjs' } }
writeFileSync(path.join(conditional, 'package.json'), JSON.stringify({ name: 'conditional', exports }))
for (const name of ['custom', 'words', 'import']) {
  writeFileSync(path.join(conditional, `${name}.mjs`), `export default () => '${name}'`)
}

/** Tells which file of the package a pool and an import get, with these options of workers. */
const finds = (options = '{}') => `import { importPersistentWorker, WorkerPool } from 'threadmill'
  import { SHARE_ENV } from 'node:worker_threads'
  process.chdir(${JSON.stringify(folder)})
  const pool = new WorkerPool('conditional/entry', { maxWorkers: 1, ...${options} })
  const module = await importPersistentWorker('conditional/entry', ${options})
  console.log(await pool.run(), await module.default())
  await pool.close()
  await module.terminate()`

test('a package is resolved with the conditions that Node was started with', async () => {
  for (const nodeArgs of [['--conditions=custom'], ['-C', 'custom'], ['--conditions', 'custom']]) {
    assert.equal(await outputOf(finds(), { nodeArgs }), 'custom custom\n', nodeArgs.join(' '))
  }
  assert.equal(await outputOf(finds(), { env: { NODE_OPTIONS: '--conditions=custom' } }), 'custom custom\n')
  assert.equal(await outputOf(finds(), {}), 'import import\n')
})

test('conditions in NODE_OPTIONS are read as Node reads them', async () => {
  const preload = path.join(folder, 'loads nothing.cjs')
  writeFileSync(preload, '')
  const quoted = [
    '--conditions="in two words"',
    '--condi"tions=in two"" words"',
    '"-C" "in two \\words"',
    `--require ${JSON.stringify(preload)} --conditions "in two words"`,
  ]
  for (const NODE_OPTIONS of quoted) {
    assert.equal(await outputOf(finds(), { env: { NODE_OPTIONS } }), 'words words\n', NODE_OPTIONS)
  }
  const NODE_OPTIONS = '--title="a --conditions=custom"'
  assert.equal(await outputOf(finds(), { env: { NODE_OPTIONS } }), 'import import\n')
})

test('the flags of workers count for their package, in place of those of the process', async () => {
  const given = [
    [`{ execArgv: ['-C', 'custom'] }`, 'custom'],
    [`{ execArgv: ['--conditions=in two words'] }`, 'words'],
    [`{ env: { NODE_OPTIONS: '--conditions=custom' } }`, 'custom'],
    [`{ env: { NODE_OPTIONS: '' }, execArgv: ['-C', 'custom'] }`, 'custom'],
  ]
  for (const [options, file] of given) {
    assert.equal(await outputOf(finds(options), {}), `${file} ${file}\n`, options)
  }
  const taken = { nodeArgs: ['-C', 'custom'] }
  assert.equal(await outputOf(finds('{ execArgv: [] }'), taken), 'import import\n')
  assert.equal(await outputOf(finds('{ env: {} }'), taken), 'custom custom\n')
  const inEnv = { env: { NODE_OPTIONS: '--conditions=custom' } }
  assert.equal(await outputOf(finds('{ env: {} }'), inEnv), 'import import\n')
  assert.equal(await outputOf(finds('{ env: SHARE_ENV, execArgv: [] }'), inEnv), 'custom custom\n')
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

test('the structuredClone of the engine is used where nobody has replaced it', async () => {
  // What is used in its place makes a channel.
  const source = `
    import { createRequire } from 'node:module'
    import threads from 'node:worker_threads'
    let channels = 0
    threads.MessageChannel = class extends threads.MessageChannel {
      constructor() {
        super()
        channels++
      }
    }
    const require = createRequire(${JSON.stringify(import.meta.url)})
    const { builtins } = require('../../dist/builtins.js')
    console.log(builtins.clone(new Map([[1, 2]])).get(1), channels)`
  assert.equal(await outputOf(source), '2 0\n')
})

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

test('a dashboard that the permission model forbids is refused as one whose address is taken', async () => {
  const { allowedNodeEnvironmentFlags: flags } = process
  const model = flags.has('--permission') ? '--permission' : '--experimental-permission'
  const addons = flags.has('--allow-addons') ? ['--allow-addons'] : []
  const source = `import { serveDashboard } from 'threadmill/dashboard'
    import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool()
    const say = ({ code, message }) => console.log(code, /--allow-net/.test(message))
    await serveDashboard(pool).then((dashboard) => dashboard.close().then(() => console.log('served')), say)
    await pool.close()`
  const nodeArgs = ['--no-warnings', model, ...addons, '--allow-worker', '--allow-fs-read=*']
  const isLimited = flags.has('--allow-net')
  assert.equal(await outputOf(source, { nodeArgs }), isLimited ? 'ERR_THREADMILL_IO true\n' : 'served\n')
  if (isLimited) assert.equal(await outputOf(source, { nodeArgs: [...nodeArgs, '--allow-net'] }), 'served\n')
})

test("a package is where Yarn's Plug'n'Play says that it is", async () => {
  const file = path.join(conditional, 'custom.mjs')
  const source = `import module from 'node:module'
    import process from 'node:process'
    import { WorkerPool } from 'threadmill'
    module.findPnpApi = (from) => ({
      resolveRequest(name, issuer, { conditions }) {
        console.log(from === issuer, issuer.startsWith(process.cwd()), name, conditions.has('import'), conditions.has('custom'))
        if (name !== 'plugged/part') throw new Error('not a package')
        return ${JSON.stringify(file)}
      },
    })
    const pool = new WorkerPool('plugged/part', { maxWorkers: 1 })
    console.log(await pool.run())
    await pool.close()
    const none = new WorkerPool('unplugged', { maxWorkers: 1 })
    await none.run().catch(({ code }) => console.log(code))
    await none.close()`
  const asked = (name) => `true true ${name} true true\n`
  const output = `${asked('plugged/part')}custom\n${asked('unplugged')}ERR_THREADMILL_ENTRY\n`
  assert.equal(await outputOf(source, { nodeArgs: ['--conditions=custom'] }), output)
})
