// Stage: all. The second part of the duplicate finder: what the text files hold, and which lane did what.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  CONTROL,
  dupes,
  dupesJson,
  onTerminal,
  random,
  startDupes,
  temporaryFolder,
  terminal,
  unprivileged,
  writeTree,
} from './helpers.mjs'

const require = createRequire(import.meta.url)
const { WorkerPool } = require('../../dist/index.js')
const { createProgress } = require('../../dist/cli/progress.js')
const { readText, TEXT_MODULE } = require('../../dist/cli/text.js')
const { LIMIT, processTask } = require('../../dist/cli/text-worker.js')

const windows = process.platform === 'win32'

/** Figures by extension of the files below a folder that have no zero byte, slowly. */
async function naiveFigures(folder) {
  const pool = new WorkerPool()
  const byExtension = new Map()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const bytes = readFileSync(path.join(entry.parentPath, entry.name))
    if (bytes.includes(0)) continue
    const extension = path.extname(entry.name).toLowerCase()
    const empty = { extension, files: 0, lines: 0, words: 0, bytes: 0, compressedBytes: 0, names: new Map() }
    const figures = byExtension.get(extension) ?? empty
    byExtension.set(extension, figures)
    const text = bytes.toString().replace(/^\ufeff/, '')
    figures.files++
    figures.lines += text === '' ? 0 : text.replace(/\n$/, '').split('\n').length
    figures.words += text.split(/\s+/).filter((word) => word !== '').length
    figures.bytes += bytes.length
    if (bytes.length > 0) figures.compressedBytes += (await pool.kernels.zstd(bytes)).length
    for (const token of text.split(/[^$\p{ID_Continue}]+/u)) {
      if (!/^[$_\p{ID_Start}]/u.test(token) || token.length < 3 || token.length > 64) continue
      figures.names.set(token, (figures.names.get(token) ?? 0) + 1)
    }
  }
  await pool.close()
  return [...byExtension.values()]
    .map((figures) => ({ ...figures, names: mostFrequent(figures.names) }))
    .sort((a, b) => b.bytes - a.bytes || (a.extension < b.extension ? -1 : 1))
}

function mostFrequent(counts) {
  const names = [...counts].map(([name, count]) => ({ name, count }))
  return names.sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1)).slice(0, 10)
}

/** Environment of a program that stops at a gate; see fixtures/gate.cjs. */
function gateEnv(mode) {
  const file = fileURLToPath(new URL('fixtures/gate.cjs', import.meta.url))
  return { NODE_OPTIONS: `--require ${JSON.stringify(file)}`, THREADMILL_TEST_GATE: mode }
}

function startAtGate(mode, args) {
  return startDupes(args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...gateEnv(mode) } })
}

/** Resolves when the program has come to the gate. */
async function atGate(child) {
  let seen = ''
  for await (const text of child.stderr.iterator({ destroyOnReturn: false })) {
    seen += text
    if (seen.includes('at the gate\n')) return
  }
  assert.fail(`it ended before it came to the gate: ${seen}`)
}

const SKIPPED_NOTHING = { binary: 0, large: 0, unreadable: 0, vanished: 0, other: 0 }

/** Files that are hard to count: name and contents. */
const AWKWARD = {
  'empty.ts': '',
  'no-newline.ts': 'alpha beta\ngamma',
  'newline.ts': 'alpha beta\n',
  'blank-lines.ts': '\n\n\n',
  'crlf.py': 'alpha = beta\r\n\r\ngamma = alpha\r\n',
  'lone-cr.py': 'alpha\rbeta\rgamma',
  'bom.css': Buffer.from('\ufeffalpha beta\n'),
  'bom-only.css': Buffer.from('\ufeff'),
  'invalid.txt': Buffer.concat([
    Buffer.from('alpha '),
    Buffer.from([0xff, 0xc3, 0x28, 0xe2, 0x82]),
    Buffer.from(' beta\n'),
  ]),
  'long-line.json': `${'x'.repeat(200_000)} ${'value '.repeat(100_000)}`,
  'long-names.md': `${'a'.repeat(64)} ${'b'.repeat(65)} ${'c'.repeat(3)} dd e`,
  'digits.md': '0x1f 123abc a12 12 $dollar _under 1_000',
  'letters.md': 'naïve größe 名前 переменная 𝒳𝒴𝒵 e\u0301te\u0301 ٣٤٥abc',
  'spaces.txt': 'red\u00a0blue\u2028green\u3000pink\tgrey\vgold\fcyan\ufeffteal\u200blime',
  'UPPER.MD': 'alpha',
  'deep/er/and.er.rs': 'alpha::beta<gamma>',
}

test('counts what a naive implementation counts, in files that are hard to count', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, AWKWARD)
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual(result.text.extensions, await naiveFigures(folder))
  assert.deepEqual(result.text.skipped, SKIPPED_NOTHING)
  const files = Object.keys(AWKWARD).length
  // There is nothing to compress in the empty one.
  assert.deepEqual(result.text.tasks, { reading: files, hashing: files, compressing: files - 1 })
})

test('a few counts by hand', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'a.ts': 'red blue\r\ngreen', 'b.ts': '', 'c.ts': 'red\n' })
  const [figures] = (await dupesJson(folder)).result.text.extensions
  const { files, lines, words, bytes, names } = figures
  assert.deepEqual([files, lines, words, bytes], [3, 3, 4, 19])
  assert.deepEqual(names, [
    { name: 'red', count: 2 },
    { name: 'blue', count: 1 },
    { name: 'green', count: 1 },
  ])
})

test('counts what a naive implementation counts in a random tree', async (t) => {
  const seed = Date.now() % 1e9
  t.diagnostic(`seed ${seed}`)
  const pick = random(seed)
  const folder = temporaryFolder(t)
  const pieces = [
    'alpha',
    'beta_1',
    '$x9',
    '9lives',
    'größe',
    'λόγος',
    'ab',
    ' ',
    '  ',
    '\n',
    '\r\n',
    '\t',
    '\u00a0',
    '.',
    '"',
    '😀',
  ]
  const extensions = ['.js', '.mjs', '.rs', '.go', '.html', '.txt']
  for (let i = 0; i < 300; i++) {
    const contents = Array.from({ length: pick(400) }, () => pieces[pick(pieces.length)]).join('')
    const bytes = pick(20) === 0 ? Buffer.from(contents, 'latin1') : Buffer.from(contents)
    writeTree(folder, { [path.join(`d${pick(4)}`, `f${i}${extensions[pick(extensions.length)]}`)]: bytes })
  }
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual(result.text.extensions, await naiveFigures(folder))
  assert.equal(result.text.tasks.reading, 300)
})

test('keywords are no names, and each language has its own', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, {
    'a.ts': 'const value = await lambda',
    'b.py': 'lambda value: const',
    'c.json': '{"const": true}',
  })
  const { extensions } = (await dupesJson(folder)).result.text
  const names = extensions.map(({ extension, names }) => [extension, names.map(({ name }) => name)])
  assert.deepEqual(Object.fromEntries(names), {
    '.ts': ['lambda', 'value'],
    '.py': ['const', 'value'],
    '.json': ['const'],
  })
})

test('binary files, long files and files of other kinds are skipped and counted', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, {
    'limit.txt': Buffer.alloc(LIMIT, 'limit '),
    'above.txt': Buffer.alloc(LIMIT + 1, 'above '),
    'start.txt': '\0text',
    'end.txt': `${'text '.repeat(20_000)}\0`,
    'utf-16.txt': Buffer.from('text', 'utf16le'),
    'no-extension': 'text',
    '.md': 'text',
    'a.unknown': 'text',
    md: 'text',
  })
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual(result.text.skipped, { ...SKIPPED_NOTHING, binary: 3, large: 1, other: 4 })
  const { extension, files, bytes } = result.text.extensions[0]
  assert.deepEqual([result.text.extensions.length, extension, files, bytes], [1, '.txt', 1, LIMIT])
  const { stdout } = await dupes([folder])
  assert.match(stdout, /^ {2}skipped: 3 binary, 1 above 1\.0 MB; 4 files of other kinds$/m)
})

test('a file that has grown above the limit is not read', (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'huge.txt')
  writeFileSync(file, '')
  truncateSync(file, 2 ** 40)
  const start = process.resourceUsage().maxRSS
  assert.deepEqual(processTask({ path: file, extension: '.txt' }), { kind: 'large' })
  assert.ok(process.resourceUsage().maxRSS - start < 100_000, 'kilobytes')
})

test('what has taken the place of a file is not read', (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(path.join(folder, 'folder.txt'))
  const kindOf = (name) => processTask({ path: path.join(folder, name), extension: '.txt' }).kind
  assert.equal(kindOf('gone.txt'), 'vanished')
  assert.equal(kindOf('folder.txt'), 'unreadable')
  if (windows) return
  execFileSync('mkfifo', [path.join(folder, 'pipe.txt')])
  assert.equal(kindOf('pipe.txt'), 'unreadable')
})

test('a file that may not be read is reported once, and the exit code is 2', async (t) => {
  const user = await unprivileged()
  if (user === undefined) return t.skip('no user without privileges can run the program here')
  const folder = temporaryFolder(t)
  writeTree(folder, { 'open.md': 'alpha', 'secret.md': 'beta' })
  chmodSync(folder, 0o755)
  chmodSync(path.join(folder, 'secret.md'), 0o000)
  const { code, result } = await dupesJson(folder, [], user)
  assert.equal(code, 2)
  assert.deepEqual(
    result.errors.map((error) => error.path),
    ['secret.md'],
  )
  assert.deepEqual(result.text.skipped, { ...SKIPPED_NOTHING, unreadable: 1 })
  assert.equal(result.text.extensions[0].files, 1)
  const text = await dupes([folder], user)
  assert.equal(text.code, 2)
  assert.match(text.stdout, /^ {2}skipped: 0 binary, 0 above 1\.0 MB, 1 not readable; 0 files of other kinds$/m)
})

test('2: a file that was hashed and could not be read a moment later', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'a.md': 'alpha' })
  const { code, stdout, stderr } = await startAtGate('refuse', ['--json', '--no-progress', folder]).outcome
  assert.deepEqual([code, stderr], [2, ''])
  const { errors, text } = JSON.parse(stdout)
  assert.deepEqual(errors, [])
  assert.deepEqual([text.extensions, text.skipped], [[], { ...SKIPPED_NOTHING, unreadable: 1 }])
})

test('names that are not UTF-8 are read like any other', { skip: process.platform !== 'linux' }, async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x66, 0xff]), Buffer.from('.md')]), 'alpha')
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual(result.text.extensions[0].names, [{ name: 'alpha', count: 1 }])
})

test('the second part follows the first, which is as it is without it', async (t) => {
  const folder = temporaryFolder(t)
  const timeless = (text) => text.replace(/^ {2}(?:time|throughput|worker) .*\n/gm, '')
  writeTree(folder, { 'a.md': 'alpha beta\n', 'b.md': 'alpha beta\n', 'c.ts': 'gamma', d: 'alpha beta\n' })
  const bare = await dupes(['--no-text', '--no-progress', folder])
  const full = await dupes(['--no-progress', folder])
  assert.deepEqual([bare.code, full.code, bare.stderr, full.stderr], [0, 0, '', ''])
  assert.doesNotMatch(full.stdout, CONTROL)
  assert.ok(timeless(full.stdout).startsWith(timeless(bare.stdout)))
  assert.doesNotMatch(bare.stdout, /Text in|Lanes/)
  const [md, ts] = (await naiveFigures(folder))
    .filter(({ extension }) => extension !== '')
    .map(({ bytes, compressedBytes }) => (bytes / compressedBytes).toFixed(2).padStart(8))
  const second = full.stdout.slice(full.stdout.indexOf('\nText in ')).split('\n')
  assert.deepEqual(second.slice(0, 7), [
    '',
    'Text in 3 files',
    '  ext           files       lines       words      bytes    zstd  most frequent names',
    `  .md               2           2           4       22 B${md}  alpha, beta`,
    `  .ts               1           1           1        5 B${ts}  gamma`,
    '  skipped: 0 binary, 0 above 1.0 MB; 1 file of other kinds',
    '',
  ])
  assert.match(
    second[7],
    /^Lanes in [\d.]+ s: js 3 tasks reading \(1 worker, [\d.]+ s busy\), native 4 tasks hashing and 3 compressing \(\d+ workers?, [\d.]+ s busy\)$/,
  )
  assert.deepEqual(second.slice(8), [''])
  const json = (await dupesJson(folder, ['--no-text'])).result
  assert.ok(!('text' in json))
})

test('the lines of the workers count hashed files only', async (t) => {
  const folder = temporaryFolder(t)
  for (let i = 0; i < 200; i++) writeTree(folder, { [`${i}.md`]: `file number ${i}` })
  const { stdout } = await dupes([folder])
  const files = [...stdout.matchAll(/^ {2}worker .*, (\d+) files?$/gm)].map(([, count]) => Number(count))
  assert.equal(
    files.reduce((sum, count) => sum + count, 0),
    200,
  )
  const { workers } = (await dupesJson(folder)).result
  assert.equal(
    workers.reduce((sum, { tasks }) => sum + tasks, 0),
    200,
  )
})

test('a table of many extensions is cut, JSON has them all', async (t) => {
  const folder = temporaryFolder(t)
  const extensions = ['c', 'cs', 'css', 'go', 'html', 'java', 'js', 'json', 'lua', 'md', 'php', 'py']
  for (const extension of extensions) writeTree(folder, { [`a.${extension}`]: 'alpha' })
  const { stdout } = await dupes([folder])
  assert.match(stdout, /^Text in 12 files$/m)
  assert.match(stdout, /^ {2}\.lua .*\n {2}\.md .*\n {2}and 2 more; --json lists all\n {2}skipped/m)
  assert.equal((await dupesJson(folder)).result.text.extensions.length, 12)
})

test('names beyond the number that is kept do not disturb the frequent ones', async (t) => {
  const folder = temporaryFolder(t)
  for (let i = 0; i < 4; i++) {
    const rare = Array.from({ length: 30_000 }, (_, j) => `rare_${i}_${j}`).join(' ')
    writeTree(folder, { [`${i}.txt`]: `${rare} ${'often '.repeat(100 + i)}` })
  }
  const [{ names, words }] = (await dupesJson(folder)).result.text.extensions
  assert.deepEqual(names[0], { name: 'often', count: 406 })
  assert.equal(words, 120_406)
})

test('a bounded number of files is in memory', async (t) => {
  const folder = temporaryFolder(t)
  const files = []
  for (let i = 0; i < 1000; i++) {
    writeTree(folder, { [`${i}.md`]: `file number ${i}` })
    files.push({ path: `${i}.md`, size: 13, links: [] })
  }
  const pool = new WorkerPool(TEXT_MODULE, { maxWorkers: 2, taskPerWorker: 4 })
  t.after(() => pool.close())
  let [begun, done, most] = [0, 0, 0]
  function* counted(tasks) {
    for (const task of tasks) {
      begun++
      most = Math.max(most, begun - done)
      yield task
    }
  }
  const watched = {
    map: (tasks, options) => pool.map(counted(tasks), options),
    addTask: (input, options) => pool.addTask(input, options),
  }
  const { outcome } = readText(watched, folder, files, () => done++)
  const { extensions } = await outcome
  assert.deepEqual([extensions[0].files, begun, done], [1000, 1000, 1000])
  // 4 for each of 8 workers at most, and 16 that are compressed.
  assert.ok(most <= 48, `${most} at once`)
  assert.equal(
    pool.stats().native.reduce((sum, worker) => sum + worker.tasksCompleted, 0),
    1000,
  )
})

test('plain lines tell of text when it is all that is left', () => {
  const output = new PassThrough({ encoding: 'utf8' })
  let now = 0
  const progress = createProgress(output, () => now)
  progress.begin(2, 2000)
  now = 1000
  progress.advanceText()
  progress.advance(2000, 2)
  progress.beginText(3)
  now = 1999
  progress.advanceText()
  now = 2000
  progress.advanceText()
  progress.stop()
  now = 5000
  progress.advanceText()
  assert.equal(output.read(), 'hashing: 2 of 2 files, 2.0 kB of 2.0 kB\nreading text: 3 of 3 files\n')
})

test('a terminal gets a bar for the text that is left', terminal, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'a.md': 'alpha' })
  const { child, outcome } = onTerminal([folder], gateEnv('wait'))
  t.after(() => child.kill('SIGKILL'))
  let seen = ''
  await new Promise((resolve) => {
    child.stdout.on('data', (text) => {
      seen += text
      if (/reading text 0\/1 file /.test(seen)) resolve()
    })
    outcome.then(resolve)
  })
  child.stdin.write('\n')
  const { code, stdout } = await outcome
  assert.match(seen, /[█░]{8,}.*reading text 0\/1 file /)
  assert.equal(code, 0)
  assert.match(stdout.slice(stdout.lastIndexOf('\u001b[?25h')), /\.md .*alpha/)
})

for (const mode of ['spin', 'block']) {
  test(`Ctrl-C ends it at once with 130 while JS tasks ${mode}`, { skip: windows, timeout: 60_000 }, async (t) => {
    const folder = temporaryFolder(t)
    for (let i = 0; i < 20; i++) writeTree(folder, { [`${i}.md`]: 'alpha' })
    const { child, outcome } = startAtGate(mode, ['--no-progress', folder])
    t.after(() => child.kill('SIGKILL'))
    await atGate(child)
    const start = performance.now()
    child.kill('SIGINT')
    const { code, signal, stdout } = await outcome
    assert.deepEqual([code, signal, stdout], [130, null, ''])
    assert.ok(performance.now() - start < 1000, 'within a second')
  })
}

test('a reader that goes away while the second part is printed ends it quietly', { skip: windows }, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'a.md': 'alpha' })
  const { child, outcome } = startAtGate('print', ['--no-progress', folder])
  t.after(() => child.kill('SIGKILL'))
  await atGate(child)
  child.stdout.destroy()
  child.stdin.write('\n')
  const { code, signal, stdout, stderr } = await outcome
  assert.deepEqual([code, signal], [0, null])
  assert.equal(stderr.replace('at the gate\n', ''), '')
  assert.doesNotMatch(stdout, /Text in/)
})
