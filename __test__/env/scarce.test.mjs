// What a system without descriptors, memory or threads costs: one task, or nothing, and never the process.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { newFolder, runProgram } from '../helpers/child.mjs'
import { outcomeOf } from '../helpers/outcome.mjs'

const posix = { skip: process.platform === 'win32' }
const linux = { skip: process.platform !== 'linux' }

const PRELUDE = `
  import { closeSync, openSync } from 'node:fs'
  import { WorkerPool } from 'threadmill'
  const told = (promise) => promise.then(String, ({ code }) => code)
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const taken = []
  /** Leaves so many descriptors. */
  const leave = (count) => {
    try {
      for (;;) taken.push(openSync('/dev/null'))
    } catch {}
    for (; count > 0; count--) closeSync(taken.pop())
  }
  const giveBack = () => taken.splice(0).forEach((each) => closeSync(each))
  const module = 'data:text/javascript,export default (input) => input'
  process.on('warning', () => {})
`

/** What a program prints that may have 60 descriptors. */
async function withFewDescriptors(source) {
  const folder = newFolder()
  const file = path.join(folder, 'program.mjs')
  writeFileSync(file, PRELUDE + source)
  const child = spawn('sh', ['-c', 'ulimit -n 60; exec "$0" "$1"', process.execPath, file])
  const { code, stdout } = await outcomeOf(child, { limit: 60_000 })
  rmSync(folder, { recursive: true, force: true })
  assert.equal(code, 0)
  return stdout.trim().split('\n')
}

describe('without descriptors', posix, () => {
  test('what is loaded with its first use says so, and works afterwards', async () => {
    const lines = await withFewDescriptors(`
      const { importWorker } = await import('threadmill/function')
      const { runWorker } = await import('threadmill')
      const pool = new WorkerPool(module, { maxWorkers: 1 })
      await pool.run(1)
      const attempts = {
        mainThread: () => pool.run(1, { mainThread: true }),
        stream: () => pool.stream(),
        runWorker: () => runWorker('1', 1, { eval: true }),
        importWorker: () => importWorker('data:text/javascript,export const f = () => 1'),
        onShutdown: () => pool.onShutdown(() => {}),
        trace: () => pool.trace.start(),
        signals: () => pool.installSignalHandlers(),
        health: () => pool.startHealthMonitoring(),
      }
      leave(0)
      for (const [name, attempt] of Object.entries(attempts)) console.log(name, await told((async () => attempt())()))
      giveBack()
      console.log(await told(pool.run(5, { mainThread: true })))
      await pool.close()`)
    const names = ['mainThread', 'stream', 'runWorker', 'importWorker', 'onShutdown', 'trace', 'signals', 'health']
    assert.deepEqual(lines, [...names.map((name) => `${name} ERR_THREADMILL_SYSTEM`), '5'])
  })

  test('so does what tasks submit with for the first time in a worker', async () => {
    const lines = await withFewDescriptors(`
      const entry = \`data:text/javascript,import fs from 'node:fs'; const held = [];
        const fill = () => { try { for (;;) held.push(fs.openSync('/dev/null')) } catch {} };
        const free = () => held.splice(0).forEach((each) => fs.closeSync(each));
        export const same = (input) => input;
        export default async (what, client) => {
          fill();
          try {
            if (what === 'kernels') return await client.kernels.fib(5);
            return await client[what](1, { name: 'same' })
          } finally { free() }
        }\`
      for (const what of ['run', 'addTask', 'kernels']) {
        const pool = new WorkerPool(entry, { maxWorkers: 1 })
        await pool.run(1, { name: 'same' })
        console.log(what, await told(pool.run(what)), await told(pool.run(2, { name: 'same' })))
        await pool.close()
      }`)
    assert.deepEqual(
      lines,
      ['run', 'addTask', 'kernels'].map((name) => `${name} ERR_THREADMILL_SYSTEM 2`),
    )
  })

  test('the first task of a pool is refused, and later ones run', async () => {
    for (const left of [0, 2, 4]) {
      const lines = await withFewDescriptors(`
        const pool = new WorkerPool(module, { maxWorkers: 1, threads: 1 })
        console.log(await pool.kernels.fib(10))
        leave(${left})
        console.log(await told(pool.run(1)))
        await wait(300)
        console.log(await told(pool.run(2)))
        giveBack()
        await wait(300)
        console.log(await told(pool.run(3)))
        await pool.close()
        console.log('closed')`)
      const [kernel, first, second, ...rest] = lines
      // With some of them left everything may work.
      assert.ok(first === 'ERR_THREADMILL_SYSTEM' || (left > 0 && first === '1'), `${left} left: ${first}`)
      assert.ok(second === 'ERR_THREADMILL_SYSTEM' || (left > 0 && second === '2'), `${left} left: ${second}`)
      assert.deepEqual([kernel, ...rest], ['55', '3', 'closed'], `${left} left`)
    }
  })

  test('a pool ends whose first worker could not be used', async () => {
    for (const end of ['close()', 'dispose()', 'destroy()']) {
      for (const isLate of [false, true]) {
        const lines = await withFewDescriptors(`
          const pool = new WorkerPool(module, { maxWorkers: 1, threads: 1 })
          await pool.kernels.fib(10)
          leave(0)
          console.log(await told(pool.run(1)))
          ${isLate ? 'await wait(300)' : ''}
          giveBack()
          await pool.${end}
          console.log('ended', await told(pool.run(1)))
          await wait(300)`)
        assert.deepEqual(lines, ['ERR_THREADMILL_SYSTEM', 'ended ERR_THREADMILL_POOL_CLOSED'], end)
      }
    }
  })

  test('close() rejects where it cannot set its limit, and never throws', async () => {
    const lines = await withFewDescriptors(`
      const pool = new WorkerPool(module, { maxWorkers: 1, threads: 1 })
      await pool.run(1)
      leave(0)
      const ended = pool.close({ timeout: 60_000 })
      giveBack()
      const how = await told(ended)
      console.log(how === 'undefined' ? how : how + await told(pool.run(2)))
      await pool.close()`)
    assert.ok(['undefined', 'ERR_THREADMILL_SYSTEM2'].includes(lines[0]), lines[0])
  })
})

test('a working directory that has gone while a worker starts is not the end of the pool', posix, async () => {
  const { code, stdout } = await runProgram(`${PRELUDE}
    import { mkdtempSync, rmdirSync } from 'node:fs'
    import os from 'node:os'
    const before = process.cwd()
    const folder = mkdtempSync(os.tmpdir() + '/threadmill-gone-')
    process.chdir(folder)
    rmdirSync(folder)
    const pool = new WorkerPool(module, { maxWorkers: 1 })
    const gone = await told(pool.run(1))
    process.chdir(before)
    const there = await told(pool.run(2))
    await pool.close()
    console.log(gone, there)`)
  assert.equal(code, 0)
  assert.equal(stdout, 'ERR_THREADMILL_SYSTEM 2\n')
})

test('a string that there is no memory for rejects its task alone', linux, async () => {
  const { code, signal, stdout } = await runProgram(`${PRELUDE}
    import { execFileSync } from 'node:child_process'
    import { readFileSync } from 'node:fs'
    const pool = new WorkerPool({ threads: 1 })
    const short = await pool.kernels.sha256('x')
    const text = ('aaaa,bbbb,cccc\\n'.repeat(8) + '\\n').repeat(500_000)
    // In one piece.
    Buffer.from(text, 'latin1')
    const size = /VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]
    execFileSync('prlimit', ['--pid=' + process.pid, '--as=' + (Number(size) + 50 * 1024) * 1024])
    console.log(await told(pool.kernels.sha256(text)), await pool.kernels.sha256('x') === short)
    process.exit()`)
  assert.deepEqual([code, signal, stdout], [0, null, 'ERR_THREADMILL_SYSTEM true\n'])
})

for (const [kernel, input, what, room = 100] of [
  ['csvParse', `'x,y\\n' + 'a,b\\n'.repeat(2_000_000)`, 'many rows'],
  ['csvParse', `new Uint8Array(200_000_000).fill(97).fill(10, 1, 2)`, 'a large cell'],
  ['csvParse', `new Uint8Array(200_000_000).fill(97)`, 'a long name'],
  // A list that grows has to fail while there is room for what Node's own threads ask for meanwhile, who would end the process.
  ['primesUpTo', '2_000_000_000', 'many numbers', 400],
])
  test(`a kernel whose output there is no memory for rejects its task alone: ${kernel}, ${what}`, linux, async () => {
    const { code, signal, stdout } = await runProgram(`${PRELUDE}
      import { execFileSync } from 'node:child_process'
      import { readFileSync } from 'node:fs'
      const pool = new WorkerPool({ threads: 1 })
      const short = await pool.kernels.sha256('x')
      const input = ${input}
      const size = /VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]
      execFileSync('prlimit', ['--pid=' + process.pid, '--as=' + (Number(size) + ${room} * 1024) * 1024])
      console.log(await told(pool.kernels.${kernel}(input, input.buffer && { transfer: [input.buffer] })), await pool.kernels.sha256('x') === short)
      process.exit()`)
    assert.deepEqual([code, signal, stdout], [0, null, 'ERR_THREADMILL_SYSTEM true\n'])
  })

test('the thread that keeps deadlines is there before those that may need it', linux, async () => {
  for (const make of ['new WorkerPool({ threads: 1 })', 'new WorkerPool(module, { maxWorkers: 1 })']) {
    const { stdout } = await runProgram(`${PRELUDE}
      import { readdirSync, readFileSync } from 'node:fs'
      const names = () => readdirSync('/proc/self/task').map((id) => readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim())
      const has = () => names().includes('threadmill-time')
      const pool = ${make}
      const before = has()
      await (pool.kernels && ${make.includes('module') ? 'pool.run(1)' : 'pool.kernels.fib(1)'})
      // A thread has its name when it has begun.
      for (let turn = 0; turn < 5000 && !has(); turn++) await wait(1)
      console.log(before, has())
      await pool.close()`)
    assert.equal(stdout, 'false true\n', make)
  }
})
