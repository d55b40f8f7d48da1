// The option `costs`: what tasks take is kept in a file from process to process.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { occupy } from '../helpers/pool.mjs'

function place(t, name = 'costs.json') {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-costs-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return path.join(folder, name)
}

const read = (file) => JSON.parse(readFileSync(file, 'utf8'))
const keys = (file) => read(file).costs.map(([key]) => key)
const written = (costs) => JSON.stringify({ format: 'threadmill costs 1', costs })

/** The order in which a new pool of one worker runs tasks with these keys. */
async function orderOf(options, names) {
  const pool = new WorkerPool({ threads: 1, schedule: 'longest-first', ...options })
  const holder = await occupy(pool)
  const order = []
  const tasks = names.map((key) => pool.run(1, { kernel: 'fib', key }).then(() => order.push(key)))
  await holder.release()
  await Promise.all(tasks)
  await pool.close()
  return order
}

test('the first tasks of a process are in the order of what earlier ones took', async (t) => {
  const costs = place(t)
  writeFileSync(
    costs,
    written([
      ['short', 1, 3],
      ['long', 900, 1],
      ['middle', 30, 2],
    ]),
  )
  assert.deepEqual(await orderOf({ costs }, ['short', 'middle', 'long']), ['long', 'middle', 'short'])
})

test('what a pool has measured is there when it has ended, with the folders that it takes', async (t) => {
  const costs = place(t, path.join('a', 'b', 'costs.json'))
  const pool = new WorkerPool({ threads: 1, costs: pathToFileURL(costs) })
  await Promise.all([pool.run(25, { kernel: 'fib', key: 'more' }), pool.run(1, { kernel: 'fib', key: 'less' })])
  await pool.close()
  const { format, costs: rows } = read(costs)
  assert.equal(format, 'threadmill costs 1')
  const found = new Map(rows.map(([key, ms, runs]) => [key, { ms, runs }]))
  assert.deepEqual([found.get('more').runs, found.get('less').runs], [1, 1])
  assert.ok(found.get('more').ms > found.get('less').ms && found.get('less').ms >= 0)
  // Nothing but the file itself.
  assert.deepEqual(readdirSync(path.dirname(costs)), ['costs.json'])
})

test('JS tasks count, whoever submits them; those without a key together', async (t) => {
  const costs = place(t)
  const pool = new WorkerPool(new URL('./fixtures/costs.mjs', import.meta.url), { maxWorkers: 1, costs })
  await pool.run('nested', { key: 'outer' })
  await pool.run('plain')
  await pool.destroy()
  assert.deepEqual(keys(costs).sort(), ['entry', 'inner', 'outer'])
})

test('what others have written meanwhile stays, but for the keys that both know', async (t) => {
  const costs = place(t)
  const pools = [1, 2].map(() => new WorkerPool({ threads: 1, costs }))
  await Promise.all(pools.map((pool, at) => pool.run(1, { kernel: 'fib', key: `own ${at}` })))
  await pools[0].run(2, { kernel: 'fib', key: 'both' })
  await pools[1].run(3, { kernel: 'fib', key: 'both' })
  await Promise.all(pools.map((pool) => pool.close()))
  assert.deepEqual(keys(costs).sort(), ['both', 'own 0', 'own 1'])
})

test('a pool that has run nothing writes nothing', async (t) => {
  const costs = place(t)
  await new WorkerPool({ threads: 1, costs }).close()
  assert.deepEqual(readdirSync(path.dirname(costs)), [])
  const text = written([['old', 5, 1]])
  writeFileSync(costs, text)
  await new WorkerPool({ threads: 1, costs }).close()
  assert.equal(readFileSync(costs, 'utf8'), text)
})

test('keys come back as they were, whatever is in them', async (t) => {
  const costs = place(t)
  const names = ['7', '__proto__', 'a "quoted" \\ key', 'ключ 🗝', '', ' ', 'x'.repeat(2000)]
  for (let round = 1; round <= 2; round++) {
    const pool = new WorkerPool({ threads: 1, costs })
    for (const key of names) await pool.run(1, { kernel: 'fib', key })
    await pool.close()
  }
  assert.deepEqual(
    read(costs).costs.map(([key, , runs]) => [key, runs]),
    names.map((key) => [key, 2]),
  )
})

test('a file that no pool has written is refused and stays, and nothing is left open', async (t) => {
  const costs = place(t)
  const others = ['{}', '[]', 'null', 'text', '{"costs":[]}', written([['a']]), written([['a', -1, 1]]), written({})]
  for (const text of others) {
    writeFileSync(costs, text)
    assert.throws(() => new WorkerPool({ costs }), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' }, text)
    assert.equal(readFileSync(costs, 'utf8'), text)
  }
  assert.throws(() => new WorkerPool({ costs: path.dirname(costs) }), { code: 'ERR_THREADMILL_IO' })
  for (const value of [1, {}, null]) {
    assert.throws(() => new WorkerPool({ costs: value }), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  }
  const urls = ['https://example.com/costs', 'file://[1::]/costs', 'file:///a%2fb'].map((url) => new URL(url))
  for (const value of ['', 'a\0b', ...urls]) {
    assert.throws(() => new WorkerPool({ costs: value }), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
  }
  // One that was made to be filled.
  writeFileSync(costs, '')
  const pool = new WorkerPool({ threads: 1, costs })
  await pool.run(1, { kernel: 'fib', key: 'a' })
  await pool.close()
  assert.deepEqual(keys(costs), ['a'])
})

test('a link stays one', { skip: process.platform === 'win32' }, async (t) => {
  const file = place(t)
  writeFileSync(file, written([['a', 1, 1]]))
  const link = `${file}.link`
  symlinkSync(file, link)
  const pool = new WorkerPool({ threads: 1, costs: link })
  await pool.run(1, { kernel: 'fib', key: 'b' })
  await pool.close()
  assert.deepEqual(keys(file), ['a', 'b'])
})

test('a process that exits keeps the costs of the pools that it leaves open; one that cannot write says so', async (t) => {
  const costs = place(t)
  const program = `
    import { rmSync, writeFileSync } from 'node:fs'
    import { dirname } from 'node:path'
    import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool({ threads: 1, costs: process.argv[2] })
    await pool.run(1, { kernel: 'fib', key: 'a' })
    if (process.argv[3] === 'exit') process.exit(4)
    // What it is to be written into is no folder any more.
    rmSync(dirname(process.argv[2]), { recursive: true })
    writeFileSync(dirname(process.argv[2]), '')
    if (process.argv[3] === 'exit without a folder') process.exit(4)
    await pool.close()
    console.log('closed')
  `
  assert.equal((await runProgram(program, { args: [costs, 'exit'] })).code, 4)
  assert.deepEqual(keys(costs), ['a'])
  const { code, stdout, stderr } = await runProgram(program, { args: [costs] })
  assert.deepEqual([code, stdout], [0, 'closed\n'])
  assert.match(stderr, /ThreadmillWarning: the costs of tasks could not be kept/)
  rmSync(path.dirname(costs), { force: true })
  mkdirSync(path.dirname(costs))
  const exited = await runProgram(program, { args: [costs, 'exit without a folder'] })
  assert.equal(exited.code, 4)
  assert.match(exited.stderr, /ThreadmillWarning: the costs of tasks could not be kept/)
})

test('no more than 10,000 keys are kept, those used last', async (t) => {
  const costs = place(t)
  const many = Array.from({ length: 10_000 }, (_, index) => [`old ${index}`, 1, 1])
  writeFileSync(costs, written(many))
  const pool = new WorkerPool({ threads: 1, costs })
  await pool.run(1, { kernel: 'fib', key: 'new' })
  await pool.close()
  const found = keys(costs)
  assert.deepEqual([found.length, found[0], found.at(-1)], [10_000, 'old 1', 'new'])
})

test('a relative path means the folder in which the pool was made', async (t) => {
  const file = place(t)
  const folder = path.dirname(file)
  const source = `
    import process from 'node:process'
    import { WorkerPool } from 'threadmill'
    process.chdir(${JSON.stringify(folder)})
    const pool = new WorkerPool({ threads: 1, costs: 'costs.json' })
    await pool.run(20, { kernel: 'fib', key: 'k' })
    process.chdir('/')
    await pool.close()`
  assert.equal((await runProgram(source)).code, 0)
  assert.deepEqual(keys(file), ['k'])
})
