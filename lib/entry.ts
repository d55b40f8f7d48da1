// Stage: submit. Thread: owner env.
// Where the entry module of a JS lane is. Loading it: entry-module.ts.
//
// E1. Resolving finds out which form was given, and nothing about the module: whether it loads shows in a worker.
// E2. Only own properties count as exports.

import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type EntryFunction, type EntryPlace, ownValue } from './entry-module'
import { describe, wrongType, wrongValue } from './errors'

const FORMS = 'a path, a file:, node: or JavaScript data: URL, a package name, or a function with modulePath'
const LOCATION = 'an absolute path or a file: URL'
/** Two characters at least: one letter and a colon are a drive of Windows. */
const SCHEME = /^[a-z][a-z\d+.-]+:/i
const JAVASCRIPT = /^data:(?:text|application)\/javascript(?:;[^,]*)?,/i
/** Name and subpath. */
const PACKAGE = /^((?:@[^/\\%:]+\/)?[^@#./\\%:][^/\\%:]*)(\/[^\\]+)?$/
const CONDITIONS = ['node', 'import', 'module-sync', 'node-addons', 'default']
/** How Node is given others, with the name behind it or as the next word. */
const GIVEN = /^(?:-C|--conditions)(?:=(.*))?$/
/** What is quoted in NODE_OPTIONS: a backslash counts only there. */
const QUOTED = /"((?:\\.|[^"\\])*)"/gs
const OPTION_WORD = /(?:"(?:\\.|[^"\\])*"|[^ "])+/gs

/** What of the options of `Worker` says with which flags a worker runs. */
export interface WorkerFlags {
  readonly execArgv?: unknown
  readonly env?: unknown
}

/**
 * Resolves the first argument of the constructor. `entrypointSymbol` wins over a function's `moduleSymbol`.
 * @throws TypeError
 */
export function resolveEntry(
  module: unknown,
  entrypointSymbol: unknown,
  flags: WorkerFlags,
): { place: EntryPlace; fn: EntryFunction | undefined } {
  const symbol = checkSymbol('options.entrypointSymbol', entrypointSymbol)
  if (typeof module !== 'function') return { place: placeOf(moduleUrl(module, flags), symbol), fn: undefined }
  const url = locationUrl(`modulePath of ${describe(module)}`, ownValue(module, 'modulePath'))
  const ownSymbol = checkSymbol(`moduleSymbol of ${describe(module)}`, ownValue(module, 'moduleSymbol'))
  return { place: placeOf(url, symbol ?? ownSymbol), fn: module as EntryFunction }
}

function placeOf(url: string, symbol: string | undefined): EntryPlace {
  return { url, file: /^file:[^?#]*$/.test(url) ? fileURLToPath(url) : undefined, symbol }
}

function checkSymbol(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string') throw wrongType(name, 'a non-empty string', value)
  if (value === '') throw wrongValue(name, 'a non-empty string', value)
  return value
}

/** Whether it is a URL object. Those of other realms (Jest) count too. */
export function isUrl(value: unknown): value is URL {
  try {
    return Object.prototype.toString.call(value) === '[object URL]'
  } catch {
    // It has a getter that throws, or is a proxy that does.
    return false
  }
}

/** The path of a `file:` URL; `undefined` for what is none, for one of another host, and for one with a slash in a name. */
export function localFile(href: string): string | undefined {
  try {
    return fileURLToPath(href)
  } catch {
    return undefined
  }
}

/** The text of a path or URL. */
function urlText(name: string, expectation: string, value: unknown): string {
  const text = isUrl(value) ? value.href : value
  if (typeof text !== 'string') throw wrongType(name, expectation, value)
  if (text === '' || text.includes('\0')) throw wrongValue(name, expectation, value)
  return text
}

/**
 * The URL of a module that may be given in any form but a function, for workers with these flags; a package name for which
 * nothing was found as it is.
 * @throws TypeError
 */
export function moduleUrl(module: unknown, flags: WorkerFlags, name = 'module', forms = FORMS): string {
  const text = urlText(name, forms, module)
  if (!path.isAbsolute(text) && !SCHEME.test(text)) return nameUrl(text, flags)
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
function nameUrl(name: string, flags: WorkerFlags): string {
  const folder = process.cwd()
  const file = path.resolve(folder, name)
  if (!PACKAGE.test(name) || isFile(file)) return pathToFileURL(file).href
  const { isBuiltin } = require('node:module') as typeof import('node:module')
  return isBuiltin(name) ? `node:${name}` : (packageOf(name, folder, flags) ?? plugged(name, folder, flags) ?? name)
}

/** What Yarn's Plug'n'Play adds to `node:module`: packages have no folders there. */
interface PlugAndPlay {
  findPnpApi?(from: string): {
    resolveRequest(name: string, issuer: string, options: { conditions: ReadonlySet<unknown> }): string | null
  } | null
}

/** The URL of a package, or of what one exports, where Plug'n'Play knows it. */
function plugged(name: string, folder: string, flags: WorkerFlags): string | undefined {
  const { findPnpApi } = require('node:module') as PlugAndPlay
  const issuer = path.join(folder, path.sep)
  try {
    const file = findPnpApi?.(issuer)?.resolveRequest(name, issuer, { conditions: conditionsFor(flags) })
    return typeof file === 'string' ? pathToFileURL(file).href : undefined
  } catch {
    // Whoever loads it says why not.
    return undefined
  }
}

/** What `import` of a package name, with or without a subpath, would load in a folder; `undefined` for nothing. Without `flags`: here. */
export function packageOf(name: string, folder: string, flags: WorkerFlags = {}): string | undefined {
  const parts = PACKAGE.exec(name)
  return parts === null ? undefined : packageUrl(parts[1] as string, parts[2] ?? '', folder, flags)
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
function packageUrl(name: string, subpath: string, from: string, flags: WorkerFlags): string | undefined {
  const folders = [from]
  for (let at = from; path.dirname(at) !== at; at = path.dirname(at)) folders.push(path.dirname(at))
  const scope = folders.find((folder) => isFile(path.join(folder, 'package.json')))
  if (scope !== undefined) {
    const { name: ownName, exports } = manifestOf(scope)
    if (ownName === name && (exports ?? null) !== null) return exportUrl(scope, exports, subpath, flags)
  }
  const homes = folders.map((folder) => path.join(folder, 'node_modules', name))
  const home = homes.find(isFolder)
  if (home === undefined) return undefined
  const { exports, main } = manifestOf(home)
  if ((exports ?? null) !== null) return exportUrl(home, exports, subpath, flags)
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
function exportUrl(home: string, exports: unknown, subpath: string, flags: WorkerFlags): string | undefined {
  const key = `.${subpath}`
  const isMap = typeof exports === 'object' && Object.keys(exports ?? {}).some((name) => name.startsWith('.'))
  const map = isMap ? (exports as Record<string, unknown>) : { '.': exports }
  const conditions = conditionsFor(flags)
  let target = key.includes('*') ? undefined : selectTarget(ownValue(map, key), undefined, conditions)
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
    target = selectTarget(map[pattern], key.slice(star, key.length - (pattern.length - star - 1)), conditions)
  }
  const base = folderUrl(home)
  const url = typeof target === 'string' && target.startsWith('./') ? new URL(target, base) : undefined
  return url?.href.startsWith(base.href) ? url.href : undefined
}

/** Those of every import of a worker with these flags: Node's own, and what it is started with, in place of what this thread was. */
function conditionsFor({ execArgv, env }: WorkerFlags): ReadonlySet<unknown> {
  const fromEnv = typeof env === 'object' && env !== null ? ownValue(env, 'NODE_OPTIONS') : process.env.NODE_OPTIONS
  const given: readonly unknown[] = Array.isArray(execArgv) ? execArgv : process.execArgv
  const words = [...given, ...optionWords(fromEnv)]
  const names = words.map((word, at) => {
    const match = typeof word === 'string' ? GIVEN.exec(word) : null
    return match === null ? undefined : (match[1] ?? words[at + 1])
  })
  return new Set([...CONDITIONS, ...names])
}

/** The words of NODE_OPTIONS, as Node splits it: at spaces alone, and not at those in double quotes. */
function optionWords(text: unknown): string[] {
  if (typeof text !== 'string') return []
  const unquoted = (_: string, quoted: string): string => quoted.replace(/\\(.)/gs, '$1')
  return (text.match(OPTION_WORD) ?? []).map((word) => word.replace(QUOTED, unquoted))
}

/** The target for these conditions: a text, `null` when it is closed, `undefined` when no condition holds. */
function selectTarget(
  target: unknown,
  match: string | undefined,
  conditions: ReadonlySet<unknown>,
): string | null | undefined {
  if (typeof target === 'string') return match === undefined ? target : target.replaceAll('*', () => match)
  if (target === undefined) return undefined
  if (typeof target !== 'object' || target === null) return null
  if (Array.isArray(target)) {
    return target.map((item: unknown) => selectTarget(item, match, conditions)).find((item) => typeof item === 'string')
  }
  const held = Object.entries(target).filter(([name]) => conditions.has(name))
  return held.map(([, value]) => selectTarget(value, match, conditions)).find((value) => value !== undefined)
}
