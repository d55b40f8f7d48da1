// Entry modules in TypeScript: hooks of `require` and loaders that come with flags, and tsx where it lies beside the module.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { WorkerPool } from '../../dist/index.js'

const require = createRequire(import.meta.url)
const root = mkdtempSync(path.join(os.tmpdir(), 'threadmill-typescript-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** Syntax that Node does not strip. */
const ENUM = 'enum Kind { A = 1 }\n'
/** The compiler of tsx. */
const COMPILER = createRequire(require.resolve('tsx/package.json')).resolve('esbuild')
/** As with ts-node: for what is CommonJS. */
const HOOK = `
  const { transformSync } = require(${JSON.stringify(COMPILER)})
  const { readFileSync } = require('node:fs')
  require.extensions['.ts'] = (module, file) => {
    globalThis.compiled = [...(globalThis.compiled ?? []), require('node:path').basename(file)]
    module._compile(transformSync(readFileSync(file, 'utf8'), { loader: 'ts', format: 'cjs' }).code, file)
  }`
const OTHER = "export const other = (input: unknown): string => 'other ' + input\n"

let folders = 0

/** A package with these files; `of`: what it has in node_modules. */
function packageWith(files, { type, of = [] } = {}) {
  const folder = path.join(root, `${folders++}`)
  mkdirSync(path.join(folder, 'node_modules'), { recursive: true })
  for (const name of of) {
    const place = path.dirname(require.resolve(`${name}/package.json`))
    symlinkSync(place, path.join(folder, 'node_modules', name), 'junction')
  }
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ type }))
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text)
  return (name) => path.join(folder, name)
}

async function run(entry, options, input = 'x') {
  const pool = new WorkerPool(entry, { maxWorkers: 1, ...options })
  try {
    return await pool.run(input)
  } finally {
    await pool.destroy()
  }
}

describe('a hook of require', () => {
  test('that is registered for .ts loads .cts and .mts, too, where it does so by itself', async () => {
    const at = packageWith({
      'entry.cts': `${ENUM}export default (input: string) => [Kind.A, input, 'cts']\n`,
      'entry.mts': `${ENUM}export default (input: string) => [Kind.A, input, 'mts']\n`,
    })
    const execArgv = ['-r', path.join(path.dirname(require.resolve('tsx/package.json')), 'dist', 'cjs', 'index.cjs')]
    for (const kind of ['cts', 'mts']) {
      assert.deepEqual(await run(at(`entry.${kind}`), { execArgv }), [1, 'x', kind])
    }
  })

  const entry = `import { other } from './other'\n${ENUM}export default (input: string) => [Kind.A, other(input), globalThis.compiled]\n`

  test('loads an entry that is CommonJS, and what that requires', async () => {
    const at = packageWith({ 'entry.ts': entry, 'other.ts': OTHER, 'hook.cjs': HOOK })
    const expected = [1, 'other x', ['entry.ts', 'other.ts']]
    for (const flag of ['-r', '--require']) {
      assert.deepEqual(await run(at('entry.ts'), { execArgv: [flag, at('hook.cjs')] }), expected)
    }
    const env = { ...process.env, NODE_OPTIONS: `--require ${JSON.stringify(at('hook.cjs'))}` }
    assert.deepEqual(await run(pathToFileURL(at('entry.ts')), { env }), expected)
  })

  test('is not asked for what is an ECMAScript module', async () => {
    const at = packageWith({ 'entry.mts': 'export default () => globalThis.compiled', 'hook.cjs': HOOK })
    const outcome = run(at('entry.mts'), { execArgv: ['-r', at('hook.cjs')] })
    if (process.features.typescript) assert.equal(await outcome, undefined)
    else await assert.rejects(outcome, { code: 'ERR_THREADMILL_ENTRY' })
  })

  test('an error of the module is its own, and it has run once', async () => {
    const text = `${ENUM}globalThis.times = (globalThis.times ?? 0) + 1\nthrow new RangeError('run ' + globalThis.times)\n`
    const at = packageWith({ 'entry.ts': text, 'hook.cjs': HOOK }, { of: ['tsx'] })
    await assert.rejects(run(at('entry.ts'), { execArgv: ['-r', at('hook.cjs')] }), ({ code, cause }) => {
      assert.equal(code, 'ERR_THREADMILL_ENTRY')
      assert.equal(`${cause}`, 'RangeError: run 1')
      return true
    })
  })

  test('flags that bring none change nothing', async () => {
    const at = packageWith(
      { 'entry.ts': `${ENUM}export default (x: string) => x + Kind.A`, 'no.cjs': '' },
      { of: ['tsx'] },
    )
    assert.equal(await run(at('entry.ts'), { execArgv: ['-r', at('no.cjs')] }), 'x1')
  })
})

describe('tsx', () => {
  const FAILS = `${ENUM}export default async (input: string) => {
    if (input === 'fail') throw new RangeError('failed ' + Kind.A)
    return (await import('./plain.mjs')).default + Kind.A
  }\n`
  const PLAIN = `export default 'plain'\n`

  for (const [title, type, specifier] of [
    ['ECMAScript modules that name files as they will be', 'module', './other.js'],
    ['CommonJS modules that name them without an extension', 'commonjs', './other'],
  ]) {
    test(`loads ${title}`, async () => {
      const text = `import { other } from '${specifier}'\nexport default (input: string): string => other(input)\n`
      const at = packageWith({ 'entry.ts': text, 'other.ts': OTHER }, { type, of: ['tsx'] })
      assert.equal(await run(at('entry.ts')), 'other x')
    })
  }

  for (const [title, options] of [
    ['beside the module', {}],
    ['among the flags', { execArgv: ['--import', pathToFileURL(require.resolve('tsx')).href] }],
  ]) {
    test(`${title}: a CommonJS module stays at its place`, async () => {
      const at = packageWith({ 'entry.ts': FAILS, 'plain.mjs': PLAIN }, { of: ['tsx'] })
      assert.equal(await run(at('entry.ts'), options), 'plain1')
      await assert.rejects(run(at('entry.ts'), options, 'fail'), ({ message, stack }) => {
        assert.equal(message, 'failed 1')
        const [, line] = stack.split('\n')
        assert.ok(line.includes(`${at('entry.ts')}:3:`), line)
        return true
      })
    })
  }

  test('what is missing is missing', async () => {
    for (const type of ['module', 'commonjs']) {
      const text = `import { nothing } from './nowhere.js'\nexport default nothing\n`
      const at = packageWith({ 'entry.ts': text }, { type, of: ['tsx'] })
      await assert.rejects(run(at('entry.ts')), { code: 'ERR_THREADMILL_ENTRY', message: /entry\.ts': .*nowhere/ })
    }
  })

  test('an error of the module is its own, and it has run once', async () => {
    const text = `globalThis.times = (globalThis.times ?? 0) + 1\nthrow new RangeError('run ' + globalThis.times)\n`
    for (const type of ['module', 'commonjs']) {
      const at = packageWith({ 'entry.ts': text }, { type, of: ['tsx'] })
      await assert.rejects(run(at('entry.ts')), ({ cause }) => {
        assert.equal(`${cause}`, 'RangeError: run 1')
        return true
      })
    }
  })
})

test('a neighbour that only a loader finds: without one, the error says which', async () => {
  const text = `import { other } from './other.js'\nexport default other\n`
  const at = packageWith({ 'entry.mts': text, 'other.ts': OTHER })
  const said = process.features.typescript ? /other\.js/ : /install 'tsx' beside the module/
  await assert.rejects(run(at('entry.mts')), { code: 'ERR_THREADMILL_ENTRY', message: said })
})
