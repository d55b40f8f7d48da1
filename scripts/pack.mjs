// Packs compiled modules: what is always loaded together lies in one file, for to find, read and compile thirty files takes
// longer than to run them. Each packed module keeps its own file, which gives what the pack gives, so that whoever asks for
// it gets the same instance.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Modules that others are loaded with. */
const IMPORT = 'index.js'
const LANE = 'lane-parts.js'
const WORKER = 'worker.js'
/** The first one knows where everything is. */
const BASE = 'pack-base.js'

/** The files that packing adds. */
export const PACKS = [BASE, 'pack-core.js', 'pack-payload.js', 'pack-lane.js', 'pack-worker.js']

/** Packs what lies in `folder`; all of it has just been compiled. */
export function pack(folder) {
  const texts = new Map()
  const textOf = (name) => {
    if (!texts.has(name)) texts.set(name, readFileSync(path.join(folder, name), 'utf8'))
    return texts.get(name)
  }
  const closure = (name, found = new Set()) => {
    if (found.has(name)) return found
    found.add(name)
    for (const other of requiredAtLoad(name, textOf(name))) closure(other, found)
    return found
  }
  const [atImport, inLane, inWorker] = [IMPORT, LANE, WORKER].map((name) => closure(name))
  const lists = [
    [...atImport].filter((name) => inWorker.has(name)),
    [...atImport].filter((name) => !inWorker.has(name)),
    [...inLane].filter((name) => inWorker.has(name) && !atImport.has(name)),
    [...inLane].filter((name) => !inWorker.has(name) && !atImport.has(name)),
    [...inWorker].filter((name) => !inLane.has(name) && !atImport.has(name)),
  ]
  const packs = new Map(PACKS.map((file, index) => [file, lists[index]]))
  const places = new Map([...packs].flatMap(([file, names]) => names.map((name) => [name, file])))
  // What an import can ask for is found by scanning the text, and a pack has none in sight; see cjs-module-lexer.
  const exported = `0 && (module.exports = { ${namesOf(IMPORT, textOf).join(', ')} })\n`

  for (const [file, names] of packs) {
    const modules = names.map((name) => moduleText(name, textOf(name), places))
    writeFileSync(path.join(folder, file), packText(file, modules, places))
  }
  for (const [name, file] of places) {
    const up = path.posix.relative(path.posix.dirname(name), '.') || '.'
    // A call of what was required is no re-export to that scan.
    const text = `'use strict'\n// See ${file}.\nconst { load } = require('${up}/${BASE}')\nmodule.exports = load('${name}')\n`
    writeFileSync(path.join(folder, name), name === IMPORT ? text + exported : text)
  }
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

/** A module as a function; in parentheses, which tells the engine that it will be called at once. */
function moduleText(name, text, places) {
  // Those within functions have the quotes of the source.
  const body = text.replaceAll(/\brequire\(["'](\.[^"']*)["']\)/g, (_, request) => {
    const file = resolve(name, request)
    return places.has(file) ? `load("${file}")` : `require("./${file}")`
  })
  return `define("${name}", (function (exports, load) {\n${body}\n}));\n`
}

function packText(file, modules, places) {
  const head = "'use strict'\n"
  if (file === BASE) return `${head}${registryText(places)}${modules.join('')}`
  return `${head}const { define } = require('./${BASE}')\n${modules.join('')}`
}

/** How packed modules find each other. */
function registryText(places) {
  const elsewhere = [...places].filter(([, file]) => file !== BASE)
  return `const places = new Map(${JSON.stringify(elsewhere)})
const functions = new Map()
const instances = new Map()
function define(name, run) {
  functions.set(name, run)
}
function load(name) {
  const known = instances.get(name)
  if (known !== undefined) return known
  if (!functions.has(name)) require(\`./\${places.get(name)}\`)
  const exports = {}
  instances.set(name, exports)
  try {
    functions.get(name)(exports, load)
  } catch (error) {
    instances.delete(name)
    throw error
  }
  return exports
}
module.exports = { define, load }
`
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
