// What workers write faster than it is read (J19 in lib/stdio.ts).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'

/** Writes so many KiB as a stream that heeds what it is asked, and counts them. */
const MODULE =
  `data:text/javascript,import { Readable } from 'node:stream'; import { pipeline } from 'node:stream/promises';
  export const written = function* (kibs, cells) { for (let n = 0; n < kibs; n++) { Atomics.add(cells, 0, 1); yield 'x'.repeat(1024) } };
  export const flood = ([kibs, cells, stream = 'stdout']) =>
    pipeline(Readable.from(written(kibs, cells), { objectMode: false }), process[stream], { end: false }).then(() => Atomics.load(cells, 0));
  export const chatter = ([kibs]) => { for (let n = 0; n < kibs; n++) console.log('x'.repeat(1023)); return 'done' };
  export const needsDrain = () => process.stdout.writableNeedDrain;
  export default flood`.replace(/\n/g, '')

const cellsOf = () => new Int32Array(new SharedArrayBuffer(4))

/** All that a stream has now: Node 26 gives it chunk by chunk. */
function readNow(stream) {
  const chunks = []
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function poolOf(t, options) {
  const pool = new WorkerPool(MODULE, { maxWorkers: 1, minWorkers: 1, ...options })
  t.after(() => pool.destroy())
  return pool
}

const KIBS = 16 * 1024

for (const stream of ['stdout', 'stderr'])
  test(`a stream that is read slowly asks who writes to wait: ${stream}`, { timeout: 60_000 }, async (t) => {
    const pool = poolOf(t, { [stream]: true })
    const cells = cellsOf()
    let read = 0
    let most = 0
    const reading = (async () => {
      for await (const chunk of pool.workers[0][stream]) {
        read += chunk.length
        most = Math.max(most, Atomics.load(cells, 0) * 1024 - read)
        await setImmediate()
        if (read === KIBS * 1024) break
      }
    })()
    assert.equal(await pool.run([KIBS, cells, stream]), KIBS)
    await reading
    assert.equal(read, KIBS * 1024)
    // A MiB, what lies in streams, and what a worker is not told of yet.
    assert.ok(most < 2 * 2 ** 20, `${most} bytes were on their way`)
  })

test('what nobody reads is kept, and nobody waits for that', { timeout: 60_000 }, async (t) => {
  const pool = poolOf(t, { stdout: true })
  assert.equal(await pool.run([4096, cellsOf()]), 4096)
  const { stdout } = pool.workers[0]
  assert.equal(stdout.readableLength, 4096 * 1024)
})

test('what is written without asking is there before the task settles, however much it is', {
  timeout: 60_000,
}, async (t) => {
  const pool = poolOf(t, { stdout: true })
  const { stdout } = pool.workers[0]
  let read = 0
  stdout.on('data', (chunk) => {
    read += chunk.length
    stdout.pause()
  })
  assert.equal(await pool.run([8192], { name: 'chatter' }), 'done')
  assert.equal(read + stdout.readableLength, 8192 * 1024)
  assert.equal(await pool.run(0, { name: 'needsDrain' }), true)
  // One more that asks: it waits until somebody reads on.
  const flood = pool.run([64, cellsOf()])
  stdout.removeAllListeners('data')
  stdout.resume()
  assert.equal(await flood, 64)
})

test('whoever reads no more keeps no task waiting', { timeout: 60_000 }, async (t) => {
  const pool = poolOf(t, { stdout: true })
  const cells = cellsOf()
  const { stdout } = pool.workers[0]
  stdout.once('data', () => stdout.pause())
  const flood = pool.run([KIBS, cells])
  await once(stdout, 'data')
  stdout.destroy()
  assert.equal(await flood, KIBS)
})

test('a module may write much while it is loaded', { timeout: 60_000 }, async (t) => {
  const module = `${MODULE}; await flood([4096, new Int32Array(1)])`
  const pool = new WorkerPool(module, { maxWorkers: 1, stdout: true })
  t.after(() => pool.destroy())
  pool.resizeUpTo(1)
  let read = 0
  pool.workers[0].stdout.on('data', (chunk) => {
    read += chunk.length
  })
  assert.equal(await pool.run([1, cellsOf()]), 1)
  assert.equal(read, 4097 * 1024)
})

const REPLACED = `
  import { WorkerPool } from 'threadmill'
  let length = 0
  const { write } = process.stdout
  process.stdout.write = WRITE
  const pool = new WorkerPool(MODULE, { maxWorkers: 2 })
  const cells = new Int32Array(new SharedArrayBuffer(4))
  const all = await Promise.all([1, 2].map(() => pool.run([4096, cells])))
  await pool.close()
  write.call(process.stdout, [all.length, length].join(' '))
`
const WRITES = {
  'gives nothing': `(chunk) => { length += chunk.length }`,
  'wants others to wait': `(chunk) => { length += chunk.length; setImmediate(() => process.stdout.emit('drain')); return false }`,
  'wants others to wait, and is closed': `(chunk) => { length += chunk.length; setImmediate(() => process.stdout.emit('close')); return false }`,
}
for (const [name, source] of Object.entries(WRITES))
  test(`a stream of the process whose write ${name} keeps no task waiting for ever`, { timeout: 60_000 }, async () => {
    const program = REPLACED.replace('WRITE', () => source).replace('MODULE', () => JSON.stringify(MODULE))
    const child = await runProgram(program)
    assert.deepEqual([child.stdout, child.stderr, child.code], [`2 ${2 * 4096 * 1024}`, '', 0])
  })

test('a stream of the process that was replaced for a while, and pools beyond ten, wait for the right one', {
  timeout: 60_000,
}, async () => {
  const program = `
    import { PassThrough } from 'node:stream'
    import { WorkerPool } from 'threadmill'
    const cells = new Int32Array(new SharedArrayBuffer(4))
    const own = Object.getOwnPropertyDescriptor(process, 'stdout')
    const target = process.stdout
    const { write } = target
    target.write = (...given) => (write.apply(target, given), setImmediate(() => target.emit('drain')), false)
    const pools = Array.from({ length: 12 }, () => new WorkerPool(${JSON.stringify(MODULE)}, { maxWorkers: 1 }))
    Object.defineProperty(process, 'stdout', { value: new PassThrough(), configurable: true })
    await pools[0].run([64], { name: 'chatter' })
    Object.defineProperty(process, 'stdout', own)
    await Promise.all(pools.map((pool) => pool.run([2048, cells])))
    await Promise.all(pools.map((pool) => pool.close()))
    process.stderr.write('done')
  `
  const child = await runProgram(program)
  assert.deepEqual([child.stdout.length, child.stderr, child.code], [12 * 2048 * 1024, 'done', 0])
})

test('what flags have loaded may write much before the worker begins', { timeout: 60_000 }, async (t) => {
  const chatter = `let left = 300
    const write = () => { if (left-- > 0) process.stdout.write('x'.repeat(1024), write); else globalThis.wrote = true }
    write()`
  const module = `data:text/javascript,export default async () => { while (!globalThis.wrote) await new Promise(setImmediate) }`
  const execArgv = ['--import', `data:text/javascript,${encodeURIComponent(chatter)}`]
  const pool = new WorkerPool(module, { maxWorkers: 1, minWorkers: 1, stdout: true, execArgv })
  t.after(() => pool.destroy())
  let length = 0
  const read = (async () => {
    for await (const chunk of pool.workers[0].stdout) length += chunk.length
  })()
  await pool.run()
  await pool.close()
  await read
  assert.equal(length, 300 * 1024)
})

/** Writes on and on without coming to an end. */
const FLOODS =
  `data:text/javascript,export default (input, client) => { if (input !== 'flood') return input; client.postMessageToPool('begun');
  for (;;) console.log('') }`.replaceAll('\n', '')

/** A pool of two, and the flood of the first of them. */
async function flooded(t) {
  const pool = new WorkerPool(FLOODS, { maxWorkers: 2, minWorkers: 2, stdout: true })
  t.after(() => pool.destroy())
  const { stdout } = pool.workers[0]
  const { push } = stdout
  // To read a message takes longer than to write it.
  stdout.push = (...given) => {
    const end = performance.now() + 0.05
    while (performance.now() < end);
    return push.apply(stdout, given)
  }
  stdout.resume()
  const begun = new Promise((resolve) => pool.onMessage('begun', resolve))
  const flood = pool.addTask('flood', { workerAffinity: 0, affinityStrength: 'force' })
  const ended = assert.rejects(flood.then(), { code: /^ERR_THREADMILL_(POOL_CLOSED|CANCELLED)$/ })
  await begun
  await new Promise((resolve) => stdout.once('data', resolve))
  return { pool, flood, ended }
}

test('a worker that writes without end keeps nobody from their results', { timeout: 60_000 }, async (t) => {
  const { pool, flood, ended } = await flooded(t)
  for (let count = 0; count < 20; count++)
    assert.equal(await pool.run(count, { workerAffinity: 1, affinityStrength: 'force' }), count)
  flood.cancel()
  await ended
  assert.equal(await pool.run(1, { workerAffinity: 0, affinityStrength: 'force' }), 1)
})

for (const [how, end] of Object.entries({
  'destroy()': (pool) => pool.destroy(),
  'close({ timeout })': (pool) => pool.close({ timeout: 10 }),
  'dispose({ force: true })': (pool) => pool.dispose({ force: true }),
}))
  test(`a worker that writes without end is ended by ${how}`, { timeout: 60_000 }, async (t) => {
    const { pool, ended } = await flooded(t)
    await end(pool)
    await ended
  })

/** Each way in which a task that has written much ends, with what comes of it. */
const ENDS = {
  'gives its output': ['return 5', (task) => task.then()],
  throws: ["throw new Error('by design')", (task) => assert.rejects(task.then(), /by design/)],
  'ends its thread': ['process.exit(3)', (task) => assert.rejects(task.then(), { exitCode: 3 })],
  'waits for a while': ['return new Promise((resolve) => setImmediate(() => resolve(1)))', (task) => task.then()],
}
for (const [what, [end, isOver]] of Object.entries(ENDS))
  test(`all that a task has written at once is there, in order, when it ${what}`, { timeout: 60_000 }, async (t) => {
    const code = `export default (count) => { for (let n = 0; n < count; n++) {
        process.stdout.write(n + (n % 5 ? ' ' : ' ä€ '))
        if (n % 700 === 0) process.stdout.write(Buffer.from('buffer '))
        if (n % 900 === 0) process.stdout.write('6869', 'hex')
        if (n % 500 === 0) console.error(n) }
      ${end} }`
    const module = `data:text/javascript,${encodeURIComponent(code)}`
    const pool = new WorkerPool(module, { maxWorkers: 1, minWorkers: 1, stdout: true, stderr: true })
    t.after(() => pool.destroy())
    const { stdout, stderr } = pool.workers[0]
    const COUNT = 20_000
    await isOver(pool.addTask(COUNT))
    let [expected, errors] = ['', '']
    for (let n = 0; n < COUNT; n++) {
      expected += n + (n % 5 ? ' ' : ' ä€ ')
      if (n % 700 === 0) expected += 'buffer '
      if (n % 900 === 0) expected += 'hi'
      if (n % 500 === 0) errors += `${n}\n`
    }
    assert.equal(readNow(stdout), expected)
    assert.equal(readNow(stderr), errors)
  })

test('what a task has written at once is there with its output, also while the next task blocks', async (t) => {
  const module = `data:text/javascript,export default (cells) => {
    if (cells !== undefined) return Atomics.wait(cells, 0, 0);
    for (let n = 0; n < 5000; n++) console.log(n);
    const end = performance.now() + 1; while (performance.now() < end); }`.replaceAll('\n', '')
  const pool = new WorkerPool(module, { maxWorkers: 1, minWorkers: 1, stdout: true })
  t.after(() => pool.destroy())
  const cells = cellsOf()
  const [writes, blocks] = [pool.run(), pool.run(cells)]
  await writes
  const lines = readNow(pool.workers[0].stdout).split('\n')
  Atomics.store(cells, 0, 1)
  Atomics.notify(cells, 0)
  await blocks
  assert.equal(lines.length, 5001)
})

test('what a task writes after a while is there while it still runs', { timeout: 60_000 }, async (t) => {
  const module = `data:text/javascript,export default (cells) => {
    for (let n = 0; n < 5000; n++) console.log(n);
    const end = performance.now() + 5; while (performance.now() < end);
    console.log('late'); Atomics.wait(cells, 0, 0) }`.replaceAll('\n', '')
  const pool = new WorkerPool(module, { maxWorkers: 1, minWorkers: 1, stdout: true })
  t.after(() => pool.destroy())
  const cells = cellsOf()
  const task = pool.run(cells)
  let text = ''
  for await (const chunk of pool.workers[0].stdout) {
    text += chunk
    if (text.endsWith('late\n')) break
  }
  Atomics.store(cells, 0, 1)
  Atomics.notify(cells, 0)
  await task
  assert.equal(text.split('\n').length, 5002)
})

const LINES = 'for (let n = 0; n < 5000; n++) console.log(n)'
/** Where a thread writes much and then ends: code of the module, and what it takes to end. */
const LAST_WORDS = {
  'a listener to the end that a task has added': [
    `export default () => { process.on('exit', () => { ${LINES} }) }`,
    (pool) => pool.run(),
  ],
  'one at the end by process.exit()': [
    `export default () => { process.on('exit', () => { ${LINES} }); process.exit(1) }`,
    (pool) => assert.rejects(pool.run(), { code: 'ERR_THREADMILL_WORKER_CRASHED' }),
  ],
  'a module that ends its thread': [`${LINES}; process.exit(1)`, (pool) => assert.rejects(pool.run())],
  'onWorkerStart, which then throws': [
    `function entry() {} entry.onWorkerStart = () => { ${LINES}; throw new Error('by design') }; export default entry`,
    (pool) => assert.rejects(pool.run(), { code: 'ERR_THREADMILL_ENTRY' }),
  ],
}
for (const [where, [code, end]] of Object.entries(LAST_WORDS))
  test(`all that is written is there, in ${where}`, { timeout: 60_000 }, async (t) => {
    const module = `data:text/javascript,${encodeURIComponent(code)}`
    const pool = new WorkerPool(module, { maxWorkers: 1, minWorkers: 1, stdout: true })
    t.after(() => pool.destroy())
    const { stdout } = pool.workers[0]
    await end(pool)
    await pool.close()
    let text = ''
    for await (const chunk of stdout) text += chunk
    // A worker that cannot load may have been tried again.
    assert.ok(text.startsWith(Array.from({ length: 5000 }, (_, n) => `${n}\n`).join('')), `${text.length} characters`)
  })
