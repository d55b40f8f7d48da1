// An addon that cannot be loaded: the error says why, as far as users can do something about it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What a program gets instead of threadmill, which lies in `folder`. */
function refusal(folder, { nodeArgs = [], env = {} } = {}) {
  const program = `try { require(${JSON.stringify(folder)}) } catch ({ name, code, message, cause }) {
    console.log(JSON.stringify({ name, code, message, hasCause: cause instanceof Error }))
  }`
  const { stdout, stderr } = spawnSync(process.execPath, [...nodeArgs, '-e', program], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  assert.equal(stderr, '')
  return JSON.parse(stdout)
}

function assertRefused(refused, why) {
  const { message, ...rest } = refused
  assert.deepEqual(rest, { name: 'ThreadmillError', code: 'ERR_THREADMILL_NOT_SUPPORTED', hasCause: true })
  const start = `the addon of threadmill for ${process.platform}-${process.arch} cannot be loaded: `
  assert.equal(message.slice(0, start.length), start)
  assert.match(message.slice(start.length), why)
}

test('Node was told to load no addons', () => {
  assertRefused(refusal(ROOT, { nodeArgs: ['--no-addons'] }), /^Cannot load native addon/)
})

test('the file that the environment names is not there', () => {
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: path.join(ROOT, 'missing.node') }
  assertRefused(refusal(ROOT, { env }), /^Cannot find module '.*missing\.node'$/)
})

test('no addon is installed', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-addon-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(path.join(folder, 'native'))
  for (const part of ['package.json', 'dist', 'native/index.js']) {
    cpSync(path.join(ROOT, part), path.join(folder, part), { recursive: true })
  }
  assertRefused(
    refusal(folder, { env: { NAPI_RS_NATIVE_LIBRARY_PATH: '' } }),
    /^none is installed: optional dependencies /,
  )
})
