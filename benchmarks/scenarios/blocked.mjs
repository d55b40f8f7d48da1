// What native workers get done while the main thread cannot run: it sleeps, or it spins.
import assert from 'node:assert/strict'
import os from 'node:os'
import { calibrateKernel } from '../lib/cpu-kernel.mjs'
import { allQueued, interleave } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick } from '../lib/plan.mjs'
import { measurement, medianOf } from '../lib/statistics.mjs'
import { WorkerPool } from '../lib/subjects.mjs'

export const title = 'Kernels while the main thread is blocked'

const BLOCK = 200
const cell = new Int32Array(new SharedArrayBuffer(4))

export async function measure() {
  const outcome = new Outcome()
  const { input, check } = calibrateKernel()
  const threads = os.availableParallelism()
  const pool = new WorkerPool({ name: 'bench', threads })
  const done = () => pool.stats().workers.reduce((sum, worker) => sum + worker.tasksCompleted, 0)
  // The machine may become twice as quick as it was when the task was measured.
  const total = threads * 300
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
  const takes = {
    free: () => rate(() => new Promise((resolve) => setTimeout(resolve, BLOCK))),
    sleep: () => rate(() => Atomics.wait(cell, 0, 0, BLOCK)),
    spin: () =>
      rate(() => {
        const end = performance.now() + BLOCK
        while (performance.now() < end);
      }),
  }
  await interleave(1, takes)
  const samples = await interleave(pick(2, 7, 15), takes)
  await pool.close()
  // A main thread that spins takes its share of the cores.
  const fair = { sleep: 1, spin: Math.min(1, threads / (threads + 1)) }
  for (const [how, column] of [
    ['sleep', 'main sleeps'],
    ['spin', 'main spins'],
  ]) {
    const shares = samples[how].map((value, index) => value / samples.free[index] / fair[how])
    const name = `kernels done while ${column}, of the possible`
    const about = { id: how, name, unit: '', better: 'higher', group: 'kernels', column }
    const measured = outcome.add(measurement(about, { threadmill: shares }))
    outcome.judge(`blocked.${how}`, medianOf(measured, 'threadmill'))
  }
  return outcome
}
