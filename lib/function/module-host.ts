// Stage: run. Thread: a JS worker.
// Serves the exports of one module, which it is told after it has started: its first task brings the URL, every other one
// calls the export of its name.
//
// F1. Exports are looked up by the name under which they are exported, when they are called: `let` exports are live.
//     Numbers stand for names once the module is loaded, in the order in which they were told.
// F2. Calls that come while the module loads begin after that, in their order.

import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import { type EntryFunction, importUrl, type LoadedEntry } from '../entry-module'
import { isInstance } from '../errors'
import type { Packed } from './packing'

type Callable = (...args: unknown[]) => unknown

/** What Node adds to the exports of CommonJS modules; they are the default export. */
const ADDED = 'module.exports'
/** The text of a class. A property access tells nothing: functions have prototypes, too. */
const CLASS = /^class\b/

/** What compilers say of CommonJS modules that they have made of ES modules. */
const MARK = '__esModule'

type Exports = Record<string, unknown>

/** The exports of a loaded module, by name. */
class Loaded {
  readonly names: readonly string[]
  readonly #namespace: Exports
  /** `module.exports` of a CommonJS module: an import of it shows only what Node finds in its text. */
  readonly #own: Exports | undefined

  constructor(namespace: Exports, url: string) {
    this.#namespace = namespace
    this.#own = commonJsOf(namespace, url)
    const names = [...Object.keys(namespace), ...Object.keys(this.#own ?? {})]
    this.names = [...new Set(names)].filter((name) => name !== ADDED && name !== MARK)
  }

  /** What has the export of that name. */
  holderOf(name: string): Exports {
    const own = this.#own
    if (own === undefined) return this.#namespace
    // That of the source; otherwise all of the exports are the default.
    if (name === 'default') return own[MARK] === true && 'default' in own ? own : this.#namespace
    return name in this.#namespace ? this.#namespace : own
  }
}

function commonJsOf(namespace: Exports, url: string): Exports | undefined {
  const { default: own } = namespace
  if ((typeof own !== 'object' && typeof own !== 'function') || own === null) return undefined
  // Its items are no exports.
  if (Array.isArray(own) || ArrayBuffer.isView(own)) return undefined
  const isRequired = !types.isModuleNamespaceObject(namespace) || ADDED in namespace
  return isRequired || own === requiredAt(url) ? (own as Exports) : undefined
}

/** What `require` gives for that file, if it has been loaded. */
function requiredAt(url: string): unknown {
  const file = url.startsWith('file:') ? fileURLToPath(url) : undefined
  return file === undefined ? undefined : require.cache?.[file]?.exports
}

/** See the head of this file. */
export class ModuleHost implements LoadedEntry {
  #exports: Loaded | undefined
  #loading: Promise<Loaded> | undefined
  readonly #members = new Map<string | number, EntryFunction>()
  /** Loads a module; gives the names of what it exports. */
  readonly fn = async (url: unknown): Promise<readonly string[]> => {
    this.#loading = importUrl(url as string).then((namespace) => new Loaded(namespace as Exports, url as string))
    // A call that came with it rejects for the same reason.
    this.#exports = await this.#loading
    return this.#exports.names
  }

  find(key: string | number | undefined): EntryFunction {
    if (key === undefined) return this.fn
    const known = this.#members.get(key)
    if (known !== undefined) return known
    // Exports by their number.
    const name = typeof key === 'number' ? (this.#exports?.names[key] as string) : key
    const member = (packed: unknown): unknown =>
      this.#exports === undefined
        ? this.#loading?.then((exports) => invoke(exports.holderOf(name), name, packed as Packed))
        : invoke(this.#exports.holderOf(name), name, packed as Packed)
    this.#members.set(key, member)
    return member
  }
}

/** Calls an export, with the exports for `this`, as a call by the namespace does. */
function invoke(exports: Exports, name: string, packed: Packed): unknown {
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
