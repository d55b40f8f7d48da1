// What tasks can do with their client, and what arrives where.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { transfer, WorkerPool } from 'threadmill'
import { runProgram } from '../helpers/child.mjs'
import { rejection, until } from '../helpers/pool.mjs'

const CLIENT = new URL('./fixtures/client.mjs', import.meta.url)
const PRELOAD = new URL('./fixtures/preload.cjs', import.meta.url)

function closing(t, pool) {
  t.after(() => pool.close())
  return pool
}

test('progress reaches its task: not too often, the last report always', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 1 }))
  const reports = []
  const task = pool.addTask({ do: 'progress', steps: 10_000 })
  task.on('progress', (report) => reports.push(report))
  assert.equal(await task, 10_000)
  assert.deepEqual(reports.at(-1), { done: 10_000, total: 10_000, fraction: 1 })
  assert.ok(reports.length < 1000, `${reports.length} reports`)
})

for (const mainThread of [false, true]) {
  test(`progress that is none is refused, and never more than all is done, ${mainThread ? 'here' : 'there'}`, async (t) => {
    const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 1 }))
    const reports = []
    const task = pool.addTask({ do: 'miscount' }, { mainThread })
    task.on('progress', (report) => reports.push(report))
    assert.deepEqual(await task, [
      ...['OUT_OF_RANGE done', 'OUT_OF_RANGE total', 'OUT_OF_RANGE done', 'OUT_OF_RANGE total'],
      ...['OUT_OF_RANGE done', 'OUT_OF_RANGE total', 'INVALID_ARG_TYPE done', 'INVALID_ARG_TYPE total'],
    ])
    assert.deepEqual(reports, [{ done: 2, total: 2, fraction: 1 }])
  })
}

test('messages and progress of tasks that overlap reach the right ones', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 1, workerConcurrency: 4 }))
  const heard = { a: [], b: [], c: [] }
  const all = []
  pool.onMessage('note', (contents, origin) => all.push(`${contents} ${origin}`))
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const tasks = Object.keys(heard).map((name) => {
    const task = pool.addTask({ do: 'note', name, gate })
    task.on('message', (type, contents) => heard[name].push(`${type} ${contents}`))
    return task
  })
  await until(() => all.length === 3)
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
  assert.deepEqual(await Promise.all(tasks), ['a', 'b', 'c'])
  for (const name of Object.keys(heard)) assert.deepEqual(heard[name], [`note ${name} begins`, `note ${name} ends`])
  assert.equal(all.length, 6)
})

test('messages of a task that a worker submitted reach the handle there, and the pool', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 1 }))
  const all = []
  pool.onMessage('note', (contents) => all.push(contents))
  const gate = new Int32Array(new SharedArrayBuffer(4))
  assert.deepEqual(await pool.run({ do: 'both', gate }), ['note inner begins', 'note inner ends'])
  assert.deepEqual(all, ['inner begins', 'inner ends'])
})

test('messages can move and share memory and ports, in order with the others', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 1 }))
  const heard = []
  pool.onMessage('bytes', (contents) => heard.push(contents))
  const answered = new Promise((resolve) => {
    pool.onMessage('port', (port) => {
      port.postMessage('ping')
      port.once('message', resolve)
    })
  })
  assert.deepEqual(await pool.run({ do: 'send' }), { left: 0, refused: 'DataCloneError' })
  assert.equal(await answered, 'ping back')
  assert.deepEqual(heard[0], new Uint8Array([1, 2, 3]))
  assert.deepEqual(heard[1], { marked: new Uint8Array([4]) })
  assert.ok(heard[2].buffer instanceof SharedArrayBuffer)
  assert.equal(heard[3], 'last')
})

test('so can messages to workers, also before they have started', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 2 }))
  const heard = []
  pool.onMessage('order', (contents) => heard.push(contents))
  pool.resizeUpTo(1)
  const [worker] = pool.workers
  const bytes = new Uint8Array([1, 2])
  worker.postMessageToWorker('order', 'first')
  worker.postMessageToWorker('order', bytes, [bytes.buffer])
  assert.equal(bytes.length, 0)
  const marked = new Uint8Array([3])
  worker.postMessageToWorker('order', transfer(marked, [marked.buffer]))
  assert.equal(marked.length, 0)
  pool.postMessageToWorkers('order', new SharedArrayBuffer(3))
  worker.postMessageToWorker('order', 'last')
  await pool.run({ do: 'where' })
  await until(() => heard.length === 5)
  assert.deepEqual(
    [heard[0], heard[1], heard[2], heard[3].byteLength, heard[4]],
    ['first', new Uint8Array([1, 2]), new Uint8Array([3]), 3, 'last'],
  )
  assert.throws(() => worker.postMessageToWorker('order', 1, 'list'), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
})

test('two workers talk through ports that the pool hands them', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 2 }))
  pool.resizeUpTo(2)
  const heard = []
  pool.onMessage('peer', (contents) => heard.push(contents))
  const { port1, port2 } = new MessageChannel()
  pool.workers[0].postMessageToWorker('peer', port1, [port1])
  pool.workers[1].postMessageToWorker('peer', port2, [port2])
  await Promise.all([0, 1].map((n) => pool.run({ do: 'where' }, { workerAffinity: n, affinityStrength: 'force' })))
  await until(() => heard.length >= 1)
  assert.match(heard[0], /^[01] heard hello from [01]$/)
})

test('discovered tasks have numbers and events of the pool, in order, before it is idle', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 2 }))
  const [added, complete] = [[], []]
  pool.on('task-added', (task) => added.push(task))
  pool.on('task-complete', (error, result, task) => complete.push([error, result, task]))
  const first = pool.addTask({ do: 'shrink', text: 'abcd' })
  await first
  await pool.whenIdle()
  assert.deepEqual(complete.map(([, result]) => result).sort(), ['a', 'ab', 'abc', 'abcd'])
  assert.deepEqual(added.map((task) => task.id).sort(), [0, 1, 2, 3])
  assert.equal(added[0], first)
  for (const [error, result, task] of complete) {
    assert.equal(error, undefined)
    assert.equal(task.argument.text, result)
    assert.equal(await task, result)
    assert.equal(task.worker.lane, 'js')
    assert.ok(task.taskCost > 0)
    assert.ok(added.indexOf(task) >= 0)
  }
  assert.equal(added[1].options.key, 'k')
  assert.equal(pool.addTask({ do: 'where' }).id, 4)
  complete.length = 0
  await pool.run({ do: 'failing' })
  await pool.whenIdle()
  assert.deepEqual(
    complete.filter(([error]) => error).map(([error]) => error),
    ['nested'],
  )
  assert.equal(pool.isIdle, true)
})

test('a kernel that a worker has submitted has a native worker, there and in events of the pool', async (t) => {
  const source = `export default async (input, client) => {
    const task = client.addTask(input, { kernel: 'fib' })
    return [await task, task.worker.lane, task.worker.id]
  }`
  const pool = closing(
    t,
    new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1, threads: 1 }),
  )
  const ended = []
  pool.on('task-complete', (_error, _result, { options, worker }) =>
    ended.push([options.kernel, worker.lane, worker.id]),
  )
  assert.deepEqual(await pool.run(10), [55, 'native', 0])
  await pool.whenIdle()
  assert.deepEqual(
    ended.sort(),
    [
      ['fib', 'native', 0],
      [undefined, 'js', 0],
    ].sort(),
  )
})

test('the tasks of map and stream have events too', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 1, threads: 1 }))
  const log = []
  pool.on('task-added', (task) => log.push(`added ${task.id}`))
  pool.on('task-complete', (_error, result) => log.push(result))
  for await (const _ of pool.map([1, 2], { kernel: 'echo' })) log.push('output')
  const inputs = [1, 2].map((value) => ({ do: 'echo', value }))
  for await (const _ of pool.map(inputs)) log.push('output')
  assert.equal(log.filter((entry) => entry === 1 || entry === 2).length, 4)
  assert.equal(log.filter((entry) => String(entry).startsWith('added')).length, 4)
})

test('what a task writes is there before its promise settles', async () => {
  const source = `
    import { WorkerPool } from 'threadmill'
    const pool = new WorkerPool(${JSON.stringify(CLIENT.href)}, { maxWorkers: 1 })
    const write = process.stdout.write
    let text = ''
    process.stdout.write = (chunk) => ((text += chunk), true)
    await pool.run({ do: 'print', lines: 3 })
    const first = text
    await Promise.all([pool.run({ do: 'printLater', text: 'x' }), pool.run({ do: 'print', lines: 500 })])
    const lines = text.split('\\n').length
    await pool.run({ do: 'crash' }).catch((error) => (text += error.exitCode))
    const last = text.slice(-13)
    await pool.run({ do: 'where' })
    await pool.close()
    process.stdout.write = write
    console.log(JSON.stringify({ first, lines, last, bye: text.endsWith('bye\\n') }))`
  const { stdout, stderr, code } = await runProgram(source)
  assert.deepEqual([stderr, code], ['', 0])
  const expected = { first: 'line 0\nline 1\nline 2\n', lines: 506, last: 'last words\n3', bye: true }
  assert.deepEqual(JSON.parse(stdout), { ...expected, last: `\n${expected.last}` })
})

for (const captured of [false, true]) {
  const where = captured ? 'captured' : 'not captured'
  test(`output that is ${where} holds nothing, and what is written before the worker begins is there too`, async () => {
    const source = `
      import { WorkerPool } from 'threadmill'
      const pool = new WorkerPool(${JSON.stringify(CLIENT.href)}, {
        maxWorkers: 1,
        execArgv: ['--require', ${JSON.stringify(fileURLToPath(PRELOAD))}],
        stdout: ${captured},
        stderr: ${captured},
      })
      pool.resizeUpTo(1)
      const [worker] = pool.workers
      for (const stream of ['stdout', 'stderr']) {
        worker[stream]?.on('data', (text) => process[stream].write('captured ' + text))
      }
      await pool.run({ do: 'where' })`
    const idle = await runProgram(source)
    assert.deepEqual([idle.timedOut, idle.code], [false, 0])
    const closed = await runProgram(`${source}\nawait pool.close()`)
    const mark = captured ? 'captured ' : ''
    assert.deepEqual([closed.stdout, closed.stderr], [`${mark}on stdout\n${mark}bye\n`, `${mark}on stderr\n`])
  })
}

test('output can be captured per worker, and ends with the pool', async () => {
  const pool = new WorkerPool(CLIENT, { maxWorkers: 2, stdout: true, stderr: true })
  pool.resizeUpTo(2)
  const texts = pool.workers.map((worker) => {
    const text = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr']) {
      worker[stream].setEncoding('utf8').on('data', (chunk) => {
        text[stream] += chunk
      })
    }
    return text
  })
  const ends = pool.workers.map((worker) => once(worker.stdout, 'end'))
  const on = (n) => ({ workerAffinity: n, affinityStrength: 'force' })
  await pool.run({ do: 'print', lines: 1 }, on(0))
  await pool.run({ do: 'print', lines: 2, stream: 'stderr' }, on(1))
  await pool.close()
  await Promise.all(ends)
  assert.deepEqual(texts, [
    { stdout: 'line 0\nbye\n', stderr: '' },
    { stdout: 'bye\n', stderr: 'line 0\nline 1\n' },
  ])
  const plain = closingLater(new WorkerPool(CLIENT, 1))
  assert.equal(plain.workers[0].stdout, null)
  await plain.close()
})

function closingLater(pool) {
  return pool
}

test('preTask counts as overhead, not as cost, and its failure is the failure of the task', async (t) => {
  const pool = closing(t, new WorkerPool(CLIENT, { maxWorkers: 1 }))
  // The start of the worker would be part of the total.
  await pool.run(5, { name: 'prepared' })
  for (const name of ['prepared', 'preparedLater']) {
    const start = performance.now()
    const task = pool.addTask(5, { name })
    assert.equal(task.pretaskCost, 0)
    assert.equal(await task, 5)
    const total = performance.now() - start
    assert.ok(task.pretaskCost >= 29, `${name}: ${task.pretaskCost}`)
    // Counted in both, it would be more than there was, however long a busy machine took over the task itself.
    assert.ok(task.taskCost + task.pretaskCost <= total, `${name}: ${task.taskCost} + ${task.pretaskCost} of ${total}`)
  }
  assert.equal((await rejection(pool.run('fail', { name: 'prepared' }))).message, 'unprepared')
  for (const input of [
    { do: 'echo', value: 5 },
    { do: 'echo', value: [5] },
  ]) {
    const task = pool.addTask(input)
    assert.deepEqual(await task, input.value)
    assert.equal(task.pretaskCost, 0)
  }
})

test('a task that was given up tells what it took; others get another worker', async (t) => {
  const pool = new WorkerPool(CLIENT, { maxWorkers: 2 })
  t.after(() => pool.destroy())
  const stuck = pool.addTask({ do: 'block', ms: 60_000 }, { timeout: 100, timeoutFrom: 'start' })
  assert.equal((await rejection(stuck)).code, 'ERR_THREADMILL_TIMEOUT')
  assert.equal(stuck.worker.id, 0)
  assert.ok(stuck.taskCost >= 99, `${stuck.taskCost}`)
  assert.equal(await pool.run({ do: 'where' }), 1)
  const crashed = pool.addTask({ do: 'crash' })
  await rejection(crashed)
  assert.equal(crashed.worker.id, 1)
  assert.ok(crashed.taskCost > 0)
})

test('a worker that has room begins a task before it hears what was sent after that, and after what was sent before', async (t) => {
  const source = `let heard = 0
    export const workerEntrypoint = () => heard
    workerEntrypoint.onWorkerStart = (client) => { client.onMessage('x', (contents) => { heard = contents }) }`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1 })
  t.after(() => pool.close())
  await pool.run()
  const [worker] = pool.workers
  for (let round = 1; round <= 300; round++) {
    worker.postMessageToWorker('x', round)
    const task = pool.run()
    worker.postMessageToWorker('x', -round)
    assert.equal(await task, round)
  }
})

test('a message to all workers moves what it is to move where there is one, and is refused where there are several', async (t) => {
  const source = `export const workerEntrypoint = () => {}
    workerEntrypoint.onWorkerStart = (client) => {
      client.onMessage('bytes', ({ length }) => { client.postMessageToPool('length', length) })
    }`
  const pool = new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 2 })
  t.after(() => pool.close())
  await pool.run()
  const bytes = new Uint8Array(1024)
  const length = new Promise((resolve) => pool.onMessage('length', resolve))
  assert.equal(pool.postMessageToWorkers('bytes', bytes, [bytes.buffer]), pool)
  // After it; what is idle keeps no process alive.
  await pool.run()
  assert.deepEqual([bytes.length, await length], [0, 1024])
  pool.resizeUpTo(2)
  const others = new Uint8Array(8)
  const refused = { name: 'TypeError', code: 'ERR_THREADMILL_INVALID_ARG_VALUE' }
  assert.throws(() => pool.postMessageToWorkers('bytes', others, [others.buffer]), refused)
  assert.equal(others.length, 8)
})

test('a message for a worker that was replaced and has no thread yet is heard by the next one', async (t) => {
  const source = `const heard = []
    export default () => heard.splice(0)
    export const workerEntrypoint = Object.assign(() => heard.splice(0), {
      onWorkerStart: (client) => client.onMessage('told', (contents) => heard.push(contents)),
    })`
  const pool = closing(
    t,
    new WorkerPool(`data:text/javascript,${encodeURIComponent(source)}`, { maxWorkers: 1, recycle: { tasks: 1 } }),
  )
  const exits = []
  pool.on('worker-exit', (_worker, _code, _error, reason) => exits.push(reason))
  const task = pool.addTask()
  assert.deepEqual(await task, [])
  await until(() => exits.length === 1)
  assert.deepEqual([exits, pool.workers], [['retired'], []])
  const bytes = new Uint8Array([1, 2])
  task.worker.postMessageToWorker('told', bytes, [bytes.buffer])
  assert.equal(bytes.length, 0)
  task.worker.postMessageToWorker('told', 'when it has gone')
  assert.deepEqual(await pool.run(), [new Uint8Array([1, 2]), 'when it has gone'])
})

test('what is moved goes to one only, and this thread counts once it has run a task', async (t) => {
  const heard = []
  const entryPoint = (_, client) => client.onMessage('bytes', ({ byteLength }) => heard.push(byteLength))
  const source = `export default (_, client) => {
    client.onMessage('bytes', ({ byteLength }) => client.postMessageToPool('heard', byteLength))
  }`
  const module = `data:text/javascript,${encodeURIComponent(source)}`
  const pool = closing(t, new WorkerPool(module, { maxWorkers: 1, entryPoint }))
  pool.onMessage('heard', (length) => heard.push(`there ${length}`))
  await pool.run(0, { mainThread: true })
  const first = new ArrayBuffer(4)
  pool.postMessageToWorkers('bytes', first, [first])
  await until(() => heard.length === 1)
  assert.deepEqual([heard, first.byteLength], [[4], 4])
  await pool.run(0)
  const second = new ArrayBuffer(8)
  assert.throws(() => pool.postMessageToWorkers('bytes', second, [second]), {
    code: 'ERR_THREADMILL_INVALID_ARG_VALUE',
  })
  assert.equal(second.byteLength, 8)
  pool.postMessageToWorkers('bytes', second)
  await until(() => heard.length === 3)
  assert.deepEqual(heard, [4, 8, 'there 8'])
})
