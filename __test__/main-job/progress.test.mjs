// Stage: all. What the duplicate finder shows while it works, on a terminal and elsewhere.
import assert from 'node:assert/strict'
import { truncateSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { CONTROL, dupes, onTerminal, temporaryFolder, terminal, writeTree } from './helpers.mjs'

const require = createRequire(import.meta.url)
const { createProgress } = require('../../dist/cli/progress.js')

const HIDE = '\u001b[?25l'
// biome-ignore lint/suspicious/noControlCharactersInRegex: a control character is what it looks for
const COLOUR = /\u001b\[[\d;]*m/
const SHOW = '\u001b[?25h'

test('elsewhere there are no control characters', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'same', b: 'same' })
  const { code, stdout, stderr } = await dupes([folder], { env: { ...process.env, FORCE_COLOR: '1' } })
  assert.equal(code, 0)
  assert.doesNotMatch(stdout + stderr, CONTROL)
  for (const name of ['files', 'bytes', 'duplicate groups', 'redundant files', 'redundant bytes', 'throughput']) {
    assert.match(stdout, new RegExp(`^ {2}${name} +\\d`, 'm'))
  }
  assert.match(stdout, /GB\/s\n/)
  assert.match(stdout, /^ {2}worker 0 .*% busy/m)
})

test('plain lines come at most once a second', () => {
  const output = new PassThrough({ encoding: 'utf8' })
  let now = 0
  const progress = createProgress(output, () => now)
  progress.found(1)
  now = 999
  progress.found(2)
  now = 1000
  progress.found(3)
  progress.begin(4, 4000)
  progress.advance(1000, 1)
  now = 1999
  progress.advance(1000, 1)
  now = 2000
  progress.advance(500, 1)
  now = 5000
  progress.stop()
  progress.advance(1500, 1)
  assert.equal(output.read(), 'finding files: 3\nhashing: 3 of 4 files, 2.5 kB of 4.0 kB\n')
})

test('a terminal gets a bar, which is gone at the end', terminal, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'same', b: 'same' })
  const { code, stdout } = await onTerminal([folder]).outcome
  assert.equal(code, 0)
  assert.match(stdout, /[█░]{8,}/)
  assert.match(stdout, /\d+%/)
  assert.ok(stdout.lastIndexOf(SHOW) > stdout.lastIndexOf(HIDE), 'the cursor is back')
  assert.ok(stdout.includes(HIDE))
  const report = stdout.slice(stdout.lastIndexOf(SHOW))
  assert.doesNotMatch(report, /[█░]/)
  assert.ok(report.includes('\u001b[1mWorkers\u001b[22m'))
})

test('NO_COLOR keeps the bar and drops the colours', terminal, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'same', b: 'same' })
  const { stdout } = await onTerminal([folder], { NO_COLOR: '1' }).outcome
  assert.match(stdout, /[█░]{8,}/)
  // The code that turns the cursor on and off has no `m` at its end.
  assert.doesNotMatch(stdout, COLOUR)
})

test('a dumb terminal gets plain text', terminal, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'same' })
  const { code, stdout } = await onTerminal([folder], { TERM: 'dumb' }).outcome
  assert.equal(code, 0)
  assert.doesNotMatch(stdout.replaceAll('\r\n', '\n'), CONTROL)
})

test('--no-progress shows none', terminal, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'same' })
  const { stdout } = await onTerminal(['--no-progress', folder]).outcome
  assert.ok(!stdout.includes(HIDE))
})

test('the bar moves within one large file, and Ctrl-C brings the cursor back', {
  ...terminal,
  timeout: 60_000,
}, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { huge: '' })
  truncateSync(path.join(folder, 'huge'), 2 ** 40)
  const { child, outcome } = onTerminal([folder])
  t.after(() => child.kill('SIGKILL'))
  let seen = ''
  const moved = new Promise((resolve) => {
    child.stdout.on('data', (text) => {
      seen += text
      if (/0\/1 file [1-9][\d.]* [MG]B/.test(seen)) resolve()
    })
  })
  await Promise.race([moved, outcome])
  child.stdin.write('\u0003')
  const { code, stdout } = await outcome
  assert.equal(code, 130)
  assert.ok(stdout.lastIndexOf(SHOW) > stdout.lastIndexOf(HIDE), 'the cursor is back')
})
