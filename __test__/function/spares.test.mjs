// What keeps workers ready for calls that each get a new one.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { importWorker } from 'threadmill/function'
import { root } from '../helpers/child.mjs'

const require = createRequire(import.meta.url)
const { Spares } = require('../../dist/function/spares.js')

/** A shelf that keeps workers for `idle` ms, and what it has started. */
function shelf(idle) {
  const started = []
  class Counted extends Worker {
    constructor(...args) {
      super(...args)
      started.push(new Promise((resolve) => this.once('exit', resolve)))
    }
  }
  const launch = { options: {}, script: path.join(root, 'dist/worker.js'), Worker: Counted }
  return { spares: new Spares(launch, idle), started }
}

// Spares do not keep the process alive.
const alive = setInterval(() => {}, 60_000)
after(() => clearInterval(alive))

test('what is started after a long call is ended, too', { timeout: 30_000 }, async () => {
  const { spares, started } = shelf(1)
  const taken = spares.take()
  // As long as the shelf has something to end, its timer runs out in the meantime.
  await new Promise((resolve) => setTimeout(resolve, 20))
  spares.done()
  spares.fill()
  assert.equal(started.length, 2)
  await started[1]
  taken.terminate()
  await started[0]
})

test('a worker that was taken is another one each time, and those left over are ended', async () => {
  const { spares, started } = shelf(60_000)
  const [one, two] = [spares.take(), spares.take()]
  assert.notEqual(one, two)
  for (const taken of [one, two]) {
    taken.terminate()
    spares.done()
    spares.fill()
  }
  const kept = started.length - 2
  assert.ok(kept >= 1 && kept <= 2, `${kept} kept`)
  const third = spares.take()
  assert.equal(started.length, 2 + kept)
  third.terminate()
  spares.clear()
  await Promise.all(started)
})

test('all together keep two for every core: those go first of which none was taken for longest', async () => {
  const most = 2 * availableParallelism()
  const shelves = Array.from({ length: most + 3 }, () => shelf(60_000).spares)
  const kept = () => shelves.map(({ size }) => size)
  for (const [index, spares] of shelves.entries()) {
    spares.fill()
    assert.equal(kept()[index], 1)
    assert.ok(kept().reduce((sum, size) => sum + size) <= most)
  }
  assert.deepEqual(kept(), [0, 0, 0, ...Array(most).fill(1)])
  // It is the one of which one was taken last now.
  shelves[3].take().terminate()
  shelves[3].done()
  shelves[3].fill()
  shelves[0].fill()
  assert.deepEqual(kept().slice(0, 5), [1, 0, 0, 1, 0])
  for (const spares of shelves) spares.clear()
})

test('an import that fails leaves none, and its worker is no call', { timeout: 30_000 }, async () => {
  const started = []
  class WorkerType extends Worker {
    constructor(...args) {
      super(...args)
      started.push(once(this, 'exit'))
    }
  }
  const given = [{ name: 'own' }, { WorkerType }]
  await assert.rejects(importWorker('data:text/javascript,throw new Error("no")', ...given), { message: 'no' })
  await Promise.all(started)
  await setImmediate()
  assert.equal(started.length, 1)
  const proxy = await importWorker('data:text/javascript,export default 1', ...given)
  assert.equal(await proxy.default(), 1)
  // The call had to start one at most, beside that of the import, the one spare that is for the next call and the one for this.
  await setImmediate()
  assert.ok(started.length <= 5, `${started.length} workers`)
})
