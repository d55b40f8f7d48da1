// How many workers fit a kind of work.
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { recommendedPoolSize } from 'threadmill'

test('every kind has its number of workers', () => {
  const table = {
    cpu: { 1: 1, 2: 2, 3: 3, 8: 8, 64: 64 },
    'cpu-reserve': { 1: 1, 2: 1, 3: 2, 8: 7, 64: 63 },
    mixed: { 1: 2, 2: 4, 3: 6, 8: 16, 64: 128 },
    short: { 1: 2, 2: 2, 3: 2, 8: 4, 9: 4, 64: 32 },
  }
  for (const [kind, byCores] of Object.entries(table)) {
    for (const [cores, workers] of Object.entries(byCores)) {
      assert.equal(recommendedPoolSize(kind, Number(cores)), workers, `${kind} of ${cores}`)
    }
  }
})

test('by default: work of the CPU, on the cores that the system grants', () => {
  assert.equal(recommendedPoolSize(), availableParallelism())
  assert.equal(recommendedPoolSize('mixed'), 2 * availableParallelism())
  assert.equal(recommendedPoolSize(undefined, 5), 5)
})

test('bad input throws', () => {
  for (const kind of ['CPU', '', 'toString', null, 5]) {
    assert.throws(() => recommendedPoolSize(kind), { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
  }
  for (const cores of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 65_537]) {
    assert.throws(() => recommendedPoolSize('cpu', cores), { name: 'RangeError', code: 'ERR_THREADMILL_OUT_OF_RANGE' })
  }
  for (const cores of ['4', null, 4n]) {
    assert.throws(() => recommendedPoolSize('cpu', cores), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  }
})
