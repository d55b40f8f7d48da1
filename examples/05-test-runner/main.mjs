// Shows: a small test runner on the pool. Files are found in the workers, run longest first and reported as they end;
//        one that crashes, exits or never ends fails alone.
// Run:   node examples/05-test-runner/main.mjs [folder] [--workers n] [--timeout ms] [--costs file]
//
// A spec file is called `*.spec.mjs` (or .js, .cjs) and calls the global `test(name, fn)`; `fn` may be asynchronous.
// The exit code is 0 when all tests passed, 1 when one failed, 2 for bad arguments.

import { statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Costs } from './costs.mjs'
import { Reporter } from './reporter.mjs'
import { runSpecs } from './run-specs.mjs'

function settings() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      workers: { type: 'string', default: String(availableParallelism()) },
      timeout: { type: 'string', default: '5000' },
      costs: { type: 'string' },
    },
  })
  const root = path.resolve(positionals[0] ?? fileURLToPath(new URL('./specs', import.meta.url)))
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`${root} is not a folder`)
  const number = (name) => {
    if (!/^[1-9]\d*$/.test(values[name])) throw new Error(`--${name} takes a whole number from 1, not ${values[name]}`)
    return Number(values[name])
  }
  const costs = values.costs ?? path.join(root, '.costs.json')
  return { root, workers: number('workers'), timeout: number('timeout'), costs }
}

async function main() {
  let [chosen, costs] = []
  try {
    chosen = settings()
    // A file that has never run may take as long as the limit allows.
    costs = Costs.read(chosen.costs, chosen.timeout)
  } catch (error) {
    console.error(error.message)
    return 2
  }
  const reporter = new Reporter(process.stdout)
  try {
    await runSpecs(chosen, costs, reporter)
  } finally {
    reporter.close()
  }
  costs.write()
  reporter.summary()
  return reporter.failed ? 1 : 0
}

process.exitCode = await main()
