// Entry modules in workers, where they are required: what runs, how often, and that hooks of loaders see them.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { WorkerPool } from 'threadmill'

let folder
before(() => {
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'threadmill-required-')))
})
after(() => rmSync(folder, { recursive: true, force: true }))

function write(name, source) {
  const file = path.join(folder, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, source)
  return file
}

/** What the entry function of a module gives in a pool with these options. */
async function outputOf(file, options) {
  const pool = new WorkerPool(file, { maxWorkers: 1, ...options })
  try {
    return await pool.run('x')
  } finally {
    await pool.destroy()
  }
}

const COUNT = 'globalThis.runs = (globalThis.runs ?? 0) + 1'

test('modules run once: plain, with await at the top, and what they import', async () => {
  write('counted.mjs', `${COUNT}; export const runs = globalThis.runs`)
  write('waits.mjs', `${COUNT}; await 1; export const runs = globalThis.runs`)
  const runs = 'export default () => globalThis.runs'
  assert.equal(await outputOf(write('plain.mjs', `${COUNT}; ${runs}`)), 1)
  assert.equal(await outputOf(write('awaits.mjs', `${COUNT}; await 1; ${runs}`)), 1)
  assert.equal(await outputOf(write('imports.mjs', `import './counted.mjs'; import './waits.mjs'; ${runs}`)), 2)
  assert.equal(await outputOf(write('plain.cjs', `${COUNT}; module.exports = () => globalThis.runs`)), 1)
})

test('modules that throw run once, whatever they throw', async () => {
  const failing = (code) =>
    `${COUNT}; throw Object.assign(new Error('run ' + globalThis.runs), { code: ${JSON.stringify(code)} })`
  const files = [
    write('throws.mjs', failing('ODD')),
    write('throws.cjs', failing('ODD')),
    write('throws-not-found.cjs', failing('MODULE_NOT_FOUND')),
    write('throws-late.mjs', `await 1; ${failing('ODD')}`),
    write('throws-null.cjs', `${COUNT}; if (globalThis.runs > 1) throw new Error('run 2'); throw null`),
  ]
  for (const file of files) {
    const error = await outputOf(file).then(assert.fail, (reason) => reason)
    assert.equal(error.code, 'ERR_THREADMILL_ENTRY')
    assert.match(error.message, file.includes('null') ? /: null$/ : /: run 1$/)
  }
})

test('files of both kinds, by extension and by the type of their package', async () => {
  write('module/package.json', '{ "type": "module" }')
  write('script/package.json', '{ "type": "commonjs" }')
  assert.equal(await outputOf(write('module/entry.js', `export const processTask = (x) => 'module ' + x`)), 'module x')
  assert.equal(await outputOf(write('script/entry.js', `exports.processTask = (x) => 'script ' + x`)), 'script x')
})

test('an export by the name of module.exports hides no other', async () => {
  const source = `const own = () => 'own'; export { own as 'module.exports' }; export const processTask = () => 'named'`
  write('named/package.json', '{ "type": "module" }')
  assert.equal(await outputOf(write('named.mjs', source)), 'named')
  assert.equal(await outputOf(write('named/entry.js', source)), 'named')
})

test('hooks see the entry module', async () => {
  const hooks = write(
    'hooks.mjs',
    `export async function load(url, context, next) {
      const loaded = await next(url, context)
      return url.endsWith('hooked.mjs') ? { ...loaded, source: "export default () => 'hooked'" } : loaded
    }`,
  )
  const preload = pathToFileURL(
    write('preload.mjs', `import { register } from 'node:module'; register(${JSON.stringify(pathToFileURL(hooks))})`),
  ).href
  const file = write('hooked.mjs', `export default () => 'plain'`)
  assert.equal(await outputOf(file), 'plain')
  assert.equal(await outputOf(file, { execArgv: ['--import', preload] }), 'hooked')
  assert.equal(await outputOf(file, { execArgv: [`--import=${preload}`] }), 'hooked')
  assert.equal(await outputOf(file, { env: { ...process.env, NODE_OPTIONS: `--import ${preload}` } }), 'hooked')
  assert.equal(await outputOf(file, { env: { ...process.env, NODE_OPTIONS: `"--import" ${preload}` } }), 'hooked')
})

test('the entry module is the one that others import', async () => {
  const file = write(
    'self.mjs',
    `export const mark = {}; export default async () => (await import('./self.mjs')).mark === mark`,
  )
  assert.equal(await outputOf(file), true)
})

test('a module that imports WebAssembly is as good as for import()', async () => {
  const bytes = 'AGFzbQEAAAABBQFgAAF/AwIBAAcFAQFmAAAKBgEEAEEqCw=='
  write('wasm/answer.wasm', Buffer.from(bytes, 'base64'))
  const file = write('wasm/entry.mjs', "import { f } from './answer.wasm'\nexport default () => f()\n")
  const imported = await import(pathToFileURL(file).href).then(
    (module) => module.default(),
    () => 'ERR_THREADMILL_ENTRY',
  )
  assert.equal(await outputOf(file).catch(({ code }) => code), imported)
})

test('what cannot be linked says where, and what Node advises, as import() does', async () => {
  write('link/ok.mjs', 'globalThis.hasRun = true; export const a = 1\n')
  write('link/names.cjs', "module.exports = { ['wan' + 'ted']: 1 }\n")
  write('link/inner.mjs', "// The first line.\nimport { nope } from './ok.mjs'\nexport const b = nope\n")
  const cases = {
    'entry.mjs': [
      "import './inner.mjs'\nexport default () => 1\n",
      /inner\.mjs:2\b.*does not provide an export named 'nope'/s,
    ],
    'of-cjs.mjs': [
      "import { wanted } from './names.cjs'\nexport default () => wanted\n",
      /CommonJS module.*import pkg from '\.\/names\.cjs'/s,
    ],
  }
  for (const [name, [source, pattern]] of Object.entries(cases)) {
    const file = write(`link/${name}`, source)
    const error = await outputOf(file).catch((reason) => reason)
    assert.equal(error.code, 'ERR_THREADMILL_ENTRY')
    assert.match(error.cause.stack, pattern)
    const imported = await import(pathToFileURL(file).href).catch((reason) => reason)
    assert.deepEqual([error.cause.name, error.cause.message], [imported.name, imported.message])
  }
})

test('imports by a scheme that Node does not know are told as import() tells them', async () => {
  for (const [name, from] of [
    ['virtual', 'virtual:x'],
    ['remote', 'https://127.0.0.1:1/x.mjs'],
  ]) {
    const file = write(`schemes/${name}.mjs`, `import '${from}'\nexport default () => 1\n`)
    const error = await outputOf(file).catch((reason) => reason)
    const imported = await import(pathToFileURL(file).href).catch((reason) => reason)
    assert.deepEqual([error.cause.code, error.cause.message], [imported.code, imported.message])
  }
})

test('whatever is told of a module that cannot be linked, what has run does not run again', {
  timeout: 60_000,
}, async () => {
  write('again/broken.mjs', "import { wrong } from './fine.mjs'\nexport default wrong\n")
  write('again/fine.mjs', 'export const right = 1\n')
  const note = "import { appendFileSync } from 'node:fs'; appendFileSync(new URL('./ran.txt', import.meta.url), 'x')\n"
  const sources = {
    'sync.cjs': "require('node:fs').appendFileSync(__dirname + '/ran.txt', 'x')\nrequire('./broken.mjs')\n",
    'late.mjs': `${note}await import('./broken.mjs')\nexport default () => 1\n`,
    'own.mjs': `${note}throw new SyntaxError("it does not provide an export named 'x'")\n`,
  }
  for (const [name, source] of Object.entries(sources)) {
    const file = write(`again/${name}`, source)
    const ran = write('again/ran.txt', '')
    const error = await outputOf(file).catch((reason) => reason)
    assert.equal(error.code, 'ERR_THREADMILL_ENTRY', name)
    assert.match(error.message, /does not provide an export named/)
    assert.equal(readFileSync(ran, 'utf8'), 'x', name)
  }
})
