// Stage: submit (`resolveEntry`, owner env) and run (`loadEntry`, in a JS worker).
// Where the entry module of a JS lane is, and loading it.
//
// E1. Resolving finds out which form was given, and nothing about the module: whether it loads shows in a worker.
// E2. Only own properties count as exports.

import { readFileSync, realpathSync, statSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { ErrorCode } from '..'
import { describe, ThreadmillError, wrongType, wrongValue } from './errors'
import { importFrom } from './packs'

/** A function that runs tasks: the input and the client come in, the output or a promise of it goes out. */
export type EntryFunction = (input: unknown, client: unknown) => unknown

/** What the owner hands to a worker: enough to load the entry there. Cloneable. */
export interface EntryPlace {
  /** A `file:`, `data:` or `node:` URL; a package name as it was given when nothing was found for it. */
  readonly url: string
  /** Must be this export; `undefined` for the search. */
  readonly symbol: string | undefined
  /** Whether the worker serves the exports of a module that it is told later, instead of an entry function. */
  readonly isModuleHost?: boolean
}

/** A loaded entry module. */
export interface LoadedEntry {
  readonly fn: EntryFunction
  /**
   * The export of that name, for one call; `fn` without a name. Some modules number their exports.
   * @throws ThreadmillError `ERR_THREADMILL_ENTRY` when it is missing or no function
   */
  find(name: string | number | undefined): EntryFunction
}

const ENTRY: ErrorCode = 'ERR_THREADMILL_ENTRY'
const FORMS = 'a path, a file:, node: or JavaScript data: URL, a package name, or a function with modulePath'
const LOCATION = 'an absolute path or a file: URL'
/** Two characters at least: one letter and a colon are a drive of Windows. */
const SCHEME = /^[a-z][a-z\d+.-]+:/i
const JAVASCRIPT = /^data:(?:text|application)\/javascript(?:;[^,]*)?,/i
const TYPESCRIPT = /^file:[^?#]*\.(?:[cm]?ts|tsx)(?:[?#]|$)/
/**
 * Errors of a Node that does not run such TypeScript by itself. They come up before any code of the module runs, but for
 * what it imports dynamically while it loads.
 */
const NEEDS_LOADER = new Set<unknown>([
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING',
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
])
/** Name and subpath. */
const PACKAGE = /^((?:@[^/\\%:]+\/)?[^@#./\\%:][^/\\%:]*)(\/[^\\]+)?$/
const CONDITIONS = new Set(['node', 'import', 'module-sync', 'node-addons', 'default'])
const MAX_LISTED = 20

/**
 * Resolves the first argument of the constructor. `entrypointSymbol` wins over a function's `moduleSymbol`.
 * @throws TypeError
 */
export function resolveEntry(
  module: unknown,
  entrypointSymbol: unknown,
): { place: EntryPlace; fn: EntryFunction | undefined } {
  const symbol = checkSymbol('options.entrypointSymbol', entrypointSymbol)
  if (typeof module !== 'function') return { place: { url: moduleUrl(module), symbol }, fn: undefined }
  const url = locationUrl(`modulePath of ${describe(module)}`, ownValue(module, 'modulePath'))
  const ownSymbol = checkSymbol(`moduleSymbol of ${describe(module)}`, ownValue(module, 'moduleSymbol'))
  return { place: { url, symbol: symbol ?? ownSymbol }, fn: module as EntryFunction }
}

function checkSymbol(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string') throw wrongType(name, 'a non-empty string', value)
  if (value === '') throw wrongValue(name, 'a non-empty string', value)
  return value
}

/** The value of an own property; `undefined` when there is none, and for primitive holders. */
function ownValue(holder: unknown, name: string): unknown {
  const usable = (typeof holder === 'object' && holder !== null) || typeof holder === 'function'
  return usable && Object.hasOwn(holder, name) ? (holder as Record<string, unknown>)[name] : undefined
}

/** The text of a path or URL. URL objects of other realms (Jest) count too. */
function urlText(name: string, expectation: string, value: unknown): string {
  const isUrl = Object.prototype.toString.call(value) === '[object URL]'
  const text = isUrl ? (value as URL).href : value
  if (typeof text !== 'string') throw wrongType(name, expectation, value)
  if (text === '' || text.includes('\0')) throw wrongValue(name, expectation, value)
  return text
}

/**
 * The URL of a module that may be given in any form but a function; a package name for which nothing was found as it is.
 * @throws TypeError
 */
export function moduleUrl(module: unknown, name = 'module', forms = FORMS): string {
  const text = urlText(name, forms, module)
  if (!path.isAbsolute(text) && !SCHEME.test(text)) return nameUrl(text)
  const url = parseUrl(text)
  if (url === undefined) throw wrongValue(name, forms, module)
  return url.href
}

function locationUrl(name: string, location: unknown): string {
  const url = parseUrl(urlText(name, LOCATION, location))
  if (url?.protocol !== 'file:') throw wrongValue(name, LOCATION, location)
  return url.href
}

/** The URL of an absolute path or a URL, if a module can be there. */
function parseUrl(text: string): URL | undefined {
  try {
    if (path.isAbsolute(text)) return pathToFileURL(text)
    const url = new URL(text)
    // Refuses hosts, encoded slashes and, on Windows, what has no drive.
    if (url.protocol === 'file:') fileURLToPath(url.href)
    else if (url.protocol === 'data:' ? !JAVASCRIPT.test(url.href) : url.protocol !== 'node:') return undefined
    return url
  } catch {
    return undefined
  }
}

/** A relative path, or a bare name: a file of the working directory, else a package. */
function nameUrl(name: string): string {
  const folder = process.cwd()
  const file = path.resolve(folder, name)
  if (!PACKAGE.test(name) || isFile(file)) return pathToFileURL(file).href
  return isBuiltin(name) ? `node:${name}` : (packageOf(name, folder) ?? name)
}

/** What `import` of a package name, with or without a subpath, would load in a folder; `undefined` for nothing. */
export function packageOf(name: string, folder: string): string | undefined {
  const parts = PACKAGE.exec(name)
  return parts === null ? undefined : packageUrl(parts[1] as string, parts[2] ?? '', folder)
}

function isKind(kind: 'isFile' | 'isDirectory', place: string): boolean {
  try {
    return statSync(place)[kind]()
  } catch {
    return false
  }
}

const isFile = (place: string): boolean => isKind('isFile', place)
const isFolder = (place: string): boolean => isKind('isDirectory', place)

/**
 * What `import` would load for a package from a folder; `undefined` when there is no such package or export. By hand,
 * since `require.resolve` takes other conditions and `import.meta.resolve` no folder.
 * @see https://nodejs.org/api/esm.html#resolution-algorithm
 */
function packageUrl(name: string, subpath: string, from: string): string | undefined {
  const folders = [from]
  for (let at = from; path.dirname(at) !== at; at = path.dirname(at)) folders.push(path.dirname(at))
  const scope = folders.find((folder) => isFile(path.join(folder, 'package.json')))
  if (scope !== undefined) {
    const { name: ownName, exports } = manifestOf(scope)
    if (ownName === name && (exports ?? null) !== null) return exportUrl(scope, exports, subpath)
  }
  const homes = folders.map((folder) => path.join(folder, 'node_modules', name))
  const home = homes.find(isFolder)
  if (home === undefined) return undefined
  const { exports, main } = manifestOf(home)
  if ((exports ?? null) !== null) return exportUrl(home, exports, subpath)
  if (subpath !== '') return new URL(`.${subpath}`, folderUrl(home)).href
  const mains = typeof main === 'string' ? [main, `${main}.js`, `${main}/index.js`] : []
  const file = [...mains, 'index.js'].map((candidate) => path.join(home, candidate)).find(isFile)
  return file === undefined ? undefined : pathToFileURL(file).href
}

function manifestOf(folder: string): { name?: unknown; exports?: unknown; main?: unknown } {
  try {
    return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) ?? {}
  } catch {
    return {}
  }
}

const folderUrl = (folder: string): URL => pathToFileURL(folder + path.sep)

/** The file that the `exports` of a package give for a subpath. */
function exportUrl(home: string, exports: unknown, subpath: string): string | undefined {
  const key = `.${subpath}`
  const isMap = typeof exports === 'object' && Object.keys(exports ?? {}).some((name) => name.startsWith('.'))
  const map = isMap ? (exports as Record<string, unknown>) : { '.': exports }
  let target = key.includes('*') ? undefined : selectTarget(ownValue(map, key), undefined)
  if (target === undefined && !Object.hasOwn(map, key)) {
    const matches = Object.keys(map).filter((pattern) => {
      const [start = '', end, ...more] = pattern.split('*')
      if (end === undefined || more.length > 0) return false
      return key.length >= pattern.length && key.startsWith(start) && key.endsWith(end)
    })
    const rank = (pattern: string) => pattern.indexOf('*') * 2 ** 16 + pattern.length
    const pattern = matches.sort((a, b) => rank(b) - rank(a))[0]
    if (pattern === undefined) return undefined
    const star = pattern.indexOf('*')
    target = selectTarget(map[pattern], key.slice(star, key.length - (pattern.length - star - 1)))
  }
  const base = folderUrl(home)
  const url = typeof target === 'string' && target.startsWith('./') ? new URL(target, base) : undefined
  return url?.href.startsWith(base.href) ? url.href : undefined
}

/** The target for our conditions: a text, `null` when it is closed, `undefined` when no condition holds. */
function selectTarget(target: unknown, match: string | undefined): string | null | undefined {
  if (typeof target === 'string') return match === undefined ? target : target.replaceAll('*', () => match)
  if (target === undefined) return undefined
  if (typeof target !== 'object' || target === null) return null
  if (Array.isArray(target)) {
    return target.map((item: unknown) => selectTarget(item, match)).find((item) => typeof item === 'string')
  }
  const conditions = Object.entries(target).filter(([name]) => CONDITIONS.has(name))
  return conditions.map(([, value]) => selectTarget(value, match)).find((value) => value !== undefined)
}

/**
 * Loads an entry module into this thread. `otherwise` gives what stands for an entry function in a module without one.
 * Rejects with a ThreadmillError `ERR_THREADMILL_ENTRY`, whose `cause` is the error of the import, if there was
 * one.
 */
export async function loadEntry(place: EntryPlace, otherwise?: () => EntryFunction | undefined): Promise<LoadedEntry> {
  const namespace = await importModule(place.url)
  // The default of a CommonJS module is its exports object, whose own default is that of the source when transpiled.
  const inner = ownValue(namespace, 'default')
  const holders = [namespace, inner, ownValue(inner, 'default')]
  const valuesOf = (name: string): unknown[] => holders.map((holder) => ownValue(holder, name))
  const lookUp = (name: string) =>
    valuesOf(name).find((value) => typeof value === 'function') as EntryFunction | undefined
  const missing = (lack: string) =>
    entryError(`entry module ${shown(place.url)} has no ${lack}; it exports ${exportNames(holders)}`)
  const find = (given: string | number): EntryFunction => {
    const name = String(given)
    const found = lookUp(name)
    if (found !== undefined) return found
    const value = valuesOf(name).find((each) => each !== undefined)
    throw missing(value === undefined ? `export '${name}'` : `function '${name}': that is ${describe(value)}`)
  }
  const search = (): EntryFunction => {
    const found = lookUp('workerEntrypoint') ?? lookUp('processTask') ?? lookUp('default') ?? otherwise?.()
    if (found !== undefined) return found
    throw missing('function workerEntrypoint, processTask or default, and does not listen on parentPort')
  }
  const fn = place.symbol === undefined ? search() : find(place.symbol)
  return { fn, find: (name) => (name === undefined ? fn : find(name)) }
}

/** Bun takes what follows a dot in a data: URL for the extension of a file. */
function importable(url: string): string {
  return 'bun' in process.versions && url.startsWith('data:') ? url.replaceAll('.', '%2E') : url
}

async function importModule(url: string): Promise<unknown> {
  if (!URL.canParse(url)) throw notFound(url)
  try {
    return await importUrl(url)
  } catch (error) {
    throw loadError(url, error, needsLoader(url, error) ? LOADERS : '')
  }
}

/**
 * Imports a module, TypeScript also through the `tsx` that the module itself could import. Rejects with the error of the
 * import.
 */
export async function importUrl(url: string): Promise<unknown> {
  try {
    return await importFrom(importable(url))
  } catch (error) {
    if (!needsLoader(url, error)) throw error
    const api = packageUrl('tsx', '/esm/api', path.dirname(realpathSync(fileURLToPath(url))))
    if (api === undefined) throw error
    // For this module and what it imports only. Registering tsx would not do: what failed to import once stays failed
    // under its URL.
    const { tsImport } = (await importFrom(api)) as { tsImport(url: string, parent: string): Promise<unknown> }
    return await tsImport(url, url)
  }
}

function needsLoader(url: string, error: unknown): boolean {
  return TYPESCRIPT.test(url) && NEEDS_LOADER.has(ownValue(error, 'code'))
}

const LOADERS =
  "; use Node 22.18 or newer with erasable syntax, install 'tsx' beside the module, or compile it " +
  `(this is Node ${process.versions.node})`

function entryError(message: string, cause?: unknown): ThreadmillError {
  return new ThreadmillError(ENTRY, message, cause === undefined ? undefined : { cause })
}

function loadError(url: string, cause: unknown, advice = ''): ThreadmillError {
  const hasMessage = cause instanceof Error && typeof cause.message === 'string'
  const [reason] = (hasMessage ? cause.message : describe(cause)).split('\n', 1)
  return entryError(`cannot load entry module ${shown(url)}: ${reason}${advice}`, cause)
}

/** What a task is told whose worker could not load its module, for that reason. */
export function unusableEntry(reason: unknown): ThreadmillError {
  // One of ours has the error of the module as its cause.
  const { code, cause } = (reason ?? {}) as { code?: unknown; cause?: unknown }
  const isOurs = code === ENTRY && cause !== undefined
  const message = reason instanceof Error ? reason.message : 'the entry module cannot be used'
  return new ThreadmillError(ENTRY, message, { cause: isOurs ? cause : reason })
}

function notFound(name: string): ThreadmillError {
  const folder = process.cwd()
  let cause: unknown
  try {
    createRequire(path.join(folder, 'entry.js')).resolve(name)
  } catch (error) {
    cause = error
  }
  return entryError(`cannot load entry module '${name}': neither a file nor an importable package in ${folder}`, cause)
}

/** A URL as it appears in messages: data: URLs shortened. */
function shown(url: string): string {
  return `'${url.startsWith('data:') && url.length > 80 ? `${url.slice(0, 80)}...` : url}'`
}

function exportNames(holders: readonly unknown[]): string {
  const objects = holders.filter((holder) => typeof holder === 'object' || typeof holder === 'function')
  const names = [...new Set(objects.flatMap((holder) => Object.keys(holder ?? {})))]
  const shownNames = names.filter((name) => name !== '__esModule' && name !== 'module.exports')
  if (shownNames.length === 0) return 'nothing'
  return shownNames.slice(0, MAX_LISTED).join(', ') + (shownNames.length > MAX_LISTED ? ', ...' : '')
}
