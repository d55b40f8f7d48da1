// The numbered examples do what their heads say.
import assert from 'node:assert/strict'
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

test('every example is in the list, with a head that says how it is run', () => {
  const list = readFileSync(example('README.md'), 'utf8')
  const names = readdirSync(example('.'))
    .filter((name) => /^\d/.test(name) && !name.includes('.worker.'))
    .map((name) => (name.endsWith('.mjs') ? name : `${name}/main.mjs`))
  assert.equal(names.length, 5)
  for (const name of names) {
    assert.ok(list.includes(`(${name})`), `${name} is not in examples/README.md`)
    assert.match(
      readFileSync(example(name), 'utf8'),
      new RegExp(`^// Shows: .+\\n(//.*\\n)*// Run: {3}node examples/${name}`),
    )
  }
})
