// Stage: all. `threadmill doctor`.
import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CONTROL } from '../main-job/helpers.mjs'
import { threadmill } from './helpers.mjs'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../../', import.meta.url))
const { version } = require('../../package.json')
const { WorkerPool } = require('../../dist/index.js')
const addonFile = require('../../dist/addon.js').addonFile()

/** Node 20 knows the flag under its older name only. */
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

async function findings(options) {
  const { code, stdout } = await threadmill(['doctor', '--json'], options)
  return { code, found: JSON.parse(stdout) }
}

test('everything works here', async () => {
  const { code, found } = await findings()
  assert.equal(code, 0)
  assert.equal(found.threadmill, version)
  assert.equal(found.node, process.versions.node)
  assert.equal(found.napi, process.versions.napi)
  assert.equal(found.addon.file, addonFile)
  assert.equal(found.addon.version, version)
  const { sizing } = new WorkerPool().stats()
  assert.deepEqual(
    [found.cores.cpus, found.cores.affinity, found.cores.quota, found.cores.threads],
    [sizing.cpus, sizing.affinity, sizing.quota, sizing.threads],
  )
  assert.deepEqual(found.permissions, { on: false, missing: [] })
  assert.equal(found.checks.length, 4)
  assert.ok(found.checks.every(({ ok }) => ok))
})

test('the same in words', async () => {
  const { code, stdout } = await threadmill(['doctor'])
  assert.equal(code, 0)
  assert.doesNotMatch(stdout, CONTROL)
  assert.match(stdout, new RegExp(`^  threadmill +${version.replaceAll('.', '\\.')}$`, 'm'))
  assert.match(stdout, /^ {2}pool size +\d+ native workers?: .+$/m)
  assert.match(stdout, /^ {2}model +off$/m)
  assert.match(stdout, /^ {2}ok {2}a task runs in a worker$/m)
})

test('each source of the size has its words', () => {
  const { explainSizing } = require('../../dist/cli/doctor.js')
  const sizing = { threads: 2, cpus: 8, affinity: 4, quota: 1.5, js: null, notes: [] }
  const words = (source) => explainSizing({ ...sizing, source })
  assert.equal(words('cpus'), '2 native workers: one for each CPU that is online')
  assert.match(words('affinity'), /affinity mask of this process has 4 of 8 CPUs/)
  assert.match(words('cgroup'), /quota of 1\.5 CPUs, of 8/)
  assert.match(words('option'), /the option threads says so/)
  assert.match(explainSizing({ ...sizing, source: 'cpus', threads: 1 }), /^1 native worker:/)
})

test('where an addon was named', async () => {
  const { found } = await findings({ env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: addonFile } })
  assert.equal(found.addon.origin, 'named by NAPI_RS_NATIVE_LIBRARY_PATH')
})

test('what the permission model is in the way of', async () => {
  const folder = realpathSync(root)
  const nodeArgs = [PERMISSION, `--allow-fs-read=${path.join(folder, '*')}`]
  const both = await findings({ nodeArgs })
  assert.equal(both.code, 1)
  assert.deepEqual(both.found.permissions, { on: true, missing: ['--allow-worker', '--allow-addons'] })
  assert.equal(both.found.addon.file, null)
  assert.equal(both.found.why, null)
  assert.deepEqual(
    both.found.checks.map(({ name, ok }) => [name, ok]),
    [['the addon loads', false]],
  )
  const worker = await findings({ nodeArgs: [...nodeArgs, '--allow-addons'] })
  assert.equal(worker.code, 1)
  assert.deepEqual(worker.found.permissions.missing, ['--allow-worker'])
  assert.deepEqual(
    worker.found.checks.map(({ ok }) => ok),
    [true, true, true, false],
  )
  const none = await findings({ nodeArgs: [...nodeArgs, '--allow-addons', '--allow-worker'] })
  assert.deepEqual([none.code, none.found.permissions], [0, { on: true, missing: [] }])
})
