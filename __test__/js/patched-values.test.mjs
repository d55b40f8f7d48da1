// Values that cross as memory, by a transfer, or with classes, when somebody has replaced methods of the language: in the worker,
// and on the thread that owns the pool.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'

const MODULE = `data:text/javascript,${encodeURIComponent(`
  import { transfer } from ${JSON.stringify(import.meta.resolve('threadmill'))}
  class Point { constructor(x) { this.x = x } }
  const { defineProperty } = Object
  export const change = ([holder, name, key]) => {
    const wrong = () => { throw new Error(name + ' was called') }
    defineProperty(globalThis[holder].prototype, name, { configurable: true, [key]: wrong })
  }
  export default (input) => input
  export const moved = () => {
    const bytes = [Uint8Array.of(1, 2), Uint8Array.of(3)]
    return transfer({ bytes, by: new Map([['a', new Point(5)]]) }, bytes.map(({ buffer }) => buffer))
  }
  export const said = (input, client) => { client.postMessageToPool('said', { by: new Map([['a', new Point(input)]]) }) }`)}`

const CHANGES = [
  ['Array', 'indexOf', 'value'],
  ['Array', 'every', 'value'],
  ['Array', 'some', 'value'],
  ['Set', 'add', 'value'],
  ['Set', 'has', 'value'],
  ['Set', 'size', 'get'],
  ['WeakSet', 'has', 'value'],
  ['WeakMap', 'get', 'value'],
]

/** Values of each kind. */
const USE = async (pool, assertEqual) => {
  const large = new Float64Array(20_000).fill(1.5)
  const output = await pool.run(large)
  assertEqual([output.constructor.name, output.length, output[19_999]], ['Float64Array', 20_000, 1.5])
  const wanted = { bytes: [Uint8Array.of(1, 2), Uint8Array.of(3)], by: new Map([['a', { x: 5 }]]) }
  assertEqual(await pool.run(0, { name: 'moved' }), wanted)
  const buffers = [new ArrayBuffer(2), new ArrayBuffer(3)]
  const back = await pool.run({ buffers }, { transfer: buffers })
  assertEqual(
    [...back.buffers, ...buffers].map(({ byteLength }) => byteLength),
    [2, 3, 0, 0],
  )
  const heard = new Promise((resolve) => pool.onMessage('said', resolve))
  await pool.run(7, { name: 'said' })
  assertEqual(await heard, { by: new Map([['a', { x: 7 }]]) })
}

for (const change of CHANGES)
  test(`in the worker: ${change[0]}.prototype.${change[1]}`, async (t) => {
    const pool = new WorkerPool(MODULE, { maxWorkers: 1 })
    t.after(() => pool.destroy())
    await pool.run(change, { name: 'change' })
    await USE(pool, assert.deepEqual)
  })

test('on the thread that owns the pool', { timeout: 60_000 }, async () => {
  const changes = CHANGES.filter(([, , key]) => key === 'value')
  const child = await runProgram(`
    import assert from 'node:assert/strict'
    import { WorkerPool } from 'threadmill'
    const use = ${USE}
    const same = (a, b) => assert.deepEqual(a, b)
    const pool = new WorkerPool(${JSON.stringify(MODULE)}, { maxWorkers: 1 })
    for (const [holder, name] of ${JSON.stringify(changes)}) {
      const { prototype } = globalThis[holder]
      const own = prototype[name]
      const put = (value) => { prototype[name] = value }
      // What compares may use it.
      const checks = []
      // As spies of test frameworks: others, Node among them, may call it.
      put(function (...args) { return this === undefined ? 0 : own.apply(this, args) })
      if (name === 'indexOf') put(() => 0)
      await use(pool, (a, b) => checks.push([a, b]))
      put(own)
      for (const [a, b] of checks) same(a, b)
    }
    await pool.close()
    console.log('done')
  `)
  assert.deepEqual([child.stdout, child.stderr, child.code], ['done\n', '', 0])
})

for (const name of ['list', 'observer', 'cleanup', 'reason', 'words', 'kind', 'members', 'error', 'faults'])
  test(`with a function '${name}' that all objects inherit`, { timeout: 60_000 }, async () => {
    const child = await runProgram(`
      import { WorkerPool } from 'threadmill'
      Object.defineProperty(Object.prototype, ${JSON.stringify(name)}, { value() {}, writable: true, configurable: true })
      const module = 'data:text/javascript,export default (n) => { if (n === "fail") throw Object.assign(new RangeError("wanted"), { code: "E_X", extra: { a: 1 } }); return n }'
      const pool = new WorkerPool(module, { maxWorkers: 1 })
      const signal = new AbortController().signal
      const reason = await pool.run('fail').catch((error) => [error.message, error.code, error.extra])
      const { mean } = await pool.kernels.stats(Float64Array.of(1, 3), { quantiles: [0.5] })
      const outputs = [await pool.run(1), reason, await pool.run({ a: 1 }, { signal }), await pool.kernels.echo(2), mean]
      console.log(JSON.stringify(outputs))
      await pool.close()
    `)
    assert.deepEqual([child.stdout, child.stderr, child.code], ['[1,["wanted","E_X",{"a":1}],{"a":1},2,2]\n', '', 0])
  })
