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
