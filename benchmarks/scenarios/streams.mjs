// Many inputs, one after the other, with bounded work in progress: `map` and `stream`, beside what a loop does by hand and
// beside what Node's streams do with a pool.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { inFlight, rates } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { plan, WORKERS } from '../lib/plan.mjs'
import { WorkerPool } from '../lib/subjects.mjs'
import { closeAll, openAll } from '../rivals/index.mjs'
import { taskFile } from '../rivals/task-file.mjs'

export const title = 'Inputs in a row: `map` and `stream`'

const CONCURRENCY = 64

async function collect(outputs) {
  const all = []
  for await (const output of outputs) all.push(output)
  return all
}

const numbers = (total) => Array.from({ length: total }, (_, index) => index)

function check(outputs, total) {
  assert.equal(outputs.length, total)
  assert.ok(outputs.every((output, index) => output === index))
}

export async function measure() {
  const outcome = new Outcome()
  const own = new WorkerPool(taskFile('echo'), { maxWorkers: WORKERS })
  own.resizeUpTo(WORKERS)
  const pools = await openAll({ task: 'echo', workers: WORKERS }, ['piscina', 'tinypool', 'poolifier'])
  const options = { concurrency: CONCURRENCY }
  const columns = { loop: `loops, ${CONCURRENCY} in flight`, streams: `streams, ${CONCURRENCY} in flight` }
  const compare = async (id, contenders) => {
    outcome.add(
      await rates({
        id,
        name: columns[id],
        group: 'numbers in a row',
        column: columns[id],
        warmup: plan.opening,
        least: 16 * CONCURRENCY,
        contenders: Object.entries(contenders).map(([name, run]) => ({ name, run, check })),
      }),
    )
  }
  const byHand = (pool) => (total) => inFlight((index) => pool.run(index), total, CONCURRENCY)
  await compare('loop', {
    'threadmill, map': (total) => collect(own.map(numbers(total), options)),
    'threadmill, by hand': byHand(own),
    ...Object.fromEntries(pools.map(({ name, pool }) => [`${name}, by hand`, byHand(pool)])),
  })
  const mapped = (pool) => (total) => collect(Readable.from(numbers(total)).map((input) => pool.run(input), options))
  await compare('streams', {
    'threadmill, stream': (total) => collect(Readable.from(numbers(total)).pipe(own.stream(options))),
    'threadmill, Readable.map': mapped(own),
    ...Object.fromEntries(pools.map(({ name, pool }) => [`${name}, Readable.map`, mapped(pool)])),
  })
  await Promise.all([own.close(), closeAll(pools)])
  return outcome
}
