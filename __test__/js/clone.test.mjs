// Every kind of value through a pool, in and out, compared with what structuredClone gives in the same Node.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, describe, test } from 'node:test'
import { MessageChannel, markAsUntransferable } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { same } from '../helpers/same.mjs'
import { PLATFORM, REFUSED, TABLE } from '../helpers/values.mjs'

// Each case makes its value more than once, and the stacks must not tell.
Error.stackTraceLimit = 0

const VALUES = new URL('./fixtures/values.mjs', import.meta.url)
const pool = new WorkerPool(VALUES, { maxWorkers: 1 })
after(() => pool.close())

/** Titles of values that differ from thread to thread: the order of the environment. */
const LOCAL = ['process.env']
/** Things that the platform's clone copies or shares, so that one cannot be told from the other by its parts. */
const isPosted = (title) => /shared memory|gives a Blob/.test(title)

/** The value, or undefined if this Node refuses it. */
async function cloneable(make) {
  const value = await make()
  try {
    structuredClone(value)
    return { value }
  } catch {
    return undefined
  }
}

/** How a promise ends. */
const outcome = (promise) =>
  promise.then(
    (value) => ({ value }),
    (reason) => ({ reason }),
  )

const nested = (levels) => {
  let value = {}
  for (let i = 0; i < levels; i++) value = { value }
  return value
}

/** How many objects deep structuredClone goes on this stack. */
function deepest() {
  let [possible, impossible] = [100, 1_000_000]
  while (impossible - possible > 1) {
    const levels = (possible + impossible) >> 1
    try {
      structuredClone(nested(levels))
      possible = levels
    } catch {
      impossible = levels
    }
  }
  return possible
}

describe('a value arrives as structuredClone would give it', () => {
  for (const [title, make, use] of [...TABLE, ...PLATFORM]) {
    test(title, async () => {
      const made = await cloneable(make)
      if (made === undefined) {
        // Of some things the versions of Node think differently.
        await assert.rejects(pool.run(await make()), { name: 'DataCloneError' })
        return
      }
      const { value } = made
      const expected = structuredClone(structuredClone(value))
      same(await pool.run(value), expected)
      if (LOCAL.includes(title)) return
      // Each way by itself.
      await pool.run(title, { name: 'expect' })
      assert.equal(await pool.run(await make(), { name: 'check' }), 'same')
      same(await pool.run(title, { name: 'make' }), structuredClone(await make()))
      if (typeof use !== 'function') return
      const used = await use(await make())
      assert.deepEqual(await pool.run(await make(), { name: 'use' }), used)
      assert.deepEqual(await use(await pool.run(title, { name: 'make' })), used)
    })
  }

  test('small Buffers in a value bring their own bytes only', async () => {
    const [key, value] = [Buffer.from('key'), Buffer.from('value')]
    assert.equal(key.buffer, value.buffer, 'both lie in memory that Node shares among many')
    // After many values that are not written as numbers it is tried with one of 16 others only, on either side.
    for (let times = 0; times < 16; times++) await pool.run([times])
    const output = await pool.run({ key, value })
    const expected = { key: new Uint8Array(key), value: new Uint8Array(value) }
    same(output, expected)
    same(await pool.run(undefined, { name: 'smallBuffers' }), expected)
  })

  test('bigints around the ends of 64 bits', async () => {
    for (const power of [31n, 32n, 53n, 62n, 63n, 64n, 65n, 127n, 128n]) {
      for (const sign of [1n, -1n]) {
        for (const step of [-1n, 0n, 1n]) {
          const value = sign * 2n ** power + step
          assert.deepEqual(await outcome(pool.run(value)), { value }, `${sign} * 2 ** ${power} + ${step}`)
        }
      }
    }
  })

  test('as deep as structuredClone goes, with room for a few calls', async () => {
    const levels = Math.floor(deepest() * 0.95)
    let value = await pool.run(nested(levels))
    for (let level = 0; level < levels; level++) value = value.value
    assert.deepEqual(value, {})
  })

  test('what is refused here is refused there: one level too deep', async () => {
    const [{ reason }, { value }] = await Promise.all([outcome(pool.run(nested(1_000_000))), outcome(pool.run(1))])
    assert.ok(reason instanceof RangeError)
    assert.equal(value, 1)
  })

  test('many values at once keep apart', async () => {
    const made = []
    for (const [title, make] of TABLE) if (!LOCAL.includes(title)) made.push(await cloneable(make))
    const values = made.filter((each) => each !== undefined).map(({ value }) => value)
    const expected = values.map((value) => structuredClone(structuredClone(value)))
    const results = await Promise.allSettled(values.map((value) => pool.run(value)))
    for (const [index, { value, reason }] of results.entries()) {
      // That one has a test of its own.
      if (typeof expected[index] === 'bigint') continue
      assert.equal(reason, undefined)
      same(value, expected[index])
    }
  })
})

describe('contents of messages arrive as structuredClone would give them', () => {
  // What only the platform can copy is not for messages.
  for (const [title, make, codec] of TABLE) {
    if (LOCAL.includes(title) || isPosted(title) || title === 'a DOMException' || codec === undefined) continue
    test(title, async () => {
      await pool.run(title, { name: 'expect' })
      pool.postMessageToWorkers('value', make())
      assert.equal(await pool.run(undefined, { name: 'heard' }), 'same')
      const got = []
      const listener = (contents) => got.push(contents)
      pool.onMessage('value', listener)
      try {
        await pool.run(title, { name: 'post' })
      } finally {
        pool.removeMessageListener('value', listener)
      }
      assert.equal(got.length, 1)
      same(got[0], structuredClone(make()))
    })
  }
})

describe('what structuredClone refuses is refused, and harms no other task', () => {
  for (const [title, make] of REFUSED) {
    test(title, async () => {
      const value = title === 'a module' ? await make() : make()
      let expected
      try {
        structuredClone(value)
        assert.fail('this Node clones it')
      } catch (error) {
        expected = error
      }
      const before = pool.run('before')
      const task = pool.addTask(value)
      const between = pool.run([1, { two: 2n }])
      const back = pool.run(title, { name: 'makeInside' })
      const [first, refused, second, returned] = await Promise.all(
        [before, task.then(), between, back].map((promise) => outcome(promise)),
      )
      assert.deepEqual([first.value, second.value], ['before', [1, { two: 2n }]])
      assert.ok('reason' in refused && 'reason' in returned)
      if (expected === null) assert.deepEqual([refused.reason, returned.reason], [null, null])
      else {
        assert.equal(refused.reason.message, expected.message)
        for (const { reason } of [refused, returned]) {
          assert.equal(reason.constructor, expected.constructor)
          assert.equal(reason.name, expected.name)
          assert.equal(reason.code, expected.code)
        }
      }
      assert.equal(pool.isIdle, true)
    })
  }
})

describe('transfer to a worker', () => {
  test('whatever can be moved detaches at the call, by either way', async () => {
    for (const wrap of [
      (value, list) => pool.run(value, { transfer: list }),
      (value, list) => pool.addTask(value, { transfer: list }).then(),
      (value, list) => pool.run(transfer(value, list)),
      (value, [first, ...others]) => pool.run(transfer(value, [first]), { transfer: others }),
    ]) {
      const bytes = new Uint8Array([1, 2, 3, 4]).subarray(1, 3)
      const other = new Float64Array([0.5])
      const result = wrap({ bytes, deeper: new Map([[1, { other }]]) }, [bytes.buffer, other.buffer])
      assert.deepEqual([bytes.byteLength, bytes.buffer.byteLength, other.byteLength], [0, 0, 0])
      const back = await result
      same(back.bytes, structuredClone(new Uint8Array([1, 2, 3, 4]).subarray(1, 3)))
      assert.deepEqual(back.deeper, new Map([[1, { other: new Float64Array([0.5]) }]]))
    }
  })

  test('the inputs of map, when they are taken', async () => {
    const made = []
    function* inputs() {
      for (let length = 1; length <= 3; length++) {
        const bytes = new Uint8Array(length)
        made.push(bytes)
        yield transfer(bytes, [bytes.buffer])
      }
    }
    const lengths = []
    for await (const output of pool.map(inputs())) lengths.push(output.length)
    assert.deepEqual(lengths, [1, 2, 3])
    assert.ok(made.every((bytes) => bytes.length === 0))
  })

  test('a buffer that is listed and not in the value detaches too', async () => {
    const buffer = new ArrayBuffer(8)
    const result = pool.run('something else', { transfer: [buffer] })
    assert.equal(buffer.byteLength, 0)
    assert.equal(await result, 'something else')
  })

  test('an empty list moves nothing', async () => {
    const bytes = new Uint8Array([1])
    assert.deepEqual(await pool.run(bytes, { transfer: [] }), new Uint8Array([1]))
    assert.deepEqual(await pool.run(transfer(bytes, [])), new Uint8Array([1]))
    assert.equal(bytes.length, 1)
  })

  test('a resizable buffer stays resizable', async () => {
    const make = () => new ArrayBuffer(8, { maxByteLength: 16 })
    const buffer = make()
    const result = pool.run(buffer, { transfer: [buffer], name: 'sizes' })
    assert.equal(buffer.byteLength, 0)
    assert.deepEqual(await result, { resizable: true, byteLength: 8, maxByteLength: 16 })
    const there = make()
    same(await pool.run(there, { transfer: [there], name: 'giveBack' }), make())
  })

  test('a port is used from both sides', async () => {
    const { port1, port2 } = new MessageChannel()
    assert.equal(await pool.run({ port: port2 }, { transfer: [port2], name: 'converse' }), 'listening')
    for (const word of ['one', 'two']) {
      port1.postMessage(word)
      const [answer] = await once(port1, 'message')
      assert.equal(answer, `${word} back`)
    }
    port1.close()
  })

  test('streams', async () => {
    const stream = new Blob(['abc']).stream()
    assert.equal(await pool.run(stream, { transfer: [stream], name: 'text' }), 'abc')
    const other = new Blob(['def']).stream()
    const back = await pool.run(other, { transfer: [other], name: 'giveBack' })
    assert.equal(await new Response(back).text(), 'def')
    const pair = new TransformStream()
    const moved = await pool.run(pair, { transfer: [pair], name: 'giveBack' })
    assert.ok(moved.readable instanceof ReadableStream && moved.writable instanceof WritableStream)
    await moved.readable.cancel()
  })

  test('a call that is refused moves nothing', async () => {
    const small = new WorkerPool(VALUES, { maxWorkers: 1, capacity: 1 })
    const marked = new ArrayBuffer(1)
    markAsUntransferable(marked)
    const refusals = {
      'listed twice': [(buffer) => pool.run(buffer, { transfer: [buffer, buffer] }), 'DataCloneError'],
      'beside a function': [(buffer) => pool.run([buffer, () => 1], { transfer: [buffer] }), 'DataCloneError'],
      // Node names that one differently from version to version, as it does for postMessage.
      'beside what cannot be moved': [(buffer) => pool.run(buffer, { transfer: [buffer, {}] })],
      'beside shared memory': [(buffer) => pool.run(buffer, { transfer: [buffer, new SharedArrayBuffer(1)] })],
      'a signal that is aborted': [
        (buffer) => pool.run(buffer, { transfer: [buffer], signal: AbortSignal.abort() }),
        'AbortError',
      ],
      'no such worker': [
        (buffer) => pool.run(buffer, { transfer: [buffer], workerAffinity: 1, affinityStrength: 'force' }),
        'RangeError',
      ],
      'another option': [(buffer) => pool.run(buffer, { transfer: [buffer], priority: 'top' }), 'TypeError'],
      'no room': [(buffer) => small.run(buffer, { transfer: [buffer] }), 'ThreadmillError'],
      closed: [(buffer) => small.run(buffer, { transfer: [buffer] }), 'ThreadmillError'],
    }
    // Node 20 copies such a buffer without a word.
    if (!process.version.startsWith('v20.')) {
      refusals.untransferable = [
        (buffer) => pool.run([buffer, marked], { transfer: [buffer, marked] }),
        'DataCloneError',
      ]
    }
    for (const [title, [call, name]] of Object.entries(refusals)) {
      const buffer = new Uint8Array([1, 2, 3]).buffer
      const occupant = title === 'no room' ? small.run(1) : undefined
      if (title === 'closed') await small.close()
      const { reason } = await outcome(call(buffer))
      assert.ok(reason instanceof Error, title)
      if (name !== undefined) assert.equal(reason.name, name, title)
      assert.deepEqual(new Uint8Array(buffer), new Uint8Array([1, 2, 3]), title)
      await occupant
    }
    assert.equal(await pool.run(1), 1)
  })

  test('what was moved for a task that is cancelled is gone', async (t) => {
    // It does not return before it is cancelled.
    const pool = new WorkerPool('data:text/javascript,export default () => new Promise(() => {})', { maxWorkers: 1 })
    t.after(() => pool.destroy())
    const buffer = new ArrayBuffer(8)
    const task = pool.addTask(buffer, { transfer: [buffer] })
    assert.equal(task.cancel(), true)
    await assert.rejects(task.then(), { code: 'ERR_THREADMILL_CANCELLED' })
    assert.equal(buffer.byteLength, 0)
  })
})

describe('transfer from a worker', () => {
  test('bytes detach there and arrive whole', async () => {
    for (const size of [1, 1000, 1_000_000]) {
      const { bytes } = await pool.run({ size }, { name: 'give' })
      assert.equal(bytes.length, size)
      assert.ok(bytes.every((byte) => byte === 7))
      assert.equal(await pool.run(undefined, { name: 'keptLength' }), 0)
    }
  })

  test('an output that cannot be moved rejects its task alone, and nothing detaches', async () => {
    for (const [list, name] of [['wrong'], ['uncloneable', 'DataCloneError']]) {
      const [{ reason }, { value }] = await Promise.all([
        outcome(pool.run({ size: 3, list }, { name: 'give' })),
        outcome(pool.run('beside')),
      ])
      assert.ok(reason instanceof Error)
      if (name !== undefined) assert.equal(reason.name, name)
      assert.equal(value, 'beside')
      assert.equal(await pool.run(undefined, { name: 'keptLength' }), 3)
    }
  })

  test('a port', async () => {
    const { port } = await pool.run(undefined, { name: 'openPort' })
    port.postMessage(21)
    const [answer] = await once(port, 'message')
    assert.equal(answer, 42)
    port.close()
  })

  test('a port that is not listed rejects', async () => {
    const { port1, port2 } = new MessageChannel()
    await assert.rejects(pool.run({ port: port2 }, { transfer: [port2] }), /transfer/i)
    port1.close()
    assert.equal(await pool.run(1), 1)
  })
})

describe('shared memory', () => {
  test('is the same on both sides, also what came back', async () => {
    const memory = new Int32Array(new SharedArrayBuffer(16), 4, 2)
    await pool.run({ memory, index: 1, value: 7 }, { name: 'store' })
    assert.deepEqual([...memory], [0, 7])
    const back = await pool.run(memory)
    assert.deepEqual([back.byteOffset, back.length, back[1]], [4, 2, 7])
    back[0] = 9
    assert.equal(memory[0], 9)
  })

  test('that grows', async () => {
    const buffer = new SharedArrayBuffer(8, { maxByteLength: 16 })
    const back = await pool.run({ buffer })
    buffer.grow(16)
    assert.equal(back.buffer.byteLength, 16)
  })

  test('of WebAssembly', async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    const back = await pool.run(memory)
    new Uint8Array(back.buffer)[3] = 5
    assert.equal(new Uint8Array(memory.buffer)[3], 5)
  })
})

describe('what a task throws arrives', () => {
  for (const [title, make, codec] of TABLE) {
    // Those without a way of their own are not the same everywhere.
    if (LOCAL.includes(title) || isPosted(title) || codec === undefined) continue
    test(title, async () => {
      const value = make()
      const { reason } = await outcome(pool.run(title, { name: 'raise' }))
      if (!(value instanceof Error)) {
        same(reason, structuredClone(value))
        return
      }
      assert.ok(reason instanceof Error)
      // A class that is not known here lives on in the name.
      assert.equal(reason.name, title === 'an error of a class of the user' ? 'Failure' : value.name)
      for (const name of ['message', 'code']) assert.equal(reason[name], value[name])
      assert.equal(Object.hasOwn(reason, 'cause'), Object.hasOwn(value, 'cause'))
    })
  }

  test('objects of the platform too', async () => {
    for (const [title, make, use] of PLATFORM) {
      const { reason } = await outcome(pool.run(title, { name: 'raise' }))
      assert.deepEqual(await use(reason), await use(await make()), title)
    }
    const { reason } = await outcome(pool.run('shared memory', { name: 'raise' }))
    assert.ok(reason instanceof SharedArrayBuffer)
  })

  test('an error that has one as a member or cause stays that error', async () => {
    for (const title of PLATFORM.map(([title]) => title)) {
      for (const where of ['member', 'cause']) {
        const { reason } = await outcome(pool.run({ title, where }, { name: 'raiseWith' }))
        assert.ok(reason instanceof RangeError, `${title}: ${reason}`)
        assert.deepEqual([reason.message, reason.code], ['with more', 'E_MORE'])
      }
    }
  })
})

test('many values that take the serializer, of all sizes around what goes with others', async () => {
  const make = (index) => {
    const value = { index, pattern: /a+/g, bytes: new Uint8Array((index * 7) % 2300).fill(index) }
    value.self = value
    return value
  }
  const outputs = await Promise.all(Array.from({ length: 1000 }, (_, index) => pool.run(make(index))))
  for (const [index, output] of outputs.entries()) same(output, structuredClone(make(index)))
})

test('much memory is copied at the call, and stays with the caller', async () => {
  const input = { data: new Uint8Array(200_000).fill(1), list: [new Float64Array(20_000).fill(2)] }
  const expected = structuredClone(input)
  const outputs = Array.from({ length: 20 }, () => pool.run(input))
  const alone = pool.run(input.data)
  input.data.fill(9)
  input.list[0].fill(9)
  for (const output of await Promise.all(outputs)) same(output, expected)
  same(await alone, expected.data)
  assert.equal(input.data.length, 200_000)
  // Nor does a worker lose what it gives back, and the owner gets what it was then.
  const first = await pool.run(input.data)
  first.fill(3)
  same(await pool.run(input.data), input.data)
})

test('instances of a class arrive like the first one', async () => {
  class Item {
    constructor(id) {
      this.id = id
      this.parts = [{ id }, new Map([[id, this.constructor.name]])]
    }
    get twice() {
      return 2 * this.id
    }
  }
  for (let id = 0; id < 5; id++) {
    const make = () => ({ item: new Item(id), when: new Date(id) })
    same(await pool.run(make()), structuredClone(make()))
  }
  const item = Object.assign(new Item(7), { call() {} })
  await assert.rejects(pool.run(item), { name: 'DataCloneError' })
})

test('what is marked with nothing to move arrives as itself, again and again', async () => {
  for (let round = 0; round < 5; round++) {
    same(await pool.run(transfer({ a: [round] }, [])), { a: [round] })
    same(await pool.run({ a: [round] }, { name: 'marked' }), { a: [round] })
  }
})

test('an output with a proxy as its prototype costs no worker', async (t) => {
  const own = new WorkerPool(VALUES, { maxWorkers: 1 })
  t.after(() => own.close())
  let exits = 0
  own.on('worker-exit', () => exits++)
  for (const input of [1, { a: 'x'.repeat(300) }]) {
    assert.deepEqual(await own.run(input, { name: 'proxied' }), { input })
    await assert.doesNotReject(own.run(1))
  }
  assert.equal(exits, 0)
})

test('a getter that submits does not get more tasks into the pool than there is room for', async (t) => {
  const small = new WorkerPool(VALUES, { maxWorkers: 1, capacity: 2 })
  t.after(() => small.close())
  await small.run({ a: 1 })
  const inner = []
  const value = {
    get a() {
      inner.push(small.run(1), small.run(2))
      return 5
    },
  }
  await assert.rejects(async () => small.run(value), { code: 'ERR_THREADMILL_QUEUE_FULL' })
  assert.deepEqual(await Promise.all(inner), [1, 2])
})
