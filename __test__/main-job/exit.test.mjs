// Stage: all. How the duplicate finder ends: exit codes, and what it could not read.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, truncateSync } from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { dupes, dupesJson, PROGRAM, startDupes, temporaryFolder, unprivileged, writeTree } from './helpers.mjs'

const require = createRequire(import.meta.url)
const windows = process.platform === 'win32'

/** One line on standard error, nothing on standard output, exit code 1. */
function assertRefused({ code, stdout, stderr }, pattern) {
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, pattern)
  assert.equal(stderr.split('\n').length, 2, 'one line')
}

test('1: a missing folder', async (t) => {
  assertRefused(await dupes([path.join(temporaryFolder(t), 'missing')]), /missing: no such folder\n$/)
})

test('1: a file', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { file: '' })
  assertRefused(await dupes([path.join(folder, 'file')]), /file: not a folder\n$/)
})

test('1: a folder that may not be listed', async (t) => {
  const user = await unprivileged()
  if (user === undefined) return t.skip('no user without privileges can run the program here')
  const folder = path.join(temporaryFolder(t), 'closed')
  mkdirSync(folder, { mode: 0o700 })
  chmodSync(path.dirname(folder), 0o755)
  chmodSync(folder, 0o000)
  assertRefused(await dupes([folder], user), /closed: not readable\n$/)
})

for (const args of [['--wrong'], ['a', 'b'], ['--threads', '0'], ['--threads', '1.5'], ['--top', 'x']]) {
  test(`1: ${args.join(' ')}`, async () => assertRefused(await dupes(args), /--help explains/))
}

test('0: help', async () => {
  const { code, stdout, stderr } = await dupes(['--help'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^Usage: /m)
})

test('2: files and folders that may not be read are reported, the others are searched', async (t) => {
  const user = await unprivileged()
  if (user === undefined) return t.skip('no user without privileges can run the program here')
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'same', b: 'same', secret: 'same', 'closed/c': 'same' })
  chmodSync(folder, 0o755)
  chmodSync(path.join(folder, 'secret'), 0o000)
  chmodSync(path.join(folder, 'closed'), 0o000)
  const { code, result } = await dupesJson(folder, [], user)
  const text = await dupes([folder], user)
  // So that the folder can be removed.
  chmodSync(path.join(folder, 'closed'), 0o700)
  assert.equal(code, 2)
  assert.deepEqual([result.files, result.redundantFiles], [2, 1])
  assert.deepEqual(
    result.errors.map((error) => error.path),
    ['closed', 'secret'],
  )
  for (const { reason } of result.errors) assert.match(reason, /EACCES|permission denied/i)
  assert.equal(text.code, 2)
  assert.match(text.stdout, /Not readable, skipped \(2\)\n {2}closed: .+\n {2}secret: .+\n/)
})

test('0: pipes and sockets are listed and never opened', { skip: windows }, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'text' })
  execFileSync('mkfifo', [path.join(folder, 'pipe')])
  const server = net.createServer().listen(path.join(folder, 'socket'))
  await once(server, 'listening')
  t.after(() => server.close())
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.equal(result.files, 1)
  assert.deepEqual(result.special, [
    { path: 'pipe', reason: 'named pipe' },
    { path: 'socket', reason: 'socket' },
  ])
})

test('a file that vanishes before it is hashed is skipped; one that became a folder is an error', async (t) => {
  const { WorkerPool } = require('../../dist/index.js')
  const { hashFiles } = require('../../dist/cli/hash.js')
  const folder = temporaryFolder(t)
  writeTree(folder, { here: 'text', 'now-a-folder/x': '' })
  const pool = new WorkerPool()
  t.after(() => pool.close())
  const files = ['gone', 'here', 'now-a-folder'].map((name) => ({ path: name, size: 4, links: [] }))
  let done = 0
  const outcome = await hashFiles(pool, folder, files, (_bytes, count) => {
    done += count
  })
  assert.equal(done, 3)
  assert.deepEqual(
    outcome.hashed.map(({ file }) => file.path),
    ['here'],
  )
  assert.deepEqual(outcome.vanished, ['gone'])
  assert.deepEqual(
    outcome.errors.map((error) => error.path),
    ['now-a-folder'],
  )
})

test('Ctrl-C ends it at once with 130, in the middle of a file', { skip: windows, timeout: 60_000 }, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { huge: '' })
  // Takes no space, and minutes to hash.
  truncateSync(path.join(folder, 'huge'), 2 ** 40)
  const { child, outcome } = startDupes([folder])
  t.after(() => child.kill('SIGKILL'))
  let seen = ''
  for await (const text of child.stderr) {
    seen += text
    if (/hashing: .*\n/.test(seen)) break
  }
  const start = performance.now()
  child.kill('SIGINT')
  const { code, signal, stdout } = await outcome
  assert.deepEqual([code, signal, stdout], [130, null, ''])
  assert.ok(performance.now() - start < 2000, 'at once')
})

test('a reader that goes away ends it quietly', { skip: windows }, async (t) => {
  const folder = temporaryFolder(t)
  // More output than a pipe holds, so that writing must fail.
  for (let i = 0; i < 3000; i++) writeTree(folder, { [`${'long-name-'.repeat(10)}${i}`]: 'same' })
  const { child, outcome } = startDupes(['--json', '--no-progress', folder])
  child.stdout.destroy()
  const { code, signal, stderr } = await outcome
  assert.deepEqual([code, signal, stderr], [0, null, ''])
  const piped = execFileSync('sh', [
    '-c',
    '"$0" "$1" --json --no-progress "$2" 2>&1 | head -c 10',
    process.execPath,
    PROGRAM,
    folder,
  ])
  assert.equal(piped.toString(), '{"folder":')
})

test('without a folder it searches the package itself', async () => {
  const root = path.resolve(path.dirname(PROGRAM), '../..')
  const { code, stdout } = await dupes(['--json'])
  const result = JSON.parse(stdout)
  assert.equal(result.folder, root)
  assert.ok(result.files > 10)
  assert.equal(code, result.errors.length === 0 ? 0 : 2)
})
