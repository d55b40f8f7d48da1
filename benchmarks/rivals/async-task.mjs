// The addon of `async-task/`: functions as napi-rs has them run on the threads of libuv, and bare wake-ups.
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export const ASYNC_TASK = 'napi AsyncTask'

let file
let addon

/** The path of the addon; cargo builds it when its sources are newer. */
export function asyncTaskFile() {
  file ??= build()
  return file
}

/** What it exports. */
export function asyncTask() {
  if (addon === undefined) {
    const module = { exports: {} }
    process.dlopen(module, asyncTaskFile())
    addon = module.exports
  }
  return addon
}

function build() {
  const cwd = fileURLToPath(new URL('../async-task', import.meta.url))
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
