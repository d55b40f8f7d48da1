// Packs the package and looks at it as its users get it: contents, metadata, types, and a run from an empty folder in
// both module systems. Not part of `npm test`: `npm run test:package`.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nodeFileTrace } from '@vercel/nft'

const root = fileURLToPath(new URL('../..', import.meta.url))
const TIMEOUT = 120_000

const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-package-'))
const app = path.join(folder, 'app')
let tarball = ''
let contents = []

before(() => {
  const [packed] = JSON.parse(npm(['pack', '--json', '--pack-destination', folder], root))
  tarball = path.join(folder, packed.filename)
  contents = packed.files.map((file) => file.path)

  mkdirSync(app)
  writeFileSync(path.join(app, 'package.json'), JSON.stringify({ name: 'app', private: true }))
  npm(['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], app)
})
after(() => rmSync(folder, { recursive: true, force: true }))

test('the package holds what it runs with, and nothing else', () => {
  for (const file of [
    'dist/index.js',
    'dist/package.json',
    'index.d.ts',
    'function.d.ts',
    'utils.d.ts',
    'metrics.d.ts',
    'dashboard.d.ts',
    'dist/dashboard/page/index.html',
    'dist/dashboard/page/uPlot.iife.min.js',
    'dist/dashboard/page/uPlot.LICENSE.txt',
    'native/index.js',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    // Types and errors refer to it.
    'docs/errors.md',
  ]) {
    assert.ok(contents.includes(file), `${file} is missing`)
  }
  const allowed =
    /^(?:dist\/.+\.js|dist\/dashboard\/page\/[\w.]+\.(?:html|css|svg|txt)|native\/index\.(?:js|d\.ts)|native\/threadmill\.[\w-]+\.node|(?:index|function|function-worker|utils|metrics|dashboard)\.d\.ts|(?:dist\/)?package\.json|docs\/(?:kernels\/)?[\w-]+\.md|README\.md|LICENSE|CHANGELOG\.md)$/
  assert.deepEqual(
    contents.filter((file) => !allowed.test(file)),
    [],
  )
})

test('publint has nothing to say', () => {
  runTool('publint/src/cli.js', ['run', tarball, '--strict'])
})

test('the types fit what runs, from CommonJS and from ECMAScript modules', () => {
  runTool('@arethetypeswrong/cli/dist/index.js', [
    tarball,
    '--profile',
    'node16',
    '--no-definitely-typed',
    '--no-color',
  ])
})

const hello = createHash('sha256').update('hello').digest('hex')
const body = `
  const pool = new WorkerPool()
  const digest = await pool.kernels.sha256('hello')
  await pool.close()
  console.log(digest)
`

test('without `exports`, each of its paths has types too', () => {
  // So TypeScript resolves with moduleResolution node10.
  const { exports, typesVersions } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  for (const [name, { types }] of Object.entries(exports)) {
    if (types === undefined || name === '.') continue
    const [found] = typesVersions['*'][name.slice(2)] ?? [`${name}.d.ts`]
    assert.equal(found, types)
  }
})

test('it runs under require', () => {
  const code = `const { WorkerPool } = require('threadmill')\n;(async () => {${body}})()`
  assert.equal(runFile('main.cjs', code), hello)
})

test('it runs under import', () => {
  assert.equal(runFile('main.mjs', `import { WorkerPool } from 'threadmill'\n${body}`), hello)
})

test('under import, every name that require gives can be imported', () => {
  const code = `
    import * as names from 'threadmill'
    import { createRequire } from 'node:module'
    const required = Object.keys(createRequire(import.meta.url)('threadmill'))
    console.log(JSON.stringify([required.length > 0, required.filter((name) => !(name in names))]))
  `
  assert.equal(runFile('names.mjs', code), '[true,[]]')
})

test('what copies the files that a program needs finds all of it, and the copy runs', async () => {
  writeFileSync(path.join(app, 'entry.cjs'), 'module.exports = (input) => input + 1')
  const code = `
    const path = require('node:path')
    const { WorkerPool } = require('threadmill')
    const pool = new WorkerPool(path.join(__dirname, 'entry.cjs'))
    Promise.all([pool.run(1), pool.kernels.fib(10)]).then((outputs) => console.log(outputs.join()), console.error).finally(() => pool.close())`
  writeFileSync(path.join(app, 'traced.cjs'), code)
  const { fileList } = await nodeFileTrace([path.join(app, 'traced.cjs')], { base: app, processCwd: app })
  const copy = path.join(folder, 'copy')
  for (const file of fileList) cpSync(path.join(app, file), path.join(copy, file), { dereference: true })
  rmSync(path.join(app, 'entry.cjs'))
  assert.equal(run(process.execPath, [path.join(copy, 'traced.cjs')], copy).trim(), '2,55')
})

test('without its own files, as in a bundle, it says why it does not run', () => {
  const text = readFileSync(path.join(app, 'node_modules/threadmill/dist/pack-base.js'), 'utf8')
  const code = `${text.replace("0 && require('../native/index.js')", '')}
    try { exports.load('index.js') } catch (error) { console.log(error.code, error.message) }`
  assert.match(runFile('bundle.cjs', code), /^ERR_THREADMILL_NOT_SUPPORTED .*leave it external/)
})

test('its command runs', () => {
  writeFileSync(path.join(app, 'hello'), 'hello')
  const program = path.join(app, 'node_modules/.bin/threadmill')
  assert.equal(run(program, ['kernel', 'sha256', 'hello'], app, process.platform === 'win32').trim(), hello)
})

test('an import alone lets the process end', () => {
  assert.equal(runFile('import.mjs', "import 'threadmill'"), '')
})

function runFile(name, code) {
  writeFileSync(path.join(app, name), code)
  return run(process.execPath, [name], app).trim()
}

function runTool(file, args) {
  run(process.execPath, [path.join(root, 'node_modules', file), ...args], root)
}

function npm(args, cwd) {
  const cli = process.env.npm_execpath
  if (cli !== undefined && /\.[cm]?js$/.test(cli)) return run(process.execPath, [cli, ...args], cwd)
  return run('npm', args, cwd, process.platform === 'win32')
}

/** Runs a program to its end; gives its output, or fails with all that it said. */
function run(file, args, cwd, shell = false) {
  const options = { cwd, shell, encoding: 'utf8', timeout: TIMEOUT, killSignal: 'SIGKILL' }
  const child = spawnSync(file, args, options)
  assert.equal(child.error, undefined)
  assert.equal(child.status, 0, `${path.basename(file)} ${args.join(' ')}\n${child.stdout}${child.stderr}`)
  return child.stdout
}
