// A thread that is terminated goes on for a moment, until the engine looks for that. Until then the addon cannot call
// JavaScript, and what it would need that for gives nothing. It is to hand over nothing that somebody else could not read.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { canClone } from '../helpers/internals.mjs'

const require = createRequire(import.meta.url)
const { decode, encode, encodeAlone, takeHeld } = require('../../dist/codec.js')
const { native } = require('../../dist/native.js')
const { V8 } = require('../../dist/codecs.js')

const HERE = { skip: !canClone() }
const small = () => new Map([[1, 'x'.repeat(300)]])
const large = () => new Map([[1, 'x'.repeat(2 ** 21)]])

/** Runs `body` where buffers are made by `make`. */
function withBuffers(make, body) {
  const { ArrayBuffer: own } = globalThis
  globalThis.ArrayBuffer = new Proxy(own, { construct: make })
  try {
    return body()
  } finally {
    globalThis.ArrayBuffer = own
  }
}

test('what is small is written without any JavaScript', HERE, () => {
  const refuse = () => assert.fail('called')
  const { codec, data } = withBuffers(refuse, () => encode(small()))
  assert.equal(codec, V8)
  assert.deepEqual(decode(codec, data), small())
  const held = withBuffers(refuse, () => {
    encodeAlone(small())
    return takeHeld()
  })
  assert.deepEqual(decode(held.codec, held.data), small())
})

test('memory that the engine has not made is not taken for what was written', HERE, () => {
  for (const other of [new Uint8Array(8), new ArrayBuffer(3)]) {
    const { codec, data } = withBuffers(
      () => other,
      () => encode(large()),
    )
    assert.notEqual(codec, V8)
    assert.deepEqual(data, large())
  }
})

test('where nothing can be had of it, the platform clones the value', HERE, (t) => {
  t.mock.method(native, 'takeSerialized', () => undefined)
  const { codec, data } = encode(small())
  assert.notEqual(codec, V8)
  assert.deepEqual(data, small())
  encodeAlone(small())
  assert.throws(takeHeld, { code: 'ERR_THREADMILL_SYSTEM' })
})
