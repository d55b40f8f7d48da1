// What is printed while measuring.
import { demand } from '../floors.mjs'
import { amount, digits } from './format.mjs'

export function printHeader(report) {
  console.log(`${report.package}, commit ${report.commit.slice(0, 12)}${report.modified ? ' with changes' : ''}`)
  console.log(`Node ${report.node}, ${report.rustc}`)
  console.log(
    `${report.cpu}, ${report.parallelism} of ${report.cpus} CPUs, ${report.system}, load ${report.loadBefore.toFixed(2)}`,
  )
  if (report.loadBefore > report.parallelism / 4)
    console.log('This machine is busy with other work: do not trust the figures.')
}

export function printScenario(name, { title, seconds, measurements }) {
  console.log(`\n== ${name}: ${title} (${seconds.toFixed(0)} s)`)
  for (const { name: what, unit, results } of measurements) {
    console.log(`  ${what}`)
    for (const { name: contender, median, low, high, ahead } of results) {
      const spread = `[${amount(low, unit)} to ${amount(high, unit)}]`
      console.log(
        `    ${contender.padEnd(40)} ${amount(median, unit).padStart(12)}   ${spread.padEnd(26)} ${Number.isFinite(ahead.median) ? `${digits(ahead.median)}×` : ''}`,
      )
    }
  }
}

export function printFloors({ mode, scenarios }) {
  const floors = Object.values(scenarios).flatMap((scenario) => scenario.floors)
  const limits = Object.values(scenarios).flatMap((scenario) => scenario.limits)
  if (floors.length > 0) console.log(mode === 'quick' ? '\n== floors (too few samples to judge by)' : '\n== floors')
  for (const floor of floors) {
    const { passed, what, value, unit } = floor
    console.log(`  ${passed ? 'held  ' : 'FAILED'}  ${what}: ${digits(value)}${unit} (floor ${demand(floor)})`)
  }
  if (limits.length > 0) console.log('\n== distance to what is possible: 1 is there')
  for (const { what, value, unit } of limits) console.log(`  ${what}: ${digits(value)}${unit}`)
}
