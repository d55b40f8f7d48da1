// What the program of the benchmarks says of its arguments. Nothing is measured, and no rival is needed.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const folder = new URL('../../benchmarks/', import.meta.url)
const bench = (...args) => {
  const program = fileURLToPath(new URL('run.mjs', folder))
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

test('--help tells the options and all scenarios', () => {
  for (const option of ['--help', '-h']) {
    const { status, stdout, stderr } = bench(option)
    assert.deepEqual([status, stderr], [0, ''])
    for (const name of ['--full', '--quick', '--json', '--charts']) assert.match(stdout, new RegExp(`^ +${name} `, 'm'))
    for (const file of readdirSync(new URL('scenarios/', folder))) {
      assert.match(stdout, new RegExp(`[ ,]${file.replace('.mjs', '')}[,\\n]`))
    }
  }
})

test('what is not known is told in one line', () => {
  const cases = {
    '--nope': /^Unknown option '--nope'; see --help\n$/,
    '--json': /^Option '--json <value>' argument missing; see --help\n$/,
    '--json --full': /^Option '--json' argument is ambiguous; see --help\n$/,
    '--full=1': /^Option '--full' does not take an argument; see --help\n$/,
    nope: /^no scenario is called nope; there are tasks, .*\n$/,
    '--charts': /^--charts wants files .*\n$/,
  }
  for (const [args, line] of Object.entries(cases)) {
    const { status, stdout, stderr } = bench(...args.split(' '))
    assert.deepEqual([status, stdout], [2, ''], args)
    assert.match(stderr, line)
  }
})
