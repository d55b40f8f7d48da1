// Pools of functions: what they do to the process, and very many tasks.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FunctionPool } from 'threadmill/function'
import { runProgram } from '../helpers/child.mjs'
import { next } from '../helpers/function.mjs'
import { quietCpus } from './pools.mjs'

quietCpus()

describe('the process', () => {
  const program = (body) => `import { FunctionPool } from 'threadmill/function'\n${body}`

  test('an idle pool lets it end, and so does an import', async () => {
    const bodies = [
      '',
      'new FunctionPool({ pingInterval: 1 }).hasAvailableThread()',
      'new FunctionPool({ pingInterval: 1 }).addTask(async () => {})',
      'new FunctionPool({ pingInterval: 1, autoStart: false }).addTask(async () => {})',
    ]
    for (const body of bodies) {
      const { code, timedOut, stderr } = await runProgram(program(body), { limit: 20_000 })
      assert.deepEqual([code, timedOut, stderr], [0, false, ''], body)
    }
  })

  test('active and queued work keeps it alive', async () => {
    const source = program(`
      const pool = new FunctionPool({ poolSize: 1, maxThreadThreshold: 100 })
      const timer = setTimeout(() => open(), 300).unref()
      let open
      pool.addTask(() => new Promise((resolve) => { open = resolve }))
      pool.addTask(async () => 'second')
      pool.then((result) => console.log(result)).allSettled((threads) => console.log('done', threads.length))`)
    const { code, stdout, stderr } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([code, stdout, stderr], [0, 'undefined\nsecond\ndone 2\n', ''])
  })

  test('nothing is installed on it, and its environment stays', async () => {
    const source = `
      const state = () => JSON.stringify([process.eventNames().map(String), process.env, process.listenerCount('SIGINT')])
      const before = state()
      const { FunctionPool } = await import('threadmill/function')
      const pool = new FunctionPool()
      pool.addTask(async () => {})
      await new Promise((resolve) => pool.allSettled(resolve))
      if (state() !== before) throw new Error(state())`
    const { code, stderr } = await runProgram(source, { limit: 20_000 })
    assert.deepEqual([code, stderr], [0, ''])
  })

  test('an import loads no addon', async () => {
    const source = `
      import { createRequire } from 'node:module'
      import 'threadmill/function'
      console.log(Object.keys(createRequire(import.meta.url).cache).filter((file) => file.endsWith('.node')).length)`
    const { stdout } = await runProgram(source, { limit: 20_000 })
    assert.equal(stdout, '0\n')
  })
})

describe('many tasks', () => {
  for (const poolSize of [1, 16, Number.POSITIVE_INFINITY]) {
    test(`100 000 trivial tasks start in their order with ${poolSize} slots`, async () => {
      const pool = new FunctionPool({ poolSize })
      const count = 100_000
      let started = 0
      const complete = next(pool, 'complete')
      const time = performance.now()
      for (let number = 0; number < count; number++) {
        pool.addTask(() => {
          assert.ok(started === number)
          started++
        })
      }
      await complete
      assert.deepEqual(pool.status(['queued', 'active', 'completed']), { queued: 0, active: 0, completed: count })
      assert.ok(pool.status('completed', 'raw').every((thread) => thread.status.SUCCESS))
      // Quadratic cost is minutes.
      assert.ok(performance.now() - time < 30_000)
    })
  }

  test('a queue that empties itself without new calls does not recurse', async () => {
    const pool = new FunctionPool({ poolSize: 1, autoStart: false })
    for (let number = 0; number < 50_000; number++) pool.addTask(() => number)
    pool.start()
    await next(pool, 'complete')
    assert.equal(pool.status('completed'), 50_000)
  })
})
