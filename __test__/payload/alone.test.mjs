// Values that flat.ts does not write, as they are submitted and answered: written by the engine itself, which asks the addon
// what may be of the platform.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { runInNewContext } from 'node:vm'
import * as threads from 'node:worker_threads'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { canClone } from '../helpers/internals.mjs'
import { same } from '../helpers/same.mjs'
import { PLATFORM, REFUSED, TABLE } from '../helpers/values.mjs'

const require = createRequire(import.meta.url)
const { decode, encode, encodeAlone, takeHeld } = require('../../dist/codec.js')
const { isKnown, serializeChecked } = require('../../dist/instances.js')
const { native } = require('../../dist/native.js')

const ECHO = new URL('../js/fixtures/values.mjs', import.meta.url)
const MOVED = 6
const NOT_ALONE = Symbol('not alone')

// Each case makes its value more than once, and the stacks must not tell.
Error.stackTraceLimit = 0

/** What arrives of a value; `NOT_ALONE` for what has to be cloned first. */
function cross(value) {
  const made = typeof value === 'object' && value !== null ? encodeAlone(value) : undefined
  if (made === undefined) return NOT_ALONE
  const { codec, data } = typeof made === 'number' ? takeHeld() : made
  return codec === MOVED ? native.openMemory(data) : decode(codec, data)
}

/** Elsewhere these values are not written. */
const HERE = { skip: !canClone() }

async function echo(t, value) {
  const pool = new WorkerPool(ECHO, { maxWorkers: 1 })
  t.after(() => pool.close())
  return pool.run(value)
}

const WAYS = {
  'by itself': (value) => value,
  'in an array': (value) => [1, value],
  'as a member': (value) => ({ before: 'x'.repeat(300), value, after: -0 }),
  'in a map': (value) => new Map([[value, value]]),
}

function cloneOf(value) {
  try {
    return { clone: structuredClone(value) }
  } catch {
    return undefined
  }
}

for (const [way, wrap] of Object.entries(WAYS)) {
  test(`all kinds of values arrive as structuredClone gives them, ${way}`, () => {
    let written = 0
    for (const [title, make] of TABLE) {
      const expected = cloneOf(wrap(make()))
      const actual = cross(wrap(make()))
      if (actual === NOT_ALONE) continue
      written++
      assert.ok(expected, `${title} was written, and cannot be cloned`)
      try {
        same(actual, expected.clone)
      } catch (error) {
        error.message = `${title}: ${error.message}`
        throw error
      }
    }
    if (canClone()) assert.ok(written > TABLE.length / 4, `${written} of ${TABLE.length}`)
  })

  test(`what only the platform can clone is left to it, ${way}`, async () => {
    for (const [title, make] of PLATFORM) {
      const value = await make()
      assert.equal(cross(wrap(value)), NOT_ALONE, title)
      // Once it was seen, too.
      encode(wrap(value))
      assert.equal(cross(wrap(value)), NOT_ALONE, title)
    }
  })

  test(`what cannot be cloned is not written, ${way}`, async () => {
    for (const [title, make] of REFUSED) {
      const value = await make()
      if (typeof value === 'object' && value !== null) assert.equal(cross(wrap(value)), NOT_ALONE, title)
    }
  })
}

describe('instances of classes', () => {
  const classes = Array.from(
    { length: 7 },
    (_, index) =>
      class {
        constructor(more) {
          this.index = index
          this.more = more
        }
      },
  )
  const known = () => {
    for (const Class of classes) for (let tries = 0; tries < 3; tries++) encode(new Class(/x/))
    assert.ok(classes.every(({ prototype }) => isKnown(prototype)))
  }

  test('of more classes than the addon is told', HERE, () => {
    known()
    const all = () => classes.map((Class) => new Class(/x/))
    for (let round = 0; round < 20; round++) {
      same(cross(all()), structuredClone(all()))
      const Class = classes[round % classes.length]
      same(cross(new Class(1n)), structuredClone(new Class(1n)))
    }
  })

  const { markAsUncloneable } = threads
  // Node 20 does not have it.
  const marked = () => {
    known()
    for (const Class of classes) {
      const item = new Class(/x/)
      same(cross([item, 1n]), structuredClone([item, 1n]))
      markAsUncloneable(item)
      assert.equal(cross([item, 1n]), NOT_ALONE)
      assert.throws(() => encode([item, 1n]), { name: 'DataCloneError' })
    }
  }
  if (markAsUncloneable !== undefined) test('one that is marked is not written', HERE, marked)

  test('of another realm, whose plain objects are none of ours', () => {
    const make = () => runInNewContext('({ a: [1n, { b: /x/ }], c: new Map([[{}, 1]]) })')
    for (let round = 0; round < 3; round++) {
      const actual = cross(make())
      if (actual !== NOT_ALONE) same(actual, structuredClone(make()))
    }
  })
})

describe('errors', () => {
  class Mine extends RangeError {
    name = 'Mine'
  }
  const foreign = runInNewContext('new Error(1)')
  const make = (cause = new TypeError('why')) => ({
    failures: [new Mine('m', { cause }), foreign],
  })
  const { markAsUncloneable } = threads

  test('of any class and realm arrive as structuredClone gives them', HERE, () => {
    same(cross(make()), structuredClone(make()))
    // Before Node 22 nobody is asked, and so nothing is told about them.
    if (markAsUncloneable === undefined) return
    assert.ok(serializeChecked(make()) > 0, 'written without being looked through')
    takeHeld()
  })

  test('one of the platform is cloned by it, whatever it is in', HERE, () => {
    const value = () => make(new DOMException('x', 'AbortError'))
    cross(make())
    if (markAsUncloneable !== undefined) assert.equal(cross(value()), NOT_ALONE)
    const { codec, data } = encode(value())
    same(decode(codec, data), structuredClone(value()))
  })

  const marked = () => {
    for (const wrap of [(error) => ({ error }), make, (error) => new Map([[error, 1n]])]) {
      for (const error of [new Error('m'), new Mine('m')]) {
        same(cross(wrap(error)), structuredClone(wrap(error)))
        markAsUncloneable(error)
        assert.equal(cross(wrap(error)), NOT_ALONE)
        assert.throws(() => encode(wrap(error)), { name: 'DataCloneError' })
      }
    }
  }
  if (markAsUncloneable !== undefined) test('one that is marked is not written', HERE, marked)
})

describe('a class that cannot be known', () => {
  test('costs no other value anything', async (t) => {
    const pool = new WorkerPool(ECHO, { maxWorkers: 1 })
    t.after(() => pool.close())
    class Refused {
      method = () => {}
    }
    for (let round = 0; round < 60; round++) {
      await assert.rejects(pool.run(new Refused()), { name: 'DataCloneError' })
      await assert.rejects(pool.run(round, { name: 'refused' }), { name: 'DataCloneError' })
    }
    for (let round = 0; round < 40; round++) {
      const value = { round, text: 'x'.repeat(5000), list: [new Map([[round, 1n]])] }
      same(await pool.run(value), structuredClone(value))
    }
  })

  test('nor is its instance changed, or kept', async (t) => {
    class Holder {
      constructor(held) {
        this.held = held
      }
    }
    const value = () => {
      const holder = new Holder({})
      const later = () => {
        holder.held = () => {}
        return 1
      }
      return Object.defineProperty({ holder }, 'later', { get: later, enumerable: true })
    }
    const made = cross(value())
    if (made !== NOT_ALONE) same(made, structuredClone(value()))
    same(await echo(t, value()), structuredClone(value()))
    const { stdout, code } = await runProgram(
      `
      import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool(new URL(${JSON.stringify(ECHO.href)}), { maxWorkers: 1 })
      class Kept { constructor() { this.blob = new Blob(['x']); this.bytes = new Uint8Array(100) } }
      let kept = new Kept()
      const reference = new WeakRef(kept)
      await pool.run(kept)
      kept = undefined
      for (let i = 0; i < 20 && reference.deref() !== undefined; i++) {
        await pool.run(i)
        globalThis.gc()
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      console.log(reference.deref() === undefined)
      await pool.close()
      `,
      { nodeArgs: ['--expose-gc'] },
    )
    assert.deepEqual([code, stdout.trim()], [0, 'true'])
  })
})

describe('the engine itself', () => {
  const PROGRAM = `
    import { WorkerPool } from 'threadmill'
    if (process.argv[2] === 'setters') {
      for (const name of ['self', 'buffer']) {
        Object.defineProperty(Object.prototype, name, { set() { pool.run(new Map([[2, 'y']])) }, configurable: true })
      }
    }
    const pool = new WorkerPool(new URL(${JSON.stringify(ECHO.href)}), { maxWorkers: 1, execArgv: [] })
    const output = await pool.run(new Map([[1, 'x'.repeat(300)], [2, new Blob(['b'])]]))
    console.log(output.get(1).length, await output.get(2).text())
    await pool.run(() => {}).catch((error) => console.log(error.name))
    await pool.close()
  `

  test('is tried without what others have given to all objects', async () => {
    const { stdout, stderr, code } = await runProgram(PROGRAM, { args: ['setters'] })
    assert.deepEqual([code, stdout], [0, '300 b\nDataCloneError\n'], stderr)
  })

  for (const [title, options] of [
    ['as a flag', { nodeArgs: ['--abort-on-uncaught-exception'] }],
    ['in the environment', { env: { NODE_OPTIONS: '--abort_on_uncaught_exception' } }],
  ]) {
    test(`is left alone where it ends the process with what it refuses, ${title}`, async () => {
      const { stdout, stderr, code } = await runProgram(PROGRAM, options)
      assert.deepEqual([code, stdout], [0, '300 b\nDataCloneError\n'], stderr)
    })
  }
})

describe('getters', () => {
  /** Too much for flat.ts. */
  const large = (more) => ({ text: 'x'.repeat(300), numbers: Array.from({ length: 100 }, (_, i) => i / 3), ...more })

  test('what one throws is thrown', HERE, () => {
    const error = new Error('no')
    const value = large({
      more: {
        get a() {
          throw error
        },
      },
    })
    assert.throws(() => {
      if (encodeAlone(value) === undefined) encode(value)
    }, error)
    same(cross(large()), structuredClone(large()))
  })

  test('one may submit other such values, with and without options', async (t) => {
    const pool = new WorkerPool(ECHO, { maxWorkers: 1 })
    t.after(() => pool.close())
    await pool.run(large())
    for (const options of [undefined, { priority: 1 }])
      for (let round = 0; round < 40; round++) {
        const inner = []
        const value = large({ round })
        Object.defineProperty(value, 'nested', {
          enumerable: true,
          get() {
            for (let index = 0; index < 5; index++) {
              inner.push(pool.run(large({ round, index }), options), pool.run({ index }), pool.run('x'.repeat(index)))
            }
            return 'nested'
          },
        })
        const output = await pool.run(value, options)
        same(output, large({ round, nested: 'nested' }))
        for (const [at, promise] of inner.entries()) {
          const index = Math.floor(at / 3) % 5
          same(await promise, [large({ round, index }), { index }, 'x'.repeat(index)][at % 3])
        }
      }
  })

  test('one runs three times at most, where the platform has to clone the value', async (t) => {
    const pool = new WorkerPool(ECHO, { maxWorkers: 1 })
    t.after(() => pool.close())
    for (const more of [
      { blob: new Blob(['x']) },
      { memory: new SharedArrayBuffer(8) },
      { error: new DOMException('x') },
    ]) {
      let calls = 0
      const value = Object.defineProperty({}, 'counted', { get: () => ++calls, enumerable: true })
      await pool.run(Object.assign(value, more))
      assert.ok(calls <= 3, `${calls} calls`)
    }
  })

  test('one in an output may submit, post and hand over', async (t) => {
    const pool = new WorkerPool(ECHO, { maxWorkers: 1 })
    t.after(() => pool.close())
    const outputs = await Promise.all(
      Array.from({ length: 100 }, (_, index) => pool.run(index, { name: 'busyGetter' })),
    )
    for (const [index, output] of outputs.entries()) same(output, large({ index, nested: 'nested' }))
  })
})
