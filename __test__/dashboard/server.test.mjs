// What the dashboard sends, to whom, and how long it lives.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { ThreadmillError, WorkerPool } from 'threadmill'
import { serveDashboard } from 'threadmill/dashboard'
import { root, runProgram } from '../helpers/child.mjs'
import { Gates } from '../helpers/gates.mjs'
import { occupy, rejection, until } from '../helpers/pool.mjs'
import { json, openEvents, post, send, serve } from './helpers.mjs'

const TASKS = new URL('../js/fixtures/gates.mjs', import.meta.url)

function closing(t, pool) {
  t.after(() => pool.destroy())
  return pool
}

/** Figures that do not change between two looks at an idle pool. */
const steady = (stats) =>
  JSON.parse(JSON.stringify(stats, (key, value) => (['uptime', 'cpuTime', 'lastActiveSecs'].includes(key) ? 0 : value)))

test('GET /stats gives what stats() gives', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 2, name: 'figures' }))
  await Promise.all(Array.from({ length: 50 }, (_, index) => pool.run(index % 20, { kernel: 'fib' })))
  const data = await json(await serve(t, pool))
  assert.deepEqual(
    data.pools.map(({ name, state }) => [name, state]),
    [['figures', 'open']],
  )
  assert.deepEqual(steady(data.pools[0].stats), steady(pool.stats()))
  assert.equal(data.pools[0].stats.tasksCompleted, 50)
  assert.deepEqual(data.pools[0].running, [])
  assert.equal(data.process.pid, process.pid)
  assert.ok(data.process.rss > data.process.heapUsed)
  assert.deepEqual([data.interval, data.allowActions], [1000, false])
})

test('several pools, with the same name too; pools come and go', async (t) => {
  const [one, two, three] = ['same', 'same', 'other'].map((name) => closing(t, new WorkerPool({ threads: 1, name })))
  const dashboard = await serve(t, new Set([one, two]))
  const shown = async () => (await json(dashboard)).pools.map(({ name }) => name)
  assert.deepEqual(await shown(), ['same', 'same#2'])
  dashboard.add(three)
  dashboard.add(one)
  assert.deepEqual(await shown(), ['same', 'same#2', 'other'])
  assert.deepEqual([dashboard.remove(one), dashboard.remove(one)], [true, false])
  assert.deepEqual(await shown(), ['same#2', 'other'])
})

test('a pool that is closed is shown as such, also one that was before, and can be removed', async (t) => {
  const pool = new WorkerPool({ threads: 1, name: 'ends' })
  const dashboard = await serve(t, [])
  dashboard.add(pool)
  const state = async () => (await json(dashboard)).pools.map((shown) => [shown.state, shown.stats.tasksCompleted])
  await pool.kernels.echo(1)
  const held = await occupy(pool)
  const closed = pool.close()
  assert.deepEqual(await state(), [['closing', 1]])
  await held.release()
  await closed
  assert.deepEqual(await state(), [['closed', 1]])
  assert.equal(dashboard.remove(pool), true)
  assert.deepEqual(await state(), [])
  dashboard.add(pool)
  assert.deepEqual(await state(), [['closed', 1]])
})

test('what runs is known by its number, name and time when somebody looks', async (t) => {
  const gates = new Gates()
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 2, workerData: gates.memory, name: 'js' }))
  const dashboard = await serve(t, pool, { interval: 100 })
  const before = await gates.hold(pool, 0)
  // The first look begins the watch: of what was there it knows only that it runs.
  assert.deepEqual((await json(dashboard)).pools[0].running, [{ worker: 0, lane: 'js' }])

  const gate = gates.closed()
  const named = pool.addTask({ do: 'block', gate }, { key: '<b>key</b>', workerAffinity: 1 })
  const kernel = await occupy(pool)
  await until(() => named.worker !== undefined)
  const started = Date.now()
  const { running } = (await json(dashboard)).pools[0]
  assert.deepEqual(
    running.map(({ since, ...rest }) => rest),
    [
      { worker: named.worker.id, lane: 'js', id: named.id, name: '<b>key</b>' },
      { worker: kernel.worker.id, lane: 'native', id: kernel.task.id, name: 'fib' },
      { worker: 0, lane: 'js' },
    ],
  )
  assert.ok(running[0].since >= started && running[0].since <= Date.now())
  // The time stays what it was.
  assert.equal((await json(dashboard)).pools[0].running[0].since, running[0].since)
  await kernel.release()
  await before.release()
  const known = (await json(dashboard)).pools[0].running.filter(({ id }) => id !== undefined)
  assert.deepEqual(
    known.map(({ id }) => id),
    [named.id],
  )
  gates.open(gate)
  await named
})

test('kernels that run are known by name also when nobody looked', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1 }))
  const dashboard = await serve(t, pool)
  const held = await occupy(pool)
  assert.deepEqual((await json(dashboard)).pools[0].running, [{ worker: 0, lane: 'native', name: 'fib' }])
  await held.release()
})

test('nothing listens to a pool while nobody looks', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1 }))
  const dashboard = await serve(t, pool, { interval: 100 })
  const held = await occupy(pool)
  // A task without a handle has no number: the next one shows whether those between had handles.
  const isWatched = () => {
    const first = pool.addTask(1, { kernel: 'echo' }).id
    pool.run(1, { kernel: 'echo' })
    return pool.addTask(1, { kernel: 'echo' }).id - first === 2
  }
  assert.equal(isWatched(), false)
  const events = await openEvents(dashboard)
  await events.next()
  assert.equal(isWatched(), true)
  events.destroy()
  await until(() => !isWatched())
  await held.release()
  await pool.whenIdle()
})

test('a watch does not hide failures that nobody handles', async () => {
  const { code, stdout, stderr } = await runProgram(`
    import { WorkerPool } from 'threadmill'
    import { serveDashboard } from 'threadmill/dashboard'
    const dashboard = await serveDashboard([])
    const pool = new WorkerPool('data:text/javascript,export default () => { throw new Error("unseen") }')
    dashboard.add(pool)
    await (await fetch(dashboard.url + 'stats')).text()
    process.on('unhandledRejection', (error) => console.log('unhandled', error.message))
    pool.run(1)
    await pool.whenIdle()
    await pool.close()
    await dashboard.close()
  `)
  assert.deepEqual([code, stdout, stderr], [0, 'unhandled unseen\n', ''])
})

test('events come at the interval, the first at once, and follow the pool', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1 }))
  const dashboard = await serve(t, pool, { interval: 100 })
  const events = await openEvents(dashboard)
  const first = await events.next()
  assert.equal(first.pools[0].stats.tasksCompleted, 0)
  await pool.kernels.echo(1)
  let last = first
  while (last.pools[0].stats.tasksCompleted === 0) {
    const next = await events.next()
    assert.ok(next.time - last.time >= 50, 'the interval')
    last = next
  }
  events.destroy()
})

test('who looks when nobody has for a while gets events as well', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1 }))
  const dashboard = await serve(t, pool, { interval: 100 })
  for (let visit = 0; visit < 2; visit++) {
    const events = await openEvents(dashboard)
    await events.next()
    // The first one comes at once, whatever becomes of the others.
    assert.equal((await events.next()).pools[0].state, 'open')
    const left = new Promise((resolve) => events.socket.once('close', resolve))
    events.destroy()
    await left
    // Then the server has heard of it.
    await send(dashboard, '/stats')
  }
})

test('streams that are asked for one after the other on one connection are one, and end with it', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1 }))
  const listeners = new Set()
  const dashboard = await serve(t, pool, { interval: 100 })
  const { on, off } = pool
  pool.on = (event, listener) => {
    listeners.add(listener)
    return on.call(pool, event, listener)
  }
  pool.off = (event, listener) => {
    listeners.delete(listener)
    return off.call(pool, event, listener)
  }
  const socket = connect(dashboard.port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${dashboard.port}\r\n\r\n`.repeat(65))
  await new Promise((resolve) => socket.once('data', resolve))
  // There is room for others.
  const events = await openEvents(dashboard)
  await events.next()
  assert.ok(listeners.size > 0)
  events.destroy()
  socket.destroy()
  await until(() => listeners.size === 0)
})

test('a slow client is given no event while it has not taken the last one', async (t) => {
  // Figures of so many workers, at every tick more than the system buffers.
  const pool = closing(t, new WorkerPool({ threads: 1024, name: 'slow' }))
  const dashboard = await serve(t, [pool], { interval: 100 })
  const socket = connect(dashboard.port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.pause()
  socket.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${dashboard.port}\r\n\r\n`)
  // Another client counts the events that there were.
  const events = await openEvents(dashboard)
  for (let count = 0; count < 30; count++) await events.next()
  events.destroy()
  let received = 0
  const times = new Set()
  const caughtUp = new Promise((resolve) => {
    socket.setEncoding('utf8').on('data', (text) => {
      for (const [, time] of text.matchAll(/"time":(\d+),"interval"/g)) times.add(time)
      received = times.size
      if (Number([...times].at(-1)) > resumed) resolve()
    })
  })
  const resumed = Date.now()
  socket.resume()
  // It goes on from where the pool is by then, with what was buffered and without what was left out.
  await caughtUp
  assert.ok(received < 15, `${received} of 30 events`)
})

test('every answer has the headers that keep others out', async (t) => {
  const dashboard = await serve(t, [])
  for (const path of ['/', '/page.js', '/page.css', '/uplot.js', '/uplot.css', '/icon.svg', '/stats', '/nowhere']) {
    const { status, headers } = await send(dashboard, path)
    assert.equal(status, path === '/nowhere' ? 404 : 200, path)
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
    assert.equal(headers['access-control-allow-origin'], undefined)
    const policy = headers['content-security-policy']
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]) {
      assert.ok(policy.split('; ').includes(part), part)
    }
    assert.ok(!policy.includes('unsafe'))
  }
})

test('paths are looked up in a table', async (t) => {
  const dashboard = await serve(t, [])
  const paths = ['/../package.json', '/%2e%2e/index.js', '//page.js', '/page.js/', '/constructor', '/__proto__', '*']
  for (const path of [...paths, '/page/../page.js', `http://127.0.0.1:${dashboard.port}/page.js`]) {
    assert.equal((await send(dashboard, path)).status, 404, path)
  }
})

test('foreign Host headers and origins are refused, other methods too', async (t) => {
  const dashboard = await serve(t, [], { host: 'localhost' })
  const { port } = dashboard
  const status = async (headers, method) => (await send(dashboard, '/stats', { headers, method })).status
  for (const host of ['127.0.0.1', 'localhost', '[::1]', 'LOCALHOST']) {
    assert.equal(await status({ Host: `${host}:${port}` }), 200, host)
    const same = { Host: `${host}:${port}`, Origin: `http://${host}:${port}`.toLowerCase() }
    assert.equal(await status(same), 200, host)
  }
  const foreign = ['evil.example', `evil.example:${port}`, '127.0.0.1', `127.0.0.1:${port + 1}`, `10.0.0.1:${port}`]
  for (const host of [...foreign, `a@127.0.0.1:${port}`, `127.0.0.1:${port}.evil.example`, `127.0.0.1:${port}/`]) {
    assert.equal(await status({ Host: host }), 403, host)
  }
  const origins = ['http://evil.example', 'null', `https://127.0.0.1:${port}`, `http://localhost:${port}`]
  for (const origin of [...origins, 'http://127.0.0.1', `http://127.0.0.1:${port}.evil.example`]) {
    assert.equal(await status({ Host: `127.0.0.1:${port}`, Origin: origin }), 403, origin)
  }
  for (const method of ['HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
    assert.equal(await status({}, method), 405, method)
})

test('the address that it gives is its own, however browsers write it', async (t) => {
  for (const host of ['::ffff:127.0.0.1', '0:0:0:0:0:ffff:7f00:1', '127.1', '127.0.0.1']) {
    const dashboard = await serve(t, [], { host })
    assert.equal((await fetch(dashboard.url)).status, 200, host)
    const { port } = dashboard
    assert.equal((await send(dashboard, '/', { headers: { Host: `[::ffff:a00:1]:${port}` } })).status, 403, host)
  }
})

test('with a token every request needs it: in the address, as a cookie, or as a bearer', async (t) => {
  const token = 'a-token.of_mine~42'
  const dashboard = await serve(t, [], { token })
  assert.equal(dashboard.token, token)
  assert.equal(dashboard.url, `http://127.0.0.1:${dashboard.port}/?token=${token}`)
  for (const path of ['/', '/page.js', '/stats', '/events', '/?token=', `/?token=${token}x`, '/nowhere']) {
    assert.equal((await send(dashboard, path)).status, 401, path)
  }
  const { status, headers } = await send(dashboard, `/?token=${token}`)
  assert.equal(status, 200)
  const [cookie] = headers['set-cookie']
  assert.match(cookie, /; HttpOnly; SameSite=Strict$/)
  const own = cookie.split(';')[0]
  for (const given of [{ Cookie: own }, { Cookie: `other=1; ${own}` }, { Authorization: `Bearer ${token}` }]) {
    assert.equal((await send(dashboard, '/stats', { headers: given })).status, 200)
  }
  for (const given of [
    { Cookie: `${own}x` },
    { Cookie: 'a=b' },
    { Authorization: 'Bearer x' },
    { Authorization: token },
  ]) {
    assert.equal((await send(dashboard, '/stats', { headers: given })).status, 401)
  }
})

test('beyond loopback there is always a token', async (t) => {
  const open = await serve(t, [], { host: '0.0.0.0' })
  assert.match(open.token, /^[\w-]{43}$/)
  assert.equal(open.url, `http://localhost:${open.port}/?token=${open.token}`)
  assert.equal((await send(open, '/stats')).status, 401)
  const status = async (host) =>
    (await send(open, `/stats?token=${open.token}`, { headers: { Host: `${host}:${open.port}` } })).status
  assert.deepEqual([await status('10.1.2.3'), await status('localhost')], [200, 200])
  assert.equal(await status('evil.example'), 403)
  const other = await serve(t, [], { host: '0.0.0.0' })
  assert.notEqual(other.token, open.token)
  const local = await serve(t, [])
  assert.deepEqual([local.token, local.url], [undefined, `http://127.0.0.1:${local.port}/`])
})

test('actions are refused unless they are allowed', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1, name: 'safe' }))
  const dashboard = await serve(t, pool)
  const held = await occupy(pool)
  const { status, body } = await post(dashboard, '/actions/safe/cancel', { id: held.task.id })
  assert.deepEqual([status, body], [403, { error: 'actions are not allowed' }])
  await held.release()
})

test('a task can be cancelled', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1, name: 'a/b #1' }))
  const dashboard = await serve(t, pool, { allowActions: true })
  const path = `/actions/${encodeURIComponent('a/b #1')}/cancel`
  await json(dashboard, `/stats?token=${dashboard.token}`)
  const running = pool.addTask(60, { kernel: 'fib' })
  const failed = rejection(Promise.resolve(running))
  const done = pool.addTask(1, { kernel: 'echo' })
  assert.deepEqual(await post(dashboard, path, { id: running.id }), { status: 200, body: { cancelled: true } })
  assert.equal((await failed).code, 'ERR_THREADMILL_CANCELLED')
  await done
  assert.deepEqual((await post(dashboard, path, { id: done.id })).body, { cancelled: false })
  assert.equal((await post(dashboard, path, { id: 12_345 })).status, 404)
})

test('a pool of any name is in reach by its name', async (t) => {
  for (const given of ['.', '..', 'a/b', '%2e', '?', '#', 'a\\b']) {
    const pool = closing(t, new WorkerPool({ threads: 1, name: given }))
    const dashboard = await serve(t, pool, { allowActions: true })
    const { pools } = await json(dashboard, `/stats?token=${dashboard.token}`)
    const [{ name }] = pools
    // As browsers do it.
    const { pathname } = new URL(`/actions/${encodeURIComponent(name)}/cancel`, dashboard.url)
    const held = await occupy(pool)
    const { status } = await post(dashboard, pathname, { id: held.task.id })
    assert.equal(status, 200, `${given}, shown as ${name}`)
    await held.release()
  }
})

test('a worker is recycled after the task that it runs', async (t) => {
  const gates = new Gates()
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1, workerData: gates.memory, name: 'js' }))
  const dashboard = await serve(t, pool, { allowActions: true })
  const exits = []
  pool.on('worker-exit', (worker, code) => exits.push([worker.id, code]))
  const held = await gates.hold(pool, 0)
  assert.deepEqual(await post(dashboard, '/actions/js/recycle', { worker: 0 }), {
    status: 202,
    body: { asked: true },
  })
  assert.deepEqual(exits, [])
  await held.release()
  await until(() => exits.length === 1)
  assert.deepEqual(exits, [[0, 0]])
  assert.equal((await post(dashboard, '/actions/js/recycle', { worker: 7 })).status, 404)
})

test('requests for actions are checked', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1, name: 'safe' }))
  const dashboard = await serve(t, pool, { allowActions: true })
  const path = '/actions/safe/cancel'
  const status = async (value, headers, to = path) => (await post(dashboard, to, value, headers)).status
  assert.equal(await status({ id: 1 }), 404)
  assert.equal(await status({ id: 1 }, { Origin: 'http://evil.example' }), 403)
  assert.equal(await status({ id: 1 }, { 'Content-Type': 'text/plain' }), 415)
  assert.equal(await status({ id: 1 }, { 'Content-Type': 'application/x-www-form-urlencoded' }), 415)
  assert.equal(await status({ id: 1 }, { Authorization: 'Bearer x' }), 401)
  for (const value of [{}, [], null, { id: '1' }, { id: -1 }, { id: 1.5 }, { worker: 1 }]) {
    assert.equal(await status(value), 400, JSON.stringify(value))
  }
  assert.equal(await status({ id: 1, more: 'x'.repeat(5000) }), 413)
  for (const to of ['/actions/unknown/cancel', '/actions/safe/close', '/stats', '/actions/%E0%A4%A/cancel']) {
    assert.equal(await status({ id: 1 }, {}, to), 404, to)
  }
  const headers = { Authorization: `Bearer ${dashboard.token}`, 'Content-Type': 'application/json' }
  assert.equal((await send(dashboard, path, { method: 'POST', headers, body: '{"id":1}' })).status, 403, 'no Origin')
  const own = { ...headers, Origin: new URL(dashboard.url).origin }
  assert.equal((await send(dashboard, path, { method: 'POST', headers: own, body: '{' })).status, 400)
})

test('close() cuts every connection, and can be called again', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1 }))
  const dashboard = await serveDashboard(pool, { interval: 100 })
  const events = await openEvents(dashboard)
  const cut = new Promise((resolve) => events.response.on('close', resolve))
  // One on which nothing is asked.
  const silent = connect(dashboard.port, '127.0.0.1')
  const silentCut = new Promise((resolve) => silent.on('error', resolve).on('close', resolve))
  await new Promise((resolve) => silent.on('connect', resolve))
  const closed = dashboard.close()
  assert.equal(dashboard.close(), closed)
  await Promise.all([closed, cut, silentCut, dashboard[Symbol.asyncDispose]()])
  assert.equal((await rejection(send(dashboard, '/'))).code, 'ECONNREFUSED')
  dashboard.add(pool)
  assert.equal(dashboard.remove(pool), false)
  // The pool goes on, unwatched.
  assert.equal(await pool.kernels.echo(1), 1)
})

test('it does not keep the process alive, also not with a page open', async (t) => {
  const pages = []
  t.after(() => {
    for (const page of pages) page.destroy()
  })
  let seen = ''
  const outcome = await runProgram(
    `
    import { WorkerPool } from 'threadmill'
    import { serveDashboard } from 'threadmill/dashboard'
    const pool = new WorkerPool({ threads: 1, name: 'child' })
    const dashboard = await serveDashboard(pool, { interval: 100 })
    const task = pool.addTask(60, { kernel: 'fib' })
    task.catch(() => {})
    console.log(dashboard.port)
    process.stdin.once('data', () => { task.cancel(); process.stdin.destroy() })
  `,
    {
      onStdout: (text, child) => {
        if (seen !== '' || !text.includes('\n')) return
        seen = text
        openEvents({ port: Number(text) }).then(async (events) => {
          pages.push(events)
          assert.equal((await events.next()).pools[0].name, 'child')
          child.stdin.write('go')
        })
      },
    },
  )
  assert.deepEqual([outcome.code, outcome.timedOut, outcome.stderr], [0, false, ''])
})

test('an import and an idle dashboard let the process end', async () => {
  const { code, timedOut } = await runProgram(`
    import { WorkerPool } from 'threadmill'
    import { serveDashboard } from 'threadmill/dashboard'
    await serveDashboard(new WorkerPool())
  `)
  assert.deepEqual([code, timedOut], [0, false])
})

test('it serves where the memory of the process cannot be asked for', async () => {
  const fail = 'data:text/javascript,process.memoryUsage = () => { throw new Error("no descriptor left") }'
  const { code, stdout, stderr } = await runProgram(
    `
    import { WorkerPool } from 'threadmill'
    import { serveDashboard } from 'threadmill/dashboard'
    const dashboard = await serveDashboard(new WorkerPool({ threads: 1 }))
    const { process } = await (await fetch(new URL('/stats', dashboard.url))).json()
    console.log(process.rss, process.heapUsed > 1e6, process.heapTotal >= process.heapUsed)
    await dashboard.close()
  `,
    { nodeArgs: ['--import', fail] },
  )
  assert.deepEqual([code, stdout], [0, '0 true true\n'], stderr)
})

test('bad arguments reject before anything listens', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1 }))
  const cases = [
    [[undefined], 'INVALID_ARG_TYPE', 'pools must be'],
    [[{}], 'INVALID_ARG_TYPE', 'pools must be'],
    [['pool'], 'INVALID_ARG_TYPE', 'pools must be'],
    [[[pool, {}]], 'INVALID_ARG_TYPE', 'pools[1] must be a WorkerPool of this copy of threadmill'],
    [[[Object.create(WorkerPool.prototype)]], 'INVALID_ARG_TYPE', 'pools[0] must be'],
    [[pool, null], 'INVALID_ARG_TYPE', 'options must be an object'],
    [[pool, { port: '80' }], 'INVALID_ARG_TYPE', 'options.port must be'],
    [[pool, { port: 65_536 }], 'OUT_OF_RANGE', 'options.port must be'],
    [[pool, { host: 1 }], 'INVALID_ARG_TYPE', 'options.host must be'],
    [[pool, { host: '' }], 'INVALID_ARG_VALUE', 'options.host must be'],
    [[pool, { host: 'a b' }], 'INVALID_ARG_VALUE', 'options.host must be'],
    [[pool, { token: 'short' }], 'INVALID_ARG_VALUE', 'options.token must be'],
    [[pool, { token: 'with a space; and more' }], 'INVALID_ARG_VALUE', 'options.token must be'],
    [[pool, { allowActions: 1 }], 'INVALID_ARG_TYPE', 'options.allowActions must be'],
    [[pool, { interval: 99 }], 'OUT_OF_RANGE', 'options.interval must be'],
  ]
  for (const [args, code, message] of cases) {
    const error = await rejection(serveDashboard(...args))
    assert.equal(error.code, `ERR_THREADMILL_${code}`, message)
    assert.ok(error.message.startsWith(message), error.message)
    assert.ok(!error.message.includes('with a space'), 'a token is not repeated')
  }
  // Only own properties count.
  const dashboard = await serve(t, pool, Object.create({ port: 'x' }))
  assert.throws(() => dashboard.add({}), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  assert.throws(() => dashboard.remove({}), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
})

test('a port that is taken is an error with its cause', async (t) => {
  const other = createServer()
  await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const error = await rejection(serveDashboard([], { port: other.address().port }))
  assert.ok(error instanceof ThreadmillError)
  assert.deepEqual([error.code, error.cause.code], ['ERR_THREADMILL_IO', 'EADDRINUSE'])
})

test('it can be required', async () => {
  const { code, stdout } = await runProgram(`
    import { createRequire } from 'node:module'
    const { serveDashboard } = createRequire(${JSON.stringify(`${root}package.json`)})('threadmill/dashboard')
    const { close, port } = await serveDashboard([])
    console.log(typeof close, port > 0)
  `)
  assert.deepEqual([code, stdout], [0, 'function true\n'])
})

test('tasks that have ended are not kept, whoever has looked and however seldom', async () => {
  const { stdout, stderr } = await runProgram(
    `import { WorkerPool } from 'threadmill'
     import { serveDashboard } from 'threadmill/dashboard'
     const pool = new WorkerPool('data:text/javascript,export default () => 1', { maxWorkers: 1 })
     const dashboard = await serveDashboard(pool, { interval: 60_000 })
     await (await fetch(new URL('/stats', dashboard.url))).text()
     const events = await fetch(new URL('/events', dashboard.url))
     const inputs = []
     for (let n = 0; n < 50; n++) {
       const input = { n }
       inputs.push(new WeakRef(input))
       await pool.run(input)
     }
     // Those that a look has seen alive are kept until the end of a turn.
     for (let turn = 0; turn < 5; turn++) {
       await new Promise(setImmediate)
       globalThis.gc()
     }
     console.log(inputs.filter((input) => input.deref() !== undefined).length <= 2)
     await events.body.cancel()
     await dashboard.close()
     await pool.close()`,
    { nodeArgs: ['--expose-gc'] },
  )
  assert.deepEqual([stdout, stderr], ['true\n', ''])
})
