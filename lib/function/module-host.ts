// Stage: run. Thread: a JS worker.
// Serves the exports of one module, which it is told after it has started: its first task brings the URL, every other one
// calls the export of its name.
//
// F1. Exports are looked up by the name under which they are exported, when they are called: `let` exports are live.
//     Numbers stand for names once the module is loaded, in the order in which they were told.
// F2. Calls that come while the module loads begin after that, in their order.

import { type EntryFunction, importUrl, type LoadedEntry } from '../entry-module'
import { isInstance } from '../errors'
import type { Packed } from './packing'

type Callable = (...args: unknown[]) => unknown

/** What Node adds to the exports of CommonJS modules; they are the default export. */
const ADDED = 'module.exports'
/** The text of a class. A property access tells nothing: functions have prototypes, too. */
const CLASS = /^class\b/

/** See the head of this file. */
export class ModuleHost implements LoadedEntry {
  #exports: Record<string, unknown> | undefined
  #loading: Promise<unknown> | undefined
  readonly #members = new Map<string | number, EntryFunction>()
  /** Exports by their number. */
  #names: readonly string[] = []

  /** Loads a module; gives the names of what it exports. */
  readonly fn = async (url: unknown): Promise<readonly string[]> => {
    this.#loading = importUrl(url as string)
    // A call that came with it rejects for the same reason.
    const exports = (await this.#loading) as Record<string, unknown>
    this.#exports = exports
    this.#names = Object.keys(exports).filter((name) => name !== ADDED)
    return this.#names
  }

  find(key: string | number | undefined): EntryFunction {
    if (key === undefined) return this.fn
    const known = this.#members.get(key)
    if (known !== undefined) return known
    const name = typeof key === 'number' ? (this.#names[key] as string) : key
    const member = (packed: unknown): unknown =>
      this.#exports === undefined
        ? this.#loading?.then((exports) => invoke(exports as Record<string, unknown>, name, packed as Packed))
        : invoke(this.#exports, name, packed as Packed)
    this.#members.set(key, member)
    return member
  }
}

/** Calls an export, with the exports for `this`, as a call by the namespace does. */
function invoke(exports: Record<string, unknown>, name: string, packed: Packed): unknown {
  const value = exports[name]
  if (typeof value !== 'function') {
    if (value === undefined && !(name in exports)) throw new TypeError(`the module has no export '${name}'`)
    return value
  }
  const callables = exports as Record<string, Callable>
  try {
    return Array.isArray(packed)
      ? callables[name]?.(...packed)
      : packed === undefined
        ? callables[name]?.()
        : callables[name]?.(packed)
  } catch (error) {
    // Found out when it has failed, so that other calls need not ask.
    if (isInstance(error, TypeError) && CLASS.test(Function.prototype.toString.call(value))) {
      throw new TypeError(`export '${name}' is a class: its instances cannot leave the worker, and it cannot be called`)
    }
    throw error
  }
}
