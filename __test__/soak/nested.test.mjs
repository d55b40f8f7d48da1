// Random pools whose tasks submit others, while workers crash, are terminated, used up and resized: every task ends once,
// every pool becomes idle, ends, and has counted them all.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { mulberry32 } from './plan.mjs'

const MODULE = new URL('./fixtures/nested.mjs', import.meta.url)
/** Pools of each seed. */
const POOLS = 25

/** Choices that follow from a seed. */
function choices(seed) {
  const random = mulberry32(seed)
  return { chance: (share) => random() < share, pick: (list) => list[Math.floor(random() * list.length)] }
}

function poolOptions({ pick }) {
  return {
    maxWorkers: pick([1, 2, 3]),
    workerConcurrency: pick([1, 1, 2, 4]),
    cancelGrace: pick([0, 0, 5]),
    idleTimeout: pick([60_000, 5, 0]),
    recycle: pick([undefined, { tasks: 1 }, { tasks: 3 }]),
    retries: pick([0, 0, { limit: 1, delay: 1, on: 'both' }]),
    crashLimit: pick([3, Number.POSITIVE_INFINITY]),
    disposeTimeout: 200,
  }
}

function task({ chance, pick }) {
  if (chance(0.1)) return ['abcdef', { name: 'discover' }]
  const subs = Array.from({ length: pick([0, 1, 2, 5, 20]) }, () => ({
    what: pick(['end', 'end', 'end', 'exit', 'exit', 'throw', 'hang']),
    ms: pick([0, 0, 1, 5]),
    isAwaited: chance(0.6),
    // What hangs ends with its parent or by itself.
    options: { timeout: pick([20, 60]), ...(chance(0.2) && { mainThread: true }) },
  }))
  const input = { subs, what: pick(['end', 'end', 'end', 'exit', 'spin']), ms: pick([0, 1, 10]) }
  return [input, { timeout: pick([10, 40, 100]), timeoutFrom: pick(['submit', 'start']) }]
}

/** Lives of a pool; throws what is wrong with it. */
async function live(random) {
  const { chance, pick } = random
  const pool = new WorkerPool(MODULE, poolOptions(random))
  pool.on('worker-exit', () => {})
  const ends = new Map()
  const note = (_error, _output, { id }) => ends.set(id, (ends.get(id) ?? 0) + 1)
  // Whether somebody listens changes what workers tell.
  if (chance(0.5)) pool.on('task-complete', note)
  const tasks = []
  for (let count = pick([1, 5, 20]); count > 0; count--) {
    const [input, options] = task(random)
    const added = pool.addTask(input, options)
    // Handled from the beginning, whatever comes of it.
    tasks.push(added.then(undefined, () => {}))
    if (chance(0.1)) setTimeout(() => added.cancel(), pick([0, 2, 10])).unref()
    if (chance(0.1)) pool.once('task-complete', () => {})
    if (chance(0.1)) pool.resize({ min: 0, max: pick([1, 2, 3]) })
    if (chance(0.2)) await new Promise((resolve) => setTimeout(resolve, pick([0, 1, 10])))
  }
  const end = pick(['idle', 'idle', 'close', 'dispose', 'destroy'])
  const ended = end === 'idle' ? pool.whenIdle() : pool[end]()
  await Promise.allSettled(tasks)
  await ended
  await pool.whenIdle()
  assert.equal(pool.isIdle, true)
  await pool.close()
  const { tasksAdmitted, tasksCompleted, tasksErrored, queueLength } = pool.stats()
  assert.deepEqual([tasksAdmitted, queueLength], [tasksCompleted + tasksErrored, 0])
  assert.ok([...ends.values()].every((times) => times === 1))
}

for (const seed of [1, 2, 3, 4]) {
  test(`nothing is lost and nothing stays: seed ${seed}`, { timeout: 100_000 }, async () => {
    const random = choices(seed)
    for (let count = 0; count < POOLS; count++) await live(random)
  })
}
