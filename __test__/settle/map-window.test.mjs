// How far `map` and `stream` go ahead of who takes their outputs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { occupy } from '../helpers/pool.mjs'

const WORKERS = 2
/** Gives a number back at once, and works for a millisecond for anything else. */
const SOURCE = `export default (input) => {
  const end = performance.now() + (input === 'long' ? 1 : 0)
  while (performance.now() < end);
  return input
}`
const MODULE = `data:text/javascript,${encodeURIComponent(SOURCE)}`

function poolOf(t) {
  const pool = new WorkerPool(MODULE, { maxWorkers: WORKERS })
  t.after(() => pool.destroy())
  return pool
}

const turn = () => new Promise(setImmediate)

/** Has the pool learn what `input` takes until `holds`, for the machine may be busy. */
async function learnUntil(pool, input, holds) {
  const end = Date.now() + 30_000
  do {
    assert.ok(Date.now() < end, `timed out waiting for ${holds}`)
    await Promise.all(Array.from({ length: 16 }, () => pool.run(input)))
  } while (!(await holds()))
}

/** How many inputs `map` takes before anybody has taken its first output. */
async function takenAhead(pool, input, options) {
  let taken = 0
  function* inputs() {
    for (;;) {
      taken++
      yield input
    }
  }
  const outputs = pool.map(inputs(), options)
  await outputs.next()
  const before = taken
  await pool.whenIdle()
  await turn()
  // One output has made room for one input, which is taken when there is room for more.
  if (options !== undefined) assert.ok(taken === before || taken === before + 1, `${taken} after ${before}`)
  await outputs.return()
  return before
}

/** How many inputs `stream` takes while nobody reads. */
async function writtenAhead(pool, input) {
  const stream = pool.stream()
  let taken = 0
  for (let before = -1; taken > before; ) {
    before = taken
    stream.write(input, () => taken++)
    await turn()
  }
  stream.destroy()
  return taken
}

test('the inputs of a synchronous source are taken one right after the other, in a microtask of their own', async (t) => {
  const pool = poolOf(t)
  for (const given of [
    [1, 2, 3, 4, 5, 6],
    [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }, { n: 5 }, { n: 6 }],
  ]) {
    let taken = 0
    function* inputs() {
      for (const input of given) {
        taken++
        yield input
      }
    }
    const outputs = pool.map(inputs(), { concurrency: 4 })
    const first = outputs.next()
    assert.equal(taken, 0, 'the source is never asked where an output is asked for')
    await Promise.resolve()
    assert.equal(taken, 4)
    assert.deepEqual(await first, { done: false, value: given[0] })
    const rest = []
    for await (const output of outputs) rest.push(output)
    assert.deepEqual(rest, given.slice(1))
  }
})

test('by default 4 tasks a worker are in progress, and 32 while tasks are tiny', async (t) => {
  const pool = poolOf(t)
  assert.equal(await takenAhead(pool, 'long'), 4 * WORKERS)
  await learnUntil(pool, 1, async () => (await takenAhead(pool, 1)) === 32 * WORKERS)
  assert.equal(await takenAhead(pool, 1, { concurrency: 5 }), 5)
  await learnUntil(pool, 'long', async () => (await takenAhead(pool, 'long')) === 4 * WORKERS)
})

test('a stream takes as many', async (t) => {
  const pool = poolOf(t)
  assert.ok((await writtenAhead(pool, 'long')) < 6 * WORKERS)
  await learnUntil(pool, 1, async () => (await writtenAhead(pool, 1)) >= 32 * WORKERS)
})

test('a window of any size takes constant time for each task', async (t) => {
  const pool = poolOf(t)
  const inputs = Array.from({ length: 50_000 }, (_, index) => index)
  for (const ordered of [true, false]) {
    const outputs = []
    for await (const output of pool.map(inputs, { concurrency: inputs.length, ordered })) outputs.push(output)
    assert.deepEqual(ordered ? outputs : outputs.sort((a, b) => a - b), inputs)
  }
})

test('unordered outputs come as the tasks end', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.after(() => pool.destroy())
  const gate = await occupy(pool)
  const outputs = pool.map([1, 2, 3], { kernel: 'fib', ordered: false, concurrency: 3 })
  const first = outputs.next()
  await gate.release()
  const got = [(await first).value, (await outputs.next()).value, (await outputs.next()).value]
  assert.deepEqual(got.sort(), [1, 1, 2])
  assert.deepEqual(await outputs.next(), { done: true, value: undefined })
})
