// Code that the engine has compiled is kept for later processes, and nothing depends on that (P1 in lib/packs.ts, P2 and P3 in
// lib/code-cache.ts).
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { root, runProgram } from '../helpers/child.mjs'
import { outcomeOf } from '../helpers/outcome.mjs'

const scratch = mkdtempSync(path.join(os.tmpdir(), 'threadmill-code-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const posix = { skip: process.platform === 'win32' }

let made = 0
/** A folder that is not there yet. */
const newFolder = () => path.join(scratch, `cache-${++made}`)

const KERNEL = `import { WorkerPool } from 'threadmill'
  const pool = new WorkerPool()
  console.log(await pool.kernels.fib(20))
  await pool.close()`
/** The worker ends by itself, and so stores what it has compiled. */
const JS = `import { WorkerPool } from 'threadmill'
  const pool = new WorkerPool('data:text/javascript,export default (x) => x + 1')
  console.log(await pool.run(41), await pool.run({ a: 1n }).catch(String))
  await pool.close()`
/** What both of them store. */
const WITH_WORKER = [
  'pack-core.bin',
  'pack-function.bin',
  'pack-lane.bin',
  'pack-payload.bin',
  'worker-pack-payload.bin',
  'worker-pack-worker.bin',
]
const PRINTS = { [KERNEL]: '6765\n', [JS]: '42 [object Object]1\n' }
/** Flags and settings of whoever runs the tests make other code. */
const CLEAN = { NODE_OPTIONS: '', NODE_V8_COVERAGE: undefined, NODE_DISABLE_COMPILE_CACHE: undefined }

/** Runs a program that has to work whatever the cache is like. */
async function run(source, folder, { env = {}, nodeArgs = [] } = {}) {
  const settings = { ...CLEAN, THREADMILL_CODE_CACHE: folder, ...env }
  const { code, stdout, stderr } = await runProgram(source, { env: settings, nodeArgs })
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: PRINTS[source] ?? stdout, stderr: '' })
  return stdout
}

/** The files of a cache with what tells whether they were written anew. */
function filesIn(folder) {
  if (!existsSync(folder)) return {}
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    files.map((entry) => {
      const file = path.join(entry.parentPath, entry.name)
      const { ino, mtimeMs } = statSync(file)
      return [path.relative(folder, file), `${ino} ${mtimeMs}`]
    }),
  )
}

const namesIn = (folder) => Object.keys(filesIn(folder)).map((file) => path.basename(file))

/** Changes each file of a cache. */
function change(folder, edit) {
  for (const name of Object.keys(filesIn(folder))) {
    const file = path.join(folder, name)
    writeFileSync(file, edit(readFileSync(file)))
  }
}

/** The line at the start, and the two copies of the code. */
function partsOf(bytes) {
  const start = bytes.indexOf('\n') + 1
  const middle = start + (bytes.length - start) / 2
  return [bytes.subarray(0, start), bytes.subarray(start, middle), bytes.subarray(middle)]
}

/** What the code is of: the first word of that line. */
const ofWhat = (bytes) => partsOf(bytes)[0].toString().split(' ')[0]

describe('code cache', () => {
  test('the first process stores what it has compiled, and the second one writes nothing', async () => {
    const folder = newFolder()
    await run(KERNEL, folder)
    const stored = filesIn(folder)
    assert.deepEqual(namesIn(folder).sort(), ['pack-core.bin', 'pack-function.bin'])
    await run(KERNEL, folder)
    assert.deepEqual(filesIn(folder), stored)
  })

  test('other uses add their code, and take away none', async () => {
    const folder = newFolder()
    await run(KERNEL, folder)
    await run(JS, folder)
    assert.deepEqual(namesIn(folder).sort(), WITH_WORKER)
    const stored = filesIn(folder)
    for (const source of [KERNEL, JS, KERNEL]) await run(source, folder)
    assert.deepEqual(filesIn(folder), stored)
  })

  test('a worker loads what values are read and written with when one comes', async () => {
    const folder = newFolder()
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool('data:text/javascript,export default (x) => [undefined, x][+(x > 1)]')
      console.log(await Promise.all([1, 2, true, null, undefined].map((input) => pool.run(input))))
      await pool.close()`
    assert.equal(await run(source, folder), '[ undefined, 2, undefined, undefined, undefined ]\n')
    assert.deepEqual(
      namesIn(folder).filter((name) => name.startsWith('worker-')),
      ['worker-pack-worker.bin'],
    )
  })

  test('a worker that is given its code loads one file, which is the loader as well', async () => {
    const folder = newFolder()
    const module = `data:text/javascript,import { createRequire } from 'node:module'; import { basename } from 'node:path';
      export default () => Object.entries(createRequire('/a.js').cache).flatMap(([file, { filename }]) => [file, filename].map((each) => basename(each)))`
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool(${JSON.stringify(module.replace(/\n/g, ''))}, { maxWorkers: 1 })
      console.log((await pool.run()).join(' '))
      await pool.close()`
    await run(source, folder)
    assert.equal(await run(source, folder), 'worker.js worker.js pack-base.js worker.js\n')
  })

  test('workers can make pools, whatever code there is', async () => {
    const folder = newFolder()
    const module = new URL('../js/fixtures/pools.mjs', import.meta.url).href
    const source = `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool(${JSON.stringify(module)}, { maxWorkers: 1 })
      console.log((await pool.run(2)).length)
      await pool.close()`
    for (const where of [folder, folder, 'off']) assert.equal(await run(source, where), '4\n')
  })

  test('workers keep the code of functions, and do without scripts, where the engine gives it', async () => {
    const folder = newFolder()
    await run(JS, folder)
    const kept = Object.keys(filesIn(folder)).map((file) => [
      path.basename(file),
      /-function\b/.test(ofWhat(readFileSync(path.join(folder, file)))),
    ])
    const isGiven = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
    const expected = WITH_WORKER.map((name) => [name, isGiven && name.startsWith('worker-')])
    assert.deepEqual(Object.fromEntries(kept), Object.fromEntries(expected))
  })

  for (const [title, edit] of [
    ['empty', () => Buffer.alloc(0)],
    ['cut off', (bytes) => bytes.subarray(0, bytes.length - 100)],
    ['without its second copy', (bytes) => Buffer.concat(partsOf(bytes).slice(0, 2))],
    ['of zeros', (bytes) => Buffer.alloc(bytes.length)],
    [
      'damaged in one place',
      (bytes) => {
        const changed = Buffer.from(bytes)
        const at = Math.floor(changed.length * 0.7)
        changed[at] ^= 0x10
        return changed
      },
    ],
    [
      'of another text',
      (bytes) => {
        const [head, code] = partsOf(bytes)
        return Buffer.concat([Buffer.from(head.toString().replace(/^\w{8}/, '00000000')), code, code])
      },
    ],
    [
      'of another engine',
      (bytes) => {
        const [head, code] = partsOf(bytes)
        const other = Buffer.from(code)
        other.writeUInt32LE((other.readUInt32LE(4) ^ 1) >>> 0, 4)
        return Buffer.concat([head, other, other])
      },
    ],
  ]) {
    test(`code that is ${title} is not taken, and replaced`, async () => {
      const folder = newFolder()
      await run(JS, folder)
      const good = filesIn(folder)
      change(folder, edit)
      const bad = filesIn(folder)
      await run(JS, folder)
      const now = filesIn(folder)
      assert.deepEqual(Object.keys(now).sort(), Object.keys(good).sort())
      for (const name of Object.keys(bad)) assert.notEqual(now[name], bad[name], name)
      change(folder, (bytes) => {
        const [, first, second] = partsOf(bytes)
        assert.ok(first.length > 1000 && first.equals(second))
        return bytes
      })
    })
  }

  test('where it cannot be written everything works', async () => {
    const file = path.join(scratch, 'a file')
    writeFileSync(file, '')
    for (const source of [KERNEL, JS]) await run(source, file)
    assert.equal(readFileSync(file, 'utf8'), '')
    if (process.platform === 'linux') await run(KERNEL, '/proc/there-is-none/cache')
  })

  test('nobody else can write it, whatever the mask, and what others can write is not used', posix, async () => {
    const folder = newFolder()
    await run(
      `process.umask(0)\n${JS.replace("import { WorkerPool } from 'threadmill'", "const { WorkerPool } = await import('threadmill')")}`,
      folder,
    )
    const below = readdirSync(folder, { recursive: true }).map((name) => path.join(folder, name))
    assert.ok(below.length > 4)
    for (const each of [folder, ...below]) assert.equal(statSync(each).mode & 0o022, 0, each)
    const core = below.find((name) => name.endsWith('pack-core.bin'))
    chmodSync(core, 0o666)
    const before = statSync(core)
    await run(KERNEL, folder)
    // It was as if there were none: another one has taken its place.
    const after = statSync(core)
    assert.notEqual(after.ino, before.ino)
    assert.equal(after.mode & 0o022, 0)
  })

  test('what is no file is not waited for', { skip: process.platform === 'win32' }, async () => {
    const folder = newFolder()
    await run(JS, folder)
    for (const name of Object.keys(filesIn(folder))) {
      rmSync(path.join(folder, name))
      execFileSync('mkfifo', [path.join(folder, name)])
    }
    for (const source of [KERNEL, JS]) await run(source, folder)
  })

  test('it lies beside the modules, or is turned off, for workers with an environment of their own as well', async () => {
    // A copy, for other tests use this package at the same time.
    const app = mkdtempSync(path.join(scratch, 'app-'))
    const copy = path.join(app, 'node_modules', 'threadmill')
    const withoutCode = (file) => !path.basename(file).startsWith('.')
    cpSync(path.join(root, 'dist'), path.join(copy, 'dist'), { recursive: true, filter: withoutCode })
    symlinkSync(path.join(root, 'native'), path.join(copy, 'native'), 'junction')
    cpSync(path.join(root, 'package.json'), path.join(copy, 'package.json'))
    const program = path.join(app, 'program.mjs')
    const entry = 'data:text/javascript,export default () => Object.keys(process.env).length'
    writeFileSync(
      program,
      `import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool('${entry}', { env: {} })
      console.log(await pool.run())
      await pool.close()`,
    )
    const beside = path.join(copy, 'dist', '.code-cache')
    const start = async (settings, ...nodeArgs) => {
      const env = { ...process.env, ...CLEAN, THREADMILL_CODE_CACHE: undefined, ...settings }
      const outcome = await outcomeOf(spawn(process.execPath, [...nodeArgs, program], { env, cwd: app }))
      assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, '0\n', ''])
    }
    const preload = path.join(copy, 'dist', 'index.js')
    await start({ THREADMILL_CODE_CACHE: 'off' })
    await start({ THREADMILL_CODE_CACHE: 'off' }, '--require', preload)
    await start({ NODE_DISABLE_COMPILE_CACHE: '1' })
    await start({ NODE_V8_COVERAGE: path.join(scratch, 'coverage') })
    assert.deepEqual([namesIn(beside), readdirSync(app).sort()], [[], ['node_modules', 'program.mjs']])
    await start({})
    assert.ok(namesIn(beside).some((name) => name.startsWith('worker-')))
  })

  test('a package that is copied with it tells its own files in stacks', async () => {
    const place = mkdtempSync(path.join(scratch, 'moved-'))
    const [built, copied] = ['built', 'copied'].map((name) => path.join(place, name))
    const withoutCode = (file) => !path.basename(file).startsWith('.')
    cpSync(path.join(root, 'dist'), path.join(built, 'dist'), { recursive: true, filter: withoutCode })
    cpSync(path.join(root, 'package.json'), path.join(built, 'package.json'))
    symlinkSync(path.join(root, 'native'), path.join(place, 'native'), 'junction')
    symlinkSync(path.join(root, 'native'), path.join(built, 'native'), 'junction')
    const program = path.join(place, 'program.cjs')
    writeFileSync(
      program,
      `const { WorkerPool } = require(process.argv[2])
      const pool = new WorkerPool('data:text/javascript,export default (x) => x')
      pool.run(1).then(() => {
        try { new WorkerPool(5) } catch ({ stack }) { console.log(stack.split('\\n    at ')[1]) }
        return pool.close()
      })`,
    )
    const start = async (folder) => {
      const env = { ...process.env, ...CLEAN, THREADMILL_CODE_CACHE: undefined }
      const { code, stdout, stderr } = await outcomeOf(spawn(process.execPath, [program, folder], { env, cwd: place }))
      assert.deepEqual([code, stderr], [0, ''])
      return stdout
    }
    await start(built)
    assert.ok(namesIn(path.join(built, 'dist', '.code-cache')).length > 0)
    cpSync(built, copied, { recursive: true, verbatimSymlinks: true })
    for (const folder of [built, copied]) {
      const line = await start(folder)
      assert.ok(line.includes(folder), line)
    }
  })

  test('nothing is written elsewhere, whatever is loaded in a thread before and as what', async () => {
    const cwd = mkdtempSync(path.join(scratch, 'cwd-'))
    const preload = path.join(root, 'dist', 'index.js')
    const source = `import { WorkerPool } from 'threadmill'
            process.chdir(${JSON.stringify(cwd)})
      const pool = new WorkerPool('data:text/javascript,export default (x) => x', { env: {} })
      try { createRequire(import.meta.url)('threadmill/function/worker') } catch {}
      console.log(await pool.run(1))
      await pool.close()`
    const folder = newFolder()
    for (const place of ['off', folder]) {
      const nodeArgs = ['--require', preload]
      assert.equal(await run(source, place, { nodeArgs }), '1\n')
    }
    assert.deepEqual(readdirSync(cwd), [])
  })

  test('a relative folder in a directory that has gone is none', async () => {
    // There the directory of a process stays.
    if (process.platform === 'win32') return
    const source = `import { mkdtempSync, rmdirSync } from 'node:fs'
      process.chdir(mkdtempSync(${JSON.stringify(path.join(scratch, 'gone-'))}))
      rmdirSync(process.cwd())
      ${KERNEL.replace("import { WorkerPool } from 'threadmill'", "const { WorkerPool } = await import('threadmill')")}`
    assert.equal(await run(source, 'relative'), PRINTS[KERNEL])
  })

  test('Node does not warn of listeners', async () => {
    // One more is of Node itself.
    const source = `for (let i = 0; i < 9; i++) process.on('exit', () => {})\n${KERNEL}`
    assert.equal(await run(source, newFolder()), PRINTS[KERNEL])
  })

  test('flags have their own code, and of 16 kinds the oldest goes', async () => {
    const folder = newFolder()
    const others = Array.from({ length: 15 }, (_, index) => `v1.0.${index}-x64-${'0'.repeat(32)}`)
    for (const [index, name] of others.entries()) {
      mkdirSync(path.join(folder, name), { recursive: true })
      writeFileSync(path.join(folder, name, 'pack-core.bin'), '')
      utimesSync(path.join(folder, name), index, index)
    }
    // Of somebody else.
    mkdirSync(path.join(folder, 'another'))
    utimesSync(path.join(folder, 'another'), 0, 0)
    for (const flags of [[], ['--stack-trace-limit=20'], ['--no-opt']]) await run(KERNEL, folder, { nodeArgs: flags })
    // Those do not change what the engine makes.
    await run(KERNEL, folder, { nodeArgs: ['--title=another', '--conditions=another'] })
    const kinds = readdirSync(folder)
    const own = kinds.filter((name) => name.startsWith(`${process.version}-${process.arch}`))
    assert.deepEqual([own.length, kinds.length], [3, 17])
    assert.deepEqual(
      others.filter((name) => !kinds.includes(name)),
      others.slice(0, 2),
    )
  })

  test('flags that are set while a process runs do not make others compile', async () => {
    const folder = newFolder()
    await run(KERNEL, folder)
    const stored = filesIn(folder)
    const change = "import { setFlagsFromString } from 'node:v8'"
    await run(`${change}\n${KERNEL}\nsetFlagsFromString('--expose-gc')`, folder)
    await run(`${change}\n${JS}\nsetFlagsFromString('--expose-gc')`, folder)
    // Its worker may have stored before, but not the process at its end.
    assert.deepEqual(
      namesIn(folder).sort(),
      WITH_WORKER.filter((name) => !['pack-lane.bin', 'pack-payload.bin'].includes(name)),
    )
    await run(
      `${change}\nsetFlagsFromString('--expose-gc')\n${KERNEL.replace(/import (.*) from (.*)/, 'const $1 = await import($2)')}`,
      folder,
    )
    assert.equal(readdirSync(folder).length, 2)
    for (const [name, is] of Object.entries(stored)) assert.equal(filesIn(folder)[name], is)
  })

  describe('code that has lost functions', () => {
    // With these, collecting garbage throws away the code of what is not running.
    const nodeArgs = ['--expose-gc', '--flush-bytecode', '--stress-flush-code']
    const LOSES = KERNEL.replace('await pool.close()', 'gc()\nawait pool.close()')
    const usesIn = (folder) =>
      Object.keys(filesIn(folder)).map((name) =>
        partsOf(readFileSync(path.join(folder, name)))[0]
          .toString()
          .trim()
          .split(' ')
          .slice(1),
      )

    test('does not replace what was stored', async () => {
      const folder = newFolder()
      await run(KERNEL, folder, { nodeArgs })
      // As if it had been stored for something else.
      change(folder, (bytes) => Buffer.concat([Buffer.from(`${ofWhat(bytes)} another\n`), ...partsOf(bytes).slice(1)]))
      const stored = filesIn(folder)
      await run(LOSES, folder, { nodeArgs })
      assert.deepEqual(filesIn(folder), stored)
      await run(KERNEL, folder, { nodeArgs })
      for (const name of Object.keys(stored)) assert.notEqual(filesIn(folder)[name], stored[name], name)
    })

    test('is stored where nothing is, until a process has all of it', async () => {
      const folder = newFolder()
      await run(LOSES, folder, { nodeArgs })
      assert.deepEqual(usesIn(folder), [[], []])
      const lossy = filesIn(folder)
      await run(LOSES, folder, { nodeArgs })
      assert.deepEqual(filesIn(folder), lossy)
      await run(KERNEL, folder, { nodeArgs })
      for (const uses of usesIn(folder)) assert.ok(uses.includes('kernels'), uses)
    })
  })

  describe('code of a process that has handed over many tasks', () => {
    const BUSY = KERNEL.replace(
      'await pool.close()',
      'for (let count = 0; count < 100; count++) await pool.kernels.fib(1)\nawait pool.close()',
    )
    const headsIn = (folder) =>
      Object.keys(filesIn(folder)).map((name) => partsOf(readFileSync(path.join(folder, name)))[0].toString())

    test('does not replace what was stored', async () => {
      const folder = newFolder()
      await run(KERNEL, folder)
      change(folder, (bytes) => Buffer.concat([Buffer.from(`${ofWhat(bytes)} another\n`), ...partsOf(bytes).slice(1)]))
      const stored = filesIn(folder)
      await run(BUSY, folder)
      assert.deepEqual(filesIn(folder), stored)
    })

    test('is stored where nothing is, and removed by the next process that has not', async () => {
      const folder = newFolder()
      await run(BUSY, folder)
      for (const head of headsIn(folder)) assert.match(head, /^\S+ hot\n$/)
      const stored = filesIn(folder)
      assert.equal(Object.keys(stored).length, 2)
      await run(BUSY, folder)
      assert.deepEqual(filesIn(folder), stored)
      await run(KERNEL, folder)
      assert.deepEqual(filesIn(folder), {})
      await run(KERNEL, folder)
      for (const head of headsIn(folder)) assert.match(head, / kernels\b/)
    })
  })

  test('a use that adds no code is known from then on', async () => {
    const folder = newFolder()
    await run(KERNEL, folder)
    await run(KERNEL, folder)
    change(folder, (bytes) => Buffer.concat([Buffer.from(`${ofWhat(bytes)} another\n`), ...partsOf(bytes).slice(1)]))
    await run(KERNEL, folder)
    for (const name of Object.keys(filesIn(folder))) {
      const [head] = partsOf(readFileSync(path.join(folder, name)))
      assert.match(head.toString(), / another .*\bkernels\b/)
    }
  })

  test('what a thread left behind that was ended while it wrote is removed', async () => {
    const folder = newFolder()
    await run(KERNEL, folder)
    const [kind] = readdirSync(folder)
    const place = (name) => path.join(folder, kind, name)
    for (const name of ['12-0', '13-1', 'notes.txt']) writeFileSync(place(name), '')
    for (const name of ['12-0', 'notes.txt', 'pack-core.bin']) utimesSync(place(name), 1, 1)
    writeFileSync(place('pack-core.bin'), '')
    await run(KERNEL, folder)
    assert.deepEqual(readdirSync(path.join(folder, kind)).sort(), [
      '13-1',
      'notes.txt',
      'pack-core.bin',
      'pack-function.bin',
    ])
  })

  test('processes that begin at the same time store whole files', async () => {
    const folder = newFolder()
    await Promise.all(Array.from({ length: 6 }, () => run(JS, folder)))
    const names = namesIn(folder)
    assert.deepEqual(names.sort(), WITH_WORKER)
    const stored = filesIn(folder)
    await run(JS, folder)
    assert.deepEqual(filesIn(folder), stored)
  })

  test('a process that goes on stores soon', async () => {
    const folder = newFolder()
    const source = `import { WorkerPool } from 'threadmill'
      import { readdirSync } from 'node:fs'
      import { setTimeout } from 'node:timers/promises'
      const pool = new WorkerPool('data:text/javascript,export default () => 1', { minWorkers: 1 })
      await pool.run()
      for (;;) {
        try {
          const names = readdirSync(process.env.THREADMILL_CODE_CACHE, { recursive: true }).join()
          if (/pack-lane/.test(names) && /worker-pack-worker/.test(names)) break
        } catch {}
        await setTimeout(20)
      }
      process.kill(process.pid, 'SIGKILL')`
    const { code, signal } = await runProgram(source, { env: { ...CLEAN, THREADMILL_CODE_CACHE: folder } })
    assert.deepEqual([code, signal], process.platform === 'win32' ? [1, null] : [null, 'SIGKILL'])
    assert.ok(namesIn(folder).includes('pack-core.bin'))
  })
})
