// The numbered examples do what their heads say.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder, writeTree } from '../main-job/helpers.mjs'
import { example, linesOf, runExample } from './helpers.mjs'

test('01: outputs come in the order of the inputs, from worker threads', async () => {
  const hello = (name) => `Hello, ${name}, from a worker thread!`
  assert.deepEqual(await linesOf('01-hello.mjs'), ['Ada', 'Grace', 'Linus'].map(hello))
  const names = Array.from({ length: 40 }, (_, index) => `number ${index}`)
  assert.deepEqual(await linesOf('01-hello.mjs', names), names.map(hello))
})

test('02: settings reach the worker before its task, partial results come before the output', async () => {
  assert.deepEqual(await linesOf('02-messages.mjs', ['3', '4']), [
    'worker 0 launched',
    'worker 0, step 1: 3.1452',
    'worker 0, step 2: 3.1409',
    'worker 0, step 3: 3.1418',
    'pi is about 3.1418',
    'worker 0 leaves after 1 task(s)',
  ])
  const lines = await linesOf('02-messages.mjs')
  assert.equal(lines.length, 8)
  assert.match(lines[6], /^pi is about 3\.141\d{3}$/)
})

test('02: bad arguments', async () => {
  for (const args of [['0'], ['x'], ['1', '16'], ['1', '-1']]) {
    const { code, stdout, stderr } = await runExample('02-messages.mjs', args)
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^usage: /)
  }
})

test('03: every key loads once, forced tasks run where they were sent', async () => {
  const byNumber = [0, 1, 2].map((id) => `forced to worker ${id}: ran on worker ${id}`)
  const byKey = (keys) => keys.map((key) => `${key}: 4 tasks on 1 worker(s), loaded 1 time(s)`)
  assert.deepEqual(await linesOf('03-affinity.mjs'), [...byKey(['ant', 'bee', 'cat', 'dog']), ...byNumber])
  const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`)
  assert.deepEqual(await linesOf('03-affinity.mjs', keys), [...byKey(keys), ...byNumber])
})

test('04: lines per extension of a tree, every folder and file a task', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, {
    'one.txt': 'a\nb\nc\n',
    'no-newline.txt': 'a\nb',
    'empty.txt': '',
    plain: '\n',
    'node_modules/skipped.js': 'x\n',
    'a/b/c/d/e/f/deep.js': '1\n2\n3\n4\n5\n6\n7\n',
    'a/__proto__/file.__proto__': '1\n',
  })
  assert.deepEqual(await linesOf('04-discovery.mjs', [folder]), [
    'extension     files      lines',
    '.js               1          7',
    '.txt              3          5',
    '(none)            1          1',
    '.__proto__        1          1',
    'total             6         14',
    '8 folder(s)',
    '14 tasks, 1 of them submitted by the main thread',
  ])
})

test('04: by default the sources of threadmill; a missing folder is said', async () => {
  const lib = example('../lib')
  const files = readdirSync(lib, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const lines = files
    .map((file) => readFileSync(path.join(file.parentPath, file.name), 'utf8').trimEnd().split('\n').length)
    .reduce((sum, count) => sum + count)
  const total = (await linesOf('04-discovery.mjs')).find((line) => line.startsWith('total'))
  assert.deepEqual(total.split(/\s+/), ['total', String(files.length), String(lines)])

  const { code, stdout, stderr } = await runExample('04-discovery.mjs', [path.join(lib, 'missing')])
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /missing is not a folder\n$/)
})

test('06: pools are made when asked for, and a crash stays in its pool', async () => {
  const text = 'one three five'
  assert.deepEqual(await linesOf('06-pool-manager.mjs', [text]), [
    `sha256 ${createHash('sha256').update(text).digest('hex')}`,
    '3 words, the longest is three',
    'risky: ERR_THREADMILL_WORKER_CRASHED, exit code 3',
    'risky again: work done',
    `unknown: no pool 'unknown'; there are kernels, text, risky, unused`,
    'kernels: 1 done, 0 failed',
    'text: 1 done, 0 failed',
    'risky: 1 done, 1 failed',
  ])
  assert.equal((await linesOf('06-pool-manager.mjs'))[1], '9 words, the longest is quick')
})

test('07: jobs run by priority, those that gave up do not, the longest come first where that is asked for', async () => {
  assert.deepEqual(await linesOf('07-priorities.mjs'), [
    'draft is no longer wanted',
    'thumbnail waited too long',
    'by priority: alarm, page, page 2, invoice 1, invoice 2, backup, sweep',
    'longest first: short but urgent, 60 ms, 40 ms, 20 ms, 5 ms, 1 ms',
  ])
})

test('08: what happens in a pool is reported, and nothing twice', async () => {
  for (const count of [40, 12]) {
    const lines = await linesOf('08-monitoring.mjs', count === 40 ? [] : [String(count)])
    assert.deepEqual(lines.slice(0, 2), ['alert: 11 tasks wait for 2 workers', 'alert: the backlog is gone'])
    assert.match(lines[2], /^worker [01] ended with exit code 9$/)
    assert.deepEqual(lines.slice(3, 6), [
      `${count - 2} done, 2 failed`,
      '1 × ERR_THREADMILL_WORKER_CRASHED',
      '1 × TypeError',
    ])
    assert.match(lines[6], /^waited \d+\.\d\d ms, ran \d+\.\d\d ms on average; task 7 ran longest$/)
    const workers = lines.slice(7).map((line) => /^worker [01]: (\d+) done, (\d+) failed$/.exec(line))
    assert.equal(workers.length, 2)
    const sums = [1, 2].map((at) => workers.reduce((sum, match) => sum + Number(match[at]), 0))
    assert.deepEqual(sums, [count - 2, 2])
  }
})

test('09: a pipeline gives every day its line, in order, and counts its tasks', async () => {
  const { measure, judge } = await import('../../examples/09-pipeline.worker.mjs')
  const expected = (day) => {
    const date = new Date(Date.UTC(2026, 0, day)).toISOString().slice(0, 10)
    const [, ...rows] = measure(date).trimEnd().split('\n')
    const values = rows.map((row) => Number(row.split(',')[1])).sort((a, b) => a - b)
    const mean = values.reduce((sum, value) => sum + value) / values.length
    const median = (values[values.length / 2 - 1] + values[values.length / 2]) / 2
    return `day ${day}: ${judge({ count: values.length, min: values[0], max: values.at(-1), mean, quantiles: [median] })}`
  }
  for (const days of [7, 40]) {
    const lines = await linesOf('09-pipeline.mjs', days === 7 ? [] : [String(days)])
    assert.deepEqual(
      lines.slice(0, days),
      Array.from({ length: days }, (_, index) => expected(index + 1)),
    )
    assert.equal(lines[days], `${2 * days} tasks in JavaScript, ${2 * days} kernels`)
    assert.match(lines[days + 1], /^packed: \d+ KiB$/)
    assert.equal(lines.length, days + 2)
  }
})

test('14: a page is served while pools work, and ends with them', async () => {
  const lines = await linesOf('14-dashboard.mjs', ['1'])
  assert.match(lines[0], /^open http:\/\/127\.0\.0\.1:\d+\/$/)
  assert.match(lines[1], /^reports: [1-9]\d* tasks$/)
  assert.match(lines[2], /^files: [1-9]\d* tasks$/)
  assert.match(lines[3], /^\d+ took too long, as some should$/)
  assert.equal(lines.length, 4)
})

test('08, 09 and 14: bad arguments', async () => {
  for (const [name, args] of [
    ['08-monitoring.mjs', ['5']],
    ['08-monitoring.mjs', ['x']],
    ['09-pipeline.mjs', ['0']],
    ['14-dashboard.mjs', ['0']],
    ['14-dashboard.mjs', ['1', '70000']],
  ]) {
    const { code, stdout, stderr } = await runExample(name, args)
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^usage: /)
  }
})

test('every example is in the list, with a head that says how it is run', () => {
  const list = readFileSync(example('README.md'), 'utf8')
  const names = readdirSync(example('.'))
    .filter((name) => /^\d/.test(name) && !name.includes('.worker.'))
    .map((name) => (name.endsWith('.mjs') ? name : `${name}/main.mjs`))
  assert.equal(names.length, 14)
  for (const name of names) {
    assert.ok(list.includes(`(${name})`), `${name} is not in examples/README.md`)
    assert.match(
      readFileSync(example(name), 'utf8'),
      new RegExp(`^// Shows: .+\\n(//.*\\n)*// Run: {3}node examples/${name}`),
    )
  }
})
