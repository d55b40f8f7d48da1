// The examples of `threadmill/function` as processes of their own, with arguments that are scaled down: what they print, and
// that they end by themselves. Also as TypeScript.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { after, before, describe, test } from 'node:test'
import { estimatePi, fib, findPrimesUpTo, tribonacci } from '../../examples/math.mjs'
import { linesOf } from '../examples/helpers.mjs'
import { newFolder, root } from '../helpers/child.mjs'

const SCALE = 0.5
const scaled = (value) => Math.max(1, Math.round(value * SCALE))
const FIB = `fib(${scaled(42)})`
const PRIMES = `findPrimesUpTo(${scaled(17_000_000)})`
const TRIBONACCI = `tribonacci(${scaled(32)})`
const PI = `estimatePi(${scaled(25)})`
const primes = findPrimesUpTo(scaled(17_000_000))
const pi = estimatePi(scaled(25))
const VALUES = new Map([
  [FIB, fib(scaled(42))],
  [PRIMES, primes.length],
  [TRIBONACCI, tribonacci(scaled(32))],
  [PI, pi],
])

/** What a pool of up to five tasks may have counted: completed, in total. */
const COUNTS = [1, 2, 3, 4, 5].flatMap((total) => [0, 1, 2, 3, 4].map((completed) => [completed, total]))

const resultOf = (line) => {
  const [meta, value] = line.split(' = ')
  return [meta, Number(value)]
}

/** What A and B have in common: one line for the first, all results, then the count and the time. */
function checkRace(lines, expected, firstValue) {
  const [first] = lines
  assert.match(first, /^Finished First: /)
  const [meta, data] = first.slice('Finished First: '.length).split(' = ')
  assert.equal(lines.filter((line) => line.startsWith('Finished First')).length, 1)
  assert.equal(lines[1], '')
  const results = lines.slice(2, 2 + expected.size).map(resultOf)
  assert.equal(results[0][0], meta)
  assert.equal(data, firstValue(meta))
  assert.deepEqual(new Map(results), expected)
  const [blank, done, ...rest] = lines.slice(2 + expected.size)
  assert.deepEqual([blank, done, rest[0], rest[1]], ['', `DONE! ${expected.size}`, '', ''])
  assert.match(rest[2], /^Run time: \d+ ms$/)
  assert.deepEqual(rest.slice(3), [])
  return results.map(([name]) => name)
}

const scenarios = {
  async 'A: a worker for each task'(run) {
    const lines = await run('10-independent-workers', [String(SCALE)])
    checkRace(lines, VALUES, (meta) => (meta === PRIMES ? String(primes) : String(VALUES.get(meta))))
  },

  async 'B: workers that are shared and outlive their tasks'(run) {
    const lines = await run('11-shared-workers', [String(SCALE)])
    const expected = new Map([...VALUES, [PI, pi + pi], [`${PI} #2`, pi + pi + pi]])
    const order = checkRace(lines, expected, (meta) => String(expected.get(meta)))
    assert.ok(order.indexOf(`${PI} #2`) > order.indexOf(PI))
  },

  async 'C: state that is kept, tasks that follow others, a pool that is filled again'(run) {
    const [less, pause] = [12, 400]
    const lines = await run('12-stateful-chaining', [String(less), String(pause)])
    assert.equal(lines[0], 'Available Thread: Yes')
    const third = lines.findLastIndex((line) => line.startsWith('Available Thread: '))
    const firstDone = lines.findIndex((line) => line.endsWith('% completed'))
    // With three tasks that run the pool is full. So little work may be done before the third one is there.
    if (third < firstDone) assert.equal(lines[third], 'Available Thread: No')
    assert.ok(third > 0)
    const fresh = [0, 1, 2]
    const tasks = {
      A: [fresh, '1 + 2 = 3', '3 + 4 = 7', 42],
      B: [fresh, '5 + 6 = 11', '7 + 8 = 15', 41],
      B2: [[2, 3, 4], '15 + 16 = 31', '17 + 18 = 35', 39],
      C: [fresh, '9 + 10 = 19', '11 + 12 = 23', 40],
      C2: [fresh, '19 + 110 = 129', '111 + 112 = 223', 40],
    }
    for (const [name, [states, one, two, n]] of Object.entries(tasks)) {
      const own = lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2))
      const number = `fib(${n - less}) = ${fib(n - less)}`
      assert.deepEqual(own, [`state ${states[0]}`, one, `state ${states[1]}`, two, `state ${states[2]}`, number])
    }
    // The finishing task itself is not counted yet, nor is one whose last answer came in the same turn.
    const percentages = lines.filter((line) => line.endsWith('% completed')).map(Number.parseFloat)
    assert.equal(percentages.length, 5)
    let counts = [[0, 1]]
    percentages.forEach((percentage, before) => {
      counts = COUNTS.filter(
        ([completed, total]) =>
          completed <= before &&
          Math.round((completed / total) * 100_000) / 1000 === percentage &&
          counts.some(([earlier, fewer]) => earlier <= completed && fewer <= total),
      )
      assert.ok(counts.length > 0, `${percentages} cannot follow one another`)
    })
    const finals = lines.filter((line) => line.startsWith('DONE! '))
    // So little work may be done before the next task is there: then there are more drains, each with more threads.
    const drained = finals.map((line) => Number(line.slice('DONE! '.length)))
    assert.equal(drained.at(-1), 5)
    assert.ok(drained.every((count, index) => index === 0 || count > drained[index - 1]))
    const last = lines.slice(0, lines.lastIndexOf('DONE! 5')).slice(-5)
    const order = last.map((line) => /^Done (\w+)! Success/.exec(line)?.[1])
    assert.deepEqual([...order].sort(), ['A', 'B', 'B2', 'C', 'C2'])
    assert.ok(order.indexOf('B2') > order.indexOf('B'))
    for (const line of last) {
      assert.equal(line.endsWith(line.startsWith('Done A!') ? '{ meta: 1 }' : 'undefined'), true)
    }
  },

  async 'D: fresh workers, data: URLs and packages'(run) {
    const lines = await run('13-fresh-workers', ['20', '400'])
    const results = lines.filter((line) => /^(thunk|call) \d: /.test(line))
    const names = [...[1, 2, 3, 4, 5, 6, 7].map((n) => `thunk ${n}`), ...[1, 2, 3].map((n) => `call ${n}`)]
    assert.deepEqual(results.sort(), names.map((name) => `${name}: 6765`).sort())
    const counts = lines.filter((line) => line.startsWith('Threads completed: '))
    assert.equal(counts.at(-1), 'Threads completed: 10')
    assert.ok(counts.length === 1 || (counts.length === 2 && counts[0] === 'Threads completed: 8'))
    for (const line of ['Hello World! 42', 'counter: 2']) assert.ok(lines.includes(line))
    assert.ok(lines.some((line) => /^endianness: [BL]E$/.test(line)))
  },
}

for (const [name, check] of Object.entries(scenarios)) {
  test(name, () => check((file, args) => linesOf(`${file}.mjs`, args)))
}

describe('in TypeScript', () => {
  let folder
  // A Node that does not run TypeScript runs what the compiler makes of it.
  before(() => {
    if (process.features.typescript) return
    folder = newFolder()
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
    const project = path.join(root, 'examples/typescript')
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project, '--outDir', folder], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stdout)
  })
  after(() => folder && rmSync(folder, { recursive: true, force: true }))

  const run = (file, args) =>
    folder === undefined ? linesOf(`typescript/${file}.mts`, args) : linesOf(path.join(folder, `${file}.mjs`), args)
  for (const [name, check] of Object.entries(scenarios)) test(name, () => check(run))
})
