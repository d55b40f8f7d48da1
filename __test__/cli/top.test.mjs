// Stage: all. `threadmill top` against a small server in place of a dashboard.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { createRequire } from 'node:module'
import process from 'node:process'
import { test } from 'node:test'
import { CONTROL, terminal } from '../main-job/helpers.mjs'
import { onTerminal, start, threadmill } from './helpers.mjs'

const require = createRequire(import.meta.url)
const { WorkerPool } = require('../../dist/index.js')

/** A server whose answers `answer(request, response)` gives; its URL. */
async function serve(t, answer) {
  const server = http.createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${server.address().port}`
}

/** Figures of a real pool that has run two tasks, one of which failed. */
async function figures(name = 'work') {
  const pool = new WorkerPool('data:text/javascript,export default (n) => { if (n) throw n; return n }', {
    name,
    threads: 1,
    maxWorkers: 1,
  })
  await pool.run(0)
  await pool.run(1).catch(() => {})
  const pools = structuredClone([{ name, stats: { ...pool.stats() }, running: [] }])
  await pool.close()
  return { pools }
}

const json = (value) => (_request, response) => response.end(JSON.stringify(value))

test('--once prints a line for each worker', async (t) => {
  const asked = []
  const value = await figures()
  const url = await serve(t, (request, response) => {
    asked.push([request.url, request.headers.authorization])
    json(value)(request, response)
  })
  const { code, stdout, stderr } = await threadmill(['top', `${url}/?token=a-b%2Bc`, '--once'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.deepEqual(asked, [['/stats', 'Bearer a-b+c']])
  assert.doesNotMatch(stdout, CONTROL)
  const [head, columns, native, js, ...rest] = stdout.split('\n')
  assert.equal(head, 'work  0 of 1 busy, 0 waiting, 1 done, 1 failed')
  assert.match(columns, /WORKER .* RUNNING/)
  assert.match(native, /^ {2}native 0 +none +0 +0 /)
  assert.match(js, /^ {2}js 0 +idle +1 +1 .* %.* ms/)
  assert.deepEqual(rest, [''])
  // Below a path, and without http:.
  await threadmill(['top', `${url.slice(7)}/inner/?page=1&token=t&token=u#top`, '-1'])
  await threadmill(['top', `${url}?token=`, '-1'])
  assert.deepEqual(asked.slice(1), [
    ['/inner/stats?page=1', 'Bearer t'],
    ['/stats', undefined],
  ])
})

test('it looks again and again until it is interrupted', { skip: process.platform === 'win32' }, async (t) => {
  const values = [await figures('first'), await figures('second')]
  let looks = 0
  const url = await serve(t, (request, response) => json(values[Math.min(looks++, 1)])(request, response))
  const { child, outcome } = start(['top', url, '--interval', '0.1'])
  t.after(() => child.kill('SIGKILL'))
  let seen = ''
  await new Promise((resolve) => {
    child.stdout.on('data', (text) => {
      seen += text
      if (seen.includes('second')) resolve()
    })
    child.once('exit', resolve)
  })
  child.kill('SIGINT')
  const { code, stdout } = await outcome
  assert.equal(code, 130)
  assert.match(stdout, /^first .*\n[\s\S]*\n\nsecond /)
})

test('a terminal shows it in place, and gets its cursor back', terminal, async (t) => {
  const value = await figures()
  let looks = 0
  const url = await serve(t, (request, response) => {
    if (++looks === 3) response.writeHead(500)
    json(value)(request, response)
  })
  const { code, stdout } = await onTerminal(['top', url, '-i', '0.1']).outcome
  assert.equal(code, 1)
  assert.equal(stdout.split('\u001b[H\u001b[J').length, 3)
  assert.ok(stdout.includes('\u001b[1mwork\u001b[22m'))
  assert.ok(stdout.lastIndexOf('\u001b[?25h') > stdout.lastIndexOf('\u001b[?25l'), 'the cursor is back')
})

test('names cannot write control characters', async (t) => {
  const value = await figures('a\u001b[2Jb')
  value.pools[0].stats = { ...value.pools[0].stats, js: [{ ...value.pools[0].stats.js[0], running: ['\u0007x'] }] }
  const url = await serve(t, json(value))
  const { stdout } = await threadmill(['top', url, '-1'])
  assert.doesNotMatch(stdout, CONTROL)
  assert.match(stdout, /^a\\x1b\[2Jb /)
  assert.match(stdout, / \\x07x\n/)
})

test('names and figures that are none are shown as such', async (t) => {
  const none = { toString: 1, valueOf: 2 }
  const worker = { lane: none, id: none, tasksCompleted: 'x', cpuTime: none, runTime: 5, running: [none, null] }
  const url = await serve(t, json({ pools: [{ name: none, stats: { poolSize: none, native: [worker], js: null } }] }))
  const { code, stdout, stderr } = await threadmill(['top', url, '-1'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^\? {2}\? of \? busy, \? waiting, \? done, \? failed\n/)
  assert.match(stdout, /\n {2}\? \? {9}none .* \?, \?\n$/)
})

for (const [what, answer, message] of [
  ['a wrong token', (_, response) => response.writeHead(401).end(), /: the token is missing or wrong\n$/],
  ['another status', (_, response) => response.writeHead(404).end(), /: answered with status 404\n$/],
  ['no JSON', (_, response) => response.end('<html>'), /: answered with something else than JSON\n$/],
  ...[[{}], [null], [{ stats: { native: {} } }], [{ stats: { js: [null] } }], [{ stats: { js: 'two' } }]].map(
    (pools) => [
      `other JSON: ${JSON.stringify(pools)}`,
      json({ pools }),
      /: answered with something else than figures of pools\n$/,
    ],
  ),
  ['a connection that breaks', (request) => request.socket.destroy(), /: socket hang up\n$/],
]) {
  test(`1: ${what}`, async (t) => {
    const url = await serve(t, answer)
    const { code, stdout, stderr } = await threadmill(['top', `${url}?token=secret`, '-1'])
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /secret/)
  })
}

test('1: nobody listens', async (t) => {
  const server = http.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  const { code, stderr } = await threadmill(['top', `http://127.0.0.1:${port}`])
  assert.equal(code, 1)
  assert.match(stderr, /nobody listens there/)
  t.diagnostic(`port ${port}`)
})

for (const url of [
  'not a url',
  'ftp://host/',
  'http://127.0.0.1:1/?token=s%0Aecret',
  'http://127.0.0.1:1/?token=s%C3%A4cret',
]) {
  test(`2: ${url}`, async () => {
    const { code, stdout, stderr } = await threadmill(['top', url])
    assert.deepEqual([code, stdout], [2, ''])
    assert.doesNotMatch(stderr, /cret/)
  })
}
