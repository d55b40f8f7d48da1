// Modules whose exports run in workers: what is on the proxies, and what calls give.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { isMainThread, SHARE_ENV, threadId, Worker } from 'node:worker_threads'
import { transfer } from 'threadmill'
import {
  getWorkerFile,
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  importWorkerProxy,
  MainThread,
  normalizeFilename,
  setWorkerFile,
} from 'threadmill/function'
import { runProgram } from '../helpers/child.mjs'
import { rejection, until } from '../helpers/pool.mjs'

const MODULE = new URL('./fixtures/module.mjs', import.meta.url)
const FILE = fileURLToPath(MODULE)
const math = new URL('../../examples/math.mjs', import.meta.url)
const CRASHED = 'ERR_THREADMILL_WORKER_CRASHED'

/** Imports a persistent worker that ends with the test. */
async function persistent(t, module = MODULE, ...options) {
  const proxy = await importPersistentWorker(module, ...options)
  t.after(() => proxy.terminate())
  return proxy
}

const HELPERS = {
  importTaskWorker: async (...given) => {
    const proxy = await importTaskWorker(...given)
    return { proxy, call: (name, ...args) => proxy[name](...args)() }
  },
  importWorker: async (...given) => {
    const proxy = await importWorker(...given)
    return { proxy, call: (name, ...args) => proxy[name](...args) }
  },
  importPersistentWorker: async (...given) => {
    const proxy = await importPersistentWorker(...given)
    return { proxy, call: (name, ...args) => proxy[name](...args), end: () => proxy.terminate() }
  },
}

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
    assert.deepEqual(Object.keys(proxy).sort(), ['default', 'named', 'plain'])
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

  test('TypeScript, where this Node runs it, else the error of the loader', async (t) => {
    const typed = new URL('./fixtures/typed.mts', import.meta.url)
    if (process.features.typescript) {
      const proxy = await persistent(t, typed)
      assert.equal(await proxy.double(4), 8)
    } else assert.equal((await rejection(importPersistentWorker(typed))).code, 'ERR_UNKNOWN_FILE_EXTENSION')
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

describe('a persistent worker', () => {
  test('keeps its state, and one worker serves all calls', async (t) => {
    const proxy = await persistent(t, math)
    assert.equal(await proxy.state(), 0)
    assert.equal(await proxy.add(1, 2), 3)
    assert.equal(await proxy.state(), 1)
    assert.equal(await proxy.add(3, 4), 7)
    assert.equal(await proxy.getState(), 2)
    const other = await persistent(t, math)
    assert.equal(await other.state(), 0)
  })

  test('live exports: a value that changes, one that becomes another', async (t) => {
    const proxy = await persistent(t)
    await proxy.count()
    assert.equal(await proxy.counter(), 1)
    assert.equal(await proxy.later(), undefined)
    await proxy.setLater({ now: 1 })
    assert.deepEqual(await proxy.later(), { now: 1 })
  })

  test('replies reach their calls, whichever comes first', async (t) => {
    const proxy = await persistent(t)
    const numbers = new Int32Array(new SharedArrayBuffer(8))
    const settled = []
    const a = proxy.gate(numbers, 0, 'a').then((value) => settled.push(value))
    const b = proxy.gate(numbers, 1, 'b').then((value) => settled.push(value))
    for (const index of [1, 0]) {
      Atomics.store(numbers, index, 1)
      // The call may not have begun to wait: then it finds the number.
      Atomics.notify(numbers, index)
      await (index === 1 ? b : a)
    }
    assert.deepEqual(settled, ['b', 'a'])
    const many = await Promise.all(Array.from({ length: 5000 }, (_, index) => proxy.echo({ index })))
    assert.deepEqual(
      many,
      Array.from({ length: 5000 }, (_, index) => ({ index })),
    )
  })

  test('calls are delivered in their order; a function runs until it waits', async (t) => {
    const proxy = await persistent(t)
    await Promise.all([proxy.note(1), proxy.noteLater(2), proxy.note(3), proxy.note({ four: 4 }), proxy.note('5')])
    const notes = await proxy.notes()
    const begun = notes.filter((note) => note !== 'end 2')
    assert.deepEqual(begun, [1, 'begin 2', 3, { four: 4 }, '5'])
    assert.ok(notes.indexOf('end 2') > notes.indexOf('begin 2'))
  })

  test('more calls than run at a time', async (t) => {
    const proxy = await persistent(t)
    const numbers = new Int32Array(new SharedArrayBuffer(4))
    const waiting = Array.from({ length: 3000 }, (_, index) => proxy.gate(numbers, 0, index))
    Atomics.store(numbers, 0, 1)
    Atomics.notify(numbers, 0)
    assert.deepEqual(
      await Promise.all(waiting),
      Array.from({ length: 3000 }, (_, index) => index),
    )
  })

  test('terminate: ends a computation, gives the exit code, again the same', async () => {
    const proxy = await importPersistentWorker(MODULE)
    const spinning = rejection(proxy.spin())
    const never = rejection(proxy.never())
    const ended = proxy.terminate()
    assert.equal(await ended, 1)
    assert.equal(await proxy.terminate(), 1)
    for (const error of await Promise.all([spinning, never])) {
      assert.deepEqual([error.code, error.exitCode], [CRASHED, 1])
    }
    assert.match((await rejection(proxy.echo(1))).message, /exit code 1/)
  })

  test('terminate right after a result loses nothing', async () => {
    for (let round = 0; round < 20; round++) {
      const proxy = await importPersistentWorker(math)
      const sum = await proxy.add(round, 1)
      proxy.terminate()
      assert.equal(sum, round + 1)
    }
  })

  test('terminateKey: another name, which wins over an export', async () => {
    const proxy = await importPersistentWorker(MODULE, {}, { terminateKey: 'close' })
    assert.deepEqual([typeof proxy.close, typeof proxy.terminate], ['function', 'undefined'])
    assert.equal('close' in proxy, true)
    assert.equal(await proxy.close(), 1)
    const own = await importPersistentWorker(MODULE, {}, { terminateKey: 'echo' })
    assert.equal(Object.keys(own).includes('echo'), false)
    assert.equal(await own.echo('not called'), 1)
    const plain = await importWorker('data:text/javascript,export const terminate = () => "of the module"')
    assert.equal(await plain.terminate(), 'of the module')
  })

  test('its death rejects every pending call with the reason, and later ones at once', async () => {
    for (const [name, check] of [
      ['throwLater', (error) => error instanceof RangeError && error.message === 'boom'],
      ['exit', (error) => error.code === CRASHED && error.exitCode === 9],
    ]) {
      const proxy = await importPersistentWorker(MODULE)
      const pending = [proxy.never(), proxy.never(), proxy[name](9)].map(rejection)
      for (const error of await Promise.all(pending)) assert.equal(check(error), true)
      assert.equal(check(await rejection(proxy.echo(1))), true)
      assert.equal(typeof (await proxy.terminate()), 'number')
    }
  })

  test('out of memory', async () => {
    const proxy = await importPersistentWorker(MODULE, { resourceLimits: { maxOldGenerationSizeMb: 16 } })
    const [error, other] = await Promise.all([rejection(proxy.eatMemory()), rejection(proxy.never())])
    assert.equal(error.code, 'ERR_WORKER_OUT_OF_MEMORY')
    assert.equal(other, error)
  })

  test('a timeout rejects the others too', async () => {
    const proxy = await importPersistentWorker(MODULE, {}, { timeout: 100 })
    const other = rejection(proxy.never())
    const spinning = rejection(proxy.spin())
    assert.equal((await other).message, 'Worker timeout after 100ms')
    assert.match((await spinning).message, /^Worker (timeout after 100ms|was terminated because a call took too long)$/)
    assert.match((await rejection(proxy.echo(1))).message, /^Worker was terminated because a call took too long$/)
  })

  test('no timeout with 0 and Infinity', async (t) => {
    for (const timeout of [0, Number.POSITIVE_INFINITY]) {
      const proxy = await persistent(t, MODULE, {}, { timeout })
      assert.equal(await proxy.wait(5, 'in time'), 'in time')
    }
  })
})

describe('options of the worker', () => {
  test('pass on', async (t) => {
    const options = { argv: ['--one', '2'], execArgv: ['--no-warnings'], env: { GREETING: 'hello' }, name: 'mine' }
    const copy = structuredClone(options)
    const proxy = await persistent(t, MODULE, options)
    assert.deepEqual(await proxy.seen(), { argv: ['--one', '2'], execArgv: ['--no-warnings'], greeting: 'hello' })
    assert.deepEqual(options, copy)
    process.env.GREETING = 'shared'
    t.after(() => delete process.env.GREETING)
    const sharing = await persistent(t, MODULE, { env: SHARE_ENV })
    assert.equal((await sharing.seen()).greeting, 'shared')
  })

  test('workerData of the user is not seen', async (t) => {
    const proxy = await persistent(t, MODULE, { workerData: { secret: 1 } })
    assert.equal((await proxy.where()).workerData, undefined)
  })

  test('one-shot workers get them too, and do not share spares with others', async () => {
    const [one, two] = [await importWorker(MODULE, { argv: ['one'] }), await importWorker(MODULE, { argv: ['two'] })]
    for (let round = 0; round < 3; round++) {
      assert.deepEqual((await one.seen()).argv, ['one'])
      assert.deepEqual((await two.seen()).argv, ['two'])
    }
  })

  test('options that Node refuses reject', async () => {
    for (const helper of [importWorker, importPersistentWorker]) {
      assert.equal(
        (await rejection(helper(MODULE, { execArgv: ['--no-such-flag'] }))).code,
        'ERR_WORKER_INVALID_EXEC_ARGV',
      )
    }
  })
})

describe('the script of the workers', () => {
  test('setWorkerFile and getWorkerFile', async (t) => {
    const own = getWorkerFile()
    t.after(() => setWorkerFile(own))
    for (const falsy of ['', undefined, null, 0]) setWorkerFile(falsy)
    assert.equal(getWorkerFile(), own)
    const file = new URL('./fixtures/set-up.mjs', import.meta.url)
    setWorkerFile(file)
    assert.equal(String(getWorkerFile()), file.href)
    const module = 'data:text/javascript,export const seen = globalThis.evaluations'
    const proxy = await persistent(t, module)
    assert.equal(await proxy.seen(), 40)
    assert.equal(await (await importTaskWorker(module)).seen()(), 40)
    setWorkerFile(own)
    assert.equal(await (await importTaskWorker(module)).seen()(), undefined)
    assert.throws(() => setWorkerFile(5), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
  })
})

describe('importWorkerProxy', () => {
  test('the three kinds', async () => {
    const task = await importWorkerProxy(MODULE)
    assert.equal(await task.echo(1)(), 1)
    const immediate = await importWorkerProxy(MODULE, { executeImmediately: true })
    assert.equal(await immediate.count(), 1)
    assert.equal(await immediate.count(), 1)
    const kept = await importWorkerProxy(MODULE, { isPersistent: true, terminateKey: 'stop' })
    assert.equal(await kept.count(), 1)
    assert.equal(await kept.count(), 2)
    assert.equal(await kept.stop(), 1)
  })

  test('workerPromise stands between the proxy and the worker', async () => {
    const seen = []
    const proxy = await importWorkerProxy(pathToFileURL(FILE), {
      isPersistent: true,
      workerOptions: { argv: ['x'] },
      messageOptions: { timeout: 5000 },
      async workerPromise(worker, message, messageOptions) {
        seen.push([message.name, message.args, message.file, messageOptions.timeout])
        if (message.name === 'spin') return worker.call(message, { timeout: 50 })
        return [await worker.call(message)]
      },
    })
    assert.deepEqual(await proxy.echo('a'), ['a'])
    assert.deepEqual((await proxy.seen())[0].argv, ['x'])
    assert.deepEqual(seen[0], ['echo', ['a'], MODULE.href, 5000])
    assert.equal((await rejection(proxy.spin())).message, 'Worker timeout after 50ms')
    await proxy.terminate()
  })

  test('workerFile, WorkerType and bad options', async () => {
    const made = []
    class Mine extends Worker {
      constructor(...given) {
        super(...given)
        made.push(given[0])
      }
    }
    const workerFile = new URL('./fixtures/set-up.mjs', import.meta.url)
    const proxy = await importWorkerProxy('data:text/javascript,export const seen = globalThis.evaluations', {
      isPersistent: true,
      workerFile,
      WorkerType: Mine,
    })
    assert.equal(await proxy.seen(), 40)
    assert.deepEqual(made.map(String), [workerFile.href])
    await proxy.terminate()
    for (const options of [
      5,
      { isPersistent: 1 },
      { executeImmediately: 'x' },
      { workerPromise: 1 },
      { workerFile: 5 },
    ]) {
      assert.match((await rejection(importWorkerProxy(MODULE, options))).code, /^ERR_THREADMILL_INVALID_ARG/)
    }
  })
})

describe('processes', () => {
  const program = (body) =>
    runProgram(`import { importPersistentWorker, importWorker } from 'threadmill/function'\n${body}`)
  const url = JSON.stringify(math.href)

  test('spare workers do not keep a process alive', async () => {
    const { code, stdout, stderr } = await program(
      `const math = await importWorker(${url}); console.log(await math.fib(10), await math.fib(11))`,
    )
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '55 89\n', stderr: '' })
  })

  test('a persistent worker does, until it is terminated, unless unref is set', async () => {
    const kept = await program(
      `const math = await importPersistentWorker(${url})
       setTimeout(() => { console.log('still here'); math.terminate() }, 50).unref()`,
    )
    assert.deepEqual([kept.code, kept.stdout, kept.stderr], [0, 'still here\n', ''])
    const free = await program(
      `const math = await importPersistentWorker(${url}, {}, { unref: true })
       console.log(await math.fib(10))
       setTimeout(() => console.log('still here'), 60_000).unref()`,
    )
    assert.deepEqual([free.code, free.stdout, free.stderr], [0, '55\n', ''])
  })

  test('what modules write comes out', async () => {
    const module = 'data:text/javascript,export const say = (text) => console.log(text)'
    const { code, stdout } = await program(
      `const talker = await importPersistentWorker(${JSON.stringify(module)}); await talker.say('from the worker'); await talker.terminate()`,
    )
    assert.deepEqual([code, stdout], [0, 'from the worker\n'])
  })
})
