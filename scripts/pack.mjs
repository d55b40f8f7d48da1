// Packs compiled modules: what is always loaded together lies in one file, for to find, read and compile thirty files takes
// longer than to run them. Each packed module keeps its own file, which gives what the pack gives, so that whoever asks for
// it gets the same instance. Workers have a pack of all that they begin with; what of it their owners need as well lies in
// other packs too, and is taken from the first that is loaded. What values are written with and read is a pack for both.
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Modules that others are loaded with. */
const IMPORT = 'index.js'
const LANE = 'lane-parts.js'
const PAYLOAD = 'payload.js'
const FUNCTIONS = 'function/index.js'
const WORKER = 'worker.js'
/** Loads packs, and lies with a table of all modules in a file that is loaded as any other. */
const LOADER = 'packs.js'
const BASE = 'pack-base.js'
/** What the loader finds and keeps code with. Owners have it with the loader; for workers it is a file of its own. */
const CACHE = 'code-cache.js'

/**
 * What copies the files that a program needs finds them by what it sees required, and sees into no pack; see `@vercel/nft`. It is
 * never run.
 */
const ADDON = "0 && require('../native/index.js')\n"

/** What is imported from outside, of what is packed. */
const ENTRIES = [IMPORT, FUNCTIONS]

/** The files that packing adds. */
export const PACKS = [BASE, 'pack-core.js', 'pack-payload.js', 'pack-lane.js', 'pack-function.js', 'pack-worker.js']

/** Packs what lies in `folder`; all of it has just been compiled. */
export function pack(folder) {
  const texts = new Map()
  const textOf = (name) => {
    if (!texts.has(name)) texts.set(name, readFileSync(path.join(folder, name), 'utf8'))
    return texts.get(name)
  }
  const closure = (name, found = new Set()) => {
    if (found.has(name) || name === LOADER || name === CACHE) return found
    found.add(name)
    for (const other of requiredAtLoad(name, textOf(name))) closure(other, found)
    return found
  }
  const entries = [IMPORT, PAYLOAD, LANE, FUNCTIONS, WORKER]
  const [atImport, inPayload, inLane, inFunctions, inWorker] = entries.map((name) => closure(name))
  // Neither owners nor workers have more than these two by then.
  const atPayload = new Set([...inPayload].filter((name) => !atImport.has(name) || !inWorker.has(name)))
  const atLane = new Set([...inLane].filter((name) => !atImport.has(name) && !inPayload.has(name)))
  const atFunctions = new Set(
    [...inFunctions].filter((name) => !atImport.has(name) && !inPayload.has(name) && !atLane.has(name)),
  )
  const parts = [atImport, atPayload, atLane, atFunctions, inWorker]
  const [, ...files] = PACKS
  const packs = new Map(files.map((file, index) => [file, [...parts[index]]]))
  const places = new Map([...packs].reverse().flatMap(([file, names]) => names.map((name) => [name, file])))
  const exported = new Map(ENTRIES.map((name) => [name, namesOf(name, textOf)]))

  const fingerprints = new Map()
  for (const [file, names] of packs) {
    const isLate = file === places.get(PAYLOAD)
    const modules = names.map((name) => {
      const text = textOf(name)
      return moduleText(name, isLate ? withoutMark(name, text) : text, places)
    })
    const text = packText(modules)
    // The loader reads one byte for each character.
    if (/[^\0-\x7f]/.test(text)) throw new Error(`${file} has characters other than ASCII`)
    writeFileSync(path.join(folder, file), text)
    fingerprints.set(file, createHash('sha256').update(text).digest('hex').slice(0, 16))
  }
  const table = tableText(places, fingerprints)
  const cache = moduleText(CACHE, textOf(CACHE), places)
  const loader = withPlainImports(textOf(LOADER))
  writeFileSync(path.join(folder, BASE), loader + cache + table + ADDON)
  writeFileSync(path.join(folder, LOADER), `'use strict'\nmodule.exports = require('./${BASE}')\n`)
  for (const [name, file] of places) {
    const up = path.posix.relative(path.posix.dirname(name), '.') || '.'
    // A call of what was required is no re-export to that scan.
    const text = `'use strict'\n// See ${file}.\nconst { load } = require('${up}/${BASE}')\nmodule.exports = load('${name}')\n`
    // What an import can ask for is found by scanning the text, and a pack has none in sight; see cjs-module-lexer.
    const names = exported.get(name)
    writeFileSync(
      path.join(folder, name),
      names === undefined ? text : `${text}0 && (module.exports = { ${names.join(', ')} })\n`,
    )
  }
  writeFileSync(path.join(folder, WORKER), workerText(loader + table))
}

/** What a module requires while it is loaded: what stands outside of functions, and so at the start of a line. */
function requiredAtLoad(name, text) {
  const calls = text.matchAll(/^(?:\S.*?)?\brequire\("(\.[^"]*)"\)/gm)
  return [...calls].map(([, request]) => resolve(name, request))
}

/** The file that a module asks for, from the folder of all. */
function resolve(name, request) {
  const file = path.posix.join(path.posix.dirname(name), request)
  return file.endsWith('.js') ? file : `${file}.js`
}

/**
 * A module without what says that it was compiled from an ECMAScript module, which only defaults and namespaces ask for. It calls
 * a function that users may have replaced by the time that the module is loaded.
 */
function withoutMark(name, text) {
  const rest = text.replace('Object.defineProperty(exports, "__esModule", { value: true });\n', '')
  if (/\bObject\.defineProperty\(exports|__import(?:Star|Default)/.test(rest))
    throw new Error(`${name} asks for namespaces`)
  return rest
}

/**
 * A module that takes what it requires as it is: Node's modules have no mark of the compiler's, so that what is imported by default
 * is all of them, and ours have, so that the namespace is what they export.
 */
function withPlainImports(text) {
  const modules = [...text.matchAll(/^const (\w+) = __importDefault\(require\("node:\w+"\)\);$/gm)]
  const names = new Set(modules.map(([, found]) => found))
  const plain = text
    .replaceAll(/\b(\w+)\.default\b/g, (found, name) => (names.has(name) ? name : found))
    .replaceAll(/\b__importDefault\((require\("node:\w+"\))\)/g, '$1')
    .replaceAll(/\b__importStar\((require\("\.[^"]*"\))\)/g, '$1')
  return ['__importDefault', '__importStar', '__setModuleDefault', '__createBinding'].reduce(withoutHelper, plain)
}

/** A module without a function that the compiler has put there, if nothing else of it asks for that. */
function withoutHelper(text, name) {
  const rest = text.replace(new RegExp(`^var ${name} = \\(this && this\\.${name}\\)[^]*?^\\}[()]*;\\n`, 'm'), '')
  return new RegExp(`\\b${name}\\b`).test(rest) ? text : rest
}

/**
 * A module in which what it requires at the start has names of two letters: each name is kept in every thread, and a module has
 * its own. The compiler's end with a number.
 */
function withShortNames(text) {
  const names = [...text.matchAll(/^const (\w+_\d+) = require\(/gm)].map(([, found]) => found)
  const short = new Map(names.map((found, index) => [found, `$${index.toString(36)}`]))
  return names.length === 0 ? text : text.replaceAll(/\b\w+_\d+\b/g, (word) => short.get(word) ?? word)
}

/** A module as a function; in parentheses, which tells the engine that it will be called at once. */
function moduleText(name, text, places) {
  // Those within functions have the quotes of the source.
  const body = withShortNames(withPlainImports(text)).replaceAll(/\brequire\(["'](\.[^"']*)["']\)/g, (_, request) => {
    const file = resolve(name, request)
    return places.has(file) || file === LOADER || file === CACHE ? `load("${file}")` : `require("./${file}")`
  })
  return `define("${name}", (function (exports, load) {\n${body}\n}));\n`
}

/**
 * A pack as a function, which its file exports when it is required, and gives when it is run as a script: modules are
 * functions, which have arguments. `module` may be there for scripts as well, and `this` is not there for all modules.
 */
function packText(modules) {
  const start =
    '(typeof arguments === "undefined" ? {} : module).exports = (function (define, require, __filename, __dirname) {'
  return `${start}\n'use strict'\n${modules.join('')}})\n`
}

/**
 * What a worker begins with: the loader, so that only one file is to be found, read and compiled. What has been loaded before
 * the worker begins may have brought it, and what comes later is to find it.
 */
function workerText(base) {
  return `'use strict'
const { cache } = require
// To resolve it takes longer, but flags may say where it lies.
const isPlain = process.execArgv.length === 0 && !process.env.NODE_OPTIONS
const file = isPlain ? __filename.slice(0, -'${WORKER}'.length) + '${BASE}' : require.resolve('./${BASE}')
// Where hooks give the source of modules, there is none.
const isFirst = cache !== undefined && cache[file] === undefined
if (isFirst) {
cache[file] = module
${base}}
;(isFirst ? module.exports : require(file)).load('${WORKER}')
`
}

/** Tells the loader in which pack each module lies. */
function tableText(places, fingerprints) {
  const packs = [...fingerprints].map(([file, fingerprint]) => {
    const names = [...places].filter(([, place]) => place === file).map(([name]) => name)
    return { file, fingerprint, modules: ` ${names.join(' ')} ` }
  })
  return `setPacks(${JSON.stringify(packs)})\n`
}

/** The names that a compiled module exports: it begins by making all of its own, and says which modules give theirs. */
function namesOf(name, textOf) {
  const text = textOf(name)
  const lists = [...text.matchAll(/^(?:exports\.\w+ = )+/gm)]
  const own = lists.flatMap(([list]) => [...list.matchAll(/exports\.(\w+)/g)].map(([, found]) => found))
  const stars = [...text.matchAll(/^__exportStar\(require\("(\.[^"]*)"\)/gm)]
  const inherited = stars.flatMap(([, request]) => namesOf(resolve(name, request), textOf))
  return [...new Set(['__esModule', ...own, ...inherited])].filter((found) => found !== 'default')
}
