// The package loaded while a test framework's fake timers are in place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

/** Uses what needs timers; `restore` puts Node's own back, or nothing. */
const USE = `
  const real = performance.now.bind(performance)
  const { WorkerPool } = await import('threadmill')
  const { importWorker } = await import('threadmill/function')
  const module = 'data:text/javascript,export default (n) => ({ n }); export const never = () => new Promise(() => {})'
  const work = async () => {
    const pool = new WorkerPool(module, { maxWorkers: 1 })
    let sum = 0
    for (let n = 0; n < 200; n++) sum += (await pool.run(n)).n + (await pool.kernels.echo(n))
    // Kept going from their outcomes: a drain ends and goes on.
    let left = 20_000
    await new Promise((resolve) => {
      const next = () => (left-- > 0 ? pool.run(1).then(next) : resolve())
      for (let n = 0; n < 100; n++) next()
    })
    const hanging = pool.run(1, { name: 'never' }).catch(({ code }) => code)
    const start = real()
    await pool.close({ timeout: 300 })
    // Node counts from when this turn of the event loop began.
    const isInTime = real() - start >= 100
    const proxy = await importWorker('data:text/javascript,export const f = (a) => a + 1')
    return [sum, await hanging, isInTime, await proxy.f(1)].join(' ')
  }
  console.log(await work())
  restore()
  console.log(await work())
`
const EXPECTED = '39800 ERR_THREADMILL_POOL_CLOSED true 2\n'

const FRAMEWORKS = {
  'of node:test': `
    const { mock } = await import('node:test')
    mock.timers.enable()
    const restore = () => mock.timers.reset()`,
  'that replace the functions of the module': `
    const { default: timers } = await import('node:timers')
    const { promises: _, ...own } = timers
    for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate']) {
      timers[name] = Object.assign(() => ({ unref() {}, refresh() {} }), { clock: {} })
    }
    const restore = () => Object.assign(timers, own)`,
}

for (const [name, fakes] of Object.entries(FRAMEWORKS))
  test(`timers ${name} were fakes when it was loaded`, { timeout: 60_000 }, async () => {
    const child = await runProgram(`${fakes}\n${USE}`, { nodeArgs: ['--no-warnings'] })
    assert.deepEqual([child.stdout, child.stderr, child.code], [EXPECTED + EXPECTED, '', 0])
  })

test('what queues microtasks was a fake: exceptions of listeners are heard, streams go on', {
  timeout: 60_000,
}, async () => {
  const child = await runProgram(`
    const fake = () => Object.assign(() => {}, { clock: {} })
    const { nextTick } = process
    const queue = globalThis.queueMicrotask
    process.nextTick = fake()
    globalThis.queueMicrotask = fake()
    const { WorkerPool } = await import('threadmill')
    process.nextTick = nextTick
    globalThis.queueMicrotask = queue
    const { Readable } = await import('node:stream')
    const heard = new Promise((resolve) => process.once('uncaughtException', resolve))
    const pool = new WorkerPool('data:text/javascript,export default (n) => n * 2', { maxWorkers: 1 })
    pool.once('task-complete', () => {
      throw new RangeError('of a listener')
    })
    await pool.run(1)
    const outputs = await Readable.from([1, 2, 3]).pipe(pool.stream()).toArray()
    console.log(String(await heard), outputs.join())
    await pool.close()
  `)
  assert.deepEqual([child.stdout, child.stderr, child.code], ['RangeError: of a listener 2,4,6\n', '', 0])
})
