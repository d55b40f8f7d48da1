// A comparison that sees all that a clone may get wrong: prototypes, -0, holes, flags, offsets, and what is shared.
import assert from 'node:assert/strict'
import { types } from 'node:util'

const tag = (value) => {
  for (const name of Object.keys(types)) {
    if (name.startsWith('is') && name !== 'isExternal' && types[name](value)) return name
  }
  return Array.isArray(value) ? 'isArray' : 'plain'
}

/** Fails when `actual` and `expected` can be told apart. */
export function same(actual, expected) {
  const pairs = new Map()
  const back = new Map()
  const stack = [[actual, expected, 'value']]
  while (stack.length > 0) {
    const [a, b, path] = stack.pop()
    if (typeof b !== 'object' || b === null) {
      assert.ok(Object.is(a, b), `${path} is ${String(a)} instead of ${String(b)}`)
      continue
    }
    assert.ok(typeof a === 'object' && a !== null, `${path} is no object`)
    if (pairs.has(b) || back.has(a)) {
      assert.ok(pairs.get(b) === a && back.get(a) === b, `${path} is not shared in the same way`)
      continue
    }
    pairs.set(b, a)
    back.set(a, b)
    compareObjects(a, b, path, stack)
  }
}

function compareObjects(a, b, path, stack) {
  const kind = tag(b)
  assert.equal(tag(a), kind, path)
  assert.equal(Object.getPrototypeOf(a), Object.getPrototypeOf(b), `${path} has another prototype`)
  assert.equal(Object.isExtensible(a), Object.isExtensible(b), path)
  if (types.isAnyArrayBuffer(b)) {
    for (const name of ['byteLength', 'resizable', 'maxByteLength', 'growable']) assert.equal(a[name], b[name], path)
    assert.ok(Buffer.from(a).equals(Buffer.from(b)), `${path} has other bytes`)
    return
  }
  if (ArrayBuffer.isView(b)) {
    for (const name of ['byteOffset', 'byteLength', 'length']) assert.equal(a[name], b[name], `${path}.${name}`)
    stack.push([a.buffer, b.buffer, `${path}.buffer`])
    if (b.buffer.resizable) compareTracking(a, b, path)
    return
  }
  if (types.isDate(b)) assert.ok(Object.is(a.getTime(), b.getTime()), path)
  if (types.isRegExp(b)) assert.equal(String(a), String(b), path)
  if (types.isBoxedPrimitive(b)) assert.ok(Object.is(a.valueOf(), b.valueOf()), path)
  if (types.isMap(b) || types.isSet(b)) {
    const [left, right] = [[...a].flat(), [...b].flat()]
    assert.equal(left.length, right.length, path)
    for (const [i, item] of right.entries()) stack.push([left[i], item, `${path}<${i}>`])
  }
  const names = Reflect.ownKeys(b)
  assert.deepEqual(Reflect.ownKeys(a), names, `${path} has other keys`)
  for (const name of names) {
    const [left, right] = [Object.getOwnPropertyDescriptor(a, name), Object.getOwnPropertyDescriptor(b, name)]
    assert.equal(left.enumerable, right.enumerable, `${path}.${String(name)}`)
    assert.equal(left.writable, right.writable, `${path}.${String(name)}`)
    // Node 22 keeps the stack behind an accessor.
    stack.push([a[name], b[name], `${path}.${String(name)}`])
  }
}

/** Whether both follow the length of their memory. */
function compareTracking(a, b, path) {
  const { byteLength } = b.buffer
  for (const view of [a, b]) view.buffer.resize(view.buffer.maxByteLength)
  assert.equal(a.byteLength, b.byteLength, `${path} does not track its memory alike`)
  for (const view of [a, b]) view.buffer.resize(byteLength)
}
