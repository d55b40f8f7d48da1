// `npm run bench [-- names] [--quick | --full] [--json file]`: measures, prints tables and floors; exit code 1 when a floor is
// not held. `npm run bench -- --charts files`: writes docs/performance.md and its charts from what --json has written.
import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { printFloors, printHeader, printScenario } from './lib/report.mjs'

/** Modules of `scenarios/`, in the order in which they run. */
const SCENARIOS = [
  'tasks',
  'bytes',
  'latency',
  'streams',
  'nested',
  'makespan',
  'skewed',
  'independence',
  'lane-start',
  'modules',
  'calls',
  'transfers',
  'kernels',
  'blocked',
  'scaling',
  'start',
]

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean' },
    full: { type: 'boolean' },
    json: { type: 'string' },
    charts: { type: 'boolean' },
  },
})

if (options.charts) {
  if (positionals.length === 0) fail('--charts wants files that --json has written')
  const { publish } = await load('./lib/publish.mjs')
  await publish(positionals)
} else {
  await bench(positionals)
}

async function bench(names) {
  const unknown = names.filter((name) => !SCENARIOS.includes(name))
  if (unknown.length > 0) fail(`no scenario is called ${unknown.join(', ')}; there are ${SCENARIOS.join(', ')}`)
  const { provenance } = await load('./lib/provenance.mjs')
  const { mode } = await load('./lib/plan.mjs')
  const report = { ...provenance(), mode, scenarios: {} }
  printHeader(report)
  for (const name of names.length > 0 ? names : SCENARIOS) {
    const { title, measure } = await load(`./scenarios/${name}.mjs`)
    const start = performance.now()
    const outcome = await measure()
    const scenario = { title, seconds: (performance.now() - start) / 1000, ...outcome }
    report.scenarios[name] = scenario
    printScenario(name, scenario)
  }
  printFloors(report)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, undefined, 1)}\n`)
  const held = Object.values(report.scenarios).every(({ floors }) => floors.every(({ passed }) => passed))
  // Few samples prove nothing.
  process.exitCode = held || mode === 'quick' ? 0 : 1
}

/** Imports a module of this folder; says what to do when the rivals are not installed. */
async function load(file) {
  try {
    return await import(file)
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' && error.code !== 'MODULE_NOT_FOUND') throw error
    return fail(`${error.message}\nRun \`npm ci\` in benchmarks/, and \`npm run build\` above it, first.`)
  }
}

function fail(message) {
  console.error(message)
  process.exit(2)
}
