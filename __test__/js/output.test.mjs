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
