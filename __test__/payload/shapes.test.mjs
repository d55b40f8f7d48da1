// What is known by number to all threads stays so for ever: there is room left for what comes again.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const { write } = createRequire(import.meta.url)('../../dist/flat.js')

/** Words that the value takes, one before it can be written: after many that cannot it is hardly tried any more. */
function wordsOf(value) {
  assert.ok(write([]) > 0)
  return write(value)
}

/** Objects of that shape until their names are no part of them any more. */
function untilKnown(value) {
  for (let times = 1; times < 1000; times++) if (wordsOf(value) === 2 + Object.keys(value).length) return times
  return Infinity
}

test('objects whose names come again are known by a number soon', () => {
  assert.ok(untilKnown({ id: 1, value: 2, more: 3 }) < 20)
  assert.ok(untilKnown({ id: 1, value: 2, other: 3 }) < 20)
})

test('an object with one name is known', () => {
  assert.ok(untilKnown({ only: 1 }) < 20)
})

test('long names are not kept', () => {
  assert.equal(untilKnown({ ['x'.repeat(1000)]: 1 }), Infinity)
})

const floods = {
  'one key': (index) => ({ [`key ${index}`]: 1 }),
  'many keys': (index) => Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`many ${index} ${n}`, n])),
  'some keys that all have, and many of their own': (index) => ({
    kind: index,
    of: 1,
    ...Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`own ${index} ${n}`, n])),
  }),
  'nested ones': (index) => ({ [`group${index % 40}`]: { [`inner ${index}`]: { [`last ${index}`]: 1 } } }),
  'each key twice': (index) => ({ [`twice ${index >> 1}`]: 1 }),
  'each key four times': (index) => ({ [`four times ${index >> 2}`]: 1 }),
}
test('texts and keys of their own leave room for lists of names, however often they come', () => {
  for (let index = 0; index < 20_000; index++) {
    for (let times = 0; times < 2; times++) wordsOf([`t${index}`])
    for (let times = 0; times < 6; times++) assert.ok(wordsOf({ [`user${index}`]: 1 }) > 0)
  }
  assert.ok(untilKnown({ late: 1, later: 2 }) < 20)
})

for (const [title, make] of Object.entries(floods)) {
  test(`objects with ever new names are written, and leave room for those that come again: ${title}`, () => {
    // More than there is room for.
    for (let index = 0; index < 80_000; index++) assert.ok(wordsOf(make(index)) > 0, `the ${index}th`)
    assert.ok(untilKnown({ [`again ${title}`]: 1, id: 2 }) < 50)
  })
}

test('an object with one name is known again when all shapes were forgotten', () => {
  assert.ok(untilKnown({ only: 1 }) < 50)
})
