// What is measured: the package as built in the folder above, its internals, and the AsyncTask addon beside it.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

export const PACKAGE = fileURLToPath(new URL('../dist/index.js', import.meta.url))

export const { WorkerPool } = require(PACKAGE)

/** Runs a kernel on this thread; internal to the package. */
export const { runSync } = require('../dist/native.js').native

let addon

/** The addon of `async-task/`; cargo builds it when its sources are newer. */
export function asyncTask() {
  if (addon === undefined) {
    const module = { exports: {} }
    process.dlopen(module, buildAsyncTask())
    addon = module.exports
  }
  return addon
}

function buildAsyncTask() {
  const cwd = fileURLToPath(new URL('async-task', import.meta.url))
  const args = ['build', '--release', '--locked', '--message-format=json-render-diagnostics']
  const { status, stdout, error } = spawnSync('cargo', args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (error !== undefined) throw new Error('cargo is needed to build async-task/', { cause: error })
  if (status !== 0) throw new Error('async-task/ did not build, see above')
  // Cargo says where it put the library: CARGO_TARGET_DIR may lead elsewhere.
  for (const line of stdout.trim().split('\n')) {
    const message = JSON.parse(line)
    if (message.reason === 'compiler-artifact' && message.target.kind.includes('cdylib')) return message.filenames[0]
  }
  throw new Error('cargo named no library')
}
