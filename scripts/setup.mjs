// Makes a checkout ready to run: packages, addon, JavaScript. Does only what changed inputs call for, so that
// `npm start` and `npm test` can call it every time. Needs Node and npm alone until the addon has to be built.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { filesBelow, fingerprint, root } from './lib/files.mjs'
import { npm, run } from './lib/process.mjs'
import { PACKS, pack } from './pack.mjs'

const LOCK_STAMP = path.join(root, 'node_modules/.threadmill-lock')
/** Says what the modules in its folder are. */
const SCOPE = 'dist/package.json'
const NATIVE_STAMP = path.join(root, 'target/setup/native.json')
const JS_STAMP = path.join(root, 'target/setup/js.json')

const RUST_SOURCES = [
  'Cargo.toml',
  'Cargo.lock',
  'build.rs',
  '.cargo',
  'src',
  'crates/core/Cargo.toml',
  'crates/core/src',
]
const JS_SOURCES = [
  'lib',
  'tsconfig.json',
  'index.d.ts',
  'function.d.ts',
  'function-worker.d.ts',
  'utils.d.ts',
  'metrics.d.ts',
  'dashboard.d.ts',
  'scripts/pack.mjs',
  'native/index.d.ts',
]
/** What the page of the dashboard draws its charts with. */
const CHARTS = [
  ['dist/uPlot.iife.min.js', 'uPlot.iife.min.js'],
  ['dist/uPlot.min.css', 'uPlot.min.css'],
  ['LICENSE', 'uPlot.LICENSE.txt'],
]

// What the programs print goes to standard error: standard output belongs to the command that set-up is for.
const QUIET_STDOUT = { cwd: root, stdio: ['ignore', 2, 2] }

/** A failure that the user can repair; its message says how. */
export class SetupError extends Error {}

/** Brings packages, addon and JavaScript up to date; with THREADMILL_SKIP_BUILD set, takes them as they are. */
export async function setup() {
  if (process.env.THREADMILL_SKIP_BUILD) return
  checkNode()
  await installPackages()
  await buildNative()
  await buildJs()
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const fits = major === 20 ? minor >= 19 : major === 22 ? minor >= 12 : major > 22
  if (!fits) throw new SetupError(`Node ^20.19.0 or >=22.12.0 is needed, this is ${process.versions.node}.`)
}

async function installPackages() {
  if (readText(LOCK_STAMP) === lockFingerprint()) return
  console.error('setup: installing packages (npm ci)')
  // The skip variable keeps `prepare` from building: that is done below, with the same stamps.
  const env = { ...process.env, THREADMILL_SKIP_BUILD: '1' }
  const code = await npm(['ci', '--no-audit', '--no-fund'], { ...QUIET_STDOUT, env })
  if (code !== 0) throw new SetupError('npm ci failed, see above.')
  markPackagesInstalled()
}

/** Records that `node_modules` is what the lock file asks for. */
export function markPackagesInstalled() {
  writeText(LOCK_STAMP, lockFingerprint())
}

function lockFingerprint() {
  return fingerprint(['package-lock.json'], [process.platform, process.arch])
}

/** Builds the addon if its sources changed; without cargo, settles for any binary that loads. */
export async function buildNative() {
  const manifest = JSON.parse(readText(path.join(root, 'package.json')))
  const settings = [manifest.name, manifest.version, manifest.napi, manifest.scripts['build:native']]
  const inputs = fingerprint(filesBelow(RUST_SOURCES), [...settings, process.platform, process.arch])
  const isCurrent = () => readText(NATIVE_STAMP) === JSON.stringify({ inputs, binaries: binaries() })
  if (existsSync(path.join(root, 'native/index.js')) && isCurrent()) return

  if (spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status !== 0) {
    if (nativeLoads()) return
    throw new SetupError(
      'no prebuilt addon fits this system, and cargo was not found to build one.\n' +
        'Install Rust (https://rustup.rs) and a C compiler (Debian: build-essential; macOS: xcode-select --install;\n' +
        'Windows: Visual Studio Build Tools with C++), open a new terminal, and try again.',
    )
  }
  console.error('setup: building the addon (cargo, release)')
  if ((await npm(['run', '--silent', 'build:native'], QUIET_STDOUT)) !== 0) {
    const rust = /^rust-version = "(.+)"$/m.exec(readText(path.join(root, 'Cargo.toml')))?.[1]
    throw new SetupError(`the addon did not build, see above. It needs Rust ${rust} or newer and a C compiler.`)
  }
  writeText(NATIVE_STAMP, JSON.stringify({ inputs, binaries: binaries() }))
}

/** Whether some addon loads here: a local one, or one from a platform package. */
export function nativeLoads() {
  // In a process of its own, so that this one does not keep the file mapped while it is replaced.
  return (
    spawnSync(process.execPath, ['-e', 'require("./native/index.js")'], { cwd: root, stdio: 'ignore' }).status === 0
  )
}

/** Name, size and time of the local binaries: tells ours from one that was built otherwise in between. */
function binaries() {
  const names = readdirSync(path.join(root, 'native')).filter((name) => name.endsWith('.node'))
  return names.sort().map((name) => {
    const { size, mtimeMs } = statSync(path.join(root, 'native', name))
    return [name, size, mtimeMs]
  })
}

/** Compiles `lib/` to `dist/` if it changed. */
export async function buildJs() {
  const inputs = fingerprint([...filesBelow(JS_SOURCES), 'package-lock.json'])
  const complete = () => outputs().every((file) => existsSync(path.join(root, file)))
  if (readText(JS_STAMP) === inputs && complete()) return

  console.error('setup: compiling lib/ (tsc)')
  await compileJs(QUIET_STDOUT)
  writeText(JS_STAMP, inputs)
}

/**
 * Compiles `lib/` to `dist/` and removes outputs whose source is gone.
 *
 * @param {import('node:child_process').SpawnOptions} [options]
 */
export async function compileJs(options = { cwd: root }) {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  const code = await run(process.execPath, [tsc, '--project', path.join(root, 'tsconfig.json')], options)
  if (code !== 0) throw new SetupError('lib/ did not compile, see above.')
  for (const [from, to] of copies()) {
    mkdirSync(path.dirname(path.join(root, to)), { recursive: true })
    copyFileSync(path.join(root, from), path.join(root, to))
  }
  // What Node looks for with the first module that a thread requires. Without it each would read what is above it.
  writeText(path.join(root, SCOPE), '{ "type": "commonjs" }\n')
  pack(path.join(root, 'dist'))
  const wanted = new Set(outputs())
  for (const file of filesBelow(['dist'])) {
    if (!wanted.has(file)) rmSync(path.join(root, file))
  }
}

function outputs() {
  const sources = filesBelow(['lib']).filter((file) => /\.[cm]?ts$/.test(file) && !/\.d\.[cm]?ts$/.test(file))
  const compiled = sources.map((file) => file.replace(/^lib\//, 'dist/').replace(/\.([cm]?)ts$/, '.$1js'))
  return [...compiled, SCOPE, ...PACKS.map((file) => `dist/${file}`), ...copies().map(([, to]) => to)]
}

/** The files of the dashboard's page, which are taken as they are, and where they go. */
function copies() {
  const page = filesBelow(['lib/dashboard/page']).map((file) => [file, file.replace(/^lib\//, 'dist/')])
  return [...page, ...CHARTS.map(([from, name]) => [`node_modules/uplot/${from}`, `dist/dashboard/page/${name}`])]
}

function readText(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function writeText(file, text) {
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
}

/**
 * Runs the body of a script: a failure that the user can repair prints as one message, any other with its stack.
 *
 * @param {() => Promise<number | undefined>} body gives the exit code
 */
export async function main(body) {
  try {
    process.exitCode = (await body()) ?? 0
  } catch (error) {
    console.error(error instanceof SetupError ? `setup: ${error.message}` : error)
    process.exitCode = 1
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(setup)
