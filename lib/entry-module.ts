// Stage: run. Thread: a JS worker, or the owner env for its own tasks.
// Loads the entry module of a JS lane. Only own properties count as exports (E2 in entry.ts).

import path from 'node:path'
import type { ErrorCode } from '..'
import { builtins } from './builtins'
import { describe, isInstance, ThreadmillError } from './errors'
import { importFrom } from './packs'

const { hasOwn, isPromise } = builtins

/** A function that runs tasks: the input and the client come in, the output or a promise of it goes out. */
export type EntryFunction = (input: unknown, client: unknown) => unknown

/** What the owner hands to a worker: enough to load the entry there. Cloneable. */
export interface EntryPlace {
  /** A `file:`, `data:` or `node:` URL; a package name as it was given when nothing was found for it. */
  readonly url: string
  /** The file that it is, if it is one and nothing else. */
  readonly file?: string | undefined
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
const TYPESCRIPT = /^file:[^?#]*\.(?:[cm]?ts|tsx)(?:[?#]|$)/
const MAX_LISTED = 20

/** The value of an own property; `undefined` when there is none, and for primitive holders. */
export function ownValue(holder: unknown, name: string): unknown {
  const usable = (typeof holder === 'object' && holder !== null) || typeof holder === 'function'
  return usable && hasOwn(holder, name) ? (holder as Record<string, unknown>)[name] : undefined
}

/**
 * Loads an entry module into this thread. `otherwise` gives what stands for an entry function in a module without one;
 * `required`, what an import of a file gives, if there is another way to tell.
 * Rejects with a ThreadmillError `ERR_THREADMILL_ENTRY`, whose `cause` is the error of the import, if there was
 * one.
 */
export async function loadEntry(
  place: EntryPlace,
  otherwise?: () => EntryFunction | undefined,
  required?: (file: string) => unknown,
): Promise<LoadedEntry> {
  const namespace = await importModule(place, required)
  // The default of a CommonJS module is its exports object, whose own default is that of the source when transpiled.
  let inner = ownValue(namespace, 'default')
  const holders = [namespace]
  if (isPromise(inner)) {
    // It waits for what it needs (as with piscina).
    inner = await awaited(place.url, inner)
    holders[1] = { default: inner }
  }
  holders[holders.length] = inner
  holders[holders.length] = ownValue(inner, 'default')
  const valueIn = (name: string, isMeant: (value: unknown) => boolean): unknown => {
    for (let at = 0; at < holders.length; at++) {
      const value = ownValue(holders[at], name)
      if (isMeant(value)) return value
    }
    return undefined
  }
  const lookUp = (name: string) => valueIn(name, (value) => typeof value === 'function') as EntryFunction | undefined
  const missing = (lack: string) =>
    entryError(`entry module ${shown(place.url)} has no ${lack}; it exports ${exportNames(holders)}`)
  const find = (given: string | number): EntryFunction => {
    const name = `${given}`
    const found = lookUp(name)
    if (found !== undefined) return found
    const value = valueIn(name, (each) => each !== undefined)
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

async function awaited(url: string, exported: Promise<unknown>): Promise<unknown> {
  try {
    return await exported
  } catch (error) {
    throw loadError(url, error)
  }
}

/** Bun takes what follows a dot in a data: URL for the extension of a file. */
function importable(url: string): string {
  return 'bun' in process.versions && url.startsWith('data:') ? url.replaceAll('.', '%2E') : url
}

async function importModule({ url, file }: EntryPlace, required?: (file: string) => unknown): Promise<unknown> {
  if (file === undefined && !URL.canParse(url)) throw notFound(url)
  let found: unknown
  try {
    if (file !== undefined) found = required?.(file)
  } catch (error) {
    throw loadError(url, await (require('./required') as typeof import('./required')).explained(url, error))
  }
  try {
    return found ?? (await importUrl(url))
  } catch (error) {
    throw loadError(url, error, TYPESCRIPT.test(url) ? typescript().adviceFor(error) : '')
  }
}

/** Imports a module, also where Node does not run its TypeScript by itself. Rejects with the error of the import. */
export async function importUrl(url: string): Promise<unknown> {
  return TYPESCRIPT.test(url) ? typescript().importTypeScript(url) : importFrom(importable(url))
}

function typescript(): typeof import('./typescript') {
  return require('./typescript') as typeof import('./typescript')
}

/** What was thrown, which may be `undefined`. */
interface Thrown {
  readonly cause: unknown
}

function entryError(message: string, thrown?: Thrown): ThreadmillError {
  return new ThreadmillError(ENTRY, message, thrown)
}

function loadError(url: string, cause: unknown, advice = ''): ThreadmillError {
  return entryError(`cannot load entry module ${shown(url)}: ${firstLine(cause)}${advice}`, { cause })
}

/** Calls `onWorkerStart` where there is one. Rejects with a ThreadmillError `ERR_THREADMILL_ENTRY`. */
export async function startEntry(fn: EntryFunction, client: unknown, url = ''): Promise<void> {
  try {
    await (fn as { onWorkerStart?(client: unknown): unknown }).onWorkerStart?.(client)
  } catch (error) {
    throw entryError(`onWorkerStart of entry module ${shown(url)} failed: ${firstLine(error)}`, { cause: error })
  }
}

function firstLine(cause: unknown): string {
  let message: unknown
  try {
    if (isInstance(cause, Error)) message = cause.message
  } catch {
    // A getter of the module's.
  }
  return (typeof message === 'string' ? message : describe(cause)).split('\n', 1)[0] as string
}

/** What a task is told whose worker could not load its module, for that reason. */
export function unusableEntry(reason: unknown): ThreadmillError {
  // One of ours has the error of the module as its cause, if anything was thrown.
  const ours = (reason ?? {}) as Partial<ThreadmillError>
  const message = isInstance(reason, Error) ? reason.message : 'the entry module cannot be used'
  if (ours.code !== ENTRY) return entryError(message, { cause: reason })
  return entryError(message, hasOwn(ours, 'cause') ? { cause: ours.cause } : undefined)
}

/** What a task is told whose worker has ended, by what was thrown if anything was, before it had loaded its module. */
export function endedUnloaded(exitCode: number, thrown: Thrown | undefined): ThreadmillError {
  const why = thrown === undefined ? '' : `: ${firstLine(thrown.cause)}`
  const message = `the worker ended with exit code ${exitCode} before it was ready for tasks${why}`
  return Object.assign(entryError(message, thrown), { exitCode })
}

function notFound(name: string): ThreadmillError {
  const folder = process.cwd()
  let cause: unknown
  try {
    const { createRequire } = require('node:module') as typeof import('node:module')
    createRequire(path.join(folder, 'entry.js')).resolve(name)
  } catch (error) {
    cause = error
  }
  return entryError(`cannot load entry module '${name}': neither a file nor an importable package in ${folder}`, {
    cause,
  })
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
