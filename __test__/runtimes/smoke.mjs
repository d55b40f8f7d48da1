// A smoke test that any runtime can run: no test runner, one check after another, a line for each.
// `node smoke.mjs [words]`, `bun smoke.mjs [words]`, and for Deno see scripts/test-runtimes.mjs. Exit code 1 when a check
// fails that is not listed in differences.mjs. With words, only the checks whose names contain one of them.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import process from 'node:process'
import { differences } from './differences.mjs'
import * as kernels from './kernels.mjs'
import * as modules from './modules.mjs'
import * as processes from './processes.mjs'
import { runtime, within } from './runtime.mjs'
import * as sharing from './sharing.mjs'
import * as values from './values.mjs'
import * as workers from './workers.mjs'

/** Longest time of one check, ms. A check that starts programs takes the longest. */
const LIMIT = 30_000

const loading = {
  'import and require give the same classes': async () => {
    const imported = await import('threadmill')
    const required = createRequire(import.meta.url)('threadmill')
    for (const name of ['WorkerPool', 'ThreadmillError', 'kernelInfo', 'transfer']) {
      assert.equal(typeof required[name], 'function')
      assert.equal(imported[name], required[name])
    }
  },
}

// Until the end has been reached: a runtime may end for reasons of its own.
process.exitCode = 1

/** Errors that nothing has caught while a check ran. */
const uncaught = []
process.on('uncaughtException', (error) => uncaught.push(error))
process.on('unhandledRejection', (error) => uncaught.push(error))

/** The failure of a check, or `undefined`. */
async function attempt(check) {
  uncaught.length = 0
  try {
    await within(LIMIT, check())
    // What nobody caught is told one turn later.
    await new Promise((resolve) => setImmediate(resolve))
  } catch (error) {
    return error instanceof Error ? error : new Error(`failed with ${error}`)
  }
  return uncaught.length === 0 ? undefined : new Error(`not caught: ${uncaught[0]?.stack ?? uncaught[0]}`)
}

const groups = [{ checks: loading }, kernels, modules, values, workers, sharing, processes]
const checks = groups.flatMap((group) => Object.entries(group.checks))
const words = process.argv.slice(2)
const chosen = words.length === 0 ? checks : checks.filter(([name]) => words.some((word) => name.includes(word)))
const expected = new Map(Object.entries(differences[runtime.name] ?? {}))
const counts = { ok: 0, failed: 0, expected: 0, gone: 0 }

console.log(`# ${runtime.name} ${runtime.version}, ${process.platform} ${process.arch}`)
for (const [name, check] of chosen) {
  const failure = await attempt(check)
  const difference = expected.get(name)
  if (failure === undefined) {
    counts.ok++
    if (difference !== undefined) counts.gone++
    console.log(`ok      ${name}${difference === undefined ? '' : ' # no longer differs, take it off the list'}`)
  } else if (difference?.fails.test(failure.message)) {
    counts.expected++
    console.log(`not ok  ${name} # expected: ${difference.reason}`)
  } else {
    counts.failed++
    console.log(`not ok  ${name}\n${failure.stack.replace(/^/gm, '        ')}`)
  }
}
const names = new Set(checks.map(([name]) => name))
for (const name of expected.keys()) {
  if (names.has(name)) continue
  counts.failed++
  console.log(`not ok  ${name}\n        is listed as a difference, but there is no such check`)
}
if (chosen.length === 0) console.log(`no check has a name with ${words.join(' or ')}`)
const { ok, failed, expected: differing, gone } = counts
console.log(`# ${ok} ok, ${failed} failed, ${differing} differ as expected, ${gone} no longer differ`)
// A check that failed may have left something running.
process.exit(failed > 0 || chosen.length === 0 ? 1 : 0)
