// When the load of the CPUs keeps a pool from starting tasks, and when it does not.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import os from 'node:os'
import { after, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FunctionPool, startProfilingCpu, stopProfilingCpu, TaskPool } from 'threadmill/function'
import { runProgram } from '../helpers/child.mjs'
import { Cpus, Gate, microtasks, next } from '../helpers/function.mjs'
import { until } from '../helpers/pool.mjs'

const gateFile = fileURLToPath(new URL('../../dist/function/cpu-gate.js', import.meta.url))
const require = createRequire(import.meta.url)
const { isGateOpen, WINDOW } = require(gateFile)
const { native } = require('../../dist/native-owner.js')

let cpus
beforeEach(() => {
  cpus = new Cpus()
})
after(() => cpus.restore())

/** A pool whose gate sees these shares from now on. */
function poolWith(shares, options) {
  const pool = new FunctionPool({ poolSize: 4, ...options })
  cpus.set(...shares)
  return pool
}

/** Waits for so many pings of another pool, whose timer fires as often as that of the pools under test. */
async function intervals(count) {
  await new Promise((resolve) => {
    let left = count
    const emitter = (event) => {
      if (event === 'ping' && left-- === 0) {
        clock.complete('tick')
        resolve()
      }
    }
    const clock = new TaskPool({ pingInterval: 1, emitter })
    clock.enqueue('tick')
    clock.next()
  })
}

describe('the gate', () => {
  const cases = [
    ['one CPU below the threshold', [99, 97.9, 100], 98, true],
    ['all CPUs above it', [99, 98.1], 98, false],
    ['a CPU that is exactly as busy', [98, 99], 98, false],
    ['a threshold of 0 and an idle CPU', [0, 0], 0, false],
    ['a low threshold and an idle CPU', [0, 90], 1, true],
    ['a threshold of 100 and full load', [100, 100], 100, true],
    ['a threshold above 100', [100, 100], 1000, true],
    ['no figures', [], 98, true],
    ['no figures and a threshold of 0', [], 0, true],
    ['figures that are no numbers', [Number.NaN, Number.NaN], 50, true],
    ['a CPU without a figure beside a busy one', [Number.NaN, 99], 98, false],
  ]
  for (const [title, shares, threshold, open] of cases) {
    test(`${title}: ${open ? 'open' : 'closed'}`, async () => {
      const pool = poolWith(shares, { maxThreadThreshold: threshold })
      assert.equal(pool.hasAvailableThread(), open)
      const gate = new Gate()
      const thread = pool.addTask(gate.fn)
      assert.equal(thread.status.ACTIVE, open)
      const complete = next(pool, 'complete')
      pool.maxThreadThreshold = 100
      pool.poolSize = 5
      gate.open()
      await complete
    })
  }

  test('it is open until there are figures', () => {
    const pool = new FunctionPool()
    cpus.shares = [100, 100]
    assert.equal(pool.hasAvailableThread(), true)
    cpus.pass()
    assert.equal(pool.hasAvailableThread(), false)
  })

  test('hasAvailableThread needs a slot and an open gate', async () => {
    const pool = poolWith([50], { poolSize: 1 })
    const gate = new Gate()
    pool.addTask(gate.fn)
    assert.equal(pool.hasAvailableThread(), false)
    gate.open()
    await microtasks()
    assert.equal(pool.hasAvailableThread(), true)
    cpus.set(100)
    assert.equal(pool.hasAvailableThread(), false)
  })

  test('the threshold is read each time', () => {
    const pool = poolWith([60])
    pool.maxThreadThreshold = 50
    assert.equal(pool.hasAvailableThread(), false)
    pool.maxThreadThreshold = 70
    assert.equal(pool.hasAvailableThread(), true)
  })
})

describe('a closed gate', () => {
  test('at the first task starts the retry timer, which starts the task when the load falls', async () => {
    const pool = poolWith([100], { pingInterval: 1 })
    const events = []
    pool.once('startPinging', () => events.push('startPinging'))
    const thread = pool.addTask(async () => 'ran')
    assert.deepEqual([thread.status.READY, ...events], [true, 'startPinging'])
    cpus.set(10)
    await next(pool, 'complete')
    assert.equal(thread.message, 'ran')
  })

  test('holds back a pool that runs nothing for ten intervals, then one task starts', async () => {
    const pool = poolWith([100], { pingInterval: 1 })
    const gate = new Gate()
    const { isReady } = TaskPool.prototype
    let looks = 0
    TaskPool.prototype.isReady = function () {
      if (gate.calls === 0) looks++
      return isReady.call(this)
    }
    try {
      pool.addTask(gate.fn)
      const second = pool.addTask(async () => {})
      await until(() => gate.calls === 1)
      // Two for addTask, then one for each ping.
      assert.equal(looks, 2 + 10)
      await intervals(30)
      assert.ok(second.status.READY)
      const complete = next(pool, 'complete')
      gate.open()
      await microtasks()
      assert.ok(second.status.READY)
      await complete
      assert.ok(second.status.SUCCESS)
    } finally {
      TaskPool.prototype.isReady = isReady
    }
  })

  test('holds back a pool that runs something for as long as it is closed', async () => {
    const pool = poolWith([10], { pingInterval: 1 })
    const [first, second] = [new Gate(), new Gate()]
    pool.addTask(first.fn)
    cpus.set(100)
    pool.addTask(second.fn)
    await intervals(40)
    assert.deepEqual([first.calls, second.calls], [1, 0])
    cpus.set(10)
    await until(() => second.calls === 1)
    first.open()
    second.open()
    await next(pool, 'complete')
  })

  test('after an exit holds back the next task', async () => {
    const pool = poolWith([10], { pingInterval: 1, poolSize: 1 })
    const [first, second] = [new Gate(), new Gate()]
    pool.addTask(first.fn)
    pool.addTask(second.fn)
    cpus.set(100)
    await intervals(40)
    first.open()
    await microtasks()
    assert.equal(second.calls, 0)
    cpus.set(10)
    await until(() => second.calls === 1)
    second.open()
    await next(pool, 'complete')
  })

  test('is looked at again when poolSize grows', async () => {
    const pool = poolWith([100], { pingInterval: 2 ** 31 - 1, poolSize: 1 })
    const thread = pool.addTask(async () => {})
    pool.poolSize = 2
    assert.ok(thread.status.READY)
    cpus.set(10)
    pool.poolSize = 3
    assert.ok(thread.status.ACTIVE)
    await next(pool, 'complete')
  })

  test('keeps the process alive until its task has run', async () => {
    const source = `
      import { createRequire } from 'node:module'
      import { FunctionPool } from 'threadmill/function'
      const { setCpuSource } = createRequire(import.meta.url)(process.argv[2])
      let now = 0
      setCpuSource({ now: () => now++ * 1000, shares: () => [100] })
      const pool = new FunctionPool({ pingInterval: 2 })
      pool.addTask(async () => console.log('ran'))`
    const { code, stdout, stderr } = await runProgram(source, { limit: 20_000, args: [gateFile] })
    assert.deepEqual([code, stdout, stderr], [0, 'ran\n', ''])
  })
})

describe('sampling', () => {
  test('begins with a pool, anew only once, and reads on demand, at most once for each window', () => {
    assert.equal(cpus.readings, 0)
    const pool = new FunctionPool()
    assert.equal(new FunctionPool().hasAvailableThread(), true)
    assert.deepEqual([cpus.readings, cpus.restarts], [1, 1])
    pool.hasAvailableThread()
    cpus.pass(WINDOW - 1)
    pool.hasAvailableThread()
    assert.equal(cpus.readings, 1)
    cpus.pass(1)
    for (let count = 0; count < 5; count++) pool.hasAvailableThread()
    assert.deepEqual([cpus.readings, cpus.restarts], [2, 1])
  })

  test('does not happen for thresholds of 100 or more', () => {
    const pool = new FunctionPool({ maxThreadThreshold: 100 })
    cpus.set(100)
    assert.equal(pool.hasAvailableThread(), true)
    assert.equal(cpus.readings, 1)
  })

  test('ends with stopProfilingCpu, which opens the gate, and begins again with startProfilingCpu', () => {
    const pool = poolWith([100])
    assert.equal(pool.hasAvailableThread(), false)
    assert.equal(stopProfilingCpu(), undefined)
    cpus.pass()
    assert.equal(pool.hasAvailableThread(), true)
    assert.deepEqual([cpus.readings, cpus.restarts], [2, 1])
    assert.equal(startProfilingCpu(), undefined)
    startProfilingCpu()
    assert.deepEqual([cpus.readings, cpus.restarts], [3, 2])
    assert.equal(pool.hasAvailableThread(), true)
    cpus.pass()
    assert.equal(pool.hasAvailableThread(), false)
  })

  test('is not begun by anything but a pool or startProfilingCpu', () => {
    assert.equal(isGateOpen(0), true)
    assert.equal(cpus.readings, 0)
  })
})

describe('the machine', () => {
  test('gives no figures at first, then a share of every CPU', async () => {
    assert.deepEqual(native.cpuShares(true), [])
    await until(() => native.cpuShares(false).length > 0)
    const shares = native.cpuShares(false)
    assert.equal(shares.length, os.cpus().length)
    assert.ok(
      shares.every((share) => share >= 0 && share <= 100),
      shares.join(),
    )
    assert.deepEqual(native.cpuShares(true), [])
  })

  test('tells what Node counts: a thread that computes makes a CPU busy', () => {
    const times = () => os.cpus().map(({ times }) => times)
    const before = times()
    native.cpuShares(true)
    const end = performance.now() + WINDOW * 2
    while (performance.now() < end);
    const shares = native.cpuShares(false)
    const expected = times().map((now, cpu) => {
      const passed = (name) => now[name] - before[cpu][name]
      const busy = passed('user') + passed('nice') + passed('sys') + passed('irq')
      return (100 * busy) / Math.max(1, busy + passed('idle'))
    })
    // The thread may have moved between CPUs.
    const sum = (figures) => figures.reduce((total, figure) => total + figure, 0)
    assert.ok(Math.abs(sum(shares) - sum(expected)) <= 20 * shares.length, `${shares} instead of ${expected}`)
  })

  test('sampling keeps no process alive and prints nothing', async () => {
    const source = `
      import { FunctionPool, startProfilingCpu } from 'threadmill/function'
      startProfilingCpu()
      new FunctionPool().hasAvailableThread()`
    const { code, timedOut, stderr } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([code, timedOut, stderr], [0, false, ''])
  })
})
