// Texts among values that are written as numbers, and alone (lib/flat.ts), on one thread.
import assert from 'node:assert/strict'
import process from 'node:process'
import { describe, test } from 'node:test'
import { cross, crossAgain, read, write, written } from '../helpers/flat.mjs'
import { same } from '../helpers/same.mjs'

const numbersTo = (count) => Array.from({ length: count }, (_, index) => index)

describe('text', () => {
  const prose = 'The quick brown fox jumps over the lazy dog; '.repeat(200)
  // Four units to a word: one of the last two would make it no number, if it came last in it.
  const words = 'Übermäßig \u4f60\u597d\ud83d\ude00 \u7ffb\uffff'.repeat(600)
  const lengths = [...numbersTo(60), 255, 256, 257, 1000, 8191, 8192]
  const texts = {
    ASCII: (length) => prose.slice(0, length),
    'one byte each': (length) => 'é'.repeat(length),
    'of all kinds': (length) => words.slice(0, length),
    'a lone surrogate': (length) => `${prose.slice(0, length)}\ud800`,
    'one that is not ASCII, at the end': (length) => `${prose.slice(0, length)}\u00e9`,
    'what makes no number, at each place': (length) => `${prose.slice(0, length)}\u7ffb\u7ffb\u7ffb\u7ffb`,
    'parts of a longer one': (length) => prose.slice(7, 7 + length),
    'two that were joined': (length) => prose.slice(0, length >> 1) + words.slice(0, length - (length >> 1)),
  }
  for (const [title, make] of Object.entries(texts)) {
    test(title, () => {
      for (const length of lengths) {
        // The fields pay for long ones, and make for words before and after it.
        const value = { ...numbersTo(40), text: make(length), more: make(length + 3), last: 5 }
        const result = crossAgain(value)
        if (length < 200) assert.notEqual(result, undefined, `${length} units`)
        if (result !== undefined) same(result, value)
      }
    })
  }

  test('alone, and leaves room for others', () => {
    for (let start = 0; start < 20_000; start += 1000)
      for (let i = 0; i < 2000; i++) assert.ok(write(`id ${start + (i % 1000)}`) > 0)
    const shape = { [`first ${process.pid}`]: 1, second: 2 }
    same(crossAgain(shape), shape)
  })

  test('alone, as long as it is short', () => {
    for (const make of Object.values(texts)) {
      for (const length of [...lengths, 510, 511, 1020, 1021]) {
        const value = make(length)
        const result = cross(value)
        if (length < 200) assert.equal(result, value, `${length} units`)
        else assert.ok(result === undefined || result === value)
      }
    }
    assert.equal(cross(prose.slice(0, 2000)), undefined)
    // After texts that were no ASCII, too.
    for (let i = 0; i < 40; i++) cross(prose.slice(0, 1000))
    assert.equal(cross(prose.slice(0, 1000)), prose.slice(0, 1000))
  })

  test('nothing is left of a longer one before', () => {
    const fill = { text: '\u7ffb\u7fff\u7ffb\u7fff'.repeat(80) }
    for (let length = 100; length < 160; length++) {
      const value = { text: prose.slice(0, length) }
      crossAgain(value)
      assert.equal(write(fill), -1)
      // Until texts are expected to be ASCII again.
      for (let i = 0; i < 40; i++) write(['x'.repeat(21)])
      const count = write(value)
      // As where words are copied one by one.
      const copy = Float64Array.from(written.subarray(0, count))
      assert.ok(copy.subarray(2).every((word) => !Number.isNaN(word)))
      same(read(copy, 0), value)
    }
  })
})
