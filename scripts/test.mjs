// `npm test [-- words]`: sets up, then runs the Rust tests and the JavaScript tests. With words, or with --js, only
// JavaScript: the test files whose path contains one of the words. THREADMILL_TEST_NODE names the Node to test on.
//
// The JavaScript tests run twice: on the release build of the addon, and, but for those that take long, on a debug build
// that has the kernels of `faults` and the debug assertions. With THREADMILL_SKIP_BUILD nothing is built, so only the first.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { installChromium } from './lib/chromium.mjs'
import { FAILURES, printFailures } from './lib/failures-reporter.mjs'
import { filesBelow, root } from './lib/files.mjs'
import { run } from './lib/process.mjs'
import { main, setup } from './setup.mjs'

/** Limit of one test, ms. */
const TIMEOUT = 120_000
/** Limit of all of them, ms: Node 26 does not end a file whose event loop stays alive, and nothing may hang CI. */
const RUN_TIMEOUT = 25 * 60_000
/** Files at once; few, because every test starts threads of its own. */
const CONCURRENCY = 2

/** Folders of __test__ that need the debug build. */
const DEBUG_ONLY = ['faults']
/** Folders that run on the debug build too. */
const DEBUG_TOO = ['lifecycle', 'schedule', 'settle', 'submit']
/** Runs in Chromium, which is installed for it where that can be done. */
const IN_BROWSER = '__test__/dashboard/page.test.mjs'
/** The debug build shares what it compiles with the Rust tests. */
const FEATURES = ['--features', 'threadmill/faults']

await main(async () => {
  const words = process.argv.slice(2).filter((argument) => argument !== '--js')
  const jsOnly = words.length > 0 || process.argv.includes('--js')
  await setup()
  rmSync(FAILURES, { recursive: true, force: true })
  mkdirSync(FAILURES, { recursive: true })
  const rust = jsOnly ? 0 : await run('cargo', ['test', '--workspace', ...FEATURES], { cwd: root })
  const js = await testJs(words)
  summarize(rust, js)
  return rust || js
})

/** Repeats at the end what failed, which may be far above. */
function summarize(rust, js) {
  if (rust !== 0) console.log(`failed: cargo test (exit code ${rust})`)
  if (js !== 0) console.log(`failed: JavaScript tests (exit code ${js})`)
  printFailures()
}

/** @param {string[]} words */
async function testJs(words) {
  const all = filesBelow(['__test__']).filter((file) => /\.test\.[cm]js$/.test(file))
  const files = words.length === 0 ? all : all.filter((file) => words.some((word) => file.includes(word)))
  const within = (folders) => files.filter((file) => folders.some((folder) => file.startsWith(`__test__/${folder}/`)))
  const debug = within([...DEBUG_ONLY, ...DEBUG_TOO])
  const debugOnly = within(DEBUG_ONLY)
  const release = files.filter((file) => !debugOnly.includes(file))
  if (files.length === 0) {
    // Without a file, `node --test` would search for files by rules of its own.
    console.error(`no test file matches ${words.join(' ')}`)
    return 1
  }
  if (release.includes(IN_BROWSER)) installChromium()
  const onRelease = release.length === 0 ? 0 : await testFiles(release, 'release', {})
  if (debug.length === 0) return onRelease
  if (process.env.THREADMILL_SKIP_BUILD) {
    console.log('not run: the tests on the debug build, which would have to be built (THREADMILL_SKIP_BUILD)')
    return onRelease
  }
  const addon = debugAddon()
  const onDebug = addon === undefined ? 1 : await testFiles(debug, 'debug', { NAPI_RS_NATIVE_LIBRARY_PATH: addon })
  return onRelease || onDebug
}

/** Builds the debug addon; its path, or undefined when it did not build. */
function debugAddon() {
  // Not through the napi command, which builds for a named target and so would compile everything once more.
  const args = ['build', '--package', 'threadmill', ...FEATURES, '--message-format=json-render-diagnostics']
  const { status, stdout } = spawnSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  })
  if (status !== 0) return undefined
  const messages = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const artifact = messages.findLast((message) => message.target?.kind.includes('cdylib') && message.filenames)
  // Node loads addons by this ending only.
  const addon = path.join(path.dirname(artifact.filenames[0]), 'threadmill.node')
  copyFileSync(artifact.filenames[0], addon)
  return addon
}

/**
 * @param {string[]} files
 * @param {'release' | 'debug'} kind
 * @param {Record<string, string>} env
 */
function testFiles(files, kind, env) {
  const node = process.env.THREADMILL_TEST_NODE || process.execPath
  const flags = [
    '--test',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${new URL('lib/failures-reporter.mjs', import.meta.url).href}`,
    `--test-reporter-destination=${path.join(FAILURES, kind)}`,
    `--test-timeout=${TIMEOUT}`,
    `--test-concurrency=${CONCURRENCY}`,
  ]
  const options = { cwd: root, env: { ...process.env, ...env }, signal: AbortSignal.timeout(RUN_TIMEOUT) }
  return run(node, [...flags, ...files], options)
}
