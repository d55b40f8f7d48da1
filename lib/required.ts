// Stage: run. Thread: a JS worker.
// Loads an entry module by `require`, where that gives what `import()` gives: the first `import()` of a thread takes 5 ms more
// on Node 20, and 2 on 22 (docs/design/start-up.md).
//
// R1. What has run is not run again: a module is imported after all only if nothing of it has run.
// R2. Where flags may have changed what modules are, they are imported: hooks see all that is imported, but not all that is
//     required. A new thread has no hooks but those that come with its flags.

import { types } from 'node:util'
import { builtins } from './builtins'
import { IS_NODE, mayBeChanged } from './runtime'
import { clearTimeout, setTimeout } from './timers'

const { assign } = builtins

/** Of files that hold modules in JavaScript. */
const EXTENSIONS = ['.js', '.mjs', '.cjs']
/** The name of an export by which an ECMAScript module says what `require` is to give for it. */
const OWN_RESULT = /['"]module\.exports['"]/
/** Codes of the errors of modules that have to be imported. */
export const TO_IMPORT: ReadonlySet<unknown> = new Set(['ERR_REQUIRE_ASYNC_MODULE', 'ERR_REQUIRE_ESM'])

/** What `import()` gives for a file; `undefined` where only `import()` can tell. @throws what the module throws */
export function required(file: string): unknown {
  if (!EXTENSIONS.some((extension) => file.endsWith(extension)) || !isLikeImport()) return undefined
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
const UNLINKED = /does not provide an export named|^Named export '|ERR_NETWORK_IMPORT_DISALLOWED/
/** Codes of what it says of them, and of URLs of a scheme that it does not know. */
const UNCLEAR: ReadonlySet<unknown> = new Set([
  'ERR_REQUIRE_CYCLE_MODULE',
  'ERR_INTERNAL_ASSERTION',
  'ERR_NETWORK_IMPORT_DISALLOWED',
])
/** Longest time that another thread has to tell more, ms. */
const PATIENCE = 2000

/**
 * The error that `require` has given for a module as `import()` has it: that tells where the name stands which another module does
 * not export, and what to do about it. It takes a thread that has not required the module, and where nothing of it runs: it is
 * linked behind a module that throws.
 */
export async function explained(url: string, error: unknown): Promise<unknown> {
  if (!types.isNativeError(error)) return error
  const { code, message } = error as Error & { readonly code?: unknown }
  if (!UNLINKED.test(message) && !UNCLEAR.has(code)) return error
  try {
    const told = await linkingError(url)
    return types.isNativeError(told) ? told : error
  } catch {
    // What runs here may have replaced what starts a thread.
    return error
  }
}

function linkingError(url: string): Promise<unknown> {
  const first = 'data:text/javascript,throw "it can be linked"'
  const source = `import ${JSON.stringify(first)}; import ${JSON.stringify(url)}`
  const probe = `data:text/javascript,${encodeURIComponent(source)}`
  const script = `import(${JSON.stringify(probe)}).catch((error) => require('node:worker_threads').parentPort.postMessage([error, error?.code]))`
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
  const worker = new Worker(script, { eval: true, stdout: true, stderr: true })
  return new Promise((resolve) => {
    const end = (told?: unknown): void => {
      clearTimeout(timer)
      resolve(told)
      worker.terminate()
    }
    const timer = setTimeout(end, PATIENCE)
    // A clone of an error has no code.
    worker.once('message', ([error, code]: [Error, unknown]) =>
      end(code === undefined ? error : assign(error, { code })),
    )
    worker.once('error', () => end())
    worker.once('exit', () => end())
  })
}

function files(): typeof import('node:fs') {
  return require('node:fs') as typeof import('node:fs')
}

/** Whether `require` gives what `import()` gives, and takes less time for it. */
function isLikeImport(): boolean {
  if (!IS_NODE) return false
  const { features, version } = process
  // The first of Node 22 warn of it.
  if ((features as { require_module?: boolean }).require_module !== true || version.startsWith('v22.12.')) return false
  return !mayBeChanged()
}
