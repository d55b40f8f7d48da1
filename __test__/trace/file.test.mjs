// THREADMILL_TRACE=file, in processes of their own.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  cpSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { root, runProgram } from '../helpers/child.mjs'
import { named, read } from '../helpers/timeline.mjs'
import { temporaryFolder } from '../main-job/helpers.mjs'

const LIMIT = { timeout: 60_000 }
const posix = { ...LIMIT, skip: process.platform === 'win32' }

/** Runs a program with THREADMILL_TRACE; its outcome, and what is in the file. */
async function run(t, source, { name = 'trace.json', ...options } = {}) {
  const folder = temporaryFolder(t)
  const file = path.join(folder, name)
  const outcome = await runProgram(`import { WorkerPool } from 'threadmill'\n${source}`, {
    env: { THREADMILL_TRACE: file },
    ...options,
  })
  assert.deepEqual([outcome.code, outcome.timedOut, outcome.stderr], [0, false, ''])
  const files = readdirSync(folder)
  assert.equal(files.length, 1, `one file: ${files}`)
  return { outcome, file: files[0], ...read(JSON.parse(readFileSync(path.join(folder, files[0]), 'utf8'))) }
}

test('pools that are closed: a process of the trace each', LIMIT, async (t) => {
  const { tasks, processes, flows } = await run(
    t,
    `const one = new WorkerPool({ name: 'one' })
     const two = new WorkerPool('data:text/javascript,export default (n) => n', { name: 'two' })
     await Promise.all([one.kernels.fib(20), one.kernels.fib(21), two.run(1)])
     await Promise.all([one.close(), two.close()])
     const three = new WorkerPool({ name: 'three' })
     await three.kernels.sha256('x')
     await three.close()`,
  )
  assert.deepEqual([...processes.values()].sort(), ['threadmill one', 'threadmill three', 'threadmill two'])
  assert.equal(new Set(processes.keys()).size, 3)
  assert.deepEqual(tasks.map(({ name }) => name).sort(), ['entry', 'fib', 'fib', 'sha256'])
  assert.equal(flows.size, 4)
})

test('the file is written when the last pool has been closed', LIMIT, async (t) => {
  const { outcome } = await run(
    t,
    `import { existsSync, readFileSync } from 'node:fs'
     const file = process.env.THREADMILL_TRACE
     const pool = new WorkerPool()
     await pool.kernels.fib(1)
     console.log(existsSync(file))
     await pool.close()
     console.log(JSON.parse(readFileSync(file, 'utf8')).traceEvents.length > 0)`,
  )
  assert.equal(outcome.stdout, 'false\ntrue\n')
})

test('pools that are not closed: written when the process ends', LIMIT, async (t) => {
  for (const end of ['', 'process.exit()']) {
    const { tasks, instants } = await run(
      t,
      `const pool = new WorkerPool({ threads: 1 })
       await pool.kernels.fib(20)
       const held = pool.addTask(60, { kernel: 'fib' })
       held.catch(() => {})
       while (held.worker === undefined) await new Promise((resolve) => setImmediate(resolve))
       ${end || 'held.cancel()'}`,
    )
    assert.equal(tasks.length, 2)
    assert.ok(end === '' ? named(instants, 'cancel').length === 1 : tasks.some(({ outcome }) => outcome === 'running'))
  }
})

test('%p is the process, and pool.trace does not know of it', LIMIT, async (t) => {
  const { tasks, outcome, file } = await run(
    t,
    `const pool = new WorkerPool()
     await pool.kernels.fib(1)
     pool.trace.start()
     await pool.kernels.fib(2)
     const { traceEvents } = pool.trace.stop()
     await pool.kernels.fib(3)
     await pool.close()
     console.log(process.pid, traceEvents.filter(({ ph, cat }) => ph === 'B' && cat === 'task').length)`,
    { name: 'trace-%p.json' },
  )
  const [pid, count] = outcome.stdout.trim().split(' ')
  assert.equal(file, `trace-${pid}.json`)
  assert.equal(count, '1')
  assert.equal(tasks.length, 3)
})

test('another copy of the package has a file of its own', LIMIT, async (t) => {
  const folder = temporaryFolder(t)
  for (const name of ['dist', 'native', 'package.json']) {
    cpSync(path.join(root, name), path.join(folder, 'copy', name), { recursive: true })
  }
  const file = path.join(folder, 'trace.json')
  const copy = pathToFileURL(path.join(folder, 'copy', 'dist', 'index.js'))
  const outcome = await runProgram(
    `import * as one from 'threadmill'
     import * as two from ${JSON.stringify(copy.href)}
     for (const [name, { WorkerPool }] of Object.entries({ one, two, three: one, four: two })) {
       const pool = new WorkerPool({ name, threads: 1 })
       await pool.kernels.fib(20)
       await pool.close()
     }`,
    { env: { THREADMILL_TRACE: file } },
  )
  assert.equal(outcome.code, 0)
  assert.match(
    outcome.stderr,
    /THREADMILL_TRACE is written by another copy of threadmill; this one writes .*trace\.json\.2/,
  )
  for (const [name, pools] of [
    [file, ['one', 'three']],
    [`${file}.2`, ['four', 'two']],
  ]) {
    const { processes } = read(JSON.parse(readFileSync(name, 'utf8')))
    assert.deepEqual(
      [...processes.values()].sort(),
      pools.map((pool) => `threadmill ${pool}`),
    )
  }
})

test('pools of other threads are in the file', LIMIT, async (t) => {
  const { processes, tasks } = await run(
    t,
    `import { isMainThread, Worker } from 'node:worker_threads'
     import { fileURLToPath } from 'node:url'
     const pool = new WorkerPool({ name: isMainThread ? 'outer' : 'inner' })
     await pool.kernels.fib(isMainThread ? 20 : 21)
     if (isMainThread) await new Promise((resolve) => new Worker(fileURLToPath(import.meta.url)).on('exit', resolve))
     await pool.close()`,
  )
  assert.deepEqual([...processes.values()].sort(), ['threadmill inner', 'threadmill outer'])
  assert.equal(tasks.length, 2)
})

for (const [what, name, code] of [
  ['in no folder', 'missing/trace.json', 'ENOENT'],
  ['below a file', 'file/trace.json', 'ENOTDIR'],
  ['whose name is too long', 'x'.repeat(300), 'ENAMETOOLONG'],
  ['that is a folder', '.', 'EISDIR'],
]) {
  test(`a file ${what} is a warning, also at the end of the process`, posix, async (t) => {
    const folder = temporaryFolder(t)
    writeFileSync(path.join(folder, 'file'), '')
    const expected = new RegExp(`ThreadmillWarning: THREADMILL_TRACE could not be written: .*${code}`)
    for (const end of ['', 'await pool.close()', 'process.exit()']) {
      const source = `
        import { WorkerPool } from 'threadmill'
        process.on('warning', ({ name, message }) => console.log(\`\${name}: \${message}\`))
        const pool = new WorkerPool({ threads: 1 })
        console.log(await pool.kernels.fib(10))
        ${end}`
      const outcome = await runProgram(source, { env: { THREADMILL_TRACE: path.join(folder, name) } })
      assert.equal(outcome.code, 0, outcome.stderr)
      assert.match(outcome.stdout, new RegExp(`^55\n${expected.source}`), end)
      assert.match(outcome.stderr, expected, end)
    }
    assert.deepEqual(readdirSync(folder), ['file'])
  })
}

test('a link stays one', posix, async (t) => {
  const folder = temporaryFolder(t)
  const [file, link] = [path.join(folder, 'trace.json'), path.join(folder, 'link')]
  writeFileSync(file, '')
  symlinkSync(file, link)
  const source = "import { WorkerPool } from 'threadmill'; await new WorkerPool({ threads: 1 }).kernels.fib(1)"
  await runProgram(source, { env: { THREADMILL_TRACE: link } })
  assert.equal(lstatSync(link).isSymbolicLink(), true)
  assert.equal(read(JSON.parse(readFileSync(file, 'utf8'))).tasks.length, 1)
})

test('a pipe is written into, once; nobody waits for one that reads it', posix, async (t) => {
  const pipe = path.join(temporaryFolder(t), 'pipe')
  execFileSync('mkfifo', [pipe])
  const source = `
    import { WorkerPool } from 'threadmill'
    for (let count = 0; count < 2; count++) {
      const pool = new WorkerPool({ threads: 1 })
      await pool.kernels.fib(1)
      await pool.close()
    }`
  const options = { env: { THREADMILL_TRACE: pipe }, limit: 20_000 }
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
  t.after(() => closeSync(reader))
  const heard = await runProgram(source, options)
  assert.deepEqual([heard.code, heard.timedOut, heard.stderr], [0, false, ''])
  assert.equal(read(JSON.parse(readFileSync(reader, 'utf8'))).tasks.length, 2)

  const silent = `${pipe}-unread`
  execFileSync('mkfifo', [silent])
  const unheard = await runProgram(source, { ...options, env: { THREADMILL_TRACE: silent } })
  assert.deepEqual([unheard.code, unheard.timedOut], [0, false])
  assert.match(unheard.stderr, /ThreadmillWarning: THREADMILL_TRACE could not be written: ENXIO/)
  assert.deepEqual(
    [pipe, silent].map((name) => lstatSync(name).isFIFO()),
    [true, true],
  )
})

test('the traces of many pools fit into a small heap', LIMIT, async (t) => {
  const { processes } = await run(
    t,
    `for (let count = 0; count < 12; count++) {
       const pool = new WorkerPool({ threads: 1 })
       for (let turn = 0; turn < 10; turn++)
         await Promise.all(Array.from({ length: 1000 }, () => pool.kernels.fib(1)))
       await pool.close()
     }`,
    { nodeArgs: ['--max-old-space-size=64'] },
  )
  assert.equal(processes.size, 12)
})

test('a trace keeps no process alive, and nothing of it is loaded unless it is used', LIMIT, async () => {
  const loaded = `Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('timeline'))`
  const source = `
    import { createRequire } from 'node:module'
    import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool('data:text/javascript,export default (n) => n')
    await pool.run(1)
    await pool.kernels.fib(1)
    console.log(${loaded})
    pool.trace.start()
    console.log(${loaded})`
  const { code, stdout, timedOut } = await runProgram(source, { env: { THREADMILL_TRACE: '' }, limit: 20_000 })
  assert.deepEqual([code, timedOut, stdout], [0, false, 'false\ntrue\n'])
})
