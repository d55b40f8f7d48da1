// Stage: all. `threadmill bench`, as short as it can be: what it measures is not of interest here.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTROL } from '../main-job/helpers.mjs'
import { threadmill } from './helpers.mjs'

test('it compares three contenders on two kinds of work', async () => {
  const { code, stdout, stderr } = await threadmill(['bench', '--seconds', '1', '--threads', '2'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.doesNotMatch(stdout, CONTROL)
  assert.match(stdout, /^threadmill \S+, Node \S+, .* CPUs \(.+\)\n2 threads each, 64 calls in flight/)
  assert.equal(stdout.match(/^ {2}kernels +[\d,]+\/s .* times plain workers$/gm).length, 2)
  assert.equal(stdout.match(/^ {2}tasks +[\d,]+\/s .* times plain workers$/gm).length, 2)
  assert.equal(stdout.match(/^ {2}plain workers +[\d,]+\/s .*$/gm).length, 2)
})

test('--json has medians, extremes and ratios', async () => {
  const { code, stdout } = await threadmill(['bench', '-s', '1', '-t', '1', '--json'])
  assert.equal(code, 0)
  const { threads, results } = JSON.parse(stdout)
  assert.equal(threads, 1)
  assert.equal(results.length, 2)
  for (const { contenders } of results) {
    assert.deepEqual(
      contenders.map(({ name }) => name),
      ['kernels', 'tasks', 'plain workers'],
    )
    for (const { min, median, max, ratio } of contenders) {
      assert.ok(min > 0 && min <= median && median <= max && ratio > 0)
    }
    assert.equal(contenders[2].ratio, 1)
  }
})

test('2: no time', async () => {
  assert.equal((await threadmill(['bench', '-s', '0'])).code, 2)
})
