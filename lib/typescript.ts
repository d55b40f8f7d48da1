// Stage: run. Thread: a JS worker, or the owner env for its own tasks.
// Loads modules in TypeScript: by what the flags of the thread have brought for that (ts-node, tsx, ...), by Node itself, or by
// the `tsx` that the module could import.
//
// T1. What is registered for `require` (ts-node, and tsx, whose import of a CommonJS module is a data: URL) is asked first for
//     what is CommonJS: an import does not ask it. For an ECMAScript module it is asked where an import fails.
// T2. What Node cannot load by itself, of its syntax or because files are named as the compiler wants it, is loaded by tsx. A
//     module of which some had run by then runs again from its start.

import path from 'node:path'
import process from 'node:process'
import { types } from 'node:util'
import type { ErrorCode } from '..'
import { importFrom } from './packs'
import { TO_IMPORT } from './required'
import { IS_NODE } from './runtime'

/** Flags that may bring what loads TypeScript. */
const BRINGS = /(?:^|[\s"])(?:-r|--(?:require|import|loader|experimental-loader))(?:[\s=]|$)/
/** Errors of a Node that does not run such TypeScript by itself. */
const NEEDS_LOADER = new Set<unknown>([
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING',
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
])
/** Those of one that does, where a file is named as the compiler wants it: './other.js' for other.ts, or './other'. */
const NOT_FOUND = new Set<unknown>(['ERR_MODULE_NOT_FOUND', 'ERR_UNSUPPORTED_DIR_IMPORT', 'MODULE_NOT_FOUND'])

const ADVICE =
  "; use Node 22.18 or newer with erasable syntax, install 'tsx' beside the module, or compile it " +
  `(this is Node ${process.versions.node})`

function codeOf(error: unknown): ErrorCode | string | undefined {
  return types.isNativeError(error) ? (error as { code?: string }).code : undefined
}

/** What is added to the message of an error with which such a module cannot be loaded. */
export function adviceFor(error: unknown): string {
  return NEEDS_LOADER.has(codeOf(error)) ? ADVICE : ''
}

/** What an import of the module gives. Rejects with the error of the import. */
export async function importTypeScript(url: string): Promise<unknown> {
  const { createRequire } = require('node:module') as typeof import('node:module')
  const { realpathSync } = require('node:fs') as typeof import('node:fs')
  const { fileURLToPath } = require('node:url') as typeof import('node:url')
  const file = fileURLToPath(url)
  // With a query it is another instance, which `require` does not know.
  const isPlain = !/[?#]/.test(url)
  const isCommonJs = isPlain && isOfCommonJs(file)
  const isBrought = isPlain && mayBeBrought()
  if (isCommonJs && isBrought) {
    const result = requireBrought(file)
    if (result !== undefined) return result
  }
  try {
    return await importFrom(url)
  } catch (error) {
    if (!mayBeLoaded(error)) throw error
    const result = isBrought && !isCommonJs && NEEDS_LOADER.has(codeOf(error)) ? requireBrought(file) : undefined
    if (result !== undefined) return result
    const { packageOf } = require('./entry') as typeof import('./entry')
    const place = realpathSync(file)
    const api = packageOf('tsx/esm/api', path.dirname(place))
    if (api === undefined) throw error
    if (isCommonJs) {
      const requireTs = cjsLoader(createRequire(place))
      if (requireTs !== undefined) return asImported(requireTs(file, url))
    }
    // For this module and what it imports only. Registering tsx would not do: what failed to import once stays failed
    // under its URL.
    const { tsImport } = (await importFrom(api)) as { tsImport(url: string, parent: string): Promise<unknown> }
    return await tsImport(url, url)
  }
}

type RequireTs = (file: string, from: string) => unknown

/** That of tsx; older ones have none. */
function cjsLoader(requireThere: NodeJS.Require): RequireTs | undefined {
  try {
    return (requireThere('tsx/cjs/api') as { require?: RequireTs }).require
  } catch {
    return undefined
  }
}

function mayBeLoaded(error: unknown): boolean {
  const code = codeOf(error)
  return NEEDS_LOADER.has(code) || NOT_FOUND.has(code) || (types.isNativeError(error) && error.name === 'SyntaxError')
}

function asImported(result: unknown): unknown {
  return types.isModuleNamespaceObject(result) ? result : { default: result }
}

/** Whether something may be registered for `require` that loads TypeScript. */
function mayBeBrought(): boolean {
  return IS_NODE && BRINGS.test([...process.execArgv, process.env.NODE_OPTIONS].join(' '))
}

/** What that gives; `undefined` when it does not load the file. */
function requireBrought(file: string): unknown {
  const extensions: object = require.extensions ?? {}
  const isNamed = path.extname(file) in extensions
  // Some register '.ts', and load the others as they do '.js'.
  if (!isNamed && !('.ts' in extensions)) return undefined
  try {
    return asImported(require(file))
  } catch (error) {
    const isUnread = TO_IMPORT.has(codeOf(error)) || NEEDS_LOADER.has(codeOf(error))
    if (!isUnread && (isNamed || !isOfParser(error))) throw error
    return undefined
  }
}

/** Whether that is no JavaScript: then the stack begins with the place, and not with the error. */
function isOfParser(error: unknown): boolean {
  return error instanceof SyntaxError && !error.stack?.startsWith(error.name)
}

/** Whether a file is a CommonJS module by its name, or by what is said of its package. */
function isOfCommonJs(file: string): boolean {
  const extension = path.extname(file)
  if (extension === '.cts' || extension === '.mts') return extension === '.cts'
  const { readFileSync } = require('node:fs') as typeof import('node:fs')
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      const { type } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { type?: unknown }
      return type !== 'module'
    } catch {
      // There is none, or Node says what is wrong with it.
    }
    if (folder === path.dirname(folder)) return true
  }
}
