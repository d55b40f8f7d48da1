// Modules whose exports run in workers: what can be imported, what is on the proxies, and what calls give.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { isMainThread, threadId, Worker } from 'node:worker_threads'
import { transfer } from 'threadmill'
import {
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  importWorkerProxy,
  MainThread,
  normalizeFilename,
} from 'threadmill/function'
import { runProgram } from '../helpers/child.mjs'
import { rejection, until } from '../helpers/pool.mjs'
import { CRASHED, FILE, HELPERS, MODULE, persistent } from './imports.mjs'

for (const [helper, open] of Object.entries(HELPERS)) {
  describe(helper, () => {
    let proxy
    let call
    let end
    before(async () => {
      ;({ proxy, call, end } = await open(MODULE))
    })
    after(() => end?.())

    test('calls run in a worker, and the module is evaluated there only', async () => {
      const place = await call('where')
      assert.equal(place.isMainThread, false)
      assert.notEqual(place.threadId, threadId)
      assert.equal(isMainThread, true)
      const marking = await open('data:text/javascript,globalThis.wasEvaluated = true; export const mark = () => true')
      assert.equal(await marking.call('mark'), true)
      assert.equal(globalThis.wasEvaluated, undefined)
      await marking.end?.()
    })

    test('arguments and outputs pass by structured clone', async () => {
      const circular = { name: 'circle' }
      circular.self = circular
      for (const value of [1, -0, 'text', '', true, null, undefined, 10n, [1, [2]], [], { a: undefined }]) {
        assert.deepEqual(await call('echo', value), value)
      }
      const values = [new Map([[1, new Set([2])]]), new Date(5), /x/gi, new Float32Array([1, 2]), new TypeError('e')]
      for (const value of values) assert.deepEqual(await call('echo', value), value)
      const copy = await call('echo', circular)
      assert.equal(copy.self, copy)
      const shared = new Int32Array(new SharedArrayBuffer(4))
      const back = await call('echo', shared)
      back[0] = 7
      assert.equal(shared[0], 7)
      assert.deepEqual(await call('default', 1, [2], undefined), [1, [2], undefined])
      for (const args of [[], [undefined], [null], [[]], [1], ['a', 'b']]) {
        assert.equal(await call('argumentCount', ...args), args.length)
      }
    })

    test('values are read, functions are called', async () => {
      assert.equal(await call('counter'), 0)
      assert.equal(await call('nothing'), null)
      assert.equal(await call('later'), undefined)
      assert.equal(await call('promised'), 'kept')
      assert.deepEqual(await call('table'), new Map([['a', { deep: [1, 2n, new Date(0)] }]]))
    })

    test('exports are found by the name of the export', async () => {
      assert.equal(await call('inner'), 'by export name')
      assert.equal(await call('renamed', 3), 3)
      assert.equal(typeof proxy.otherName, 'undefined')
      assert.equal(typeof proxy.local, 'undefined')
    })

    test('the proxy shows the exports and nothing else', async () => {
      const names = Object.keys(await import(MODULE)).sort()
      assert.deepEqual(Object.keys(proxy).sort(), names)
      assert.deepEqual(Reflect.ownKeys(proxy).sort(), names)
      assert.equal('echo' in proxy, true)
      assert.equal('toString' in proxy, false)
      for (const name of ['then', 'toString', 'constructor', '__proto__', 'nowhere', Symbol.iterator]) {
        assert.equal(typeof proxy[name], 'undefined')
      }
      assert.equal(typeof proxy.later, 'function')
      assert.equal(typeof proxy.nothing, 'function')
      assert.equal(Object.prototype.toString.call(proxy), '[object Object]')
      assert.match(inspect(proxy), /echo: \[Function: echo\]/)
      assert.equal(await Promise.resolve(proxy), proxy)
      assert.throws(() => Object.assign(proxy, { echo: 1 }), TypeError)
      const { echo } = proxy
      const called = echo('alone')
      assert.equal(await (typeof called === 'function' ? called() : called), 'alone')
    })

    test('an export `then` makes no promise of the proxy', { timeout: 20_000 }, async () => {
      for (const then of ['const then = 5', 'const then = undefined', 'let then = () => {}; then = null']) {
        const settled = await open(`data:text/javascript,export ${then}; export const same = (value) => value`)
        assert.deepEqual([Object.keys(settled.proxy), 'then' in settled.proxy], [['same'], false])
        assert.equal(await settled.call('same', 1), 1)
        await settled.end?.()
      }
      // As `import()` does.
      const other = 'data:text/javascript,export const then = (resolve) => resolve({ same: (value) => value })'
      const settled = await open(other)
      assert.equal(await settled.call('same', 1), 1)
      await settled.end?.()
      const failing = 'data:text/javascript,export const then = (_, reject) => reject(new RangeError("no"))'
      assert.equal((await rejection(open(failing))).message, 'no')
    })

    test('errors reject with all they carry, and other values as they are', async () => {
      const error = await rejection(call('failRichly'))
      assert.equal(error instanceof RangeError, true)
      assert.deepEqual([error.name, error.message, error.code], ['RangeError', 'out of bread', 'E_BREAD'])
      assert.deepEqual(error.shelf, { empty: true })
      assert.equal(error.cause instanceof TypeError, true)
      assert.match(error.stack, /module\.mjs/)
      for (const reason of ['text', 5, undefined, null, { a: [1] }]) {
        assert.deepEqual(await rejection(call('fail', reason)), reason)
      }
    })

    test('what cannot be cloned fails the call only', async () => {
      for (const value of [() => {}, Symbol('s'), { f() {} }]) {
        assert.equal((await rejection(call('echo', value))).name, 'DataCloneError')
      }
      assert.equal((await rejection(call('methods'))).name, 'DataCloneError')
      for (const what of ['port', 'revoked proxy']) {
        assert.match((await rejection(call('failOddly', what))).message, /failed with a value that cannot be cloned/)
      }
      const error = await rejection(call('Point', 1))
      assert.equal(error instanceof TypeError, true)
      assert.match(error.message, /'Point' is a class/)
      assert.equal(await call('echo', 'still there'), 'still there')
    })

    test('buffers move both ways when they are marked', async () => {
      const bytes = new Uint8Array(1024).fill(3)
      assert.equal(await call('size', transfer(bytes, [bytes.buffer])), 1024)
      assert.equal(bytes.byteLength, 0)
      const [one, two] = [new Uint8Array(1).fill(1), new Uint8Array(2).fill(2)]
      const back = await call('default', transfer(one, [one.buffer]), 'between', transfer(two, [two.buffer]))
      assert.deepEqual(back, [Uint8Array.of(1), 'between', Uint8Array.of(2, 2)])
      assert.deepEqual([one.byteLength, two.byteLength], [0, 0])
    })

    test('a worker that ends rejects the call at once', async () => {
      const ended = await open(MODULE)
      const error = await rejection(ended.call('exit', 3))
      assert.deepEqual([error.code, error.exitCode], [CRASHED, 3])
      assert.match(error.message, /exit code 3/)
      await ended.end?.()
    })

    test('a call that takes too long rejects and ends its worker', async () => {
      const slow = await open(MODULE, {}, { timeout: 60 })
      for (const name of ['spin', 'never']) {
        const again = name === 'never' ? await open(MODULE, {}, { timeout: 60 }) : slow
        const error = await rejection(again.call(name))
        assert.equal(error.message, 'Worker timeout after 60ms')
        assert.equal(error.code, 'ERR_THREADMILL_TIMEOUT')
        await again.end?.()
      }
    })

    test('a limit for calls is none for the import', async () => {
      const { end } = await open(MODULE, {}, { timeout: 1 })
      await end?.()
    })
  })
}

describe('what can be imported', () => {
  const forms = {
    'a URL': MODULE,
    'a file: URL as text': MODULE.href,
    'an absolute path': FILE,
    'a path from the working directory': `./${path.relative(process.cwd(), FILE).split(path.sep).join('/')}`,
    'a path upwards': `../${path.basename(process.cwd())}/${path.relative(process.cwd(), FILE).split(path.sep).join('/')}`,
  }
  for (const [name, form] of Object.entries(forms)) {
    test(name, async (t) => {
      const proxy = await persistent(t, form)
      assert.equal(await proxy.echo('there'), 'there')
    })
  }

  test('a data: URL', async (t) => {
    const hello = await importTaskWorker(
      'data:text/javascript,export const helloWorld = () => "Hello World!"; export default 42',
    )
    assert.equal(await hello.helloWorld()(), 'Hello World!')
    assert.equal(await hello.default()(), 42)
    const counting = await persistent(
      t,
      'data:text/javascript,export let counter = 0; export const count = () => ++counter',
    )
    await counting.count()
    await counting.count()
    assert.equal(await counting.counter(), 2)
  })

  test('a CommonJS module: its exports, and all of them as default', async (t) => {
    const proxy = await persistent(t, new URL('./fixtures/commonjs.cjs', import.meta.url))
    assert.equal(await proxy.named(1), 'named 1')
    assert.equal(await proxy.plain(), 5)
    assert.equal(typeof proxy.default, 'function')
    assert.deepEqual(Object.keys(proxy).sort(), ['default', 'named', 'plain', 'timesPlain'])
  })

  test('CommonJS modules whose exports Node does not find in their text', async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'threadmill-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const add = '(a, b) => a + b'
    const modules = {
      literal: [`module.exports = { add: ${add}, sub: (a, b) => a - b }`, ['add', 'default', 'sub']],
      assigned: [`Object.assign(exports, { add: ${add} })`, ['add', 'default']],
      handedOn: [`const own = './literal.cjs'; module.exports = require(own)`, ['add', 'default', 'sub']],
      instance: [`module.exports = new (class { add = ${add} })()`, ['add', 'default']],
      callable: [`module.exports = Object.assign((a) => -a, { add: ${add} })`, ['add', 'default']],
      list: [`module.exports = [1, 2]`, ['default']],
      transpiled: [
        `Object.defineProperty(exports, '__esModule', { value: true }); exports.add = ${add}; exports.default = (a) => 'own ' + a`,
        ['add', 'default'],
      ],
    }
    for (const [name, [text]] of Object.entries(modules)) writeFileSync(path.join(folder, `${name}.cjs`), text)
    for (const [name, [, names]] of Object.entries(modules)) {
      const proxy = await persistent(t, path.join(folder, `${name}.cjs`))
      assert.deepEqual(Object.keys(proxy).sort(), names, name)
      if (names.includes('add')) assert.equal(await proxy.add(1, 2), 3, name)
      if (name === 'callable') assert.equal(await proxy.default(4), -4)
      if (name === 'list') assert.deepEqual(await proxy.default(), [1, 2])
      if (name === 'transpiled') assert.equal(await proxy.default(4), 'own 4')
    }
  })

  test('packages, ESM and CommonJS, from the working directory, and built-in modules', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'threadmill-'))
    const write = (name, manifest, source) => {
      const home = path.join(folder, 'node_modules', name)
      mkdirSync(home, { recursive: true })
      writeFileSync(path.join(home, 'package.json'), JSON.stringify({ name, version: '1.0.0', ...manifest }))
      writeFileSync(path.join(home, 'index.js'), source)
    }
    write('es-package', { type: 'module', exports: './index.js' }, 'export default (a) => "es " + a')
    write('@scope/cjs-package', {}, 'module.exports = (a) => "cjs " + a')
    const { stdout, stderr, code } = await runProgram(
      `import { importTaskWorker, importWorker } from 'threadmill/functions'
       process.chdir(${JSON.stringify(folder)})
       const es = await importTaskWorker('es-package')
       const cjs = await importTaskWorker('@scope/cjs-package')
       const os = await importWorker('node:os')
       const path = await importWorker('path')
       console.log(await es.default(1)(), await cjs.default(2)(), typeof await os.cpus(), await path.basename('/a/b'))`,
    )
    assert.deepEqual({ stdout, stderr, code }, { stdout: 'es 1 cjs 2 object b\n', stderr: '', code: 0 })
  })

  test('TypeScript, by this Node or the tsx that the module could import', async (t) => {
    const proxy = await persistent(t, new URL('./fixtures/typed.mts', import.meta.url))
    assert.equal(await proxy.double(4), 8)
  })

  test('what cannot be loaded rejects with the error of the import', async () => {
    const throwing = 'data:text/javascript,throw Object.assign(new RangeError("at load"), { code: "E_LOAD" })'
    for (const helper of [importTaskWorker, importWorker, importPersistentWorker]) {
      assert.equal((await rejection(helper('./no-such-file.mjs'))).code, 'ERR_MODULE_NOT_FOUND')
      assert.equal((await rejection(helper('no-such-package'))).code, 'ERR_MODULE_NOT_FOUND')
      assert.equal((await rejection(helper('data:text/javascript,export {'))) instanceof SyntaxError, true)
      const error = await rejection(helper(throwing))
      assert.deepEqual([error.name, error.message, error.code], ['RangeError', 'at load', 'E_LOAD'])
    }
  })

  test('anything else rejects with a TypeError', async () => {
    for (const filename of [
      undefined,
      null,
      5,
      {},
      '',
      'http://localhost/x.mjs',
      'data:text/plain,x',
      'file:///a%2Fb',
      '\0',
    ]) {
      for (const helper of [importTaskWorker, importWorker, importPersistentWorker, importWorkerProxy]) {
        const error = await rejection(helper(filename))
        assert.equal(error instanceof TypeError, true)
        assert.match(error.code, /^ERR_THREADMILL_INVALID_ARG_/)
      }
    }
  })

  test('options that cannot be reject before a worker is started', async () => {
    const wrong = [
      [5],
      [{}, 5],
      [{}, { timeout: 'soon' }],
      [{}, { timeout: -1 }],
      [{}, { timeout: Number.NaN }],
      [{}, { terminateKey: 5 }],
      [{}, { WorkerType: {} }],
      [{}, { unref: 1 }],
    ]
    for (const options of wrong) {
      assert.match((await rejection(importPersistentWorker(MODULE, ...options))).code, /^ERR_THREADMILL_/)
    }
  })

  test('MainThread has the same functions', () => {
    assert.equal(MainThread.importWorker, importWorker)
    assert.equal(MainThread.importPersistentWorker, importPersistentWorker)
    assert.equal(Object.isFrozen(MainThread), true)
  })

  test('normalizeFilename', () => {
    assert.equal(normalizeFilename(MODULE), MODULE.href)
    assert.equal(normalizeFilename('./x.mjs'), './x.mjs')
  })
})

describe('fresh state per call', () => {
  for (const helper of ['importTaskWorker', 'importWorker']) {
    test(helper, async () => {
      const { call } = await HELPERS[helper](MODULE)
      for (let round = 0; round < 3; round++) {
        assert.equal(await call('count'), 1)
        assert.equal(await call('counter'), 0)
      }
      assert.deepEqual(await Promise.all(Array.from({ length: 4 }, () => call('count'))), [1, 1, 1, 1])
      const places = await Promise.all([call('where'), call('where')])
      assert.notEqual(places[0].threadId, places[1].threadId)
    })
  }

  test('a thunk starts its worker when it is called, and every time it is called', async () => {
    const proxy = await importTaskWorker(MODULE)
    const thunk = proxy.count()
    assert.equal(typeof thunk, 'function')
    assert.deepEqual([await thunk(), await thunk()], [1, 1])
  })

  test('a call ends its worker also when it fails', async () => {
    const exits = []
    class Watched extends Worker {
      constructor(...given) {
        super(...given)
        this.once('exit', () => exits.push(this))
      }
    }
    const proxy = await importWorker(MODULE, {}, { WorkerType: Watched })
    const made = exits.length
    await rejection(proxy.fail(1))
    await rejection(proxy.exit(2))
    await proxy.echo(1)
    await until(() => exits.length >= made + 3)
  })
})
