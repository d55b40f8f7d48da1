import assert from 'node:assert/strict'

test('adds', () => assert.equal(1 + 2, 3))

test('divides', () => {
  console.log('half of 3 is', 3 / 2)
  assert.equal(3 / 2, 1.5)
})
