// Stage: all. What the duplicate finder finds, compared with a naive one.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { CONTROL, dupes, dupesJson, random, temporaryFolder, writeTree } from './helpers.mjs'

/** Groups of equal files below a folder, each sorted, by node:crypto and nothing clever. */
function naiveGroups(folder) {
  const byDigest = new Map()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    const contents = readFileSync(file)
    const digest = createHash('sha512').update(contents).digest('hex')
    const group = byDigest.get(digest) ?? { size: contents.length, files: [] }
    group.files.push(path.relative(folder, file))
    byDigest.set(digest, group)
  }
  return [...byDigest.values()]
}

test('finds what a naive implementation finds in a random tree', async (t) => {
  const seed = Date.now() % 1e9
  t.diagnostic(`seed ${seed}`)
  const pick = random(seed)
  const folder = temporaryFolder(t)
  const sizes = [0, 1, 2, 1000, 65_535, 65_536, 65_537, 300_000]
  for (let i = 0; i < 400; i++) {
    const parts = Array.from({ length: pick(4) }, () => `d${pick(3)}`)
    // Equal sizes with different contents are frequent, and so are equal contents.
    const contents = Buffer.alloc(sizes[pick(sizes.length)], pick(4))
    writeTree(folder, { [path.join(...parts, `f${i}`)]: contents })
  }
  const all = naiveGroups(folder)
  const groups = all.filter((group) => group.files.length > 1)
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.equal(result.files, 400)
  assert.equal(
    result.bytes,
    all.reduce((sum, { size, files }) => sum + size * files.length, 0),
  )
  assert.equal(result.duplicateGroups, groups.length)
  assert.equal(
    result.redundantFiles,
    groups.reduce((sum, { files }) => sum + files.length - 1, 0),
  )
  assert.equal(
    result.redundantBytes,
    groups.reduce((sum, { size, files }) => sum + size * (files.length - 1), 0),
  )
  const normalise = (list) => list.map(({ size, files }) => `${size} ${[...files].sort().join(' ')}`).sort()
  const found = result.groups.map(({ size, files }) => ({ size, files: files.map((file) => file.path) }))
  assert.deepEqual(normalise(found), normalise(groups))
})

test('files above the size that reports progress are compared too', async (t) => {
  const folder = temporaryFolder(t)
  const large = Buffer.alloc(40 * 1024 * 1024, 'large')
  writeTree(folder, { a: large, b: large })
  large[large.length - 1] ^= 1
  writeTree(folder, { c: large })
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual(
    result.groups.map(({ files }) => files.map((file) => file.path)),
    [['a', 'b']],
  )
  assert.equal(result.redundantBytes, large.length)
})

test('empty files are duplicates that waste nothing', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: '', b: '', c: '', d: 'text' })
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual([result.files, result.duplicateGroups, result.redundantFiles, result.redundantBytes], [4, 1, 2, 0])
})

test('an empty folder is fine', async (t) => {
  const { code, result } = await dupesJson(temporaryFolder(t))
  assert.equal(code, 0)
  assert.deepEqual([result.files, result.bytes, result.duplicateGroups], [0, 0, 0])
})

test('hard links are one file', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'x/a': 'same', 'x/b': 'same' })
  linkSync(path.join(folder, 'x/a'), path.join(folder, 'x/c'))
  linkSync(path.join(folder, 'x/a'), path.join(folder, 'd'))
  const { code, result, stdout } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual([result.files, result.hardLinks, result.bytes], [2, 2, 8], stdout)
  assert.deepEqual([result.redundantFiles, result.redundantBytes], [1, 4])
  const join = path.join
  assert.deepEqual(result.groups[0].files, [
    { path: 'd', links: [join('x', 'a'), join('x', 'c')] },
    { path: join('x', 'b'), links: [] },
  ])
  const text = await dupes([folder])
  assert.match(text.stdout, /files +2 \(and 2 hard links to them\)/)
})

test('equal runs print the same, largest groups first', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'xx', b: 'xx', c: 'yyyy', d: 'yyyy', e: 'zz', f: 'zz', 'g/h': 'xx' })
  const timeless = ({ result }) => ({ ...result, walkSeconds: 0, hashSeconds: 0, bytesPerSecond: 0, workers: [] })
  const first = timeless(await dupesJson(folder))
  assert.deepEqual(first, timeless(await dupesJson(folder, ['--threads', '1'])))
  const paths = first.groups.map(({ files }) => files.map((file) => file.path))
  assert.deepEqual(paths, [
    ['a', 'b', path.join('g', 'h')],
    ['c', 'd'],
    ['e', 'f'],
  ])
})

test('symbolic links are not followed, and broken ones are no failure', {
  skip: process.platform === 'win32',
}, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'in/a': 'text' })
  symlinkSync('a', path.join(folder, 'in/link'))
  symlinkSync('..', path.join(folder, 'in/up'))
  symlinkSync('nowhere', path.join(folder, 'broken'))
  symlinkSync('loop', path.join(folder, 'loop'))
  symlinkSync('in/a/b', path.join(folder, 'through-a-file'))
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual([result.files, result.symlinks, result.duplicateGroups], [1, 5, 0])
  assert.deepEqual(result.brokenLinks, [
    { path: 'broken', target: 'nowhere' },
    { path: 'loop', target: 'loop' },
    { path: 'through-a-file', target: 'in/a/b' },
  ])
  const text = await dupes([folder])
  assert.match(text.stdout, /Broken links \(3\)\n {2}broken -> nowhere\n/)
})

test('a symbolic link to a folder may be the folder to search', { skip: process.platform === 'win32' }, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'in/a': 'text' })
  symlinkSync('in', path.join(folder, 'link'))
  const { code, result } = await dupesJson(path.join(folder, 'link'))
  assert.deepEqual([code, result.files], [0, 1])
})

test('names that are not UTF-8 are hashed like any other', { skip: process.platform !== 'linux' }, async (t) => {
  const folder = temporaryFolder(t)
  const odd = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x66, 0xff, 0x66])])
  writeTree(folder, { plain: 'same' })
  writeFileSync(odd, 'same')
  mkdirSync(Buffer.concat([odd, Buffer.from('.d')]))
  writeFileSync(Buffer.concat([odd, Buffer.from('.d/inner')]), 'same')
  const { code, result } = await dupesJson(folder)
  assert.equal(code, 0)
  assert.deepEqual([result.files, result.redundantFiles, result.errors], [3, 2, []])
  const base64 = (bytes) => Buffer.from(bytes).toString('base64')
  assert.deepEqual(
    result.groups[0].files.map((file) => file.path),
    [
      { base64: base64([0x66, 0xff, 0x66]) },
      { base64: base64([0x66, 0xff, 0x66, ...Buffer.from('.d/inner')]) },
      'plain',
    ],
  )
  assert.match((await dupes([folder])).stdout, / f\\xfff\n/)
})

test('names cannot write control characters', { skip: process.platform === 'win32' }, async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'a\u001b[2J': 'same', 'b\nc': 'same', 'd\u202ee': 'same' })
  const { code, stdout, stderr } = await dupes([folder])
  assert.equal(code, 0)
  assert.doesNotMatch(stdout + stderr, CONTROL)
  assert.match(stdout, /a\\x1b\[2J\n {4}b\\x0ac\n {4}d\\u\{202e\}e\n/)
})
