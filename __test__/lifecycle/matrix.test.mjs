// Every public method in every state of a pool, and of a task: what it gives stands in a table. Nothing hangs.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { Gates } from '../helpers/gates.mjs'
import { rejection, until } from '../helpers/pool.mjs'

const LIMIT = { timeout: 60_000 }
const gatesModule = new URL('../js/fixtures/gates.mjs', import.meta.url)
const PREFIX = 'ERR_THREADMILL_'

/** Occupies the worker until the release, or until the pool is destroyed. */
async function hold(task, letGo) {
  task.catch(() => {})
  await until(() => task.worker !== undefined)
  return () => {
    letGo()
    return Promise.allSettled([task])
  }
}

/** A pool of one worker, what occupies it, and its tasks. */
const KINDS = {
  'kernels only': () => {
    const pool = new WorkerPool({ threads: 1, name: 'm' })
    const submit = () => pool.addTask(60, { kernel: 'fib' })
    const holdIt = () => {
      const task = submit()
      return hold(task, () => task.cancel())
    }
    return { pool, hold: holdIt, submit, input: 10, options: { kernel: 'fib' }, output: '55' }
  },
  'with a module': () => {
    const gates = new Gates()
    const pool = new WorkerPool(gatesModule, { maxWorkers: 1, threads: 1, name: 'm', workerData: gates.memory })
    const submit = (gate = gates.closed()) => pool.addTask({ do: 'block', gate })
    const holdIt = () => {
      const gate = gates.closed()
      return hold(submit(gate), () => gates.open(gate))
    }
    return { pool, hold: holdIt, submit, input: undefined, options: undefined, output: '{"id":0}' }
  },
}

/** How a pool gets into a state; gives what has to happen before it can go on. */
const STATES = {
  open: async () => {},
  closing: async ({ pool, hold }) => {
    const release = await hold()
    pool.close()
    return release
  },
  disposing: async ({ pool, hold }) => {
    const release = await hold()
    pool.dispose()
    return release
  },
  closed: ({ pool }) => pool.close(),
  destroyed: async ({ pool, submit }) => {
    const task = rejection(submit())
    await pool.destroy()
    await task
  },
  'its worker crashed': async ({ pool }) => {
    const exited = new Promise((resolve) => pool.once('worker-exit', resolve))
    await rejection(pool.run({ do: 'crash' }))
    await exited
  },
}

const OPEN = ['open', 'its worker crashed']
const ENDING = ['closing', 'disposing']
const ENDED = ['closed', 'destroyed']

/** The same in all states, or by what they have in common. */
const always = (outcome) => () => outcome
const byState = (open, ending, ended) => (state) =>
  OPEN.includes(state) ? open : ENDING.includes(state) ? ending : ended
const refused =
  (how) =>
  (state, { output }) =>
    OPEN.includes(state) ? `resolves ${output}` : `${how} POOL_CLOSED`

const listener = () => {}
/** By member of a pool: calls, and what comes of them by state. */
const POOL = {
  name: [[(pool) => pool.name, always('returns "m"')]],
  kernels: [
    [(pool) => Object.keys(pool.kernels).includes('fib'), always('returns true')],
    [(pool) => pool.kernels.fib(10), (state) => (OPEN.includes(state) ? 'resolves 55' : 'rejects POOL_CLOSED')],
    [
      (pool) => pool.kernels.fib('x'),
      byState('rejects INVALID_ARG_TYPE', 'rejects POOL_CLOSED', 'rejects POOL_CLOSED'),
    ],
  ],
  run: [
    [(pool, { input, options }) => pool.run(input, options), refused('rejects')],
    [
      (pool) => pool.run(10, { kernel: 'fib' }),
      (state) => (OPEN.includes(state) ? 'resolves 55' : 'rejects POOL_CLOSED'),
    ],
    [
      (pool) => pool.run(0, { mainThread: true, signal: AbortSignal.abort(5) }),
      byState('rejects 5', 'rejects POOL_CLOSED', 'rejects POOL_CLOSED'),
    ],
  ],
  addTask: [[(pool, { input, options }) => pool.addTask(input, options), refused('rejects')]],
  map: [
    [(pool, { options }) => typeof pool.map([], options).next, always('returns "function"')],
    [async (pool, { input, options }) => (await pool.map([input], options).next()).value, refused('rejects')],
    [
      async (pool, { options }) => (await pool.map([], options).next()).done,
      byState('resolves true', 'rejects POOL_CLOSED', 'rejects POOL_CLOSED'),
    ],
    [(pool) => pool.map(5, { kernel: 'fib' }), always('throws INVALID_ARG_TYPE')],
  ],
  stream: [
    [
      (pool, { options }) =>
        new Promise((resolve, reject) => {
          const stream = pool.stream(options)
          stream.on('data', resolve).on('error', reject).write(10)
        }),
      refused('rejects'),
    ],
  ],
  onMessage: [[(pool) => pool.onMessage('x', listener), always('the pool')]],
  removeMessageListener: [[(pool) => pool.removeMessageListener('x', listener), always('the pool')]],
  on: [
    [(pool) => pool.on('task-added', listener), always('the pool')],
    [(pool) => pool.on('nothing', listener), always('throws INVALID_ARG_VALUE')],
  ],
  once: [[(pool) => pool.once('drain', listener), always('the pool')]],
  off: [[(pool) => pool.off('drain', listener), always('the pool')]],
  removeListener: [[(pool) => pool.removeListener('drain', listener), always('the pool')]],
  resize: [
    [
      (pool) => pool.resize({ min: 0, max: 1 }),
      byState('returns undefined', 'throws POOL_CLOSED', 'throws POOL_CLOSED'),
    ],
    [(pool) => pool.resize({ max: 0 }), always('throws OUT_OF_RANGE')],
  ],
  resizeUpTo: [
    [(pool) => pool.resizeUpTo(1), always('returns undefined')],
    [
      (pool) => [pool.resizeUpTo(1), pool.workers.length][1],
      (state, { input }) => (input === undefined && ENDED.includes(state) ? 'returns 0' : 'returns 1'),
    ],
  ],
  postMessageToWorkers: [
    [(pool) => pool.postMessageToWorkers('x', { some: 'contents' }), always('the pool')],
    [(pool) => pool.postMessageToWorkers(5), always('throws INVALID_ARG_TYPE')],
  ],
  workers: [
    [
      (pool) => pool.workers.length,
      (state, { input }) => (input !== undefined || ENDING.includes(state) ? 'returns 1' : 'returns 0'),
    ],
  ],
  isIdle: [[(pool) => pool.isIdle, byState('returns true', 'returns false', 'returns true')]],
  whenIdle: [[(pool) => pool.whenIdle(), always('resolves undefined')]],
  ref: [[(pool) => pool.ref(), always('the pool')]],
  unref: [[(pool) => pool.unref(), always('the pool')]],
  ready: [[(pool) => pool.ready(), byState('resolves undefined', 'rejects POOL_CLOSED', 'rejects POOL_CLOSED')]],
  stats: [
    [(pool) => pool.stats().poolSize, always('returns 1')],
    [(pool) => pool.stats().queueLength, always('returns 0')],
  ],
  startHealthMonitoring: [
    [(pool) => pool.startHealthMonitoring(1), byState('the pool', 'the pool', 'throws POOL_CLOSED')],
  ],
  stopHealthMonitoring: [[(pool) => pool.stopHealthMonitoring(), always('the pool')]],
  trace: [
    [(pool) => pool.trace.start(), byState('returns undefined', 'returns undefined', 'throws POOL_CLOSED')],
    [
      (pool) => [pool.trace.start(), pool.trace.start()],
      byState('throws TRACE_STARTED', 'throws TRACE_STARTED', 'throws POOL_CLOSED'),
    ],
    [(pool) => pool.trace.start({ capacity: 100 }), always('throws OUT_OF_RANGE')],
    [(pool) => pool.trace.stop(), always('throws TRACE_NOT_STARTED')],
    [
      (pool) => [pool.trace.start(), pool.trace.stop().traceEvents.length > 0][1],
      byState('returns true', 'returns true', 'throws POOL_CLOSED'),
    ],
  ],
  onShutdown: [[(pool) => pool.onShutdown(listener), byState('the pool', 'the pool', 'throws POOL_CLOSED')]],
  installSignalHandlers: [
    [(pool) => pool.installSignalHandlers(), byState('the pool', 'the pool', 'throws POOL_CLOSED')],
  ],
  close: [
    [(pool) => pool.close(), always('resolves undefined')],
    [(pool) => pool.close({ timeout: 1 }), always('resolves undefined')],
    [(pool) => pool.close({ timeout: -1 }), always('rejects OUT_OF_RANGE')],
  ],
  dispose: [
    [(pool) => pool.dispose(), always('resolves undefined')],
    [(pool) => pool.dispose({ force: true }), always('resolves undefined')],
    [(pool) => pool.dispose({ force: 5 }), always('rejects INVALID_ARG_TYPE')],
  ],
  destroy: [[(pool) => pool.destroy(), always('resolves undefined')]],
  [Symbol.asyncDispose]: [[(pool) => pool[Symbol.asyncDispose](), always('resolves undefined')]],
}

const name = (error) => String(error?.code ?? error?.name ?? error).replace(PREFIX, '')
/** As it is written in the tables; thread ids are left out. */
const show = (value) => JSON.stringify(value, (key, item) => (key === 'threadId' ? undefined : item)) ?? 'undefined'

/** What comes of a call, once `goOn` has let whoever waits go on. */
async function outcomeOf(call, self, kit, goOn) {
  let returned
  try {
    returned = call(self, kit)
  } catch (error) {
    await goOn?.()
    return `throws ${name(error)}`
  }
  const then = returned !== self && typeof returned?.then === 'function'
  // Both handlers at once: a rejection may come while the others go on.
  const settled =
    then &&
    returned.then(
      (value) => `resolves ${show(value)}`,
      (error) => `rejects ${name(error)}`,
    )
  await goOn?.()
  if (then) return settled
  return returned === self ? 'the pool' : `returns ${show(returned)}`
}

describe('a pool', () => {
  test('the table has every member', () => {
    const members = [WorkerPool.prototype, new WorkerPool()].flatMap(Reflect.ownKeys)
    assert.deepEqual(new Set(Reflect.ownKeys(POOL)), new Set(members.filter((key) => key !== 'constructor')))
  })

  for (const [kind, make] of Object.entries(KINDS)) {
    for (const [state, enter] of Object.entries(STATES)) {
      // Native workers do not crash.
      if (kind === 'kernels only' && state === 'its worker crashed') continue
      for (const member of Reflect.ownKeys(POOL)) {
        test(`${kind}, ${state}: ${String(member)}`, LIMIT, async () => {
          for (const [call, expected] of POOL[member]) {
            const kit = make()
            const goOn = await enter(kit)
            assert.equal(await outcomeOf(call, kit.pool, kit, goOn), expected(state, kit), String(call))
            await kit.pool.destroy()
            assert.equal(kit.pool.isIdle, true)
          }
        })
      }
    }
  }
})

/** A task in a state: the handle, and what it gives then, unless it is cancelled. */
const TASKS = {
  waiting: async ({ hold, pool, input, options }) => {
    const release = await hold()
    return { task: pool.addTask(input, options), goOn: release, isOpen: true }
  },
  running: async ({ submit }) => {
    const task = submit()
    await until(() => task.worker !== undefined)
    return { task, isOpen: true, isRunning: true }
  },
  'waiting, the pool closing': async ({ hold, pool, input, options }) => {
    const release = await hold()
    const task = pool.addTask(input, options)
    pool.close()
    return { task, goOn: release, isOpen: true }
  },
  ended: async ({ pool, input, options }) => {
    const task = pool.addTask(input, options)
    await task
    return { task, isRunning: true, outcome: (output) => `resolves ${output}` }
  },
  'ended, the pool closed': async ({ pool, input, options }) => {
    const task = pool.addTask(input, options)
    await pool.close()
    return { task, isRunning: true, outcome: (output) => `resolves ${output}` }
  },
  cancelled: async ({ hold, pool, input, options }) => {
    const release = await hold()
    const task = pool.addTask(input, options)
    task.cancel()
    return { task, goOn: release, outcome: () => 'rejects CANCELLED' }
  },
  expired: async ({ hold, pool, input, options }) => {
    const release = await hold()
    const task = pool.addTask(input, { ...options, timeout: 1 })
    await rejection(task)
    return { task, goOn: release, outcome: () => 'rejects TIMEOUT' }
  },
  'waiting, the pool disposed': async ({ hold, pool, input, options }) => {
    const release = await hold()
    const task = pool.addTask(input, options)
    const error = rejection(task)
    pool.dispose()
    await error
    return { task, goOn: release, outcome: () => 'rejects POOL_CLOSED' }
  },
  'running, the pool destroyed': async ({ submit, pool }) => {
    const task = submit()
    await until(() => task.worker !== undefined)
    const error = rejection(task)
    await pool.destroy()
    await error
    return { task, isRunning: true, outcome: () => 'rejects POOL_CLOSED' }
  },
  'its worker crashed': async ({ pool }) => {
    const task = pool.addTask({ do: 'crash' })
    await rejection(task)
    return { task, isRunning: true, outcome: () => 'rejects WORKER_CRASHED' }
  },
  'its input cannot be cloned': async ({ pool }) => {
    const task = pool.addTask(() => {})
    await rejection(task)
    return { task, outcome: () => 'rejects 25' }
  },
}
const FOR_MODULES = ['its worker crashed', 'its input cannot be cloned']

describe('a task', () => {
  for (const [kind, make] of Object.entries(KINDS)) {
    for (const [state, enter] of Object.entries(TASKS)) {
      if (kind === 'kernels only' && FOR_MODULES.includes(state)) continue
      test(`${kind}, ${state}: its members, and cancel`, LIMIT, async () => {
        const kit = make()
        const { task, goOn, isOpen = false, isRunning = false, outcome } = await enter(kit)
        const settled = outcomeOf(() => task.then(), undefined, kit)
        assert.equal(typeof task.id, 'number')
        assert.equal(typeof task.timestamp, 'number')
        assert.equal(typeof task.options, 'object')
        assert.ok('argument' in task)
        assert.ok(task.taskCost >= 0)
        assert.ok(task.pretaskCost >= 0)
        assert.equal(task.worker?.id, isRunning ? 0 : undefined)
        assert.equal(task.on('progress', listener), task)
        assert.equal(task.off('progress', listener), task)
        assert.throws(() => task.on('done', listener), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
        assert.equal(task.cancel(), isOpen)
        assert.equal(task.cancel(new Error('too late')), false, 'only once')
        const expected = isOpen ? 'rejects CANCELLED' : outcome(kit.output)
        await goOn?.()
        assert.equal(await settled, expected)
        assert.equal(await outcomeOf(() => task.then(), undefined, kit), expected, 'once more')
        assert.equal(
          await outcomeOf(() => task.catch((error) => name(error)), undefined, kit),
          expected.replace(/rejects (.*)/, 'resolves "$1"'),
        )
        let finished = 0
        assert.equal(await outcomeOf(() => task.finally(() => finished++), undefined, kit), expected)
        assert.equal(finished, 1)
        await kit.pool.destroy()
      })

      // It goes its way when it is left alone.
      if (state.startsWith('waiting') && !FOR_MODULES.includes(state)) {
        test(`${kind}, ${state}: left alone`, LIMIT, async () => {
          const kit = make()
          const { task, goOn, outcome } = await enter(kit)
          const expected = outcome?.(kit.output) ?? `resolves ${kit.output}`
          assert.equal(await outcomeOf(() => task.then(), undefined, kit, goOn), expected)
          await kit.pool.destroy()
        })
      }
    }
  }
})

/** Calls every member of a pool and of a task, whatever comes of it. */
const CALL_ALL = `
  const quiet = (value) => { if (typeof value?.then === 'function') value.then(() => {}, () => {}); return value }
  const callAll = (pool, task, options) => {
    const stream = pool.stream(options).on('error', () => {})
    const calls = [
      () => pool.name, () => Object.keys(pool.kernels), () => pool.kernels.fib(10), () => pool.run(10, options),
      () => pool.run(() => 1, { mainThread: true }), () => pool.addTask(10, options), () => pool.map([10, 20], options).next(),
      () => stream.write(10), () => stream.end(), () => stream.destroy(), () => pool.onMessage('x', () => {}),
      () => pool.removeMessageListener('x', () => {}), () => pool.on('drain', () => {}), () => pool.once('drain', () => {}),
      () => pool.off('drain', () => {}), () => pool.resize({ max: 2 }), () => pool.resizeUpTo(4), () => pool.postMessageToWorkers('x', 1), () => pool.workers,
      () => pool.workers[0]?.postMessageToWorker('x', 1), () => pool.isIdle, () => pool.whenIdle(), () => pool.ready(),
      () => pool.stats(), () => pool.startHealthMonitoring(1), () => pool.stopHealthMonitoring(),
      () => pool.startHealthMonitoring(1), () => pool.onShutdown(() => {}), () => pool.installSignalHandlers(),
      () => task.cancel(), () => task.worker, () => task.then(), () => task.on('progress', () => {}),
      () => pool.close({ timeout: 1 }), () => pool.dispose(), () => pool.destroy(), () => pool[Symbol.asyncDispose](),
    ]
    for (const call of calls) try { quiet(call()) } catch (error) { if (error.code === undefined) throw error }
  }
  const ENDS = {
    open() {},
    closing(pool) { quiet(pool.close({ timeout: 60_000 })) },
    disposing(pool) { quiet(pool.dispose()) },
    destroying(pool) { quiet(pool.destroy()) },
  }
  const setUp = async (kind, end) => {
    const all = { threads: 1, capacity: 3, capacityBytes: 1e6, maxMemoryUsage: 1, checkInterval: 1 }
    const [pool, options] = kind === 'kernels'
      ? [new WorkerPool(all), { kernel: 'fib' }]
      : [new WorkerPool('data:text/javascript,export default () => { for (;;); }', { ...all, maxWorkers: 1 }), undefined]
    const task = pool.addTask(60, options)
    quiet(task)
    quiet(pool.addTask(60, options)); quiet(pool.addTask(60, options)); quiet(pool.ready())
    pool.onShutdown(() => new Promise(() => {}))
    pool.startHealthMonitoring(1)
    while (task.worker === undefined) await new Promise(setImmediate)
    ENDS[end](pool)
    return [pool, task, options]
  }\n`
const ENDS = ['open', 'closing', 'disposing', 'destroying']

describe('an env that ends', () => {
  for (const kind of ['kernels', 'module']) {
    test(`${kind}: whatever is called in an exit handler, the process ends with its code`, LIMIT, async () => {
      for (const end of ENDS) {
        const { code, stdout, stderr, timedOut } = await runProgram(`
          import { WorkerPool } from 'threadmill'
          ${CALL_ALL}
          const given = await setUp('${kind}', '${end}')
          process.on('exit', () => { callAll(...given); console.log('called') })
          process.exit(7)`)
        assert.deepEqual([code, stdout, stderr, timedOut], [7, 'called\n', '', false], end)
      }
    })

    for (const how of ['terminate', 'process.exit']) {
      test(`${kind}: a worker thread that is ended by ${how}`, LIMIT, async () => {
        const { code, stdout, stderr, timedOut } = await runProgram(`
          import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
          import { WorkerPool } from 'threadmill'
          ${CALL_ALL}
          if (isMainThread) {
            const called = new Int32Array(new SharedArrayBuffer(4))
            for (const end of ${JSON.stringify(ENDS)}) {
              const worker = new Worker(new URL(import.meta.url), { workerData: { end, called } })
              const exited = new Promise((resolve) => worker.once('exit', resolve))
              await new Promise((resolve) => worker.once('message', resolve))
              ${how === 'terminate' ? 'worker.terminate()' : `worker.postMessage('exit')`}
              await exited
            }
            console.log('called', called[0])
          } else {
            const given = await setUp('${kind}', workerData.end)
            process.on('exit', () => { callAll(...given); workerData.called[0]++ })
            parentPort.on('message', () => process.exit())
            parentPort.postMessage('busy')
          }`)
        assert.deepEqual([code, stderr, timedOut], [0, '', false])
        // Nothing of a thread that is terminated runs any more.
        assert.equal(stdout, how === 'terminate' ? 'called 0\n' : 'called 4\n')
      })
    }
  }
})
