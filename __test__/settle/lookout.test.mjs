// When a thread waits for outcomes at the end of a turn (Q4 and Q5 in lib/lookout.ts).
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'

const { Patience } = createRequire(import.meta.url)(createRequire(import.meta.url).resolve('../../dist/lookout.js'))

/** A thread whose turns end; `found` says what comes of looking out, `sleeps` whether its event loop sleeps if it does not. */
function thread(found, sleeps) {
  let [looks, idle] = [0, 0]
  const patience = new Patience(
    () => {
      looks++
      return found()
    },
    () => idle,
  )
  /** The turns of so many in which it looked out. */
  return (turns) =>
    Array.from({ length: turns }, () => {
      const before = looks
      patience.turnEnds()
      const looked = looks > before
      if (!(looked && found()) && sleeps()) idle++
      return looked
    })
}

const count = (looked) => looked.filter(Boolean).length

test('a thread that has nothing else to do looks out, and lets its event loop sleep now and then', () => {
  const looked = thread(
    () => true,
    () => true,
  )(1000)
  assert.equal(looked[0], false, 'nothing is known yet')
  assert.deepEqual(looked.slice(1, 35), [...Array(32).fill(true), false, true])
  assert.ok(count(looked) > 960, `${count(looked)}`)
})

test('a thread that is busy does not', () => {
  let busy = false
  const run = thread(
    () => true,
    () => !busy,
  )
  run(100)
  busy = true
  // It finds out within one round.
  run(34)
  assert.equal(count(run(1000)), 0)
  busy = false
  assert.ok(count(run(1000)) > 900, 'it has time again')
})

test('what is not found in time is not looked for every time', () => {
  let isThere = false
  const run = thread(
    () => isThere,
    () => true,
  )
  const misses = count(run(10_000))
  assert.ok(misses > 10 && misses < 30, `${misses}`)
  isThere = true
  run(1025)
  assert.ok(count(run(1000)) > 950)
})

test('it waits longer for a worker that may sleep than for one that has just answered', () => {
  let [idle, isThere] = [0, true]
  const looks = []
  const patience = new Patience(
    (isLong) => {
      looks.push(isLong)
      return isThere
    },
    () => idle++,
  )
  const turn = () => {
    looks.length = 0
    patience.turnEnds()
    return looks[0]
  }
  const turns = (count) => Array.from({ length: count }, turn)
  const round = [true, ...Array(31).fill(false)]
  assert.deepEqual(turns(34), [undefined, ...round, undefined], 'the event loop sleeps after a round')
  assert.deepEqual(turns(3), [true, false, false])
  isThere = false
  assert.deepEqual(turns(5), [false, undefined, true, undefined, undefined])
  isThere = true
  assert.deepEqual(turns(3), [true, false, false])
})

test('where others need the CPU it asks again soon', () => {
  const run = thread(
    () => null,
    () => true,
  )
  const asked = count(run(1000))
  assert.ok(asked > 100 && asked < 120, `${asked}`)
})

test('a worker of a pool never looks out', () => {
  const run = thread(
    () => undefined,
    () => true,
  )
  assert.equal(count(run(10_000)), 1)
})

test('what test frameworks make of the clock does not matter', async () => {
  const source = `
    for (const name of ['eventLoopUtilization', 'now']) performance[name] = () => undefined
    const { WorkerPool } = await import('threadmill')
    const pool = new WorkerPool('data:text/javascript,export default (x) => x', { maxWorkers: 1 })
    let sum = 0
    for (let n = 1; n <= 200; n++) sum += await pool.run(n)
    await pool.close()
    console.log(sum)`
  const { code, stdout, stderr } = await runProgram(source)
  assert.deepEqual({ code, stdout: stdout.trim(), stderr }, { code: 0, stdout: '20100', stderr: '' })
})

test('timers and I/O have their turns between tiny tasks that are awaited one by one', async (t) => {
  const pool = new WorkerPool('data:text/javascript,export default (x) => x', { maxWorkers: 1 })
  t.after(() => pool.close())
  await pool.run(0)
  let [timers, immediates, tasks] = [0, 0, 0]
  const timer = setInterval(() => timers++, 1)
  const again = () => {
    immediates++
    if (immediates < 20) setImmediate(again)
  }
  again()
  // Where they have no turns, tasks go on for ever; by a million all would have had thousands.
  for (; timers < 20 || immediates < 20; tasks++) {
    assert.ok(tasks < 1_000_000, `${timers} timers and ${immediates} immediates`)
    assert.equal(await pool.run(tasks), tasks)
  }
  clearInterval(timer)
})
