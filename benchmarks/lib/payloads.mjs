// What tasks are given, and whether an output is what came of it.
import assert from 'node:assert/strict'

const KIB = 'x'.repeat(1000)
/** As many as are in flight at most: to make them is no part of what is measured. */
const STRINGS = Array.from({ length: 1024 }, (_, index) =>
  Buffer.from(`${String(index).padStart(24)}${KIB}`).toString(),
)

const CELLS = new Int32Array(new SharedArrayBuffer(4096))

/** What a database or a file of JSON gives. */
const RECORDS = Array.from({ length: 200 }, (_, id) => ({ id, name: `n${id}`, ok: id % 3 > 0, value: id / 7 }))

class Position {
  constructor(x, y) {
    this.x = x
    this.y = y
  }
}

/** Each input has its own, as it would; to make them is no part of what is measured. */
const FAILURES = Array.from({ length: 1024 }, () => new TypeError('it failed', { cause: new Error('that is why') }))

function withHole(index) {
  const list = [index]
  list[2] = 'c'
  return list
}

function roundObject(index, result) {
  const object = { at: new Position(index, 0.5), pattern: /item-\d+/g, result }
  object.self = object
  return object
}

/**
 * @typedef {object} Kind
 * @property {string} kind
 * @property {(index: number) => unknown} make
 * @property {(output: any, index: number) => boolean} isSame a quick look, at each output
 */

/** @type {Kind[]} */
export const KINDS = [
  { kind: 'number', make: (index) => index, isSame: (output, index) => output === index },
  {
    kind: 'small object',
    // JSON holds it exactly.
    make: (index) => ({ id: index, name: 'item', tags: ['a', 'b'], nested: { x: 1.5 } }),
    isSame: (output, index) => output.id === index,
  },
  {
    kind: 'map and date',
    // And an object that is there three times.
    make(index) {
      const shared = { id: index, tags: ['a', 'b'] }
      const when = new Date(1_700_000_000_000 + index)
      return {
        when,
        byName: new Map([
          ['item', shared],
          ['other', { shared }],
        ]),
        shared,
      }
    },
    isSame: ({ shared, byName }, index) =>
      shared.id === index && byName.get('item') === shared && byName.get('other').shared === shared,
  },
  {
    kind: 'class and cycle',
    // A regular expression and a part of some memory, too.
    make: (index) => roundObject(index, new Uint8Array([0, 1, 2, 3, 4]).subarray(1)),
    isSame: (output, index) => output.at.x === index && output.self === output,
  },
  {
    kind: 'error and cycle',
    // The same with an error that has a cause.
    make: (index) => roundObject(index, FAILURES[index % FAILURES.length]),
    isSame: (output, index) => output.at.x === index && output.self === output && output.result.cause.stack.length > 0,
  },
  {
    kind: 'V8 object',
    // The same with an array that has a hole, which takes V8's serialiser.
    make: (index) => roundObject(index, withHole(index)),
    isSame: (output, index) => output.at.x === index && output.self === output,
  },
  {
    kind: 'small Buffers',
    // What a protocol or a database gives: Node has the bytes of many in the same memory.
    make: (index) => ({ id: index, key: Buffer.from(`item-${index}`), value: Buffer.from('a value of some bytes') }),
    isSame: (output, index) => output.id === index && output.value.length === 21,
  },
  {
    kind: 'shared memory',
    make: (index) => ({ id: index, cells: CELLS }),
    isSame: (output, index) => output.id === index && output.cells.buffer instanceof SharedArrayBuffer,
  },
  {
    kind: '200 records',
    make: (index) => ({ index, records: RECORDS }),
    isSame: (output, index) => output.index === index && output.records.length === 200,
  },
  {
    kind: '1 KiB string',
    make: (index) => STRINGS[index % STRINGS.length],
    isSame: (output, index) => output === STRINGS[index % STRINGS.length],
  },
]

/** Checks outputs of tasks that give back their inputs: quickly all of them, in full a few. */
export function checkEcho({ make, isSame }) {
  return (outputs, total) => {
    assert.equal(outputs.length, total)
    assert.ok(outputs.every(isSame))
    for (const index of [0, total >> 1, total - 1]) {
      assert.deepEqual(outputs[index], structuredClone(make(index)))
    }
  }
}
