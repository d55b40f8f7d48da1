// What keeps workers ready for calls that each get a new one.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import { after, test } from 'node:test'
import { Worker } from 'node:worker_threads'
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
  }
  const kept = started.length - 2
  assert.ok(kept >= 1 && kept <= 2, `${kept} kept`)
  const third = spares.take()
  assert.equal(started.length, 2 + kept)
  third.terminate()
  spares.clear()
  await Promise.all(started)
})
