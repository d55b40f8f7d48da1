// Kernels that a worker has submitted and that run when it ends: they use its memory, which is there as long as they do.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { until } from '../helpers/pool.mjs'

/** A program with a pool of one worker whose task submits a kernel with `numbers` numbers, and then runs `end`. */
const program = (kernel, numbers, end, rest) => `
  import { WorkerPool } from 'threadmill'
  const source = ${JSON.stringify(`
    export default async (_, client) => {
      const input = Float64Array.from({ length: ${numbers} }, Math.random)
      const call = client.kernels.${kernel}
      call.catch(() => {})
      // The kernel has begun, or will in a moment.
      await client.kernels.echo(1)
      ${end}
    }`)}
  const pool = new WorkerPool('data:text/javascript,' + encodeURIComponent(source), { maxWorkers: 1, threads: 2 })
  for (let round = 0; round < 4; round++) {
    ${rest}
  }
  await pool.close()
  console.log('closed', process.getActiveResourcesInfo().includes('Timeout'))`

const fails = (code, options = {}) =>
  `await pool.run(1, ${JSON.stringify(options)}).then(() => console.log('?'), ({ code }) => code === '${code}' || console.log(code))`
const CRASHES = fails('ERR_THREADMILL_WORKER_CRASHED')

describe('the process goes on when a worker ends while kernels use its memory', () => {
  for (const [title, kernel, end, rest] of [
    ['because of a timeout', 'argsort(input)', 'for (;;);', fails('ERR_THREADMILL_TIMEOUT', { timeout: 300 })],
    ['by process.exit', 'argsort(input)', 'process.exit(3)', CRASHES],
    [
      'by an error',
      'sort(input, { transfer: [input.buffer] })',
      // On a busy machine the kernel may have ended by then.
      'setTimeout(() => { throw new Error() })\nreturn call.then(() => new Promise(() => {}))',
      CRASHES,
    ],
    [
      'after a kernel was given up',
      "regexCount({ text: new Uint8Array(3e6).fill(97), pattern: '[^x]*[^y]*zzz' }, { timeout: 10 })",
      'await call.catch(() => {})\nprocess.exit(3)',
      CRASHES,
    ],
  ]) {
    test(title, async () => {
      const { code, stdout, stderr } = await runProgram(program(kernel, 1_000_000, end, rest))
      assert.deepEqual(
        { code, stdout, stderr: title === 'by an error' ? '' : stderr },
        { code: 0, stdout: 'closed false\n', stderr: '' },
      )
    })
  }

  test('because the process exits', async () => {
    const exits = `pool.run(1)\nsetTimeout(() => process.exit(5), 150)\nawait new Promise(() => {})`
    const { code } = await runProgram(program('argsort(input)', 3_000_000, 'return call', exits))
    assert.equal(code, 5)
  })
})

test('a kernel whose submitter has gone is given up', async (t) => {
  const source = `export default async (_, client) => {
    client.kernels.fib(60).catch(() => {})
    await client.kernels.echo(1)
    process.exit(3)
  }`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1, threads: 2 })
  t.after(() => pool.destroy())
  await assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_WORKER_CRASHED' })
  await until(() => pool.stats().native.every(({ running }) => running.length === 0))
  assert.equal(pool.stats().abandoned, 0)
  await pool.close()
})
