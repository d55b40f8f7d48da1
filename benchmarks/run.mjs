// `npm run bench [-- names] [--quick] [--json file]`: measures, prints tables and floors; exit code 1 when a floor is
// not held. --quick takes few samples, to see whether everything works.
import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { parseArgs } from 'node:util'

/** Scenario groups by name: module and export. */
const GROUPS = {
  calls: ['./native-lane.mjs', 'calls'],
  tasks: ['./js-lane.mjs', 'tasks'],
  latency: ['./js-lane.mjs', 'latency'],
  moves: ['./js-lane.mjs', 'moves'],
  'lane-start': ['./lane-start.mjs', 'laneStart'],
  modules: ['./module-workers.mjs', 'moduleWorkers'],
  independence: ['./independence.mjs', 'independence'],
  transfers: ['./native-lane.mjs', 'transfers'],
  makespan: ['./native-lane.mjs', 'makespan'],
  blocked: ['./native-lane.mjs', 'blockedMain'],
  scaling: ['./native-lane.mjs', 'scaling'],
  start: ['./start.mjs', 'start'],
  idle: ['./start.mjs', 'idle'],
  kernels: ['./kernels.mjs', 'kernels'],
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' }, json: { type: 'string' } },
})
const unknown = positionals.filter((name) => !Object.hasOwn(GROUPS, name))
if (unknown.length > 0) {
  console.error(`no group is called ${unknown.join(', ')}; there are ${Object.keys(GROUPS).join(', ')}`)
  process.exit(1)
}

const { provenance } = await load('./provenance.mjs')
const report = { ...provenance(), quick: options.quick === true, groups: {} }
console.log(`${report.package}, commit ${report.commit.slice(0, 12)}${report.modified ? ' with changes' : ''}`)
console.log(`Node ${report.node}, ${report.rustc}`)
console.log(
  `${report.cpu}, ${report.parallelism} of ${report.cpus} CPUs, ${report.system}, load ${report.loadBefore.toFixed(2)}`,
)

if (report.loadBefore > report.parallelism / 4)
  console.log('This machine is busy with other work: do not trust the figures.')

const floors = []
for (const name of positionals.length > 0 ? positionals : Object.keys(GROUPS)) {
  const [file, member] = GROUPS[name]
  console.log(`\n== ${name}`)
  const outcome = await (await load(file))[member]()
  report.groups[name] = outcome
  floors.push(...outcome.floors)
  outcome.measured.forEach(printScenario)
  for (const [label, value] of Object.entries(outcome.values ?? {})) console.log(`  ${label}: ${spread(value)}`)
}

if (floors.length > 0) {
  console.log(options.quick ? '\n== floors (too few samples to judge by)' : '\n== floors')
  for (const { passed, what, value, unit, better, limit } of floors) {
    const sign = better === 'higher' ? '≥' : '≤'
    console.log(
      `  ${passed ? 'passed' : 'FAILED'}  ${what}: ${digits(value)}${unit} (floor ${sign} ${digits(limit)}${unit})`,
    )
  }
}
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`)
process.exitCode = floors.every(({ passed }) => passed) ? 0 : 1

/** Imports a module of this folder; says what to do when the rivals are not installed. */
async function load(file) {
  try {
    return await import(file)
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' && error.code !== 'MODULE_NOT_FOUND') throw error
    console.error(`${error.message}\nRun \`npm ci\` in benchmarks/, and \`npm run build\` above it, first.`)
    process.exit(1)
  }
}

function printScenario({ name, bytes, results }) {
  console.log(`  ${name}`)
  for (const result of results) {
    const rate =
      bytes === undefined
        ? `${Math.round(result.operationsPerSecond).toLocaleString('en-US')}/s`
        : `${(result.bytesPerSecond / 1e9).toFixed(3)} GB/s`
    const time = `${spread(result.milliseconds)} ms`
    console.log(
      `    ${result.name.padEnd(36)} ${rate.padStart(14)}   ${time.padEnd(30)} ${digits(result.timesFirst.median)}×`,
    )
  }
}

/** A number, or a median with its quartiles. */
function spread(value) {
  return typeof value === 'number'
    ? digits(value)
    : `${digits(value.median)} [${digits(value.low)}-${digits(value.high)}]`
}

function digits(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
