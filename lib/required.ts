// Stage: run. Thread: a JS worker.
// Loads an entry module by `require`, where that gives what `import()` gives: the first `import()` of a thread takes 5 ms more
// on Node 20, and 2 on 22 (docs/design/start-up.md).
//
// R1. What has run is not run again: a module is imported after all only if nothing of it has run.
// R2. Where flags may have changed what modules are, they are imported: hooks see all that is imported, but not all that is
//     required. A new thread has no hooks but those that come with its flags.

import { types } from 'node:util'

/** Flags with which something is loaded before the entry module, or modules are found or read in another way. */
const CHANGES = /(?:^|[\s"])(?:-r|--(?:require|import|loader|preserve-symlinks|(?:no-)?experimental-))/
/** The name of an export by which an ECMAScript module says what `require` is to give for it. */
const OWN_RESULT = /['"]module\.exports['"]/
/** Codes of the errors of modules that have to be imported. */
export const TO_IMPORT: ReadonlySet<unknown> = new Set(['ERR_REQUIRE_ASYNC_MODULE', 'ERR_REQUIRE_ESM'])

/** What `import()` gives for a file; `undefined` where only `import()` can tell. @throws what the module throws */
export function required(file: string): unknown {
  if (!/\.[cm]?js$/.test(file) || !isLikeImport()) return undefined
  let result: unknown
  try {
    result = require(file)
  } catch (error) {
    const code = (error as { code?: unknown } | null | undefined)?.code
    if (TO_IMPORT.has(code) || (code === 'MODULE_NOT_FOUND' && !files().existsSync(file))) return undefined
    if (isOfWasm(code, error)) return undefined
    throw error
  }
  if (types.isModuleNamespaceObject(result)) return result
  const isCommonJs =
    file.endsWith('.cjs') || (file.endsWith('.js') && !OWN_RESULT.test(files().readFileSync(file, 'utf8')))
  return isCommonJs ? { default: result } : undefined
}

/** Whether it says of a module of WebAssembly that it cannot be required, as Node 22 has it; nothing has run then. */
function isOfWasm(code: unknown, error: unknown): boolean {
  return code === 'ERR_INTERNAL_ASSERTION' && /\bWASM\b/.test((error as Error).message)
}

/** What `require` says of modules that cannot be linked: without the place, and not what Node advises. */
const UNLINKED = /does not provide an export named|^Named export '/

/**
 * The error of a module, as `import()` has it: it tells where the name stands that another module does not export, and that a module
 * is of another kind. That takes a thread that has not required it, in which nothing of it runs either.
 */
export async function explained(url: string, error: unknown): Promise<unknown> {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  const isUnlinked = types.isNativeError(error) && UNLINKED.test(String(message))
  if (!isUnlinked && code !== 'ERR_REQUIRE_CYCLE_MODULE') return error
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
  const worker = new Worker(PROBE, { eval: true, workerData: url, stdout: true, stderr: true })
  return new Promise((resolve) => {
    worker.once('message', (told: unknown) => {
      resolve(types.isNativeError(told) ? told : error)
      worker.terminate()
    })
    // It has nothing to add.
    worker.once('error', () => resolve(error))
    worker.once('exit', () => resolve(error))
  })
}

/** Tells why a module cannot be imported. */
const PROBE = `const { parentPort, workerData } = require('node:worker_threads')
const tell = (error) => parentPort.postMessage(error)
import(workerData).then(() => tell(undefined), tell)`

function files(): typeof import('node:fs') {
  return require('node:fs') as typeof import('node:fs')
}

/** Whether `require` gives what `import()` gives, and takes less time for it. */
function isLikeImport(): boolean {
  const { features, version, versions, execArgv, env } = process
  if ('bun' in versions || 'deno' in versions) return false
  // The first of Node 22 warn of it.
  if ((features as { require_module?: boolean }).require_module !== true || version.startsWith('v22.12.')) return false
  return !CHANGES.test([...execArgv, env.NODE_OPTIONS].join(' '))
}
