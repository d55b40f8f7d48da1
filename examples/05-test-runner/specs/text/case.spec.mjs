import assert from 'node:assert/strict'

test('upper case', () => assert.equal('straße'.toUpperCase(), 'STRASSE'))
test('lower case, later', async () => {
  await null
  assert.equal('ÄÖÜ'.toLowerCase(), 'äöü')
})
