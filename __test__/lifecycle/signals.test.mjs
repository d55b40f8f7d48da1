// Signals that end pools, each in a process of its own.
import assert from 'node:assert/strict'
import { cpSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { WorkerPool } from 'threadmill'
import { newFolder, root, runProgram } from '../helpers/child.mjs'

const skip = process.platform === 'win32' ? 'Windows has no signals' : false
const listeners = () => ['SIGTERM', 'SIGINT', 'SIGUSR2'].map((signal) => process.listenerCount(signal)).join()

const prelude = `import { WorkerPool } from 'threadmill'
  const listeners = () => ['SIGTERM', 'SIGINT'].map((signal) => process.listenerCount(signal)).join()
  const until = async (condition) => { while (!condition()) await new Promise(setImmediate) }
  const isRunning = (pool) => until(() => pool.stats().busyWorkers > 0)
  const isClosing = async (pool) => {
    let isRefused = false
    await until(() => {
      pool.addTask(1, { kernel: 'echo' }).catch(() => { isRefused = true })
      return isRefused
    })
  }\n`

/** Runs a program; each line that is `send <signal>` sends it that signal. */
function runWithSignals(source) {
  let seen = 0
  return runProgram(prelude + source, {
    onStdout(stdout, child) {
      const lines = stdout.split('\n').slice(0, -1)
      for (; seen < lines.length; seen++) {
        const [word, signal] = lines[seen].split(' ')
        if (word === 'send') child.kill(signal)
      }
    },
  })
}

describe('signal handlers', { skip }, () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`at ${signal} what runs and waits is finished, callbacks run, and the process ends by it`, async () => {
      // What runs lasts until the signal has come.
      const {
        code,
        signal: by,
        stdout,
        stderr,
      } = await runWithSignals(`
        const pool = new WorkerPool({ threads: 1, handleSignals: true })
        const blocker = pool.addTask(60, { kernel: 'fib' })
        blocker.catch(() => {})
        pool.kernels.fib(20).then(console.log)
        pool.onShutdown(async () => { await null; console.log('cleaned') })
        process.on('exit', () => console.log('not by itself'))
        await isRunning(pool)
        console.log('send ${signal}')
        await isClosing(pool)
        blocker.cancel()`)
      assert.deepEqual([code, by, stderr], [null, signal, ''])
      assert.equal(stdout, `send ${signal}\n6765\ncleaned\n`)
    })
  }

  test('a second signal destroys, also when the first was another', async () => {
    const { signal, stdout, stderr } = await runWithSignals(`
      const module = 'data:text/javascript,export default () => { for (;;); }'
      const pools = [new WorkerPool(module, { maxWorkers: 1, handleSignals: true }), new WorkerPool({ threads: 1 })]
      pools[1].installSignalHandlers(['SIGINT'])
      pools[0].run().catch((error) => console.log('entry', error.code))
      pools[1].kernels.fib(60).catch((error) => console.log('kernel', error.code))
      await Promise.all(pools.map(isRunning))
      console.log('send SIGINT')
      await Promise.all(pools.map(isClosing))
      console.log('send SIGTERM')`)
    assert.deepEqual([signal, stderr], ['SIGINT', ''])
    const lines = stdout.trim().split('\n').sort()
    const closed = 'ERR_THREADMILL_POOL_CLOSED'
    assert.deepEqual(lines, [`entry ${closed}`, `kernel ${closed}`, 'send SIGINT', 'send SIGTERM'])
  })

  test('a third signal ends the process whatever its pools do', async () => {
    const { signal, stderr } = await runWithSignals(`
      const module = 'data:text/javascript,export default (input) => input'
      const pool = new WorkerPool(module, { maxWorkers: 1, handleSignals: true, disposeTimeout: 2 ** 31 - 1 })
      await pool.run(1)
      pool.onShutdown(() => new Promise(() => console.log('send SIGINT')))
      // The second signal has been dealt with; the callback keeps the pool from its end.
      pool.on('worker-exit', () => console.log('send SIGINT'))
      console.log('send SIGTERM')
      await new Promise((resolve) => setTimeout(resolve, 60_000))`)
    assert.deepEqual([signal, stderr], ['SIGINT', ''])
  })

  test('pools share one listener per signal, and the counts return to what they were', async () => {
    const { code, stdout, stderr } = await runWithSignals(`
      process.on('SIGINT', () => {})
      console.log(listeners())
      const pools = Array.from({ length: 3 }, () => new WorkerPool({ threads: 1, handleSignals: true }))
      pools[0].installSignalHandlers().installSignalHandlers(['SIGTERM', 'SIGTERM'])
      console.log(listeners())
      for (const pool of pools) { await pool.close(); console.log(listeners()) }
      new WorkerPool({ handleSignals: false }); new WorkerPool()
      console.log(listeners())`)
    assert.deepEqual([code, stderr], [0, ''])
    assert.deepEqual(stdout.trim().split('\n'), ['0,1', '1,2', '1,2', '1,2', '0,1', '0,1'])
  })

  test('they do not keep the process alive, nor the pool', async () => {
    const { code, signal, stdout } = await runWithSignals(`
      console.log(await new WorkerPool({ threads: 1, handleSignals: true }).kernels.fib(20))`)
    assert.deepEqual([code, signal, stdout], [0, null, '6765\n'])
    const lost = await runProgram(
      `${prelude} new WorkerPool({ threads: 1, handleSignals: true })
       await until(() => { globalThis.gc(); return listeners() === '0,0' })
       console.log('gone')`,
      { nodeArgs: ['--expose-gc'] },
    )
    assert.deepEqual([lost.code, lost.stdout], [0, 'gone\n'])
  })

  test('where signals end no process, as with process 1 of a container, it exits', async () => {
    const { code, signal, stdout } = await runWithSignals(`
      process.kill = () => true
      const pool = new WorkerPool({ threads: 1, handleSignals: true })
      pool.onShutdown(() => console.log('shut down'))
      setInterval(() => {}, 1000)
      console.log('send SIGTERM')`)
    assert.deepEqual([code, signal, stdout.split('\n').at(-2)], [128 + 15, null, 'shut down'])
  })

  test('when others listen too, the process is theirs to end', async () => {
    const { code, signal, stdout, stderr } = await runWithSignals(`
      const pool = new WorkerPool({ threads: 1, handleSignals: true })
      process.on('SIGTERM', () => console.log('heard'))
      pool.onShutdown(() => console.log('closing'))
      console.log('send SIGTERM')
      const timer = setInterval(() => {}, 1000)
      await until(() => listeners() === '1,0')
      console.log(await pool.close())
      const next = new WorkerPool({ threads: 1, handleSignals: ['SIGTERM'] })
      console.log(listeners(), await next.kernels.fib(10))
      clearInterval(timer)`)
    assert.deepEqual([code, signal, stderr], [0, null, ''])
    assert.equal(stdout, 'send SIGTERM\nheard\nclosing\nundefined\n2,0 55\n')
  })

  test('also when they listen once, before the pool does or after it', async () => {
    for (const isFirst of [true, false]) {
      const { code, signal, stdout, stderr } = await runWithSignals(`
        const listen = () => process.once('SIGTERM', async () => {
          console.log('heard')
          // Until long after the pool has ended.
          await until(() => hasEnded)
          for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
          console.log('cleaned')
          process.exitCode = 3
          clearInterval(timer)
        })
        const timer = setInterval(() => {}, 1000)
        let hasEnded = false
        if (${isFirst}) listen()
        const pool = new WorkerPool({ threads: 1, handleSignals: true })
        if (${!isFirst}) listen()
        console.log('send SIGTERM')
        await until(() => listeners() === '0,0')
        await pool.close()
        hasEnded = true`)
      assert.deepEqual([code, signal, stderr], [3, null, ''])
      assert.equal(stdout, 'send SIGTERM\nheard\ncleaned\n')
    }
  })

  test('a third signal ends the process of those who listened once', async () => {
    const { signal, stdout, stderr } = await runWithSignals(`
      const pool = new WorkerPool({ threads: 1, handleSignals: true })
      pool.onShutdown(() => new Promise(() => console.log('send SIGTERM')))
      process.once('SIGTERM', () => console.log('heard'))
      console.log('send SIGTERM')
      await isClosing(pool)
      await until(() => listeners() === '1,1')
      setInterval(() => console.log('send SIGTERM'), 20)
      await new Promise((resolve) => setTimeout(resolve, 60_000))`)
    assert.deepEqual([signal, stderr], ['SIGTERM', ''])
    assert.match(stdout, /heard/)
  })

  test('the next signal then is a first one again', async () => {
    const { code, signal, stdout, stderr } = await runWithSignals(`
      process.on('SIGTERM', () => {})
      const pool = new WorkerPool({ threads: 1, handleSignals: ['SIGTERM'] })
      const timer = setInterval(() => {}, 1000)
      console.log('send SIGTERM')
      await until(() => listeners() === '1,0')
      const next = new WorkerPool({ threads: 1, handleSignals: ['SIGTERM'] })
      const blocker = next.addTask(60, { kernel: 'fib' })
      blocker.catch(() => {})
      next.kernels.fib(20).then(console.log, (error) => console.log(error.code))
      await isRunning(next)
      console.log('send SIGTERM')
      await isClosing(next)
      blocker.cancel()
      await next.close()
      clearInterval(timer)`)
    assert.deepEqual([code, signal, stderr], [0, null, ''])
    assert.equal(stdout, 'send SIGTERM\nsend SIGTERM\n6765\n')
  })

  test('a pool that is made while others end is ended too', async () => {
    const { signal, stdout, stderr } = await runWithSignals(`
      const pool = new WorkerPool({ threads: 1, handleSignals: true })
      pool.onShutdown(() => {
        const other = new WorkerPool({ threads: 1, handleSignals: ['SIGTERM'] })
        other.kernels.fib(27).then(console.log)
        other.onShutdown(() => console.log('the other one'))
      })
      console.log('send SIGTERM')
      await new Promise((resolve) => setTimeout(resolve, 60_000))`)
    assert.deepEqual([signal, stderr], ['SIGTERM', ''])
    assert.equal(stdout, 'send SIGTERM\n196418\nthe other one\n')
  })

  /** What a program begins with that has another copy of the package, as another version of it would be. */
  function withCopy(t) {
    const folder = newFolder()
    t.after(() => rmSync(folder, { recursive: true }))
    for (const part of ['package.json', 'dist']) {
      cpSync(path.join(root, part), path.join(folder, part), { recursive: true })
    }
    symlinkSync(path.join(root, 'native'), path.join(folder, 'native'))
    return `
      import { createRequire } from 'node:module'
      const { WorkerPool: Other } = createRequire(import.meta.url)(${JSON.stringify(folder)})\n`
  }

  test('copies of the package: the last one that has closed its pools ends the process, whichever that is', async (t) => {
    const copy = withCopy(t)
    for (const first of [0, 1]) {
      const { signal, stdout, stderr } = await runWithSignals(`${copy}
        const pools = [WorkerPool, Other].map((Pool) => new Pool({ threads: 1, handleSignals: ['SIGTERM'] }))
        console.log(listeners())
        setInterval(() => {}, 1000)
        const [first, last] = ${first} === 0 ? pools : pools.reverse()
        first.onShutdown(() => console.log('first'))
        last.onShutdown(async () => {
          await until(() => listeners() === '1,0')
          for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
          console.log('last')
        })
        console.log('send SIGTERM')`)
      assert.deepEqual([signal, stderr], ['SIGTERM', ''])
      assert.equal(stdout, '2,0\nsend SIGTERM\nfirst\nlast\n')
    }
  })

  test('one that comes while the other closes its pools closes its own, too', async (t) => {
    const { signal, stdout, stderr } = await runWithSignals(`${withCopy(t)}
      const pool = new WorkerPool({ threads: 1, handleSignals: ['SIGTERM'] })
      setInterval(() => {}, 1000)
      pool.onShutdown(() => {
        console.log('first')
        new Other({ threads: 1, handleSignals: ['SIGTERM'] }).onShutdown(() => console.log('last'))
      })
      console.log('send SIGTERM')`)
    assert.deepEqual([signal, stderr], ['SIGTERM', ''])
    assert.equal(stdout, 'send SIGTERM\nfirst\nlast\n')
  })

  test('a third signal ends the process for all of them, and where others listen, none does', async (t) => {
    const copy = withCopy(t)
    const third = await runWithSignals(`${copy}
      for (const Pool of [WorkerPool, Other]) {
        const pool = new Pool({ threads: 1, handleSignals: ['SIGTERM'] })
        pool.onShutdown(() => new Promise(() => {}))
      }
      console.log('send SIGTERM')
      setInterval(() => console.log('send SIGTERM'), 20)`)
    assert.deepEqual([third.signal, third.stderr], ['SIGTERM', ''])
    const heard = await runWithSignals(`${copy}
      process.on('SIGTERM', () => console.log('heard'))
      const pools = [WorkerPool, Other].map((Pool) => new Pool({ threads: 1, handleSignals: ['SIGTERM'] }))
      const timer = setInterval(() => {}, 1000)
      console.log('send SIGTERM')
      await until(() => listeners() === '1,0')
      for (const pool of pools) await pool.close()
      clearInterval(timer)`)
    assert.deepEqual([heard.code, heard.signal, heard.stdout], [0, null, 'send SIGTERM\nheard\n'])
  })

  test('a module that makes its own pool with handleSignals can be used', async () => {
    const { code, stdout, stderr } = await runProgram(`
      import { isMainThread } from 'node:worker_threads'
      import { WorkerPool } from 'threadmill'
      export const workerEntrypoint = (n) => n * 2
      const pool = new WorkerPool(import.meta.url, { maxWorkers: 1, handleSignals: true })
      if (isMainThread) { console.log(await pool.run(21)); await pool.close() }`)
    assert.deepEqual([code, stdout, stderr], [0, '42\n', ''])
  })
})

describe('bad use of signal handlers', () => {
  test('what is no signal, or cannot be handled', async () => {
    const before = listeners()
    for (const [value, code] of [
      [5, 'ERR_THREADMILL_INVALID_ARG_TYPE'],
      ['SIGTERM', 'ERR_THREADMILL_INVALID_ARG_TYPE'],
      [[], 'ERR_THREADMILL_INVALID_ARG_VALUE'],
      [['SIGTERM', 'SIGNOTHING'], 'ERR_THREADMILL_INVALID_ARG_VALUE'],
      [['SIGTERM', 'toString'], 'ERR_THREADMILL_INVALID_ARG_VALUE'],
      [['SIGTERM', 15], 'ERR_THREADMILL_INVALID_ARG_VALUE'],
      [['SIGKILL'], 'ERR_THREADMILL_INVALID_ARG_VALUE'],
      [['SIGSTOP'], 'ERR_THREADMILL_INVALID_ARG_VALUE'],
      // Of itself it ends no process.
      [['SIGWINCH'], 'ERR_THREADMILL_INVALID_ARG_VALUE'],
    ]) {
      assert.throws(() => new WorkerPool({ handleSignals: value }), { name: 'TypeError', code })
      const pool = new WorkerPool({ threads: 1 })
      assert.throws(() => pool.installSignalHandlers(value), { name: 'TypeError', code })
      await pool.close()
    }
    assert.equal(listeners(), before)
  })

  test('a pool that has ended', async () => {
    const pool = new WorkerPool({ threads: 1 })
    await pool.close()
    assert.throws(() => pool.installSignalHandlers(), { code: 'ERR_THREADMILL_POOL_CLOSED' })
  })

  test('a worker thread', async () => {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads'), { WorkerPool } = require('threadmill')
       const codeOf = (call) => { try { call() } catch (error) { return error.code } }
       const pool = new WorkerPool({ threads: 1 })
       parentPort.postMessage([codeOf(() => pool.installSignalHandlers()), codeOf(() => new WorkerPool({ handleSignals: true }))])`,
      { eval: true },
    )
    const codes = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    assert.deepEqual(codes, ['ERR_THREADMILL_NOT_SUPPORTED', 'ERR_THREADMILL_NOT_SUPPORTED'])
    await worker.terminate()
  })
})
