// The native lane against napi-rs AsyncTask, against direct calls, and against what the machine can do.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import os from 'node:os'
import { median } from 'simple-statistics'
import { judge } from './floors.mjs'
import { allQueued, compare, inFlight, ratioOf, summarise } from './harness.mjs'
import { bytes, floats } from './inputs.mjs'
import { asyncTask, runSync, WorkerPool } from './subjects.mjs'

const MIB = 2 ** 20
const quick = process.argv.includes('--quick')
const scale = (count) => (quick ? Math.ceil(count / 10) : count)

/** Calls of a kernel that does nothing: what a call costs. */
export async function calls() {
  const pool = new WorkerPool({ name: 'bench' })
  const addon = asyncTask()
  const measured = []
  for (const [width, total] of [
    [1, scale(5_000)],
    [16, scale(50_000)],
    [1024, scale(300_000)],
    [Number.POSITIVE_INFINITY, scale(100_000)],
  ]) {
    const drive = (call) => (width === Number.POSITIVE_INFINITY ? allQueued(call, total) : inFlight(call, total, width))
    const check = (outputs) => {
      assert.equal(outputs.length, total)
      assert.ok(outputs.every((output, index) => output === index))
    }
    const label = width === Number.POSITIVE_INFINITY ? `all ${total} queued` : `${width} in flight`
    measured.push(
      await compare({
        name: `echo of a number, ${label}`,
        operations: total,
        contenders: [
          { name: 'threadmill', run: () => drive((index) => pool.kernels.echo(index)), check },
          { name: 'napi AsyncTask', run: () => drive((index) => addon.echo(index)), check },
        ],
      }),
    )
  }
  await pool.close()
  const floors = [
    judge('calls.1024', ratioOf(measured[2], 'napi AsyncTask')),
    judge('calls.all', ratioOf(measured[3], 'napi AsyncTask')),
  ]
  return { measured, floors }
}

/** Work in memory that was handed over, against the same work on the main thread. */
export async function transfers() {
  const pool = new WorkerPool({ name: 'bench' })
  const measured = []
  const floors = []

  const data = bytes(16 * MIB)
  const digest = createHash('sha256').update(data).digest('hex')
  const hash = await compare({
    name: 'sha256 of 16 MiB',
    bytes: data.length,
    contenders: [
      {
        name: 'direct call',
        prepare: () => data.slice(),
        run: (input) => runSync('sha256', input),
        check: (output) => assert.equal(output, digest),
      },
      {
        name: 'threadmill, transferred',
        prepare: () => data.slice(),
        run: (input) => pool.kernels.sha256(input, { transfer: [input.buffer] }),
        check: (output) => assert.equal(output, digest),
      },
      {
        name: 'napi AsyncTask',
        prepare: () => data.slice(),
        run: (input) => asyncTask().sha256(input),
        check: (output) => assert.equal(output, digest),
      },
    ],
  })
  measured.push(hash)
  floors.push(judge('transfer.sha256', ratioOf(hash, 'threadmill, transferred')))

  const numbers = floats((16 * MIB) / 8)
  const expected = numbers.slice().sort()
  const raw = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)
  const isSorted = (output) => assert.ok(output instanceof Float64Array && raw(output).equals(raw(expected)))
  const sort = await compare({
    name: 'sort of 16 MiB of doubles',
    bytes: numbers.byteLength,
    contenders: [
      {
        name: 'direct call',
        prepare: () => numbers.slice(),
        run: (input) => runSync('sort', input),
        check: isSorted,
      },
      {
        name: 'threadmill, transferred',
        prepare: () => numbers.slice(),
        run: (input) => pool.kernels.sort(input, { transfer: [input.buffer] }),
        check: isSorted,
      },
      {
        name: 'TypedArray.prototype.sort',
        prepare: () => numbers.slice(),
        run: (input) => input.sort(),
        check: isSorted,
      },
    ],
  })
  measured.push(sort)
  floors.push(judge('transfer.sort', ratioOf(sort, 'threadmill, transferred')))
  await pool.close()
  return { measured, floors }
}

/**
 * A task of about 2 ms that only computes: sha256 of shared memory, which no worker has to copy.
 */
function calibrate() {
  const probe = new Uint8Array(new SharedArrayBuffer(MIB))
  runSync('sha256', probe)
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now()
    runSync('sha256', probe)
    return performance.now() - start
  })
  const length = Math.round((2 / median(times)) * MIB)
  const input = new Uint8Array(new SharedArrayBuffer(length))
  const digest = createHash('sha256').update(input).digest('hex')
  return { input, check: (outputs) => assert.ok(outputs.every((output) => output === digest)) }
}

/** Many equal tasks: how well the workers are kept busy to the end. */
export async function makespan() {
  const { input, check } = calibrate()
  const threads = os.availableParallelism()
  const total = threads * scale(100)
  const pool = new WorkerPool({ name: 'bench', threads })
  // One task per worker at a time cannot be spread better: it is the ideal for one round.
  const measured = await compare({
    name: `${total} even tasks of 2 ms on ${threads} workers`,
    operations: total,
    repetitions: 9,
    contenders: [
      {
        name: 'direct calls, divided by the workers',
        run: () => Array.from({ length: total / threads }, () => runSync('sha256', input)),
        check,
      },
      { name: 'threadmill', run: () => allQueued(() => pool.kernels.sha256(input), total), check },
    ],
  })
  await pool.close()
  return { measured: [measured], floors: [judge('makespan.even', ratioOf(measured, 'threadmill'))] }
}

/** The same work on one worker and on all of them. */
export async function scaling() {
  const { input, check } = calibrate()
  const threads = os.availableParallelism()
  const total = threads * scale(50)
  const one = new WorkerPool({ name: 'one', threads: 1 })
  const all = new WorkerPool({ name: 'all', threads })
  const measured = await compare({
    name: `${total} tasks of 2 ms, one worker and ${threads}`,
    operations: total,
    repetitions: 7,
    contenders: [
      { name: `${threads} workers`, run: () => allQueued(() => all.kernels.sha256(input), total), check },
      { name: '1 worker', run: () => allQueued(() => one.kernels.sha256(input), total), check },
    ],
  })
  await Promise.all([one.close(), all.close()])
  const share = ratioOf(measured, '1 worker') / threads
  // The floor speaks of 16 cores; with fewer, the value is shown without a verdict.
  return {
    measured: [measured],
    values: { 'share of ideal scaling': share },
    floors: threads >= 16 ? [judge('scaling', share)] : [],
  }
}

/** What the workers get done while the main thread cannot run: it sleeps, or it spins. */
export async function blockedMain() {
  const { input, check } = calibrate()
  const threads = os.availableParallelism()
  const pool = new WorkerPool({ name: 'bench', threads })
  const done = () => pool.stats().workers.reduce((sum, worker) => sum + worker.tasksCompleted, 0)
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const sleep = () => Atomics.wait(cell, 0, 0, 200)
  const spin = () => {
    const end = performance.now() + 200
    while (performance.now() < end);
  }
  const total = threads * 150
  /** Tasks per ms while `block` keeps the main thread. */
  async function rate(block) {
    const before = done()
    const outputs = allQueued(() => pool.kernels.sha256(input), total)
    const start = performance.now()
    const outcome = block()
    if (outcome instanceof Promise) await outcome
    const tasks = done() - before
    const milliseconds = performance.now() - start
    check(await outputs)
    assert.ok(tasks < total, 'there was work to the end')
    return tasks / milliseconds
  }
  const free = () => new Promise((resolve) => setTimeout(resolve, 200))
  const rates = { free: [], sleep: [], spin: [] }
  for (let repetition = 0; repetition < scale(11) + 1; repetition++) {
    const round = { free: await rate(free), sleep: await rate(sleep), spin: await rate(spin) }
    // The first round warms up.
    if (repetition > 0) for (const [name, value] of Object.entries(round)) rates[name].push(value)
  }
  await pool.close()
  const fair = Math.min(1, os.availableParallelism() / (threads + 1))
  const shares = {
    sleep: summarise(rates.sleep.map((value, index) => value / rates.free[index])),
    spin: summarise(rates.spin.map((value, index) => value / rates.free[index] / fair)),
  }
  return {
    measured: [],
    values: { 'while main sleeps': shares.sleep.median, 'while main spins': shares.spin.median },
    floors: [judge('blocked.sleep', shares.sleep.median), judge('blocked.spin', shares.spin.median)],
  }
}
