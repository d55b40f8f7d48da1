// The first half of the soak test; see seeds.mjs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashOf, soakWith } from './seeds.mjs'

test('the same seed gives the same plan, another one another', () => {
  assert.equal(hashOf(7), hashOf(7))
  assert.notEqual(hashOf(7), hashOf(8))
})

soakWith(1, 2, 3, 4)
