// Kernels on memory that is handed over, against the same work on the main thread.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { times } from '../lib/harness.mjs'
import { bytes, floats } from '../lib/inputs.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick } from '../lib/plan.mjs'
import { aheadOf } from '../lib/statistics.mjs'
import { runSync, WorkerPool } from '../lib/subjects.mjs'
import { ASYNC_TASK, asyncTask } from '../rivals/async-task.mjs'
import { CRYPTO, node } from '../rivals/node.mjs'

export const title = 'Kernels with 16 MiB that are transferred'

const LENGTH = 2 ** 24
const DIRECT = 'the kernel, called on the main thread'

export async function measure() {
  const outcome = new Outcome()
  const pool = new WorkerPool({ name: 'bench' })
  const compare = async (id, name, prepare, check, calls) => {
    const contenders = Object.entries(calls).map(([contender, run]) => ({
      name: contender,
      prepare,
      run: (_, input) => run(input),
      check,
    }))
    const repetitions = pick(2, 11, 21)
    const measured = await times({ id, name, group: 'transferred', column: name, repetitions, contenders })
    outcome.add(measured)
    outcome.judge(`transfer.${id}`, 1 / aheadOf(measured, DIRECT))
  }

  const data = bytes(LENGTH)
  const digest = createHash('sha256').update(data).digest('hex')
  await compare(
    'sha256',
    'sha256 of 16 MiB',
    () => data.slice(),
    (output) => assert.equal(output, digest),
    {
      threadmill: (input) => pool.kernels.sha256(input, { transfer: [input.buffer] }),
      [DIRECT]: (input) => runSync('sha256', input),
      [ASYNC_TASK]: (input) => asyncTask().sha256(input),
      [CRYPTO]: (input) => node.sha256(input),
    },
  )

  const numbers = floats(LENGTH / 8)
  const expected = Buffer.from(numbers.slice().sort().buffer)
  const isSorted = (output) =>
    assert.ok(output instanceof Float64Array && Buffer.from(output.buffer, output.byteOffset).equals(expected))
  await compare('sort', 'sort of 16 MiB of doubles', () => numbers.slice(), isSorted, {
    threadmill: (input) => pool.kernels.sort(input, { transfer: [input.buffer] }),
    [DIRECT]: (input) => runSync('sort', input),
    'TypedArray.prototype.sort': (input) => input.sort(),
  })
  await pool.close()
  return outcome
}
