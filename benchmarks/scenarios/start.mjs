// What a process pays before the first result of a kernel, and for a pool that does nothing. Each sample is a process of its
// own.
import { fresh } from '../lib/fresh.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick } from '../lib/plan.mjs'
import { measurement, medianOf } from '../lib/statistics.mjs'
import { PACKAGE } from '../lib/subjects.mjs'

export const title = 'Start and rest of the package'

const SINCE_START = 'console.log(performance.now())'
const IMPORT = 'require(process.argv[1]);'
const FIRST = `
  const { WorkerPool } = require(process.argv[1])
  const start = performance.now()
  new WorkerPool().kernels.echo(42).then((output) => {
    const end = performance.now()
    if (output !== 42) throw new Error('wrong output')
    console.log(end - start)
  })`
const IDLE = `
  const { WorkerPool } = require(process.argv[1])
  const pool = new WorkerPool()
  const calls = Array.from({ length: 1000 }, (_, index) => pool.kernels.echo(index))
  Promise.all(calls).then(() => {
    // A moment, for the workers to park.
    setTimeout(() => {
      const before = process.cpuUsage()
      setTimeout(() => {
        const { user, system } = process.cpuUsage(before)
        console.log((user + system) / 1000 / 2)
      }, 2000)
    }, 100)
  })`

const run = (script) => fresh('-e', script, PACKAGE)

export async function measure() {
  const outcome = new Outcome()
  const samples = { import: [], first: [], idle: [] }
  for (let repetition = 0; repetition < pick(3, 21, 41); repetition++) {
    const bare = await run(SINCE_START)
    samples.import.push((await run(IMPORT + SINCE_START)) - bare)
    samples.first.push(await run(FIRST))
  }
  for (let repetition = 0; repetition < pick(1, 3, 5); repetition++) samples.idle.push(await run(IDLE))
  for (const [id, name, unit] of [
    ['import', 'import, over bare Node', 'ms'],
    ['first', 'first kernel result after the constructor', 'ms'],
    ['idle', 'CPU of an idle pool of native workers', 'ms/s'],
  ]) {
    const about = { id, name, unit, better: 'lower', group: 'package', column: name }
    const measured = outcome.add(measurement(about, { threadmill: samples[id] }))
    outcome.judge(`start.${id}`, medianOf(measured, 'threadmill'))
  }
  return outcome
}
