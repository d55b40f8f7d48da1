// How processes end: idle pools do not hold them, pending tasks do, and nothing keeps a process that wants to go.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

const prelude = `import { WorkerPool } from 'threadmill'; import { Worker } from 'node:worker_threads';\n`

/** The program ended by itself with code 0 and wrote nothing to stderr. */
function assertClean(result, stdout) {
  assert.equal(result.timedOut, false, `did not end; stdout ${result.stdout} stderr ${result.stderr}`)
  assert.deepEqual({ code: result.code, stderr: result.stderr }, { code: 0, stderr: '' })
  if (stdout !== undefined) assert.equal(result.stdout, stdout)
}

test('an import and a first task load nothing of Node that they do not need', async () => {
  // Each takes one to four milliseconds.
  const source = `const before = new Set(process.moduleLoadList)
    const { WorkerPool } = await import('threadmill')
    const pool = new WorkerPool('data:text/javascript,export default (x) => x', { maxWorkers: 1 })
    await pool.run(1)
    console.log(JSON.stringify(process.moduleLoadList.filter((name) => !before.has(name))))
    await pool.close()`
  const loaded = JSON.parse((await runProgram(source)).stdout)
  assert.ok(loaded.includes('NativeModule vm'), 'the list has what is loaded')
  for (const name of ['child_process', 'http', 'net', 'perf_hooks', 'v8', 'zlib'])
    assert.ok(!loaded.includes(`NativeModule ${name}`), name)
})

describe('processes', () => {
  test('an idle pool does not keep the process alive, unused or used', async () => {
    assertClean(await runProgram(`${prelude} new WorkerPool(); console.log('end')`), 'end\n')
    assertClean(
      await runProgram(`${prelude} const pool = new WorkerPool(); console.log(await pool.kernels.fib(20))`),
      '6765\n',
    )
  })

  test('pending tasks keep it alive', async () => {
    const source = `${prelude} const pool = new WorkerPool()
      for (let i = 0; i < 5; i++) pool.kernels.fib(27).then((value) => console.log(value))`
    assertClean(await runProgram(source), '196418\n'.repeat(5))
  })

  test('a pending close keeps it alive', async () => {
    const source = `${prelude} const pool = new WorkerPool()
      pool.kernels.fib(27); pool.close().then(() => console.log('closed'))`
    assertClean(await runProgram(source), 'closed\n')
  })

  for (const [title, how, code] of [
    ['process.exit()', 'process.exit(7)', 7],
    ['an uncaught error', `setImmediate(() => { throw new Error('by design') })`, 1],
    ['an unhandled rejection', `Promise.reject(new Error('by design'))`, 1],
  ]) {
    test(`${title} ends the process at once while kernels run`, async () => {
      const source = `${prelude} const pool = new WorkerPool({ threads: 2 })
        for (let i = 0; i < 10; i++) pool.kernels.fib(60).catch(() => {})
        while (pool.stats().busyWorkers < 2);
        const started = Date.now()
        process.on('exit', () => console.log('exit'))
        ${how}`
      const result = await runProgram(source)
      assert.equal(result.timedOut, false)
      assert.equal(result.code, code, result.stderr)
      assert.equal(result.stdout, 'exit\n')
      assert.ok(!result.stderr.includes('panicked'), result.stderr)
    })
  }

  test('signals end the process while kernels run', { skip: process.platform === 'win32' }, async () => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const source = `${prelude} const pool = new WorkerPool({ threads: 2 })
        for (let i = 0; i < 10; i++) pool.kernels.fib(60)
        while (pool.stats().busyWorkers < 2);
        console.log('ready')`
      let sent = false
      const result = await runProgram(source, {
        onStdout(_text, child) {
          if (!sent) child.kill(signal)
          sent = true
        },
      })
      assert.deepEqual([result.signal, result.timedOut, result.stderr], [signal, false, ''])
    }
  })

  test('an idle pool uses no CPU', async () => {
    const source = `${prelude} const pool = new WorkerPool({ threads: 4 })
      await Promise.all(Array.from({ length: 100 }, () => pool.kernels.fib(20)))
      await new Promise((resolve) => setTimeout(resolve, 100))
      const before = process.cpuUsage()
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const { user, system } = process.cpuUsage(before)
      console.log((user + system) / 1000 < 20 ? 'idle' : 'busy ' + (user + system) / 1000 + ' ms')`
    assertClean(await runProgram(source), 'idle\n')
  })

  test('a thousand pools in one process', async () => {
    const source = `${prelude}
      const pools = Array.from({ length: 1000 }, () => new WorkerPool({ threads: 2 }))
      const values = await Promise.all(pools.map((pool) => pool.kernels.fib(10)))
      await Promise.all(pools.map((pool) => pool.close()))
      console.log(new Set(values).size, values[0])`
    assertClean(await runProgram(source), '1 55\n')
  })

  test('pools made and closed a thousand times leave neither threads nor memory behind', async () => {
    const source = `${prelude} import { readdirSync } from 'node:fs'
      const threads = () => process.platform === 'linux' ? readdirSync('/proc/self/task').length : 0
      const round = async () => {
        const pool = new WorkerPool({ threads: 2 })
        await Promise.all([pool.kernels.fib(10), pool.kernels.sha256(new Uint8Array(100_000))])
        await pool.close()
      }
      // Collected now and then: how much garbage there happens to be at the end says nothing of a leak.
      const rounds = async (count) => { for (let i = 0; i < count; i++) { await round(); if (i % 50 === 0) globalThis.gc() } }
      await rounds(200)
      globalThis.gc(); const before = process.memoryUsage().rss, running = threads()
      await rounds(1000)
      globalThis.gc(); const grown = (process.memoryUsage().rss - before) / 1048576
      // A thread that has said goodbye may still be on its way out.
      for (let i = 0; i < 1000 && threads() > running; i++) await new Promise((resolve) => setImmediate(resolve))
      console.log(threads() <= running && grown < 32 ? 'flat' : 'grown ' + grown + ' MiB, threads ' + running + ' to ' + threads())`
    assertClean(await runProgram(source, { nodeArgs: ['--expose-gc'] }), 'flat\n')
  })

  test('loaded again and again in one thread it leaves nothing that listens to the process', async () => {
    const source = `import { createRequire } from 'node:module'
      import { rmSync } from 'node:fs'
      import { fileURLToPath } from 'node:url'
      const require = createRequire(import.meta.url)
      const load = () => {
        for (const file of Object.keys(require.cache)) if (/[\\\\/]dist[\\\\/]/.test(file)) delete require.cache[file]
        return require('threadmill').WorkerPool
      }
      const count = () => process.eventNames().map((name) => [name, process.listenerCount(name)]).join()
      const before = count()
      const files = ['costs', 'trace'].map((name) => new URL(name, import.meta.url))
      process.env.THREADMILL_TRACE = fileURLToPath(files[1])
      for (let copy = 0; copy < 12; copy++) {
        const module = 'data:text/javascript,export default (input) => input'
        const pool = new (load())(module, { maxWorkers: 1, costs: files[0], handleSignals: true })
        await pool.run(copy)
        await pool.close()
      }
      console.log(count() === before ? 'nothing' : before + ' ' + count())
      for (const file of files) rmSync(file)`
    assertClean(await runProgram(source, { env: { THREADMILL_CODE_CACHE: 'off' } }), 'nothing\n')
  })

  test('require and import give the same exports', async () => {
    const source = `import * as esm from 'threadmill'; import { createRequire } from 'node:module'
      import * as entry from 'threadmill/function'
      const cjs = createRequire(import.meta.url)('threadmill')
      const own = Object.keys(cjs).filter((name) => !(name in entry)).sort()
      console.log(own.join(), esm.WorkerPool === cjs.WorkerPool)
      const names = Object.keys(entry).filter((name) => name !== 'default' && name !== 'module.exports')
      console.log(names.length > 20, names.every((name) => esm[name] === entry[name] && cjs[name] === entry[name]))`
    assertClean(
      await runProgram(source),
      'ThreadmillError,WorkerPool,isMainThread,kernelInfo,recommendedPoolSize,runWorker,transfer,waitAsync true\ntrue true\n',
    )
  })
})
