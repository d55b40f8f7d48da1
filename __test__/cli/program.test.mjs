// Stage: before submit. The program as a whole: help, wrong arguments, `dupes`, output that cannot be written.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import process from 'node:process'
import { test } from 'node:test'
import { CONTROL, temporaryFolder, writeTree } from '../main-job/helpers.mjs'
import { PROGRAM, threadmill } from './helpers.mjs'

const require = createRequire(import.meta.url)
const { name, version, bin } = require('../../package.json')
const { createProgram } = require('../../dist/cli/program.js')

test('the package offers it', () => {
  assert.deepEqual(bin, { [name]: 'dist/cli/main.js' })
  assert.match(readFileSync(PROGRAM, 'utf8'), /^#!\/usr\/bin\/env node\n/)
})

test('--version', async () => {
  const { code, stdout, stderr } = await threadmill(['--version'])
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `${version}\n`, stderr: '' })
})

test('--help names every command, and each explains itself', async () => {
  const { code, stdout, stderr } = await threadmill(['--help'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.doesNotMatch(stdout, CONTROL)
  const commands = createProgram(() => {}).commands.map((command) => command.name())
  assert.ok(commands.length > 1)
  for (const command of commands) {
    assert.match(stdout, new RegExp(`^  ${command} `, 'm'))
    const help = await threadmill([command, '--help'])
    assert.deepEqual([help.code, help.stderr], [0, ''], command)
    assert.match(help.stdout, new RegExp(`^Usage: threadmill ${command} `, 'm'))
    assert.equal((await threadmill(['help', command])).stdout, help.stdout)
  }
})

test('help loads neither the addon nor what commands do', async () => {
  const source = `
    process.argv.push(${JSON.stringify(PROGRAM)}, '--help')
    process.stdout.write = () => true
    require(${JSON.stringify(PROGRAM)})
    setImmediate(() => {
      const files = Object.keys(require.cache).filter((file) => !file.includes('node_modules'))
      require('node:fs').writeSync(1, JSON.stringify(files))
    })`
  const loaded = JSON.parse(execFileSync(process.execPath, ['-e', source], { encoding: 'utf8' }))
  assert.deepEqual(loaded.map((file) => file.replace(/.*[/\\]/, '')).sort(), [
    'failure.js',
    'file-path.js',
    'main.js',
    'program.js',
    'terminal.js',
    'version.js',
  ])
})

for (const args of [['bogus'], ['run'], ['run', 'a', 'b'], ['run', 'a', '--wrong'], ['--wrong']]) {
  test(`2: ${args.join(' ')}`, async () => {
    const { code, stdout, stderr } = await threadmill(args)
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /^threadmill: .+\n\(--help explains\)\n$/)
  })
}

test('dupes searches the working directory, or the folder that it is given', async (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { a: 'same', b: 'same', 'inner/c': 'other' })
  const all = await threadmill(['dupes', '--json', '--no-progress'], { cwd: folder })
  assert.deepEqual([all.code, all.stderr], [0, ''])
  assert.equal(JSON.parse(all.stdout).redundantFiles, 1)
  const inner = await threadmill(['dupes', '--top', '3', 'inner', '--json'], { cwd: folder })
  assert.equal(JSON.parse(inner.stdout).files, 1)
  const wrong = await threadmill(['dupes', '--wrong'])
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /^dupes: .*--wrong.*--help explains/)
})

const FULL = '/dev/full'
for (const args of [['--help'], ['kernels'], ['kernel', 'crc32'], ['dupes', '--no-progress']]) {
  test(`2: ${args.join(' ')}, on a full disk`, { skip: !existsSync(FULL) }, (t) => {
    const { status, stderr } = spawnSync('sh', ['-c', `"$0" "$@" > ${FULL}`, process.execPath, PROGRAM, ...args], {
      cwd: temporaryFolder(t),
      encoding: 'utf8',
    })
    assert.equal(stderr, 'threadmill: standard output: ENOSPC: no space left on device, write\n')
    assert.equal(status, 2)
  })
}
