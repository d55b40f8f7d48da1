// Modules whose exports run in workers: options, scripts of their own, the proxy that takes all of them, and processes.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { SHARE_ENV, Worker } from 'node:worker_threads'
import {
  getWorkerFile,
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  importWorkerProxy,
  setWorkerFile,
} from 'threadmill/function'
import { runProgram } from '../helpers/child.mjs'
import { rejection } from '../helpers/pool.mjs'
import { FILE, MODULE, math, persistent } from './imports.mjs'

const PRELOAD = fileURLToPath(new URL('../js/fixtures/preload.cjs', import.meta.url))

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

  test('one-shot workers have the environment variables of the moment, spare ones or not', async (t) => {
    t.after(() => delete process.env.GREETING)
    const variables = { GREETING: 'at the import' }
    const proxies = [await importWorker(MODULE), await importWorker(MODULE, { env: process.env })]
    const fixed = await importWorker(MODULE, { env: variables })
    for (const greeting of ['one', 'two', undefined, 'three']) {
      if (greeting === undefined) delete process.env.GREETING
      else process.env.GREETING = greeting
      variables.GREETING = greeting
      for (let round = 0; round < 2; round++) {
        for (const proxy of proxies) assert.equal((await proxy.seen()).greeting, greeting)
        assert.equal((await fixed.seen()).greeting, 'at the import')
        // Spares are started then.
        await setImmediate()
      }
    }
    const own = await importWorker(MODULE, { env: { GREETING: 'own' } })
    for (let round = 0; round < 2; round++) assert.equal((await own.seen()).greeting, 'own')
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
    assert.equal(getWorkerFile(), file)
    const module = 'data:text/javascript,export const seen = globalThis.evaluations'
    const proxy = await persistent(t, module)
    assert.equal(await proxy.seen(), 40)
    assert.equal(await (await importTaskWorker(module)).seen()(), 40)
    setWorkerFile(own)
    assert.equal(await (await importTaskWorker(module)).seen()(), undefined)
    assert.throws(() => setWorkerFile(5), { code: 'ERR_THREADMILL_INVALID_ARG_TYPE' })
    for (const url of [
      'file://[bad',
      'file://host/a.mjs',
      new URL('file:///a%2fb.mjs'),
      new URL('https://example.org'),
    ]) {
      assert.throws(() => setWorkerFile(url), { code: 'ERR_THREADMILL_INVALID_ARG_VALUE' })
    }
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

  test('calls of one worker for all, made when the function that they give is called', async (t) => {
    const kept = await importWorkerProxy(MODULE, { isPersistent: true, executeImmediately: false })
    t.after(() => kept.terminate())
    const [first, second] = [kept.count(), kept.count()]
    assert.equal(await kept.counter()(), 0)
    assert.deepEqual([await second(), await first(), await kept.counter()()], [1, 2, 2])
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

  test('a WorkerType may have no streams, or have them go to those of the process', async () => {
    const source = `
      import { EventEmitter } from 'node:events'
      import { Worker } from 'node:worker_threads'
      import { importPersistentWorker } from 'threadmill/function'
      class Bare extends EventEmitter {
        #worker
        constructor(file, options) {
          super()
          this.#worker = new Worker(file, options)
          for (const name of ['message', 'error', 'exit']) this.#worker.on(name, (...given) => this.emit(name, ...given))
        }
        ref() {
          this.#worker.ref()
        }
        unref() {
          this.#worker.unref()
        }
        terminate() {
          return this.#worker.terminate()
        }
      }
      class Piped extends Worker {
        constructor(file, options) {
          super(file, { ...options, stdout: false, stderr: false })
        }
      }
      for (const WorkerType of [Bare, Piped]) {
        const options = { execArgv: ['--require', ${JSON.stringify(PRELOAD)}] }
        const module = await importPersistentWorker(${JSON.stringify(MODULE.href)}, options, { WorkerType })
        await module.seen()
        await module.terminate()
      }`
    const { code, stdout, stderr } = await runProgram(source)
    // That of the first class goes nowhere: nobody reads its streams.
    assert.deepEqual([code, stdout, stderr], [0, 'on stdout\n', 'on stderr\n'])
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

  test('also where somebody has added an option to all objects, which counts for none', async () => {
    const { code, stdout, stderr } = await program(`Object.prototype.stdout = true
      const talker = await importWorker('data:text/javascript,export const say = (text) => console.log(text)')
      await talker.say('said')`)
    assert.deepEqual([code, stdout, stderr], [0, 'said\n', ''])
  })
})
