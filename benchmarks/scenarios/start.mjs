// What a process pays before the first result, and for a pool that does nothing. Each sample is a process of its own.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import process from 'node:process'
import { promisify } from 'node:util'
import { judge } from './floors.mjs'
import { summarise } from './harness.mjs'
import { PACKAGE } from './subjects.mjs'

const execute = promisify(execFile)
const SAMPLES = process.argv.includes('--quick') ? 5 : 21

/** Runs a script in a fresh Node and gives what it prints, as a number. */
async function sample(script) {
  const { stdout } = await execute(process.execPath, ['-e', script, PACKAGE])
  const value = Number(stdout)
  assert.ok(stdout.trim() !== '' && Number.isFinite(value), `printed ${JSON.stringify(stdout)}`)
  return value
}

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

/** Import and first result. */
export async function start() {
  const bare = []
  const extra = []
  const first = []
  for (let repetition = 0; repetition < SAMPLES; repetition++) {
    bare.push(await sample(SINCE_START))
    extra.push((await sample(IMPORT + SINCE_START)) - bare.at(-1))
    first.push(await sample(FIRST))
  }
  const values = {
    'bare Node, ms': summarise(bare),
    'import, ms': summarise(extra),
    'first result, ms': summarise(first),
  }
  return {
    measured: [],
    values,
    floors: [
      judge('start.import', values['import, ms'].median),
      judge('start.first', values['first result, ms'].median),
    ],
  }
}

/** CPU time of a process whose pool has nothing to do. */
export async function idle() {
  const samples = []
  for (let repetition = 0; repetition < 3; repetition++) samples.push(await sample(IDLE))
  return { measured: [], values: { 'CPU of an idle pool, ms per s': summarise(samples) }, floors: [] }
}
