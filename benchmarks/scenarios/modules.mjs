// What calls of a module in a worker cost: on a persistent worker against one message each way per call, and on a new worker
// per call against a bare Worker per call.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { judge } from './floors.mjs'
import { compare, inFlight, ratioOf, summarise } from './harness.mjs'

const { importPersistentWorker, importTaskWorker } = createRequire(import.meta.url)('../dist/function/index.js')
const quick = process.argv.includes('--quick')
const MODULE = new URL('./module-worker-module.mjs', import.meta.url)
const BARE = new URL('./module-worker-bare.mjs', import.meta.url)
const CALLS = quick ? 1000 : 10_000
const WIDTH = 64
/** Runs before those that count: the engine goes on optimizing for some 100,000 calls. */
const WARMUPS = 12
const PEER = 'a postMessage each way'

/** Calls by messages: one to the worker and one back for each. */
class BareModule {
  #worker = new Worker(BARE)
  #pending = new Map()
  #next = 0

  constructor() {
    this.#worker.on('message', ({ id, value }) => {
      this.#pending.get(id)(value)
      this.#pending.delete(id)
    })
  }

  call(name, ...args) {
    return new Promise((resolve) => {
      const id = this.#next++
      this.#pending.set(id, resolve)
      this.#worker.postMessage({ id, name, args })
    })
  }

  terminate() {
    return this.#worker.terminate()
  }
}

/** One call of a bare Worker of its own. */
function alone(index) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(BARE, { workerData: { name: 'next', args: [index] } })
    worker.once('message', ({ value }) => resolve(value))
    worker.once('error', reject)
  })
}

/** Calls of module workers. */
export async function moduleWorkers() {
  const module = await importPersistentWorker(MODULE)
  const bare = new BareModule()
  const measured = []
  const floors = []
  for (const [name, ours, theirs, expected] of [
    ['a number', (index) => module.next(index), (index) => bare.call('next', index), (index) => index + 1],
    ['two numbers', (index) => module.sum(index, 2), (index) => bare.call('sum', index, 2), (index) => index + 2],
    [
      'a small object',
      (index) => module.total({ items: [index, 1, 2], name: 'three' }),
      (index) => bare.call('total', { items: [index, 1, 2], name: 'three' }),
      (index) => index + 3,
    ],
  ]) {
    const check = (outputs) => assert.ok(outputs.every((output, index) => output === expected(index)))
    const contender = (label, call) => ({ name: label, run: () => inFlight(call, CALLS, WIDTH), check })
    const scenario = await compare({
      name: `calls with ${name}, ${WIDTH} in flight`,
      contenders: [contender('threadmill', ours), contender(PEER, theirs)],
      operations: CALLS,
      warmups: quick ? 2 : WARMUPS,
    })
    measured.push(scenario)
    floors.push(judge(`module.${name}`, ratioOf(scenario, PEER)))
  }
  await Promise.all([module.terminate(), bare.terminate()])
  const fresh = await importTaskWorker(MODULE)
  const check = (output, index) => assert.equal(output, index + 1)
  const [ours, theirs] = await spaced([(index) => fresh.next(index)(), alone], check)
  const values = {
    'a call on a new worker, ms': summarise(ours),
    'a bare Worker and its answer, ms': summarise(theirs),
  }
  floors.push(judge('module.fresh', summarise(ours.map((time, index) => time / theirs[index])).median))
  return { measured, values, floors: floors.filter(Boolean) }
}

/** Times of calls that take turns, ms. Between them there is time to start a spare, which is not what is measured. */
async function spaced(calls, check) {
  const times = calls.map(() => [])
  const rounds = quick ? 3 : 25
  for (let round = -2; round < rounds; round++) {
    for (let turn = 0; turn < calls.length; turn++) {
      const index = (turn + round + 2) % calls.length
      await pause(200)
      const start = performance.now()
      const output = await calls[index](round)
      const time = performance.now() - start
      check(output, round)
      if (round >= 0) times[index].push(time)
    }
  }
  return times
}
