// `npm run bench [-- names] [--quick | --full] [--json file]`: measures, prints tables and floors; exit code 1 when a floor is
// not held. `npm run bench -- --charts files`: writes docs/performance.md and its charts from what --json has written.
// `--help` tells that, and the scenarios; what is not known ends with 2.
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

const USAGE = `npm run bench [-- scenarios] [options]

Measures a selection of every scenario, or of those that are named:
  ${SCENARIOS.join(', ')}

  --full         everything, about an hour
  --quick        few samples: does everything work?
  --json file    also as JSON, with versions, machine and commit
  --charts       writes docs/performance.md and its charts from what --json has written: --charts files
  --help         this

The exit code is 1 when a floor is not held, but not with --quick. More is in benchmarks/README.md.`

const { values: options, positionals } = parsed()

if (options.help) console.log(USAGE)
else if (options.charts) {
  if (positionals.length === 0) fail('--charts wants files that --json has written')
  const { publish } = await load('./lib/publish.mjs')
  await publish(positionals)
} else {
  await bench(positionals)
}

function parsed() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean' },
        full: { type: 'boolean' },
        json: { type: 'string' },
        charts: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    if (!error.code?.startsWith('ERR_PARSE_ARGS')) throw error
    // Node gives advice after it.
    return fail(`${/^.*?(?=\.? To specify |\.?\n|$)/.exec(error.message)[0]}; see --help`)
  }
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
