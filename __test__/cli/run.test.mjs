// Stage: all. `threadmill run`: lines of JSON through the function of a module.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, createReadStream, createWriteStream, openSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder, terminal } from '../main-job/helpers.mjs'
import { onTerminal, PROGRAM, start, threadmill } from './helpers.mjs'

const ENTRY = fileURLToPath(new URL('./fixtures.mjs', import.meta.url))
const windows = process.platform === 'win32'

const ndjson = (...values) => values.map((value) => `${JSON.stringify(value)}\n`).join('')
const parsed = (text) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

test('results come in the order of the lines, from standard input to standard output', async () => {
  const numbers = Array.from({ length: 300 }, (_, index) => index)
  const { code, stdout, stderr } = await threadmill(['run', ENTRY], { input: ndjson(...numbers) })
  assert.deepEqual([code, stderr], [0, ''])
  assert.deepEqual(
    parsed(stdout),
    numbers.map((number) => ({ line: number + 1, value: number * 2 })),
  )
})

test('from file to file, with another export', async (t) => {
  const folder = temporaryFolder(t)
  const [input, output] = [path.join(folder, 'in'), path.join(folder, 'out')]
  writeFileSync(input, ndjson({ a: [1, 'ä\u2028'] }, null, 'text'))
  writeFileSync(output, 'what was there before')
  const { code, stdout } = await threadmill(['run', ENTRY, '-i', input, '-o', output, '--export', 'same'])
  assert.deepEqual([code, stdout], [0, ''])
  assert.equal(
    readFileSync(output, 'utf8'),
    '{"line":1,"value":{"a":[1,"ä\u2028"]}}\n{"line":2,"value":null}\n{"line":3,"value":"text"}\n',
  )
})

test('blank lines, carriage returns, a byte order mark and a last line without an end', async () => {
  const { code, stdout } = await threadmill(['run', ENTRY], { input: '\ufeff1\r\n\r\n \t\n2\n\n3' })
  assert.equal(code, 0)
  assert.deepEqual(parsed(stdout), [
    { line: 1, value: 2 },
    { line: 4, value: 4 },
    { line: 6, value: 6 },
  ])
})

test('no lines give no results', async (t) => {
  const output = path.join(temporaryFolder(t), 'out')
  writeFileSync(output, 'old')
  const { code } = await threadmill(['run', ENTRY, '-o', output])
  assert.equal(code, 0)
  assert.equal(readFileSync(output, 'utf8'), '')
  // Nor is the module loaded then.
  const unused = await threadmill(['run', './missing.mjs', '-o', output], { input: '\n' })
  assert.deepEqual([unused.code, unused.stderr], [0, ''])
})

test('a line that fails ends the run after the results before it', async (t) => {
  const output = path.join(temporaryFolder(t), 'out')
  const input = ndjson(1, 2, 'throw', 4)
  const { code, stderr } = await threadmill(['run', ENTRY, '-o', output], { input })
  assert.equal(code, 1)
  assert.equal(stderr, 'threadmill: line 3: RangeError: it was told to\n')
  assert.deepEqual(parsed(readFileSync(output, 'utf8')), [
    { line: 1, value: 2 },
    { line: 2, value: 4 },
  ])
})

test('a bad line is told with its number', async () => {
  const { code, stdout, stderr } = await threadmill(['run', ENTRY], { input: '1\n\n{"a":\n' })
  assert.equal(code, 1)
  assert.equal(stdout, '{"line":1,"value":2}\n')
  assert.match(stderr, /^threadmill: line 3: SyntaxError: not JSON: .+\n$/)
})

test('input, errors and names of files cannot write control characters', { skip: windows }, async (t) => {
  const folder = temporaryFolder(t)
  const module = path.join(folder, 'module.mjs')
  writeFileSync(module, "export default () => { throw new Error('\\x1b]0;title\\x07\\nthreadmill: all is well') }")
  for (const [args, input, message] of [
    [[ENTRY], '\u001b[2J{}\n', /^threadmill: line 1: SyntaxError: not JSON: .*\\x1b.*\n$/],
    [[module], '1\n', /^threadmill: line 1: Error: \\x1b\]0;title\\x07\\x0athreadmill: all is well\n$/],
    [[ENTRY, '-i', 'no\u001b[2Jsuch'], '', /^threadmill: no\\x1b\[2Jsuch: no such file or folder\n$/],
    [[ENTRY, '-e', 'no\u001b[2Jsuch'], '1\n', /^threadmill: .*no\\x1b\[2Jsuch.*\n$/],
    [[ENTRY, '-o', 'missing\u001b[2J/out'], '1\n', /^threadmill: missing\\x1b\[2J\/out: no such file or folder\n$/],
  ]) {
    const { stderr } = await threadmill(['run', ...args], { input, cwd: folder })
    assert.match(stderr, message)
  }
})

test('--continue-on-error writes failures in their places', async () => {
  const input = Buffer.concat([
    Buffer.from(ndjson(1, 'throw', 'throw text')),
    Buffer.from('nonsense\n'),
    Buffer.from([0x22, 0xff, 0x22, 0x0a]),
    Buffer.from(ndjson(2)),
  ])
  const { code, stdout, stderr } = await threadmill(['run', ENTRY, '--continue-on-error'], { input })
  assert.equal(code, 1)
  assert.equal(stderr, 'threadmill: 4 of 6 lines failed\n')
  const results = parsed(stdout)
  assert.match(results[3].error.message, /^not JSON: /)
  results[3].error.message = ''
  assert.deepEqual(results, [
    { line: 1, value: 2 },
    { line: 2, error: { name: 'RangeError', message: 'it was told to', code: 'ERR_TOLD' } },
    { line: 3, error: { name: 'Error', message: 'only text' } },
    { line: 4, error: { name: 'SyntaxError', message: '' } },
    { line: 5, error: { name: 'SyntaxError', message: 'not UTF-8' } },
    { line: 6, value: 4 },
  ])
})

test('codes of errors are told when they are texts or numbers', async () => {
  const input = ndjson('throw', 'throw a numeric code', 'give a function', 'throw text')
  const { stdout } = await threadmill(['run', ENTRY, '-k'], { input })
  assert.deepEqual(
    parsed(stdout).map(({ error }) => error.code),
    ['ERR_TOLD', 7, 25, undefined],
  )
})

test('a worker that ends fails its line and no other', async () => {
  const input = ndjson(1, 'exit', 3)
  const { code, stdout } = await threadmill(['run', ENTRY, '-k', '-c', '1'], { input })
  assert.equal(code, 1)
  const [first, second, third] = parsed(stdout)
  assert.deepEqual(
    [first, third],
    [
      { line: 1, value: 2 },
      { line: 3, value: 6 },
    ],
  )
  assert.equal(second.error.code, 'ERR_THREADMILL_WORKER_CRASHED')
})

test('with -k, lines that end their workers one after the other fail no other line', async () => {
  const crashes = Array.from({ length: 20 }, () => 'exit')
  const { code, stdout } = await threadmill(['run', ENTRY, '-k'], { input: ndjson(...crashes, 1, 2) })
  assert.equal(code, 1)
  assert.deepEqual(
    parsed(stdout).map(({ value, error }) => value ?? error.code),
    [...crashes.map(() => 'ERR_THREADMILL_WORKER_CRASHED'), 2, 4],
  )
})

test('what JSON cannot hold is an error of its line', async () => {
  const names = ['bigint', 'nan', 'deep', 'map', 'hole', 'cycle', 'invalid', 'undefined', 'date', 'members', 'zero']
  const { stdout } = await threadmill(['run', ENTRY, '-k', '-e', 'value'], { input: ndjson(...names) })
  const results = parsed(stdout)
  const messages = results.map(({ error }) => error?.message)
  assert.match(messages[0], /BigInt/)
  assert.equal(messages[1], 'the result is NaN, which JSON cannot hold')
  assert.equal(messages[2], 'the result.list[1].at is Infinity, which JSON cannot hold')
  assert.equal(messages[3], 'the result is a Map, which JSON cannot hold')
  assert.equal(messages[4], 'the result[0] is undefined, which JSON cannot hold')
  assert.match(messages[5], /circular/)
  assert.equal(messages[6], 'the result is an invalid date, which JSON cannot hold')
  assert.deepEqual(results.slice(7), [
    { line: 8 },
    { line: 9, value: '1970-01-01T00:00:00.000Z' },
    { line: 10, value: { here: 1 } },
    { line: 11, value: [0] },
  ])
})

test('what functions print does not get among the results', async () => {
  const { stdout, stderr } = await threadmill(['run', ENTRY, '-e', 'talk'], { input: ndjson(1, 2) })
  assert.deepEqual(parsed(stdout), [
    { line: 1, value: 1 },
    { line: 2, value: 2 },
  ])
  assert.deepEqual(stderr.split('\n').sort(), ['', 'working on 1', 'working on 2'])
})

for (const [what, args, message] of [
  ['a missing module', ['run', './missing.mjs'], /missing\.mjs/],
  ['a missing export', ['run', ENTRY, '-e', 'missing'], /missing/],
  ['a missing input', ['run', ENTRY, '-i', 'missing'], /missing: no such file/],
  ['a folder as input', ['run', ENTRY, '-i', '.'], /\.: is a folder/],
  ['an output without a folder', ['run', ENTRY, '-o', 'missing/out'], /missing\/out: no such file/],
  ['--resume without a file', ['run', ENTRY, '--resume'], /--resume needs an --output file/],
  ['a concurrency of 0', ['run', ENTRY, '-c', '0'], /whole number from 1/],
  ['an empty export', ['run', ENTRY, '-e', ''], /must not be empty/],
]) {
  test(`2: ${what}`, async (t) => {
    const { code, stdout, stderr } = await threadmill(args, { input: '1\n', cwd: temporaryFolder(t) })
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /^threadmill: /)
    assert.match(stderr, message)
  })
}

test('a module that cannot be used leaves the output file alone', async (t) => {
  const output = path.join(temporaryFolder(t), 'out')
  writeFileSync(output, 'precious')
  const { code } = await threadmill(['run', ENTRY, '-e', 'missing', '-k', '-o', output], { input: '1\n' })
  assert.equal(code, 2)
  assert.equal(readFileSync(output, 'utf8'), 'precious')
})

test('input and output may not be the same file', async (t) => {
  const file = path.join(temporaryFolder(t), 'file')
  writeFileSync(file, '1\n')
  const { code, stderr } = await threadmill(['run', ENTRY, '-i', file, '-o', file])
  assert.equal(code, 2)
  assert.match(stderr, /input and output are the same file/)
  assert.equal(readFileSync(file, 'utf8'), '1\n')
})

test('an interrupted run goes on after its last complete line', async (t) => {
  const folder = temporaryFolder(t)
  const [input, output] = [path.join(folder, 'in'), path.join(folder, 'out')]
  writeFileSync(input, '1\n\n"throw"\n4\n5\n')
  const args = ['run', ENTRY, '-i', input, '-o', output, '-r', '-k']
  writeFileSync(output, '{"line":1,"value":"kept"}\n{"line":3,"error":{}}\n{"line":4,"val')
  const { code, stderr } = await threadmill(args)
  assert.equal(code, 1)
  assert.equal(stderr, 'threadmill: 1 of 4 lines failed\n')
  const expected = '{"line":1,"value":"kept"}\n{"line":3,"error":{}}\n{"line":4,"value":8}\n{"line":5,"value":10}\n'
  assert.equal(readFileSync(output, 'utf8'), expected)
  // Once more: everything is done.
  assert.equal((await threadmill(args)).code, 1)
  assert.equal(readFileSync(output, 'utf8'), expected)
})

test('a run that stopped at a failure goes on with that line', async (t) => {
  const folder = temporaryFolder(t)
  const [input, output] = [path.join(folder, 'in'), path.join(folder, 'out')]
  const args = ['run', ENTRY, '-i', input, '-o', output, '--resume']
  writeFileSync(input, ndjson(1, 'throw', 3))
  assert.equal((await threadmill(args)).code, 1)
  writeFileSync(input, ndjson(1, 2, 3))
  assert.equal((await threadmill(args)).code, 0)
  assert.deepEqual(
    parsed(readFileSync(output, 'utf8')).map(({ value }) => value),
    [2, 4, 6],
  )
})

for (const [what, held, message] of [
  ['longer than the input', '{"line":1}\n{"line":2}\n{"line":3}\n', /line 3 is a result more than the input has lines/],
  ['for other lines', '{"line":1}\n{"line":3}\n', /line 2 is the result of line 3; the one of line 2 was expected/],
  ['of another kind', '{"line":1}\nsomething\n', /line 2 is no result/],
  ['without numbers', '{"value":1}\n', /line 1 is no result/],
]) {
  test(`an output that is ${what} is refused and left alone`, async (t) => {
    const output = path.join(temporaryFolder(t), 'out')
    const torn = `${held}{"torn`
    writeFileSync(output, torn)
    const { code, stderr } = await threadmill(['run', ENTRY, '-o', output, '-r'], { input: '1\n2\n' })
    assert.equal(code, 2)
    assert.match(stderr, message)
    assert.equal(readFileSync(output, 'utf8'), torn)
  })
}

test('Ctrl-C abandons what runs and leaves what can be resumed', { skip: windows, timeout: 60_000 }, async (t) => {
  const folder = temporaryFolder(t)
  const [input, output] = [path.join(folder, 'in'), path.join(folder, 'out')]
  writeFileSync(input, '1\n2\n')
  assert.equal((await threadmill(['run', ENTRY, '-i', input, '-o', output])).code, 0)
  // From here on nothing ends.
  appendFileSync(input, '3\n4\n')
  const { child, outcome } = start(['run', ENTRY, '-i', input, '-o', output, '-r', '-e', 'hang'])
  t.after(() => child.kill('SIGKILL'))
  await Promise.race([new Promise((resolve) => child.stderr.once('data', resolve)), outcome])
  child.kill('SIGINT')
  const { code, signal } = await outcome
  assert.deepEqual([code, signal], [130, null])
  assert.deepEqual(parsed(readFileSync(output, 'utf8')).length, 2)
  assert.equal((await threadmill(['run', ENTRY, '-i', input, '-o', output, '-r'])).code, 0)
  assert.deepEqual(
    parsed(readFileSync(output, 'utf8')).map(({ value }) => value),
    [2, 4, 6, 8],
  )
})

for (const [what, signal, expected] of [
  ['SIGINT', 'SIGINT', 130],
  ['SIGTERM', 'SIGTERM', 143],
]) {
  test(`${what} ends a run that waits for input, and one whose function spins`, { skip: windows }, async (t) => {
    const folder = temporaryFolder(t)
    const pipe = path.join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    for (const [args, input] of [
      [['run', ENTRY], '1\n'],
      [['run', ENTRY, '-i', pipe], '1\n'],
      [['run', ENTRY], '1\n"spin"\n'],
    ]) {
      const { child, outcome } = start(args)
      t.after(() => child.kill('SIGKILL'))
      const target = args.includes(pipe) ? createWriteStream(pipe, { fd: openSync(pipe, 'r+') }) : child.stdin
      t.after(() => target.destroy())
      target.write(input)
      // The first result is there: it runs.
      await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), outcome])
      child.kill(signal)
      const { code, stdout } = await outcome
      assert.deepEqual([code, stdout], [expected, '{"line":1,"value":2}\n'])
    }
  })
}

test('a reader that goes away ends it quietly', { skip: windows }, async (t) => {
  const input = path.join(temporaryFolder(t), 'in')
  writeFileSync(input, '1\n'.repeat(20_000))
  const { child, outcome } = start(['run', ENTRY, '-i', input])
  child.stdout.destroy()
  const { code, signal, stderr } = await outcome
  assert.deepEqual([code, signal, stderr], [0, null, ''])
  const command = '"$0" "$1" run "$2" -i "$3" 2>&1 | head -n 1'
  const piped = execFileSync('sh', ['-c', command, process.execPath, PROGRAM, ENTRY, input])
  assert.equal(piped.toString(), '{"line":1,"value":2}\n')
})

test('messages that nobody reads do not keep results away', { skip: windows }, async (t) => {
  const [input, output] = ['in', 'out'].map((name) => path.join(temporaryFolder(t), name))
  const lines = Array.from({ length: 500 }, (_, index) => index)
  writeFileSync(input, ndjson(...lines))
  const { child, outcome } = start(['run', ENTRY, '-e', 'talk', '-i', input, '-o', output])
  child.stderr.destroy()
  const { code, signal } = await outcome
  assert.deepEqual([code, signal], [0, null])
  assert.deepEqual(
    parsed(readFileSync(output, 'utf8')).map(({ value }) => value),
    lines,
  )
})

test('memory does not depend on the number of lines', {
  skip: process.platform !== 'linux',
  timeout: 120_000,
}, async (t) => {
  const output = path.join(temporaryFolder(t), 'out')
  // 60 MB, of which nothing is kept.
  const line = Buffer.from(`${JSON.stringify('x'.repeat(1000))}\n`.repeat(500))
  function* lines() {
    for (let at = 0; at < 120; at++) yield line
  }
  const { child, outcome } = start(['run', ENTRY, '-e', 'same', '-o', output], {
    nodeArgs: ['--max-semi-space-size=1'],
  })
  const status = `/proc/${child.pid}/status`
  const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(status, 'latin1'))?.[1]) / 1024
  let first = 0
  const source = async function* () {
    let written = 0
    for (const chunk of lines()) {
      yield chunk
      // Warm: workers have started, the heap has its size.
      if (++written === 30) first = peak()
    }
    last = peak()
  }
  let last = 0
  await pipeline(source, child.stdin)
  const { code } = await outcome
  assert.equal(code, 0)
  let results = 0
  for await (const chunk of createReadStream(output)) for (const byte of chunk) if (byte === 10) results++
  assert.equal(results, 60_000)
  assert.ok(last - first < 40, `${first.toFixed(0)} MB after a quarter, ${last.toFixed(0)} MB at the end`)
})

test('a terminal gets a bar on standard error, which is gone at the end', terminal, async (t) => {
  const folder = temporaryFolder(t)
  const [input, output] = [path.join(folder, 'in'), path.join(folder, 'out')]
  writeFileSync(input, '1\n'.repeat(100))
  const args = ['run', ENTRY, '-i', input, '-o', output]
  const { code, stdout } = await onTerminal(args).outcome
  assert.equal(code, 0)
  assert.match(stdout, /[█░]{8,}/)
  assert.ok(stdout.lastIndexOf('\u001b[?25h') > stdout.lastIndexOf('\u001b[?25l'), 'the cursor is back')
  const plain = await onTerminal(args, { NO_COLOR: '1' }).outcome
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a control character is what it looks for
  assert.doesNotMatch(plain.stdout, /\u001b\[[\d;]*m/)
  const hidden = await onTerminal([...args, '--no-progress']).outcome
  assert.equal(hidden.stdout, '')
})
