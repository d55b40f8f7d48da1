// Where the entry module is, and loading it: every form, in the main thread and in a worker.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

const dist = (name) => fileURLToPath(new URL(`../../dist/${name}`, import.meta.url))
const require = createRequire(import.meta.url)
const { loadEntry } = require(dist('entry-module.js'))
const { resolveEntry } = require(dist('entry.js'))

const TYPE = 'ERR_THREADMILL_INVALID_ARG_TYPE'
const VALUE = 'ERR_THREADMILL_INVALID_ARG_VALUE'
const ENTRY = 'ERR_THREADMILL_ENTRY'
const SOURCE = `export const workerEntrypoint = (input) => 'loaded ' + input\n`
const stripsTypes = Boolean(process.features.typescript)

const fixture = (name) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

/** Loads `place` and calls its function, or another of its exports, with 'x'. Self-contained: workers run its text. */
async function loadAndCall({ loadEntry, place, name, required }) {
  try {
    const entry = await loadEntry(place, undefined, required)
    return { output: await entry.find(name)('x'), same: entry.find(undefined) === entry.fn }
  } catch (error) {
    const { cause } = error
    const kind = error.constructor.name
    return { kind, code: error.code, message: error.message, cause: cause && { ...cause, text: String(cause) } }
  }
}

/** The result of `loadAndCall` here and in a worker, by import and in the way of workers, which must be the same. */
async function load(place, name) {
  const here = await loadAndCall({ loadEntry, place, name })
  const program = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { dist, isImported } = workerData
    const { loadEntry } = require(dist + 'entry-module.js')
    const required = isImported ? undefined : require(dist + 'required.js').required
    ;(${loadAndCall})({ ...workerData, loadEntry, required }).then((result) => parentPort.postMessage(result))`
  for (const isImported of [true, false]) {
    const worker = new Worker(program, { eval: true, workerData: { dist: dist(''), place, name, isImported } })
    const there = await new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject).once('exit', reject)
    })
    assert.deepEqual(there, here)
  }
  return here
}

async function assertOutput(output, module, symbol, name) {
  const { place } = resolveEntry(module, symbol)
  assert.deepEqual(structuredClone(place), place)
  assert.deepEqual(await load(place, name), { output, same: true })
}

/** The failure of loading, whose message must match all patterns. */
async function assertFailure(module, symbol, ...patterns) {
  const result = await load(resolveEntry(module, symbol).place)
  assert.equal(result.kind, 'ThreadmillError', JSON.stringify(result))
  assert.equal(result.code, ENTRY)
  for (const pattern of patterns) assert.match(result.message, pattern)
  assert.ok(!result.message.includes('\n'), result.message)
  return result
}

let folder
before(() => {
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'threadmill-entry-')))
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** Writes a file below the temporary folder; its path. */
function write(name, source = SOURCE) {
  const file = path.join(folder, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, typeof source === 'string' ? source : JSON.stringify(source))
  return file
}

describe('forms', () => {
  const file = fixture('module.mjs')

  test('an absolute path, a file: URL as string and as object', async () => {
    await assertOutput('workerEntrypoint x', file)
    await assertOutput('workerEntrypoint x', pathToFileURL(file).href)
    await assertOutput('workerEntrypoint x', pathToFileURL(file))
  })

  test('the location of a module itself: import.meta.url, __filename; its import.meta.url is the place', async () => {
    const { place } = resolveEntry(import.meta.url)
    assert.deepEqual(place, { url: import.meta.url, file: fileURLToPath(import.meta.url), symbol: undefined })
    assert.equal(resolveEntry(fileURLToPath(import.meta.url)).place.url, import.meta.url)
    await assertOutput(pathToFileURL(file).href, file, 'where')
  })

  test('a query of a file: URL stays', async () => {
    assert.equal(resolveEntry(`${pathToFileURL(file).href}?v=1`).place.file, undefined)
    await assertOutput(`${pathToFileURL(file).href}?v=1`, `${pathToFileURL(file).href}?v=1`, 'where')
  })

  test('data: URLs, plain, with a charset and in base64', async () => {
    await assertOutput('loaded x', `data:text/javascript,${encodeURIComponent(SOURCE)}`)
    await assertOutput('loaded x', `data:text/javascript;charset=utf-8,${encodeURIComponent(SOURCE)}`)
    await assertOutput('loaded x', `data:text/javascript;base64,${Buffer.from(SOURCE).toString('base64')}`)
    await assertOutput('loaded x', new URL(`data:application/javascript,${encodeURIComponent(SOURCE)}`))
  })

  test('built-in modules', async () => {
    assert.equal(resolveEntry('path').place.url, 'node:path')
    await assertOutput('x', 'node:path', 'basename')
  })

  for (const name of ['with space', 'a#b', '50%', 'a%20b', 'q?uery', 'größe-日本-🙂', `quo'te`, 'semi;colon', '[x]']) {
    const skip = process.platform === 'win32' && name.includes('?')
    test(`a path with the name ${name}`, { skip }, async () => {
      const file = write(`${name}/${name}.mjs`)
      await assertOutput('loaded x', file)
      await assertOutput('loaded x', pathToFileURL(file))
    })
  }

  test('a function with modulePath and moduleSymbol', async () => {
    const place = (properties, symbol) => {
      const fn = Object.assign(() => {}, properties)
      const entry = resolveEntry(fn, symbol)
      assert.equal(entry.fn, fn)
      return entry.place
    }
    const url = pathToFileURL(file).href
    const there = { url, file }
    assert.deepEqual(place({ modulePath: file, moduleSymbol: 'other' }), { ...there, symbol: 'other' })
    assert.deepEqual(place({ modulePath: url }), { ...there, symbol: undefined })
    assert.deepEqual(place({ modulePath: new URL(url) }), { ...there, symbol: undefined })
    assert.deepEqual(place({ modulePath: file, moduleSymbol: 'other' }, 'processTask'), {
      ...there,
      symbol: 'processTask',
    })
    assert.equal(resolveEntry(file).fn, undefined)
    assert.deepEqual(await load(place({ modulePath: file, moduleSymbol: 'other' })), { output: 'other x', same: true })
  })

  test('what does not exist is no malformed form', () => {
    for (const module of ['/no/such/file.mjs', './no-such-file', 'file:///no/such/file.mjs', 'no-such-package']) {
      if (process.platform === 'win32' && module.startsWith('file:')) continue
      assert.equal(typeof resolveEntry(module).place.url, 'string')
    }
  })

  test('drive letters are no URLs', () => {
    for (const name of ['C:\\dir\\worker.mjs', 'C:/dir/worker.mjs', 'c:worker.mjs']) {
      assert.equal(resolveEntry(name).place.url, pathToFileURL(path.resolve(name)).href)
    }
  })

  const withoutPath = function task() {}
  const cases = [
    ['nothing', undefined, undefined, TYPE],
    ['null', null, undefined, TYPE],
    ['a number', 5, undefined, TYPE],
    ['a plain object', {}, undefined, TYPE],
    ['an object that looks like a URL', { href: 'file:///x.mjs', protocol: 'file:' }, undefined, TYPE],
    ['an array', ['/x.mjs'], undefined, TYPE],
    ['a symbol', Symbol('s'), undefined, TYPE],
    ['an empty string', '', undefined, VALUE],
    ['a string with NUL', '/a\0b.mjs', undefined, VALUE],
    ['an http: URL', 'http://localhost/x.mjs', undefined, VALUE],
    ['an https: URL object', new URL('https://localhost/x.mjs'), undefined, VALUE],
    ['a blob: URL', 'blob:nodedata:1', undefined, VALUE],
    ['a data: URL of JSON', 'data:application/json,{}', undefined, VALUE],
    ['a data: URL without a type', 'data:,export default 1', undefined, VALUE],
    ['a data: URL without a comma', 'data:text/javascript', undefined, VALUE],
    ['a file: URL with an encoded slash', 'file:///a%2Fb.mjs', undefined, VALUE],
    ['a function without modulePath', withoutPath, undefined, TYPE],
    ['a function with an inherited modulePath', Object.setPrototypeOf(() => {}, { modulePath: '/x' }), undefined, TYPE],
    ['a relative modulePath', Object.assign(() => {}, { modulePath: './x.mjs' }), undefined, VALUE],
    ['a modulePath of wrong type', Object.assign(() => {}, { modulePath: 5 }), undefined, TYPE],
    [
      'a modulePath that is a data: URL',
      Object.assign(() => {}, { modulePath: 'data:text/javascript,' }),
      undefined,
      VALUE,
    ],
    ['a moduleSymbol of wrong type', Object.assign(() => {}, { modulePath: '/x', moduleSymbol: 5 }), undefined, TYPE],
    ['an entrypointSymbol of wrong type', '/x.mjs', 5, TYPE],
    ['an entrypointSymbol that is null', '/x.mjs', null, TYPE],
    ['an empty entrypointSymbol', '/x.mjs', '', VALUE],
  ]
  for (const [title, module, symbol, code] of cases) {
    test(`${title} throws`, () => {
      assert.throws(
        () => resolveEntry(module, symbol),
        (error) => error instanceof TypeError && error.code === code && /must be .*; got /.test(error.message),
      )
    })
  }

  test('errors name what was wrong', () => {
    assert.throws(() => resolveEntry(5), /^TypeError: module must be a path, .*; got 5$/)
    assert.throws(() => resolveEntry(withoutPath), /^TypeError: modulePath of function task must be .*; got undefined$/)
    assert.throws(() => resolveEntry('/x', 5), /^TypeError: options\.entrypointSymbol must be .*; got 5$/)
  })
})

describe('names', () => {
  let app
  before(() => {
    app = path.join(folder, 'app')
    const manifest = (name, content) => write(`app/node_modules/${name}/package.json`, content)
    const module = (name, output = name) => write(`app/${name}`, `export const processTask = () => '${output}'\n`)
    write('app/package.json', { name: 'app', type: 'module', exports: { './task': './src/task.mjs' } })
    module('MyWorker.js')
    module('src/task.mjs')
    module('both', 'file')
    manifest('both', { exports: './index.mjs' })
    module('folder-too/index.js')
    manifest('folder-too', { exports: './folder.mjs' })
    module('node_modules/folder-too/folder.mjs')
    write('app/node_modules/plain/index.js', `exports.processTask = () => 'plain'\n`)
    manifest('mained', { main: 'lib/main' })
    write('app/node_modules/mained/lib/main.js', `module.exports = () => 'mained'\n`)
    manifest('main-folder', { main: './lib/' })
    write('app/node_modules/main-folder/lib/index.js', `module.exports = () => 'main-folder'\n`)
    module('node_modules/mained/lib/deep er.mjs', 'deep')
    manifest('dual', {
      exports: {
        '.': { types: './no.d.ts', require: './required.cjs', import: { node: './imported.mjs' }, default: './no.mjs' },
        './sync': { 'module-sync': './imported.mjs', default: './no.mjs' },
        './addons': { browser: './no.mjs', 'node-addons': './imported.mjs' },
        './array': [{ browser: './no.mjs' }, './imported.mjs'],
        './tasks/*': './tasks/*.mjs',
        './tasks/more/*.js': './tasks/*.mjs',
        './tasks/closed/*': null,
        './closed': null,
        './outside': './../plain/index.js',
        './bare': 'plain',
      },
    })
    module('node_modules/dual/imported.mjs', 'imported')
    write('app/node_modules/dual/required.cjs', `exports.processTask = () => 'required'\n`)
    module('node_modules/dual/tasks/a.mjs', 'a')
    module('node_modules/dual/tasks/closed/a.mjs')
    module('node_modules/dual/closed.mjs')
    manifest('required-only', { exports: { require: './index.cjs' } })
    write('app/node_modules/required-only/index.cjs', 'exports.processTask = () => 1\n')
    manifest('@scope/name', { exports: { import: './index.mjs' } })
    module('node_modules/@scope/name/index.mjs', 'scoped')
    write('node_modules/above/index.js', `exports.processTask = () => 'above'\n`)
    // Tells what import finds from there.
    write(
      'app/resolve.mjs',
      `for (const name of process.argv.slice(2)) {
      let url
      try { url = import.meta.resolve(name) } catch {}
      console.log(JSON.stringify(url ?? name))
    }`,
    )
  })

  /** Lines of JSON that a program prints in `app`. */
  function inApp(args) {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: app,
      encoding: 'utf8',
      timeout: 60_000,
    })
    assert.equal(status, 0, stderr)
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  }

  /** The places of names, resolved in a process whose working directory is `app`. */
  function placesOf(names) {
    const program = `const { resolveEntry } = require(process.argv[1])
      for (const name of process.argv.slice(2)) console.log(JSON.stringify(resolveEntry(name).place))`
    return inApp(['-e', program, dist('entry.js'), ...names])
  }

  test('relative paths and files of the working directory', async () => {
    const names = ['./MyWorker.js', 'MyWorker.js', './src/../MyWorker.js', 'src/task.mjs', './src/task.mjs', 'both']
    const files = ['MyWorker.js', 'MyWorker.js', 'MyWorker.js', 'src/task.mjs', 'src/task.mjs', 'both']
    const places = placesOf(names)
    assert.deepEqual(
      places.map(({ url }) => url),
      files.map((name) => pathToFileURL(path.join(app, name)).href),
    )
    assert.deepEqual(await load(places[0]), { output: 'MyWorker.js', same: true })
    assert.deepEqual(await load(places[3]), { output: 'src/task.mjs', same: true })
  })

  test('packages resolve as import resolves them from there', async () => {
    const outputs = {
      plain: 'plain',
      mained: 'mained',
      'main-folder': 'main-folder',
      'mained/lib/deep er.mjs': 'deep',
      'folder-too': 'node_modules/folder-too/folder.mjs',
      dual: 'imported',
      'dual/tasks/a': 'a',
      'dual/tasks/more/a.js': 'a',
      '@scope/name': 'scoped',
      above: 'above',
      'app/task': 'src/task.mjs',
      'dual/array': 'imported',
      'dual/sync': 'imported',
      'dual/addons': 'imported',
    }
    const names = Object.keys(outputs)
    const places = placesOf(names)
    assert.deepEqual(
      places.map(({ url }) => url),
      inApp(['resolve.mjs', ...names]),
    )
    for (const [index, name] of names.entries()) {
      assert.deepEqual(await load(places[index]), { output: outputs[name], same: true }, name)
    }
  })

  test('what import would not find fails at load, with the cause', async () => {
    const names = [
      'no-such-package',
      '@scope/other',
      'plain-not/x.mjs',
      'dual/closed',
      'dual/tasks/closed/a',
      'dual/closed.mjs',
      'dual/outside',
      'dual/bare',
      'dual/toString',
      'required-only',
      'app/other',
      'app',
    ]
    assert.deepEqual(inApp(['resolve.mjs', ...names]), names)
    const places = placesOf(names)
    assert.deepEqual(
      places,
      names.map((url) => ({ url })),
    )
    const result = await load(places[0])
    assert.deepEqual([result.kind, result.code], ['ThreadmillError', ENTRY])
    assert.equal(
      result.message,
      `cannot load entry module 'no-such-package': neither a file nor an importable package in ${process.cwd()}`,
    )
    assert.equal(result.cause.code, 'MODULE_NOT_FOUND')
    assert.equal((await load(places[3])).code, ENTRY)
  })

  test('a name of absurd length is only not found', () => {
    assert.equal(resolveEntry('a'.repeat(10_000)).place.url, 'a'.repeat(10_000))
  })
})

describe('symbols', () => {
  const search = [
    ['module.mjs', 'workerEntrypoint x'],
    ['process-task.mjs', 'processTask x'],
    ['default.mjs', 'default x'],
    ['awaits.mjs', 'awaited x'],
    ['commonjs.cjs', 'processTask x'],
    ['commonjs-function.cjs', 'module.exports x'],
    ['commonjs-default.cjs', 'default x'],
    ['transpiled.cjs', 'default x'],
    ['transpiled-object.cjs', 'processTask x'],
  ]
  for (const [name, output] of search) {
    test(`the search finds ${output.split(' ')[0]} in ${name}`, () => assertOutput(output, fixture(name)))
  }

  test('a given symbol wins; so does the name of a call', async () => {
    for (const name of ['module.mjs', 'commonjs.cjs', 'transpiled.cjs']) {
      await assertOutput('other x', fixture(name), 'other')
      await assertOutput('other x', fixture(name), undefined, 'other')
    }
    await assertOutput('default x', fixture('module.mjs'), 'default')
    await assertOutput('default x', fixture('transpiled.cjs'), 'default')
  })

  test('a class is found; calling it is up to the user', async () => {
    const { fn, find } = await loadEntry(resolveEntry(fixture('class.mjs')).place)
    assert.equal(fn.name, 'Task')
    assert.equal(find('Resize').name, 'Resize')
  })

  test('a missing symbol and one that is no function: the message says which and what there is', async () => {
    const exported = /it exports default, notFunction, other, processTask, where, workerEntrypoint$/
    await assertFailure(fixture('module.mjs'), 'nope', /module\.mjs' has no export 'nope'/, exported)
    await assertFailure(fixture('module.mjs'), 'notFunction', /has no function 'notFunction': that is 5/, exported)
    await assertFailure(fixture('commonjs.cjs'), 'nope', /exports default, processTask, other$/)
    await assertFailure(
      fixture('no-function.mjs'),
      undefined,
      /has no function workerEntrypoint, processTask or default/,
      /it exports alpha, beta$/,
    )
    await assertFailure('data:text/javascript,0', undefined, /it exports nothing$/)
    const result = await load(resolveEntry(fixture('module.mjs')).place, 'nope')
    assert.deepEqual([result.kind, result.code, result.cause], ['ThreadmillError', ENTRY, undefined])
  })

  test('names of prototypes are found as own exports only', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'call']) {
      for (const module of ['module.mjs', 'commonjs.cjs', 'commonjs-function.cjs', 'class.mjs']) {
        await assert.rejects(loadEntry(resolveEntry(fixture(module), name).place), { code: ENTRY })
        const { find } = await loadEntry(resolveEntry(fixture(module === 'class.mjs' ? 'module.mjs' : module)).place)
        assert.throws(() => find(name), { code: ENTRY })
      }
    }
    for (const name of ['__proto__', 'constructor', 'toString']) {
      await assertOutput('own x', fixture('own-names.mjs'), name)
    }
  })
})

describe('a default export that is a promise', () => {
  test('is waited for: a function, and an object of functions', async () => {
    await assertOutput('later x', write('later.mjs', `export default Promise.resolve((input) => 'later ' + input)`))
    await assertOutput('later x', write('later.cjs', `module.exports = (async () => (input) => 'later ' + input)()`))
    const several = `export default Promise.resolve({ processTask: () => 'found', other: () => 'other' }); export const own = () => 'own'`
    await assertOutput('found', write('several.mjs', several))
    await assertOutput('other', write('several.mjs', several), undefined, 'other')
    await assertOutput('own', write('several.mjs', several), undefined, 'own')
    await assertOutput('later x', path.join(folder, 'later.mjs'), 'default')
  })

  test('is the cause when it rejects, and what it gives may be no function', async () => {
    const file = write('never.cjs', `module.exports = Promise.reject(new RangeError('not now'))`)
    const { cause } = await assertFailure(file, undefined, /never\.cjs': not now$/)
    assert.equal(cause.text, 'RangeError: not now')
    await assertFailure(
      write('five.mjs', 'export default Promise.resolve(5)'),
      undefined,
      /no function .*it exports default$/,
    )
  })
})

describe('modules that do not load', () => {
  test('no such file', async () => {
    const { cause } = await assertFailure(
      path.join(folder, 'nope.mjs'),
      undefined,
      /^cannot load entry module 'file:.*nope\.mjs': /,
    )
    assert.equal(cause.code, 'ERR_MODULE_NOT_FOUND')
  })

  test('a folder, JSON, an unknown built-in module', async () => {
    mkdirSync(path.join(folder, 'empty'))
    assert.equal((await assertFailure(path.join(folder, 'empty'))).cause.code, 'ERR_UNSUPPORTED_DIR_IMPORT')
    await assertFailure(write('data.json', {}), undefined, /data\.json': .*json/)
    assert.equal((await assertFailure('node:nope')).cause.code, 'ERR_UNKNOWN_BUILTIN_MODULE')
  })

  test('a syntax error', async () => {
    const { cause } = await assertFailure(
      write('syntax.mjs', 'export const = 5\n'),
      undefined,
      /syntax\.mjs': .*Unexpected/,
    )
    assert.match(cause.text, /^SyntaxError/)
  })

  test('a module that throws: an error, and values that are none', async () => {
    const { cause } = await assertFailure(
      write('throws.mjs', `throw new RangeError('at load')`),
      undefined,
      /: at load$/,
    )
    assert.equal(cause.text, 'RangeError: at load')
    await assertFailure(write('throws-cjs.cjs', `throw new Error('one\\ntwo')`), undefined, /: one$/)
    await assertFailure(write('throws-odd.mjs', `throw Object.assign(new Error('odd'), { message: 5 })`))
    await assertFailure(write('throws-null.mjs', 'throw null'), undefined, /: null$/)
    await assertFailure(write('throws-text.mjs', `throw 'text'`), undefined, /: 'text'$/)
    await assertFailure(write('rejects.mjs', `await Promise.reject(new Error('awaited'))`), undefined, /: awaited$/)
  })

  test('long data: URLs are shortened in messages', async () => {
    const { message } = await assertFailure(`data:text/javascript,throw new Error('x');${'/'.repeat(5000)}`)
    assert.ok(message.length < 200, message)
  })
})

describe('TypeScript', () => {
  const advice = /use Node 22\.18 or newer with erasable syntax, install 'tsx' beside the module, or compile it/
  const enumeration = 'enum Kind { A = 1 }\nexport const workerEntrypoint = (): number => Kind.A\n'

  test('an entry runs where Node strips types; elsewhere the message says what to do', async () => {
    // A copy, so that a tsx of this repository is out of reach.
    const file = write('typed.mts', readFileSync(fixture('typed.mts'), 'utf8'))
    if (stripsTypes) await assertOutput('typed x', file)
    else await assertFailure(file, undefined, /typed\.mts': /, advice)
  })

  test('what Node cannot strip: the message says what to do', async () => {
    await assertFailure(write('enum.mts', enumeration), undefined, /enum\.mts': /, advice)
    await assertFailure(write('view.tsx', enumeration), undefined, /view\.tsx': /, advice)
    await assertFailure(write('node_modules/typed/index.mts', enumeration), undefined, /index\.mts': /, advice)
  })

  test('an unknown extension of another module has no such advice', async () => {
    const { message } = await assertFailure(write('entry.unknown'))
    assert.doesNotMatch(message, advice)
  })

  test('otherwise tsx loads it, when the module could import tsx', async () => {
    write('typed/node_modules/tsx/package.json', {
      exports: { './esm/api': { import: './api.mjs', require: './no.cjs' } },
    })
    write(
      'typed/node_modules/tsx/api.mjs',
      `export async function tsImport(url, parent) {
        if (url.endsWith('broken.mts')) throw new SyntaxError('from tsx')
        return { workerEntrypoint: (input) => ['tsx', url === parent, url.split('/').at(-1), input].join(' ') }
      }`,
    )
    await assertOutput('tsx true enum.mts x', write('typed/enum.mts', enumeration))
    await assertFailure(write('typed/broken.mts', enumeration), undefined, /broken\.mts': from tsx$/)
    await assertOutput('loaded x', write('typed/plain.mjs'))
  })
})
