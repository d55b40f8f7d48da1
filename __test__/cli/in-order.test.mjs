// Stage: submit. Calls for the items of a source, with outputs in order and a bound on how many are under way.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const require = createRequire(import.meta.url)
const { inOrder } = require('../../dist/cli/in-order.js')

const settled = () => new Promise((resolve) => setImmediate(resolve))

/** Calls that end when they are told to. */
class Calls {
  ends = new Map()
  taken = 0

  call = (item) => new Promise((resolve) => this.ends.set(item, () => resolve(item)))

  /** Ends a call and lets everything happen that follows from it. */
  async end(item) {
    this.ends.get(item)()
    this.ends.delete(item)
    await settled()
  }

  *source(count) {
    for (let item = 0; item < count; item++) {
      this.taken++
      yield item
    }
  }
}

test('o1_at most so many calls are under way, and at most so many are not consumed', async () => {
  const calls = new Calls()
  const outputs = []
  let consumed
  const gate = new Promise((resolve) => {
    consumed = resolve
  })
  const done = (async () => {
    for await (const batch of inOrder(calls.source(20), calls.call, { running: 3, kept: 5 })) {
      outputs.push(...batch)
      await gate
    }
  })()
  await settled()
  assert.deepEqual([...calls.ends.keys()], [0, 1, 2])
  await calls.end(1)
  await calls.end(2)
  // Two outputs wait for the first one, and three calls run.
  assert.deepEqual([...calls.ends.keys()], [0, 3, 4])
  await calls.end(3)
  await calls.end(4)
  assert.deepEqual([...calls.ends.keys()], [0], 'five are not consumed')
  assert.deepEqual(outputs, [])
  await calls.end(0)
  assert.deepEqual(outputs, [0, 1, 2, 3, 4])
  assert.equal(calls.taken, 8)
  consumed()
  for (let item = 5; item < 20; item++) await calls.end(item)
  await done
  assert.deepEqual(
    outputs,
    Array.from({ length: 20 }, (_, item) => item),
  )
})

test('what the source throws comes after the outputs before it', async () => {
  async function* source() {
    yield 1
    yield 2
    throw new Error('the source is broken')
  }
  const outputs = []
  await assert.rejects(async () => {
    for await (const batch of inOrder(source(), async (item) => item * 10, { running: 4, kept: 4 }))
      outputs.push(...batch)
  }, /the source is broken/)
  assert.deepEqual(outputs, [10, 20])
})

test('an empty source gives nothing', async () => {
  const iterator = inOrder([], async (item) => item, { running: 1, kept: 1 })
  assert.deepEqual(await iterator.next(), { done: true, value: undefined })
})

test('a consumer that leaves closes the source, and nothing more is taken', async () => {
  let closed = false
  let taken = 0
  function* source() {
    try {
      for (;;) yield taken++
    } finally {
      closed = true
    }
  }
  for await (const _ of inOrder(source(), async (item) => item, { running: 2, kept: 2 })) break
  await settled()
  assert.ok(closed)
  assert.ok(taken <= 4, `${taken} were taken`)
})
