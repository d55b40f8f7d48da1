// `npm test [-- words]`: sets up, then runs the Rust tests and the JavaScript tests. With words, or with --js, only
// JavaScript: the test files whose path contains one of the words. THREADMILL_TEST_NODE names the Node to test on.
import process from 'node:process'
import { filesBelow, root } from './lib/files.mjs'
import { run } from './lib/process.mjs'
import { main, setup } from './setup.mjs'

/** Limit of one test, ms. */
const TIMEOUT = 120_000
/** Limit of all of them, ms: Node 26 does not end a file whose event loop stays alive, and nothing may hang CI. */
const RUN_TIMEOUT = 15 * 60_000
/** Files at once; few, because every test starts threads of its own. */
const CONCURRENCY = 2

await main(async () => {
  const words = process.argv.slice(2).filter((argument) => argument !== '--js')
  const jsOnly = words.length > 0 || process.argv.includes('--js')
  await setup()
  const rust = jsOnly ? 0 : await run('cargo', ['test', '--workspace'], { cwd: root })
  const js = await testJs(words)
  return rust || js
})

/** @param {string[]} words */
function testJs(words) {
  const all = filesBelow(['__test__']).filter((file) => /\.test\.[cm]js$/.test(file))
  const files = words.length === 0 ? all : all.filter((file) => words.some((word) => file.includes(word)))
  if (files.length === 0) {
    // Without a file, `node --test` would search for files by rules of its own.
    console.error(`no test file matches ${words.join(' ')}`)
    return 1
  }
  const node = process.env.THREADMILL_TEST_NODE || process.execPath
  const flags = ['--test', '--test-reporter=spec', `--test-timeout=${TIMEOUT}`, `--test-concurrency=${CONCURRENCY}`]
  return run(node, [...flags, ...files], { cwd: root, signal: AbortSignal.timeout(RUN_TIMEOUT) })
}
