// What calls of a module in a worker cost: on a persistent worker against one message each way per call, and on a new worker
// per call against a bare Worker per call.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { inFlight, interleave, rates } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick, plan } from '../lib/plan.mjs'
import { aheadOf, measurement } from '../lib/statistics.mjs'

export const title = 'Modules in workers'

const { importPersistentWorker, importTaskWorker } = createRequire(import.meta.url)('../../dist/function/index.js')
const MODULE = new URL('../tasks/module.mjs', import.meta.url)
const BARE = new URL('../tasks/module-bare.mjs', import.meta.url)
const WIDTH = 64
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

export async function measure() {
  const outcome = new Outcome()
  await calls(outcome)
  await freshCalls(outcome)
  return outcome
}

async function calls(outcome) {
  const module = await importPersistentWorker(MODULE)
  const bare = new BareModule()
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
    const contender = (label, call) => ({ name: label, run: (total) => inFlight(call, total, WIDTH), check })
    const measured = outcome.add(
      await rates({
        id: name,
        name: `calls with ${name}, ${WIDTH} in flight`,
        group: `calls, ${WIDTH} in flight`,
        column: name,
        least: 16 * WIDTH,
        warmup: plan.opening,
        contenders: [contender('threadmill', ours), contender(PEER, theirs)],
      }),
    )
    outcome.judge(`module.${name}`, aheadOf(measured, PEER))
  }
  await Promise.all([module.terminate(), bare.terminate()])
}

async function freshCalls(outcome) {
  const fresh = await importTaskWorker(MODULE)
  const takes = {
    threadmill: (index) => spaced(() => fresh.next(index)(), index),
    'a bare Worker': (index) => spaced(() => alone(index), index),
  }
  await interleave(2, takes)
  const name = 'a call on a new worker'
  const about = { id: 'fresh', name, unit: 'ms', better: 'lower', group: 'new workers', column: name }
  const measured = outcome.add(measurement(about, await interleave(pick(3, 11, 25), takes)))
  outcome.judge('module.fresh', 1 / aheadOf(measured, 'a bare Worker'))
}

/** What one call takes, ms. Before it there is time to start a spare, which is not what is measured. */
async function spaced(call, index) {
  await pause(200)
  const start = performance.now()
  const output = await call()
  const milliseconds = performance.now() - start
  assert.equal(output, index + 1)
  return milliseconds
}
