// Stage: all. `threadmill kernel` and `threadmill kernels`.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { CONTROL, temporaryFolder, terminal, writeTree } from '../main-job/helpers.mjs'
import { onTerminal, start, threadmill } from './helpers.mjs'

const require = createRequire(import.meta.url)
const { WorkerPool, kernelInfo } = require('../../dist/index.js')

const sha256 = (text) => createHash('sha256').update(text).digest('hex')

/** Runs a kernel on `input`; gives what it prints. */
async function kernel(name, input, options = {}) {
  const words = Object.entries(options).flatMap(([key, value]) => ['--option', `${key}=${value}`])
  const { code, stdout, stderr } = await threadmill(['kernel', name, ...words], { input })
  assert.deepEqual([code, stderr], [0, ''])
  return stdout
}

test('digests are printed in hex, of one input alone, of several with their names', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'one', 'b c': 'two\n' })
  assert.equal(await kernel('sha256', 'one'), `${sha256('one')}\n`)
  const one = await threadmill(['kernel', 'sha256', 'a'], { cwd: folder })
  assert.equal(one.stdout, `${sha256('one')}\n`)
  const both = await threadmill(['kernel', 'sha256', 'b c', 'a'], { cwd: folder })
  assert.equal(both.stdout, `${sha256('two\n')}  b c\n${sha256('one')}  a\n`)
  assert.equal(await kernel('crc32', 'one'), '7a6c86f1\n')
  assert.match(await kernel('xxh3', 'one', { seed: 3 }), /^[0-9a-f]{16}\n$/)
  assert.equal(
    await kernel('sha256', 'one', { encoding: 'base64' }),
    `${Buffer.from(sha256('one'), 'hex').toString('base64')}\n`,
  )
  const file = await threadmill(['kernel', 'hashFile', 'a', '-p', 'algorithm=sha256'], { cwd: folder })
  assert.equal(file.stdout, `${sha256('one')}\n`)
})

test('bytes go to a pipe or a file as they are', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'text' })
  const saved = await threadmill(['kernel', 'gzip', 'a', '-o', 'a.gz', '-p', 'level=9'], { cwd: folder })
  assert.deepEqual([saved.code, saved.stdout], [0, ''])
  assert.equal(gunzipSync(readFileSync(path.join(folder, 'a.gz'))).toString(), 'text')
  // Not UTF-8, so that nothing on the way may take it for text.
  const bytes = Buffer.from([0, 255, 128, 10, 13])
  const { child } = start(['kernel', 'gunzip'])
  child.stdin.end(gzipSync(bytes))
  child.stdout.setEncoding('latin1')
  let output = ''
  for await (const chunk of child.stdout) output += chunk
  assert.deepEqual(Buffer.from(output, 'latin1'), bytes)
})

test('a terminal gets no bytes', terminal, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'text' })
  const { code, stdout } = await onTerminal(['kernel', 'gzip', 'a'], {}, { cwd: folder }).outcome
  assert.equal(code, 2)
  assert.match(stdout, /gzip gives bytes, which are not for a terminal/)
  const digest = await onTerminal(['kernel', 'sha256', 'a', '-p', 'encoding=buffer'], {}, { cwd: folder }).outcome
  assert.equal(digest.code, 2)
})

test('inputs and outputs of other kinds', async () => {
  assert.equal(await kernel('fib', ' 10\n'), '55\n')
  assert.equal(await kernel('sort', '[3, 1, 2]', { descending: true }), '[3,2,1]\n')
  assert.deepEqual(JSON.parse(await kernel('stats', '[1, 2, 3]', { quantiles: '0,1' })).quantiles, [1, 3])
  assert.equal(await kernel('fft', '{"re":[1,2]}'), '{"re":[3,-1],"im":[0,0]}\n')
  assert.equal(await kernel('regexCount', 'aä\na', { pattern: 'a' }), '2\n')
  // In characters, as for texts.
  assert.equal(await kernel('regexFind', 'äb', { pattern: 'b', limit: 1 }), '[{"start":1,"end":2}]\n')
  assert.equal(
    await kernel('fuzzyTopK', 'prelude\r\nfooBar\n', { query: 'fb', k: 1 }).then((text) => JSON.parse(text)[0].index),
    1,
  )
  assert.equal(JSON.parse(await kernel('csvParse', 'a;b\n1;x\n', { delimiter: ';' })).columns.b[0], 'x')
  assert.equal(JSON.parse(await kernel('primesUpTo', '10')).length, 4)
  const hash = (await kernel('argon2Hash', 'secret\n', { memoryCost: 8, salt: 'some salt' })).trim()
  assert.equal(await kernel('argon2Verify', 'secret', { hash }), 'true\n')
  assert.equal(await kernel('argon2Verify', 'secret\n\n', { hash }), 'false\n')
})

test('an input whose fields are all given as options reads nothing', async () => {
  const { child, outcome } = start(['kernel', 'mandelbrot', '-p', 'width=2', '-p', 'height=1'])
  const { code, stdout } = await outcome
  child.stdin.end()
  assert.equal(code, 0)
  assert.equal(JSON.parse(stdout).length, 2)
})

test('a file that fails is told, the others are done', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { good: gzipSync('text'), bad: 'no gzip', 'folder/x': '' })
  const { code, stdout, stderr } = await threadmill(['kernel', 'blake3', 'missing', 'folder', 'bad'], { cwd: folder })
  assert.equal(code, 1)
  assert.match(stdout, /^[0-9a-f]{64} {2}bad\n$/)
  assert.equal(stderr, 'threadmill: missing: no such file or folder\nthreadmill: folder: is a folder\n')
  const corrupt = await threadmill(['kernel', 'gunzip', 'bad', '-o', 'out'], { cwd: folder })
  assert.equal(corrupt.code, 1)
  assert.match(corrupt.stderr, /^threadmill: bad: .*gzip/)
  assert.ok(!existsSync(path.join(folder, 'out')))
  const hashed = await threadmill(['kernel', 'hashFile', 'missing', '-p', 'algorithm=crc32'], { cwd: folder })
  assert.equal(hashed.code, 1)
  assert.match(hashed.stderr, /missing/)
})

for (const [what, args, message] of [
  ['an unknown kernel', ['nope'], /no kernel is called 'nope'; there are sha256, /],
  ['an unknown option', ['sha256', '-p', 'level=1'], /sha256 has no option 'level'; it has encoding/],
  ['an option without a value', ['gzip', '-p', 'level'], /must be key=value/],
  ['an option that is given twice', ['gzip', '-p', 'level=1', '-p', 'level=2'], /'level' is given twice/],
  ['a word for a number', ['gzip', '-p', 'level=much'], /option 'level' must be a number; got 'much'/],
  [
    'a number out of range',
    ['gzip', '-p', 'level=10', '-o', 'out'],
    /level must be a whole number from 0 to 9; got 10/,
  ],
  ['a value that is none of those', ['sha256', '-p', 'encoding=hexx'], /'hex' or 'buffer' or 'base64'; got 'hexx'/],
  ['no boolean', ['sort', '-p', 'descending=1'], /true or false; got '1'/],
  ['bytes of several files', ['gzip', 'a', 'b'], /one file at a time/],
  [
    'a field that is out of range',
    ['mandelbrot', '-p', 'width=0', '-p', 'height=1'],
    /^threadmill: input\.width must be/,
  ],
]) {
  test(`2: ${what}`, async (t) => {
    const { code, stdout, stderr } = await threadmill(['kernel', ...args], { input: 'text', cwd: temporaryFolder(t) })
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, message)
  })
}

test('1: contents that the kernel does not take, and the others are done', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { json: '{bad', utf8: Buffer.from([0xff, 0xfe]), large: '99999', fine: '10', ragged: 'a,b\n1\n' })
  const { code, stdout, stderr } = await threadmill(['kernel', 'fib', 'json', 'utf8', 'large', 'fine'], { cwd: folder })
  assert.deepEqual([code, stdout], [1, '{"file":"fine","value":55}\n'])
  assert.deepEqual(
    stderr.split('\n').map((line) => line.replace(/ (JSON|60).*/, ' $1')),
    [
      'threadmill: json: the input is not JSON',
      'threadmill: utf8: the input is not JSON',
      'threadmill: large: input must be a whole number to 60',
      '',
    ],
  )
  for (const args of [
    ['csvParse', 'ragged'],
    ['regexCount', 'utf8', '-p', 'pattern=a'],
    ['matmul', 'json'],
  ]) {
    assert.equal((await threadmill(['kernel', ...args], { cwd: folder })).code, 1, args[0])
  }
})

test('Ctrl-C ends it', { skip: process.platform === 'win32', timeout: 60_000 }, async (t) => {
  const { child, outcome } = start(['kernel', 'fib'])
  t.after(() => child.kill('SIGKILL'))
  child.stdin.end('60')
  // Nothing tells from outside when it runs: the thread of the pool does.
  if (process.platform === 'linux') await threadOf(child.pid)
  child.kill('SIGINT')
  const { code, signal } = await outcome
  assert.ok(code === 130 || signal === 'SIGINT', `${code} ${signal}`)
})

/** Resolves when the process has a native worker. */
async function threadOf(pid) {
  const { readdirSync } = require('node:fs')
  const names = () =>
    readdirSync(`/proc/${pid}/task`).map((id) => readFileSync(`/proc/${pid}/task/${id}/comm`, 'latin1'))
  while (!names().some((name) => name.startsWith('threadmill-'))) await new Promise((resolve) => setImmediate(resolve))
}

test('kernels lists all of them, in text and in JSON', async () => {
  const pool = new WorkerPool()
  const names = Object.keys(pool.kernels)
  await pool.close()
  const { code, stdout } = await threadmill(['kernels'])
  assert.equal(code, 0)
  assert.doesNotMatch(stdout, CONTROL)
  for (const name of names) assert.match(stdout, new RegExp(`^  ${name} +\\S`, 'm'))
  assert.match(stdout, /--option level=whole number from -7 to 19\n/)
  const json = JSON.parse((await threadmill(['kernels', '--json'])).stdout)
  assert.deepEqual(
    json,
    names.map((name) => kernelInfo(name)),
  )
})
