// What a pool of JS workers takes to begin, to be there, and to end. Each sample is a process of its own; the pools take
// turns.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { judge } from './floors.mjs'
import { summarise } from './harness.mjs'

const execute = promisify(execFile)
const quick = process.argv.includes('--quick')
const CHILD = fileURLToPath(new URL('lane-child.mjs', import.meta.url))
/** All three as they come: none of the options that help tiny tasks matters here. */
const POOLS = ['threadmill', 'piscina', 'tinypool']
const MIB = 2 ** 20

/** Runs a child and gives what it prints, as a number. */
async function sample(pool, measure) {
  const { stdout } = await execute(process.execPath, ['--expose-gc', CHILD, pool, measure], { timeout: 30_000 })
  const value = Number(stdout)
  assert.ok(stdout.trim() !== '' && Number.isFinite(value), `printed ${JSON.stringify(stdout)}`)
  return value
}

/** Takes `count` samples of every pool, in an order that rotates. */
async function interleave(count, take) {
  const samples = POOLS.map(() => [])
  for (let repetition = 0; repetition < count; repetition++) {
    for (let turn = 0; turn < POOLS.length; turn++) {
      const index = (turn + repetition) % POOLS.length
      samples[index].push(await take(POOLS[index]))
    }
  }
  return samples
}

async function memoryPerWorker(pool) {
  const one = await sample(pool, 'memory of 1')
  return ((await sample(pool, 'memory of 9')) - one) / 8 / MIB
}

/** First output, memory of an idle worker, and shutdown. */
export async function laneStart() {
  const values = {}
  const floors = []
  for (const [id, label, count, take] of [
    ['first', 'first JS result, ms', 15, (pool) => sample(pool, 'first')],
    ['memory', 'memory per idle worker, MiB', 5, memoryPerWorker],
    ['close', 'close with 4 workers, ms', 9, (pool) => sample(pool, 'close')],
    ['destroy', 'destroy with 4 workers, ms', 9, (pool) => sample(pool, 'destroy')],
  ]) {
    const samples = await interleave(quick ? 3 : count, take)
    POOLS.forEach((pool, index) => {
      values[`${label}, ${pool}`] = summarise(samples[index])
    })
    const [own, piscina] = samples
    floors.push(judge(`lane-start.${id}`, summarise(own.map((value, index) => value / piscina[index])).median))
  }
  return { measured: [], values, floors }
}
