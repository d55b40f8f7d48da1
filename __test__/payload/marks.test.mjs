// Which objects were given to `markAsUncloneable` (M1 and M2 in src/marks.rs), in a process that has not asked yet.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as threads from 'node:worker_threads'
import { canClone, isMarked, sees } from '../helpers/internals.mjs'

const { markAsUncloneable } = threads

function marked(object) {
  markAsUncloneable(object)
  return object
}

class Item {
  a = 1
}

test('nothing is found where nothing is marked, or everything', () => {
  assert.equal(sees({}, {}), false)
  assert.equal(sees(null, {}), false)
  assert.equal(isMarked({}), true, 'nobody is taken for free before that is known')
  if (markAsUncloneable !== undefined) assert.equal(sees(marked({}), marked({})), false)
})

/** Node 20 does not have it. */
const canMark = markAsUncloneable !== undefined && canClone()

if (canMark) {
  test('with one that is marked and another one all can be told apart', () => {
    assert.equal(sees(marked({}), {}), true)
    assert.equal(sees({}, {}), true, 'it stays known')
    for (const object of [{}, [], new Item(), new Map(), new Proxy(marked({}), {})])
      assert.equal(isMarked(object), false)
    for (const object of [{}, { a: 1 }, new Item(), Object.create(null)]) assert.equal(isMarked(marked(object)), true)
    assert.equal(isMarked(1), true, 'no object')
  })

  test('however many properties come and go', () => {
    const item = marked(new Item())
    for (let index = 0; index < 2000; index++) item[`name ${index}`] = index
    assert.equal(isMarked(item), true)
    for (const name of Object.keys(item)) delete item[name]
    assert.equal(isMarked(item), true)
    assert.equal(isMarked(Object.assign(new Item(), item)), false)
  })
}
