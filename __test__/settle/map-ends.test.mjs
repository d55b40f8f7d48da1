// The end of `map`: what is cancelled and what is not, what its source is asked, and that nothing is kept.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { WorkerPool } from 'threadmill'
import { occupy, rejection, until } from '../helpers/pool.mjs'

function poolOf(t, options) {
  const pool = new WorkerPool({ threads: 1, ...options })
  t.after(() => pool.destroy())
  return pool
}

const turn = () => new Promise(setImmediate)

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

/** Collects rubbish until `condition` holds. */
const collects = (condition) =>
  until(() => {
    gc()
    return condition()
  })

/** Rubbish is collected, and what is told of that has been. */
async function collected() {
  for (let round = 0; round < 5; round++) {
    gc()
    await turn()
  }
}

/** An iterator of `next` and `return`, that is its own iterable. */
const asyncSource = (methods) => ({ ...methods, [Symbol.asyncIterator]: returnThis })
function returnThis() {
  return this
}

test('leaving cancels no task that has taken the place of one of its own', async (t) => {
  const pool = poolOf(t)
  const iterator = pool.map([1, 2, 3, 4], { kernel: 'fib', concurrency: 4 })
  await iterator.next()
  await until(() => pool.stats().tasksCompleted === 4)
  // The outputs of three are there, and nobody has taken them.
  const gate = await occupy(pool)
  const others = Array.from({ length: 6 }, () => pool.kernels.fib(10))
  await iterator.return()
  await gate.release()
  assert.deepEqual(await Promise.all(others), Array(6).fill(55))
})

test('an abort cancels what is in progress also when nobody waits for an output', async (t) => {
  const pool = poolOf(t)
  const controller = new AbortController()
  const iterator = pool.map([5, 60, 60], { kernel: 'fib', signal: controller.signal, concurrency: 4 })
  assert.equal((await iterator.next()).value, 5)
  await until(() => pool.stats().tasksAdmitted === 3)
  controller.abort('enough')
  await until(() => pool.isIdle)
  assert.equal(await rejection(iterator.next()), 'enough')
})

test('a getter of an input that leaves or aborts it has the task of that cancelled', async (t) => {
  const pool = new WorkerPool('data:text/javascript,export default () => new Promise(() => {})', { maxWorkers: 1 })
  t.after(() => pool.destroy())
  const controller = new AbortController()
  for (const end of [(iterator) => iterator.return(), () => controller.abort('enough')]) {
    let hasEnded = false
    const input = {
      get value() {
        end(iterator)
        hasEnded = true
        return 1
      },
    }
    const iterator = pool.map([input], { signal: controller.signal })
    const output = iterator.next().catch((reason) => reason)
    await until(() => hasEnded)
    await until(() => pool.isIdle)
    const isAborted = controller.signal.aborted
    assert.deepEqual(await output, isAborted ? 'enough' : { done: true, value: undefined })
  }
})

test('one that has ended or been left keeps no listener on its signal', async (t) => {
  const pool = poolOf(t)
  const { signal } = new AbortController()
  const map = () => pool.map([1, 2], { kernel: 'fib', signal })
  for await (const _ of map()) assert.equal(getEventListeners(signal, 'abort').length, 1)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  for await (const _ of map()) break
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('the pool does not keep one that has ended', async (t) => {
  const pool = poolOf(t)
  const ended = await (async () => {
    const iterator = pool.map([1], { kernel: 'fib' })
    for await (const _ of iterator);
    return new WeakRef(iterator)
  })()
  await collects(() => ended.deref() === undefined)
})

test('an input that comes after it was left is not submitted', async (t) => {
  const pool = poolOf(t)
  let give
  const next = () => new Promise((resolve) => (give = resolve))
  const iterator = pool.map(asyncSource({ next }), { kernel: 'fib' })
  const open = iterator.next()
  await until(() => give !== undefined)
  await iterator.return()
  await open
  give({ done: false, value: 60 })
  await turn()
  assert.deepEqual([pool.stats().tasksAdmitted, pool.isIdle], [0, true])
})

test('a source that waits for room is not asked after it was left', async (t) => {
  const pool = poolOf(t, { capacity: 1 })
  const calls = []
  const source = asyncSource({
    next: async () => calls.push('next') && { done: false, value: 1 },
    return: async () => calls.push('return') && { done: true },
  })
  const gate = await occupy(pool)
  const iterator = pool.map(source, { kernel: 'fib' })
  const open = iterator.next()
  await turn()
  await iterator.return()
  await open
  await gate.release()
  await turn()
  assert.deepEqual(calls, ['return'])
})

test('what the return of an async source rejects with is of no interest', async (t) => {
  const pool = poolOf(t)
  const unhandled = []
  const note = (reason) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  t.after(() => process.off('unhandledRejection', note))
  const source = asyncSource({
    next: async () => ({ done: false, value: 1 }),
    return: () => Promise.reject(new Error('of the source')),
  })
  for await (const _ of pool.map(source, { kernel: 'fib' })) break
  await turn()
  assert.deepEqual(unhandled, [])
})

test('a source runs in the async context that map was called in, whoever consumes', async (t) => {
  const pool = poolOf(t)
  const context = new AsyncLocalStorage()
  const seen = []
  function* inputs() {
    for (let n = 0; n < 30; n++) {
      seen.push(context.getStore())
      yield n
    }
  }
  const iterator = context.run('maker', () => pool.map(inputs(), { kernel: 'echo', concurrency: 2 }))
  await context.run('consumer', async () => {
    for await (const _ of iterator) assert.equal(context.getStore(), 'consumer')
  })
  assert.deepEqual(seen, Array(30).fill('maker'))
})

test('all that map asks of its inputs and of estimators is asked in the context that it was called in', async (t) => {
  const context = new AsyncLocalStorage()
  const seen = new Set()
  const note = (what) => seen.add(`${what} ${context.getStore()}`)
  const noteEstimator = (what) => () => {
    note(what)
    return 1
  }
  const pool = new WorkerPool('data:text/javascript,export default ({ value }) => value', {
    maxWorkers: 1,
    inherentCostEstimator: noteEstimator('inherent cost'),
    workerCostEstimator: noteEstimator('worker cost'),
  })
  t.after(() => pool.destroy())
  const input = (value) => ({
    get value() {
      note('getter')
      return value
    },
  })
  const thenable = (what, value) => ({
    // biome-ignore lint/suspicious/noThenProperty: what is awaited is to tell where
    then(resolve) {
      note(what)
      resolve(value)
    },
  })
  const end = () => note('end of the source')
  function* inputs() {
    try {
      for (let n = 0; ; n++) yield n % 2 === 0 ? input(n) : thenable('input', input(n))
    } finally {
      end()
    }
  }
  const asyncInputs = asyncSource({
    next: () => thenable('result', { done: false, value: input(0) }),
    return: end,
  })
  const controller = new AbortController()
  const options = { concurrency: 2, signal: controller.signal }
  const outputs = [inputs(), asyncInputs].map((source) => context.run('maker', () => pool.map(source, options)))
  await context.run('consumer', async () => {
    for (const iterator of outputs) for (let count = 0; count < 30; count++) await iterator.next()
    controller.abort('enough')
    for (const iterator of outputs) assert.equal(await rejection(iterator.next()), 'enough')
  })
  const expected = ['end of the source', 'getter', 'inherent cost', 'input', 'result', 'worker cost']
  assert.deepEqual(
    [...seen].sort(),
    expected.map((what) => `${what} maker`),
  )
})

test('an input that is refused ends a live source at once', async (t) => {
  const pool = new WorkerPool('data:text/javascript,export default (input) => input', { maxWorkers: 1 })
  t.after(() => pool.destroy())
  let closed = false
  const inputs = [1, () => {}]
  const source = asyncSource({
    next: () => (inputs.length > 0 ? Promise.resolve({ done: false, value: inputs.shift() }) : new Promise(() => {})),
    return: async () => {
      closed = true
      return { done: true }
    },
  })
  const outputs = pool.map(source)
  assert.deepEqual(await outputs.next(), { done: false, value: 1 })
  assert.equal((await rejection(outputs.next())).name, 'DataCloneError')
  assert.equal(closed, true)
})

const dropped = {
  'a map that nobody has asked for an output': (pool, options) => pool.map([1, 2, 3], options),
  'a map that was left after an output': (pool, options) => pool.map([1, 2, 3], options).next(),
  'a map whose source hangs when the pool ends': async (pool, options) => {
    const results = [{ done: false, value: 1 }]
    const next = async () => results.shift() ?? new Promise(() => {})
    await pool.map(asyncSource({ next }), options).next()
    await pool.close()
  },
  'a stream that nobody has used': (pool, options) => pool.stream(options),
  'a stream that was left after a write': async (pool, options) => {
    pool.stream(options).write(1)
    await pool.whenIdle()
  },
  'a stream that was left after an output': async (pool, options) => {
    const stream = pool.stream(options)
    stream.write(1)
    await new Promise((resolve) => stream.once('data', resolve))
  },
  'a stream that has been ended and not read': async (pool, options) => {
    if (options.signal === undefined) pool.stream(options).end(1)
    await pool.whenIdle()
  },
  'a stream whose source has failed': async (pool, options) => {
    const source = Readable.from([1, 2]).map((input) => {
      if (input === 2) throw new Error('of the source')
      return input
    })
    source.pipe(pool.stream(options)).on('data', () => {})
    await new Promise((resolve) => source.on('error', resolve))
    await pool.whenIdle()
  },
}
for (const [what, drop] of Object.entries(dropped)) {
  test(`${what} keeps no pool, and no signal keeps it`, async () => {
    for (const signal of [undefined, new AbortController().signal]) {
      let isGone = false
      const registry = new FinalizationRegistry(() => {
        isGone = true
      })
      await (async () => {
        const pool = new WorkerPool({ threads: 1 })
        registry.register(pool)
        await drop(pool, { kernel: 'fib', signal })
      })()
      await collects(() => isGone && (signal === undefined || getEventListeners(signal, 'abort').length === 0))
    }
  })
}

test('no pool keeps a stream that was dropped, used or not', async (t) => {
  const pool = poolOf(t)
  const used = await (async () => {
    const stream = pool.stream({ kernel: 'fib' })
    stream.write(1)
    await new Promise((resolve) => stream.once('data', resolve))
    return new WeakRef(stream)
  })()
  await collects(() => used.deref() === undefined)
  const make = () => {
    for (let count = 0; count < 10_000; count++) pool.stream({ kernel: 'fib' })
  }
  const heap = () => process.memoryUsage().heapUsed
  make()
  await collected()
  const before = heap()
  make()
  make()
  // Whatever else is there, it is less than 50 bytes a stream.
  await collects(() => heap() - before < 1e6)
})

test('who waits is told of an abort, though nobody else has the map or stream', async (t) => {
  const pool = poolOf(t)
  const controller = new AbortController()
  const options = { kernel: 'fib', concurrency: 1, signal: controller.signal }
  const waiting = new Set(['output', 'write', 'end'])
  const told = (what) => waiting.delete(what)
  await (async () => {
    const next = () => new Promise(() => {})
    const output = pool.map(asyncSource({ next }), options).next()
    output.catch(() => told('output'))
    const written = pool.stream(options).on('error', () => {})
    written.write(1)
    // Nobody takes the output before it.
    written.write(2, () => told('write'))
    const ended = pool.stream(options).on('error', () => told('end'))
    ended.end(1)
    await pool.whenIdle()
  })()
  await collected()
  assert.equal(waiting.size, 3)
  controller.abort(new Error('enough'))
  await until(() => waiting.size === 0)
})

test('a pipeline through a stream that fails from its start rejects for its reason, and nothing else', async (t) => {
  const closed = poolOf(t)
  await closed.close()
  const pool = poolOf(t)
  const uncaught = []
  const note = (error) => uncaught.push(error)
  process.on('uncaughtException', note)
  t.after(() => process.off('uncaughtException', note))
  const piped = (stream) => rejection(pipeline(Readable.from([1, 2]), stream, collect))
  assert.equal((await piped(closed.stream({ kernel: 'fib' }))).code, 'ERR_THREADMILL_POOL_CLOSED')
  const signal = AbortSignal.abort(new Error('before'))
  assert.equal((await piped(pool.stream({ kernel: 'fib', signal }))).message, 'before')
  await turn()
  assert.deepEqual(uncaught, [])
})

const ways = {
  'closes the pool': (pool) => void pool.close(),
  'destroys the pool': (pool) => void pool.destroy(),
  'aborts the iteration': (_, controller) => controller.abort(),
}
for (const [what, end] of Object.entries(ways)) {
  for (const isAsync of [false, true]) {
    const kind = isAsync ? 'an asynchronous generator' : 'a generator'
    test(`${kind} that ${what} while it is asked is closed when it has answered`, async (t) => {
      const pool = poolOf(t)
      const uncaught = []
      const note = (error) => uncaught.push(error)
      process.on('uncaughtException', note)
      t.after(() => process.off('uncaughtException', note))
      const controller = new AbortController()
      const told = []
      const inputs = {
        *sync() {
          try {
            yield 1
            end(pool, controller)
            told.push('ended')
            yield 2
            told.push('asked again')
          } finally {
            told.push('closed')
          }
        },
        async *async() {
          yield* inputs.sync()
        },
      }
      const source = isAsync ? inputs.async() : inputs.sync()
      await rejection(collect(pool.map(source, { kernel: 'fib', signal: controller.signal })))
      await until(() => told.length === 2)
      await turn()
      assert.deepEqual([told, uncaught], [['ended', 'closed'], []])
    })
  }
}

async function collect(outputs) {
  for await (const _ of outputs);
}
