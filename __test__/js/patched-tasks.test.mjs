// Users replace what the language gives: a worker goes on all the same, and so does what its tasks do with their client, which
// is loaded after that.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'

const MODULE = `data:text/javascript,${encodeURIComponent(`
  const { defineProperty } = Object
  const wrong = () => { throw new Error('it was called') }
  export const change = ([holder, name, isPrototype]) => {
    const found = holder === '' ? globalThis : globalThis[holder]
    const key = name === 'iterator' ? Symbol.iterator : name
    const value = holder === '' ? undefined : wrong
    defineProperty(isPrototype ? found.prototype : found, key, { value, configurable: true, writable: true })
  }
  export default (input) => input
  export const same = (input) => input
  export const fail = () => { throw new RangeError('wanted') }
  export const use = async (input, client) => {
    await null
    client.postMessageToPool('said', input)
    client.progress(1, 2)
    const isAborted = client.signal.aborted
    const [number, object] = [await client.run(1, { name: 'same' }), await client.run(input, { name: 'same' })]
    const reason = await client.run(1, { name: 'fail' }).then(wrong, (error) => error.message)
    return [isAborted, number, object, reason, await client.kernels.fib(10)]
  }`)}`

/** What is replaced: of these all functions, and of their prototypes. */
const HOLDERS = [
  'Map',
  'Set',
  'WeakMap',
  'WeakSet',
  'Array',
  'Object',
  'Reflect',
  'Atomics',
  'Number',
  'Math',
  'Symbol',
  'Promise',
  'AbortController',
  'Uint8Array',
  'Int32Array',
  'Float64Array',
]
const GLOBALS = [
  ...HOLDERS,
  'BigInt64Array',
  'SharedArrayBuffer',
  'ArrayBuffer',
  'Error',
  'TypeError',
  'RangeError',
  'String',
  'JSON',
  'Date',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'setTimeout',
  'structuredClone',
]
/** What Node itself takes to load modules and to call back, what all arrays are iterated with, and what `await` is for others. */
const LEFT_OUT = new Set([
  'Set',
  'Object',
  'Number',
  'RangeError',
  'Object.defineProperty',
  'Array.prototype.pop',
  'Array.prototype.push',
  'Array.prototype.iterator',
  'Promise.prototype.then',
])

function functionsOf(object) {
  const descriptors = Object.entries(Object.getOwnPropertyDescriptors(object))
  const names = descriptors.filter(([, { value }]) => typeof value === 'function').map(([name]) => name)
  return [
    ...names.filter((name) => name !== 'constructor'),
    ...(Object.hasOwn(object, Symbol.iterator) ? ['iterator'] : []),
  ]
}

const CHANGES = [
  ...GLOBALS.map((name) => ['', name, false]),
  ...HOLDERS.flatMap((holder) => functionsOf(globalThis[holder]).map((name) => [holder, name, false])),
  ...HOLDERS.flatMap((holder) => functionsOf(globalThis[holder].prototype ?? {}).map((name) => [holder, name, true])),
]

for (const change of CHANGES) {
  const title = [change[0], change[2] ? 'prototype' : '', change[1]].filter(Boolean).join('.')
  if (LEFT_OUT.has(title)) continue
  test(`tasks use their client when one has replaced ${title}`, async (t) => {
    const pool = new WorkerPool(MODULE, { maxWorkers: 1 })
    t.after(() => pool.destroy())
    await pool.run(change, { name: 'change' })
    const said = []
    pool.onMessage('said', (contents) => said.push(contents))
    const input = { a: [1, { b: 'x' }] }
    for (let round = 0; round < 2; round++) {
      const task = pool.addTask(input, { name: 'use' })
      const progress = new Promise((resolve) => task.on('progress', resolve))
      assert.deepEqual(await task, [false, 1, input, 'wanted', 55])
      assert.deepEqual(await progress, { done: 1, total: 2, fraction: 0.5 })
    }
    assert.deepEqual(said, [input, input])
    await pool.close()
    const { tasksAdmitted, tasksCompleted, tasksErrored } = pool.stats()
    assert.deepEqual([tasksAdmitted, tasksCompleted, tasksErrored], [11, 9, 2])
  })
}
