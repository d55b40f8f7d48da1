// The test runner of the examples: what goes wrong in a file stays in that file, and the longest come first.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { outcomeOf } from '../helpers/outcome.mjs'
import { CONTROL, temporaryFolder, writeTree } from '../main-job/helpers.mjs'
import { example, linesOf, runExample } from './helpers.mjs'

const RUNNER = '05-test-runner/main.mjs'
const SPECS = fileURLToPath(new URL('./fixtures/specs', import.meta.url))
const PASSING = "test('passes', () => {})\n"
const EXITING = 'process.exit(3)\n'
const LOOPING = 'for (;;);\n'

// The one of util-linux; that of BSD has other arguments.
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true

/** Runs the runner; the blocks that it prints per file, in order, and the two lines at the end. */
async function runSpecs(folder, costs, args = []) {
  const { code, signal, stdout, stderr } = await runExample(RUNNER, [folder, '--costs', costs, ...args])
  assert.deepEqual({ signal, stderr }, { signal: null, stderr: '' }, stdout)
  assert.doesNotMatch(stdout, CONTROL)
  const lines = stdout.split('\n')
  const [empty, files, tests, end] = lines.splice(-4)
  assert.deepEqual([empty, end], ['', ''])
  const blocks = new Map()
  for (const line of lines) {
    const title = /^(PASS|FAIL) {2}(.+)$/.exec(line)
    if (title !== null) {
      assert.ok(!blocks.has(title[2]), `${title[2]} is reported twice`)
      blocks.set(title[2], [title[1]])
    } else [...blocks.values()].at(-1).push(line)
  }
  return { code, blocks, summary: [files, tests], order: [...blocks.keys()] }
}

function costsFile(t) {
  return path.join(temporaryFolder(t), 'costs.json')
}

const readCosts = (file) => JSON.parse(readFileSync(file, 'utf8'))

test('a suite that passes ends with 0', async (t) => {
  const lines = await linesOf(RUNNER, ['--workers', '1', '--costs', costsFile(t)])
  assert.deepEqual(lines, [
    'PASS  arithmetic.spec.mjs',
    '  ok      adds',
    '  | half of 3 is 1.5',
    '  ok      divides',
    'PASS  primes.spec.mjs',
    '  ok      counts the primes below 200000',
    'PASS  text/case.spec.mjs',
    '  ok      upper case',
    '  ok      lower case, later',
    '',
    'Files  0 failed, 3 passed, 3 in total',
    'Tests  0 failed, 5 passed, 5 in total',
  ])
})

for (const workers of [1, 2]) {
  test(`every kind of failure fails its own file and no other, with ${workers} worker(s)`, async (t) => {
    const costs = costsFile(t)
    const args = ['--workers', String(workers), '--timeout', '3000']
    const { code, blocks, summary } = await runSpecs(SPECS, costs, args)
    assert.equal(code, 1)
    const indent = ' '.repeat(10)
    assert.deepEqual(Object.fromEntries(blocks), {
      'passing.spec.mjs': [
        'PASS',
        '  | while it loads',
        '  | two',
        '  | lines',
        '  | an error line',
        '  ok      first',
        '  | no newline',
        '  ok      second',
      ],
      'deep/passing.spec.cjs': ['PASS', '  ok      in a folder, CommonJS'],
      'failing.spec.mjs': [
        'FAIL',
        '  ok      good',
        '  not ok  bad',
        `${indent}AssertionError: one and one`,
        ...blocks.get('failing.spec.mjs').slice(4, -4),
        `${indent}at failing.spec.mjs:4:26`,
        '  not ok  worse',
        `${indent}no error at all`,
        '  ok      good again',
      ],
      'throwing.spec.mjs': [
        'FAIL',
        '  | before it throws',
        `${indent}RangeError: cannot be loaded`,
        `${indent}at throwing.spec.mjs:3:7`,
      ],
      'throws-undefined.spec.mjs': ['FAIL', `${indent}undefined`],
      'empty.spec.mjs': ['FAIL', '  | nothing to test', `${indent}Error: the file has no tests`],
      'crashing.spec.mjs': [
        'FAIL',
        '  ok      good',
        '  | before the crash',
        `${indent}TypeError: out of nowhere`,
        `${indent}at crashing.spec.mjs:5:11`,
      ],
      'exiting.spec.mjs': [
        'FAIL',
        '  | before the exit',
        '  ok      good',
        `${indent}ended its worker with exit code 0`,
      ],
      'never-ending.spec.mjs': ['FAIL', '  | before the wait', '  ok      good', `${indent}did not end within 3000 ms`],
      'looping.spec.mjs': ['FAIL', '  | before the loop', '  ok      good', `${indent}did not end within 3000 ms`],
    })
    assert.deepEqual(summary, ['Files  8 failed, 2 passed, 10 in total', 'Tests  2 failed, 9 passed, 11 in total'])

    const measured = readCosts(costs)
    assert.deepEqual(Object.keys(measured).sort(), [...blocks.keys()].sort())
    assert.ok(measured['never-ending.spec.mjs'] > 2900, 'its cost is what it took')
    assert.ok(measured['looping.spec.mjs'] > 2900, 'its cost is what it took')
  })
}

test('the longest file of the last run comes first, new ones before all others', async (t) => {
  const folder = temporaryFolder(t)
  const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}.spec.mjs`)
  writeTree(folder, Object.fromEntries(names.map((name) => [name, PASSING])))
  writeTree(folder, { 'd.spec.mjs': "test('works', () => { let sum = 0; for (let i = 0; i < 3e7; i++) sum += i })\n" })
  const costs = costsFile(t)

  // What is unknown costs the same, and goes by name.
  assert.deepEqual((await runSpecs(folder, costs, ['--workers', '1'])).order, names)

  const measured = readCosts(costs)
  assert.deepEqual(Object.keys(measured).sort(), names)
  const byCost = names.toSorted((a, b) => measured[b] - measured[a] || (a < b ? -1 : 1))
  assert.deepEqual((await runSpecs(folder, costs, ['--workers', '1'])).order, byCost)

  const known = { 'b.spec.mjs': 1, 'a.spec.mjs': 2, 'd.spec.mjs': 3, 'c.spec.mjs': 0.5, 'gone.spec.mjs': 9 }
  writeFileSync(costs, JSON.stringify(known))
  const { order } = await runSpecs(folder, costs, ['--workers', '1'])
  assert.deepEqual(
    order.map((name) => name[0]),
    ['e', 'f', 'd', 'a', 'b', 'c'],
  )
  assert.deepEqual(Object.keys(readCosts(costs)).sort(), names, 'files that are gone are forgotten')
})

test('every file has its turn, however many of them crash in a row', async (t) => {
  const folder = temporaryFolder(t)
  for (let index = 0; index < 7; index++) writeTree(folder, { [`${index}-exits.spec.mjs`]: EXITING })
  writeTree(folder, { 'last.spec.mjs': PASSING })
  for (const workers of ['1', '2']) {
    const { code, blocks, summary } = await runSpecs(folder, costsFile(t), ['--workers', workers])
    assert.equal(code, 1)
    assert.deepEqual(blocks.get('last.spec.mjs'), ['PASS', '  ok      passes'])
    assert.deepEqual(blocks.get('6-exits.spec.mjs'), ['FAIL', `${' '.repeat(10)}ended its worker with exit code 3`])
    assert.equal(summary[0], 'Files  7 failed, 1 passed, 8 in total')
  }
})

test('files that loop for ever use up workers, and the others still have their turn', async (t) => {
  const folder = temporaryFolder(t)
  for (let index = 0; index < 3; index++) writeTree(folder, { [`${index}-loops.spec.mjs`]: LOOPING })
  writeTree(folder, { 'last.spec.mjs': PASSING })
  const { code, blocks, summary } = await runSpecs(folder, costsFile(t), ['--workers', '2', '--timeout', '3000'])
  assert.equal(code, 1)
  assert.equal(blocks.get('last.spec.mjs')[0], 'PASS')
  assert.equal(summary[0], 'Files  3 failed, 1 passed, 4 in total')
})

test('what a file writes after its end is shown as its own', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'a.spec.mjs': "test('leaves', () => { process.on('exit', () => console.log('bye')) })\n" })
  const { code, blocks } = await runSpecs(folder, costsFile(t))
  assert.equal(code, 0)
  assert.deepEqual(blocks.get('a.spec.mjs'), ['PASS', '  ok      leaves', 'after the end of a.spec.mjs:', '  | bye'])
})

test('a folder without spec files passes, bad arguments end with 2', async (t) => {
  const folder = temporaryFolder(t)
  const none = await runSpecs(folder, costsFile(t))
  assert.deepEqual([none.code, none.summary[0]], [0, 'Files  0 failed, 0 passed, 0 in total'])
  for (const args of [['--workers', '0'], ['--timeout', 'soon'], ['--nonsense'], [path.join(folder, 'missing')]]) {
    const { code, stdout, stderr } = await runExample(RUNNER, args)
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /^.+\n$/)
  }
  writeFileSync(path.join(folder, 'broken.json'), '{')
  const { code, stderr } = await runExample(RUNNER, [folder, '--costs', path.join(folder, 'broken.json')])
  assert.equal(code, 2)
  assert.match(stderr, /broken\.json: .+\n$/)
})

test('a terminal gets a bar, which is gone at the end', {
  skip: hasScript ? false : 'needs script of util-linux',
}, async (t) => {
  const costs = costsFile(t)
  const words = [process.execPath, example(RUNNER), '--costs', costs].map((word) => `'${word}'`).join(' ')
  const env = { ...process.env, TERM: 'xterm-256color' }
  const { code, stdout } = await outcomeOf(
    spawn('script', ['-qec', `stty cols 100 rows 30; exec ${words}`, '/dev/null'], { env, timeout: 90_000 }),
  )
  assert.equal(code, 0)
  assert.match(stdout, /[█░]{30} 0\/3 files, 0 tests/)
  assert.match(stdout, /[█░]{30} 2\/3 files, \d tests/)
  assert.equal(stdout.match(/PASS {2}/g).length, 3)
  const end = stdout.slice(stdout.lastIndexOf('Files  '))
  assert.doesNotMatch(end, /[█░]/)
  assert.ok(existsSync(costs))
})
