// What is known by number to all threads stays so for ever: there is room left for what comes again.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const { write } = createRequire(import.meta.url)('../../dist/flat.js')

/** Words that the value takes; one before it can be written, for after many that cannot it is hardly tried any more. */
function wordsOf(value) {
  assert.ok(write([]) > 0)
  return write(value)
}

test('objects with ever new names leave room for those that come again', () => {
  let last = 0
  for (let index = 0; index < 20_000; index++) last = wordsOf({ [`key ${index}`]: 1 })
  assert.equal(last, -1, 'there is no room for all of them')
  assert.equal(wordsOf({ again: 1 }), -1)
  assert.equal(wordsOf({ again: 2 }), 3)
  assert.equal(wordsOf({ again: 3 }), 3)
  assert.equal(wordsOf({ 'key 1': 1 }), 3, 'early ones are known')
})
