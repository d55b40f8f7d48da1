// Spans of tasks, in this thread and in workers, with the real SDK.
import assert from 'node:assert/strict'
import { afterEach, before, describe, test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { MessageChannel } from 'node:worker_threads'
import { context, createTraceState, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { WorkerPool } from 'threadmill'
import { instrument } from 'threadmill/metrics'
import { runProgram } from '../helpers/child.mjs'
import { rejection } from '../helpers/pool.mjs'

const module = new URL('./fixtures/spans.mjs', import.meta.url)
const exporter = new InMemorySpanExporter()
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const options = { tracer: tracerProvider.getTracer('app') }

before(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()))
afterEach(() => exporter.reset())

/** Pools that are ended with the test. */
function poolOf(t, ...args) {
  const pool = new WorkerPool(...args)
  t.after(() => pool.destroy())
  return pool
}

const finished = () => exporter.getFinishedSpans()
const idOf = (span) => span.spanContext().spanId

/** Calls inside a span of this thread; gives it with what the call gave. */
function inSpan(call) {
  return tracerProvider.getTracer('test').startActiveSpan('caller', async (span) => {
    try {
      return { caller: span, value: await call() }
    } finally {
      span.end()
    }
  })
}

describe('the span of a task', () => {
  test('it is a child of the active one, of a kernel', async (t) => {
    const pool = poolOf(t, { name: 'kernels', threads: 1 })
    instrument(options, pool)
    const { caller, value } = await inSpan(() => pool.kernels.fib(10))
    assert.equal(value, 55)
    const [span] = finished()
    assert.equal(span.name, 'task fib')
    assert.equal(span.parentSpanContext.spanId, idOf(caller))
    assert.equal(span.spanContext().traceId, caller.spanContext().traceId)
    assert.equal(span.status.code, SpanStatusCode.UNSET)
    const { 'threadmill.run_time': runTime, ...attributes } = span.attributes
    assert.deepEqual(attributes, {
      'threadmill.pool': 'kernels',
      'threadmill.lane': 'native',
      'threadmill.kernel': 'fib',
      'threadmill.worker': 0,
    })
    assert.ok(runTime >= 0 && runTime < 60)
  })

  test('every way to submit has one', async (t) => {
    const pool = poolOf(t, { threads: 1 })
    instrument(options, pool)
    await pool.run(1, { kernel: 'echo' })
    await pool.addTask(2, { kernel: 'echo' })
    for await (const _ of pool.map([3, 4], { kernel: 'echo' }));
    for await (const _ of pool.stream({ kernel: 'echo' }).end(5));
    await pool.kernels.sha256('a')
    const names = finished().map((span) => span.name)
    assert.deepEqual(names, [...Array(5).fill('task echo'), 'task sha256'])
  })

  test('it has the error of a task that failed', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    instrument(options, pool)
    await rejection(pool.run({ do: 'fail' }))
    const [span] = finished()
    assert.equal(span.name, 'task entry')
    assert.deepEqual(span.status, { code: SpanStatusCode.ERROR, message: 'too far' })
    assert.equal(span.attributes['error.type'], 'E_FAR')
    assert.equal(span.attributes['threadmill.worker'], 0)
    const [{ name, attributes }] = span.events
    assert.equal(name, 'exception')
    assert.equal(attributes['exception.message'], 'too far')
  })

  test('it has that of one that was refused, given up, or failed with no error', async (t) => {
    const pool = poolOf(t, { threads: 1 })
    instrument(options, pool)
    await rejection(pool.kernels.sha256(1))
    const task = pool.addTask(60, { kernel: 'fib' })
    task.cancel('enough')
    assert.equal(await rejection(task), 'enough')
    await rejection(pool.kernels.fib(60, { timeout: 1 }))
    const kinds = finished().map(({ attributes, status }) => [attributes['error.type'], status.code])
    assert.deepEqual(kinds, [
      ['ERR_THREADMILL_INVALID_ARG_TYPE', SpanStatusCode.ERROR],
      ['_OTHER', SpanStatusCode.ERROR],
      ['ERR_THREADMILL_TIMEOUT', SpanStatusCode.ERROR],
    ])
  })

  test('after stop there are none, and other pools have none', async (t) => {
    const [pool, other] = [poolOf(t, { threads: 1 }), poolOf(t, { threads: 1 })]
    const reporter = instrument(options, pool)
    await other.kernels.echo(1)
    reporter.stop()
    await pool.kernels.echo(1)
    reporter.stop()
    assert.deepEqual(finished(), [])
  })
})

describe('in a worker', () => {
  test('it is active, also after an await, and spans made there are its children', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    instrument(options, pool)
    const { caller, value } = await inSpan(() => pool.run({ do: 'inside' }))
    const [task] = finished()
    assert.equal(task.parentSpanContext.spanId, idOf(caller))
    assert.equal(value.before.spanId, idOf(task))
    assert.equal(value.before.traceId, caller.spanContext().traceId)
    assert.equal(value.before.isRemote, true)
    const [inside] = await pool.run({ do: 'spans' })
    assert.deepEqual([inside.name, inside.parent, inside.trace], ['inside', idOf(task), value.before.traceId])
  })

  test('tasks that overlap have each their own', async (t) => {
    const gates = new SharedArrayBuffer(8)
    const pool = poolOf(t, module, { maxWorkers: 1, workerConcurrency: 2, workerData: { gates } })
    instrument(options, pool)
    const results = await Promise.all([
      pool.run({ do: 'wait', mine: 0, other: 1 }),
      pool.run({ do: 'wait', mine: 1, other: 0 }),
    ])
    const ids = results.map(({ before, after }) => {
      assert.equal(after.spanId, before.spanId)
      return before.spanId
    })
    assert.deepEqual(new Set(ids), new Set(finished().map(idOf)))
    assert.equal(new Set(ids).size, 2)
  })

  test('tasks that a task submits have spans there, children of what is active', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    instrument(options, pool)
    const { nested, sum } = await pool.run({ do: 'nested' })
    assert.equal(sum, 5)
    const [task] = finished()
    const spans = await pool.run({ do: 'spans' })
    const [entry, fib, inside] = ['task entry', 'task fib', 'inside'].map((name) =>
      spans.find((span) => span.name === name),
    )
    assert.equal(spans.length, 3)
    assert.equal(inside.parent, idOf(task))
    assert.equal(entry.parent, inside.id)
    assert.equal(fib.parent, inside.id)
    assert.equal(nested.before.spanId, entry.id)
    assert.deepEqual(new Set(spans.map((span) => span.trace)), new Set([task.spanContext().traceId]))
  })

  test('also when the worker cannot tell which task submits', async (t) => {
    const gates = new SharedArrayBuffer(8)
    const pool = poolOf(t, module, { maxWorkers: 1, workerData: { gates } })
    instrument(options, pool)
    const first = pool.addTask({ do: 'nested-twice', mine: 0 })
    const beside = pool.addTask({ do: 'wait', mine: 0, other: 1 })
    const { before, nested } = await first
    Atomics.store(new Int32Array(gates), 1, 1)
    await beside
    const last = (await pool.run({ do: 'spans' })).find((span) => span.id === nested.before.spanId)
    assert.deepEqual([last.name, last.parent], ['task entry', before.spanId])
  })

  test('those that it submits without a handle have their worker, run time and retries', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1, threads: 1 })
    instrument(options, pool)
    await pool.run({ do: 'nested-runs' })
    const spans = await pool.run({ do: 'spans' })
    const told = spans.map(({ name, attributes }) => [
      name,
      attributes['threadmill.worker'],
      attributes['threadmill.retries'],
      attributes['threadmill.run_time'] >= 0,
    ])
    assert.deepEqual(told, [
      ['task entry', 0, undefined, true],
      ['task entry', 0, 2, true],
      ['task fib', 0, undefined, true],
    ])
  })

  test('such a task has its error', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    instrument(options, pool)
    await rejection(pool.run({ do: 'nested-fails' }))
    const [span] = await pool.run({ do: 'spans' })
    assert.deepEqual(
      [span.name, span.status, span.attributes['error.type']],
      ['task entry', SpanStatusCode.ERROR, 'E_FAR'],
    )
  })

  test('a worker without a tracer hands on what it got', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1, workerData: { bare: true } })
    instrument(options, pool)
    const { before, nested } = await pool.run({ do: 'nested-main' })
    const [task] = finished()
    assert.equal(before, undefined)
    assert.deepEqual([nested.before.spanId, nested.before.traceId], [idOf(task), task.spanContext().traceId])
  })

  test('a task that is run again after a crash keeps it', async (t) => {
    const gates = new SharedArrayBuffer(4)
    const pool = poolOf(t, module, { maxWorkers: 1, workerData: { gates } })
    instrument(options, pool)
    const { before } = await pool.run({ do: 'crash-once', gate: 0 }, { retries: { limit: 1, delay: 0 } })
    const [span] = finished()
    assert.equal(before.spanId, idOf(span))
    assert.equal(span.attributes['threadmill.retries'], 1)
  })

  test('trace state and flags arrive', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    const reporter = instrument(options, pool)
    const remote = {
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      traceFlags: TraceFlags.SAMPLED,
      traceState: createTraceState('one=1,two=x y'),
    }
    const { before } = await context.with(trace.setSpanContext(context.active(), remote), () => pool.run({}))
    assert.deepEqual([before.traceId, before.traceFlags, before.traceState], [remote.traceId, 1, 'one=1,two=x y'])
    reporter.stop()

    const off = new BasicTracerProvider({ sampler: new AlwaysOffSampler() })
    instrument({ tracer: off.getTracer('app') }, pool)
    assert.equal((await pool.run({})).before.traceFlags, TraceFlags.NONE)
  })

  test('without a provider nothing is active', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    instrument({ tracer: trace.getTracer('app') }, pool)
    assert.equal((await pool.run({})).before, undefined)
  })

  test('tasks of another pool, and those after stop, have none', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    const reporter = instrument(options, pool)
    assert.notEqual((await pool.run({})).before, undefined)
    reporter.stop()
    const { before } = await inSpan(() => pool.run({})).then(({ value }) => value)
    assert.equal(before, undefined)
  })
})

describe('what the entry gets is untouched', () => {
  const inputs = [0, -0, 1.5, Number.NaN, undefined, null, true, 'text', '', 10n, [1, [2]], { a: 1 }, new Map([[1, 2]])]

  test('inputs of every kind', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    instrument(options, pool)
    for (const input of inputs) {
      const output = await pool.run(input)
      assert.deepEqual(output.input, input)
      assert.notEqual(output.before, undefined)
    }
    assert.equal(finished().length, inputs.length)
  })

  test('what is moved', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    instrument(options, pool)
    const bytes = new Uint8Array([1, 2, 3])
    const { input, before } = await pool.run(bytes, { transfer: [bytes.buffer] })
    assert.deepEqual(input, new Uint8Array([1, 2, 3]))
    assert.equal(bytes.length, 0)
    assert.equal(before.spanId, idOf(finished()[0]))
    const { port1, port2 } = new MessageChannel()
    assert.deepEqual(Object.keys(await pool.run({ do: 'active', port2 }, { transfer: [port2] })), ['before'])
    port1.close()
  })

  test('names of exports, with and without spans', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    const names = ['other', '\0marked']
    const called = async () => (await Promise.all(names.map((name) => pool.run(1, { name })))).map(({ name }) => name)
    assert.deepEqual(await called(), ['other', 'marked'])
    instrument(options, pool)
    assert.deepEqual(await called(), ['other', 'marked'])
    const attributes = finished().map((span) => span.attributes['threadmill.export'])
    assert.deepEqual(attributes, names)
    assert.equal((await rejection(pool.run(1, { name: '' }))).code, 'ERR_THREADMILL_ENTRY')
  })

  test('the same task without options before, while and after it is traced', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    assert.deepEqual(await pool.run(7), { input: 7, before: undefined })
    const reporter = instrument(options, pool)
    assert.notEqual((await pool.run(7)).before, undefined)
    reporter.stop()
    assert.deepEqual(await pool.run(7), { input: 7, before: undefined })
  })
})

describe('on the thread that owns the pool', () => {
  test('it is active, and what the task adds is its child', async (t) => {
    const pool = poolOf(t, { threads: 1 })
    instrument(options, pool)
    const seen = await pool.run(
      async (client) => {
        await new Promise(setImmediate)
        await client.kernels.echo(1)
        return trace.getSpanContext(context.active()).spanId
      },
      { mainThread: true },
    )
    const [echo, entry] = finished()
    assert.deepEqual([echo.name, entry.name], ['task echo', 'task entry'])
    assert.equal(seen, idOf(entry))
    assert.equal(echo.parentSpanContext.spanId, idOf(entry))
  })

  test('so is that of a task which a worker submitted', async (t) => {
    const pool = poolOf(t, module, { maxWorkers: 1 })
    instrument(options, pool)
    const { nested } = await pool.run({ do: 'nested-main' })
    const [span] = await pool.run({ do: 'spans' })
    assert.equal(span.parent, idOf(finished()[0]))
    assert.equal(nested.before.spanId, span.id)
  })

  test('that of the entry function of a module', async (t) => {
    const pool = poolOf(t, module)
    instrument(options, pool)
    const { before } = await pool.run({ do: 'active' }, { mainThread: true })
    assert.equal(before.spanId, idOf(finished()[0]))
  })
})

test('a tracer that fails in a worker harms neither the task nor the worker', async () => {
  const { stdout, stderr, code } = await runProgram(`
    import { WorkerPool } from 'threadmill'
    import { instrument } from 'threadmill/metrics'
    import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
    const pool = new WorkerPool(${JSON.stringify(module.href)}, { maxWorkers: 1, threads: 1, workerData: { broken: true } })
    instrument({ tracer: new BasicTracerProvider().getTracer('app') }, pool)
    for (let n = 0; n < 3; n++) await pool.run({ do: 'nested-runs' })
    console.log(pool.stats().crashes, pool.stats().tasksErrored)
    await pool.close()
  `)
  assert.equal(code, 0)
  assert.equal(stdout, '0 0\n')
  assert.equal(stderr.split('the tracer of a pool has failed: no export').length, 2, stderr)
})

test('reasons whose getters throw end their spans', async (t) => {
  const pool = poolOf(t, { threads: 1 })
  instrument(options, pool)
  const hostile = (key) =>
    Object.defineProperty(new TypeError('hostile'), key, {
      get() {
        throw new Error('from a getter')
      },
    })
  const keys = ['message', 'name', 'code', 'stack']
  for (const key of keys) {
    const thrown = hostile(key)
    assert.equal(await rejection(pool.run(() => Promise.reject(thrown), { mainThread: true })), thrown)
  }
  const task = pool.addTask(60, { kernel: 'fib' })
  const proxy = new Proxy(new Error('hidden'), {
    get() {
      throw new Error('from a trap')
    },
  })
  task.cancel(proxy)
  // In a list: what resolves a promise is asked for a `then`.
  const [reason] = await task.then(undefined, (given) => [given])
  assert.equal(reason, proxy)
  const other = Object.assign(runInNewContext('new RangeError("of another realm")'), { code: '' })
  await rejection(pool.run(() => Promise.reject(other), { mainThread: true }))
  const told = finished().map(({ attributes, status }) => [attributes['error.type'], status.message])
  assert.deepEqual(told.slice(0, 4), [
    ['TypeError', ''],
    ['_OTHER', 'hostile'],
    ['TypeError', 'hostile'],
    ['TypeError', 'hostile'],
  ])
  assert.equal(told.length, 6)
  assert.deepEqual(told[5], ['RangeError', 'of another realm'])
})

test('with the end of an instrumentation, the one before it goes on', async (t) => {
  const pool = poolOf(t, { threads: 1 })
  instrument({ tracer: tracerProvider.getTracer('first') }, pool)
  const second = instrument({ tracer: tracerProvider.getTracer('second') }, pool)
  await pool.kernels.echo(1)
  second.stop()
  await pool.kernels.echo(2)
  assert.deepEqual(
    finished().map((span) => span.instrumentationScope.name),
    ['second', 'first'],
  )
})

test('the end of an instrumentation does not end one that came after it', async (t) => {
  const pool = poolOf(t, { threads: 1 })
  const [first, second] = ['first', 'second'].map((name) =>
    instrument({ tracer: tracerProvider.getTracer(name) }, pool),
  )
  first.stop()
  await pool.kernels.echo(1)
  second.stop()
  await pool.kernels.echo(2)
  assert.deepEqual(
    finished().map((span) => span.instrumentationScope.name),
    ['second'],
  )
})

test('a tracer that throws harms no task', async () => {
  const { stdout, stderr, code } = await runProgram(`
    import { WorkerPool } from 'threadmill'
    import { instrument } from 'threadmill/metrics'
    import { context, ROOT_CONTEXT } from '@opentelemetry/api'
    const warnings = []
    process.on('warning', ({ message }) => warnings.push(message))
    const spanContext = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }
    const fail = (message) => () => { throw new Error(message) }
    const span = { spanContext: () => spanContext, setAttributes() {}, setAttribute() {}, end() {} }
    const starts = [fail('no span'), () => undefined, () => ({ ...span, end: fail('no end') })]
    const pool = new WorkerPool({ threads: 1 })
    const first = instrument({ tracer: { startSpan: () => starts.shift()() } }, pool)
    console.log(await pool.kernels.echo(1), await pool.kernels.echo(2), await pool.kernels.echo(3))
    first.stop()

    const fails = (when) => ({
      active: () => ROOT_CONTEXT,
      disable() {},
      with(_, call) {
        if (when === 'before') throw new Error('no context')
        call()
        throw new Error('no way back')
      },
    })
    for (const when of ['before', 'after']) {
      context.disable()
      context.setGlobalContextManager(fails(when))
      const reporter = instrument({ tracer: { startSpan: () => span } }, pool)
      console.log(when, await pool.kernels.echo(4))
      console.log(await pool.kernels.sha256(1).catch(({ code }) => code))
      reporter.stop()
    }
    console.log(pool.stats().tasksCompleted)
    await pool.close()
    console.log(warnings.map((text) => text.replace('the tracer of a pool has failed: ', '')).join())
  `)
  assert.equal(code, 0, stderr)
  const refused = 'ERR_THREADMILL_INVALID_ARG_TYPE'
  const outputs = `1 2 3\nbefore 4\n${refused}\nafter 4\n${refused}\n5\n`
  assert.equal(stdout, `${outputs}no span,no context,no way back\n`, stderr)
})
