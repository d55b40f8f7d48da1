// The package in contexts of their own, one after the other, as test runners load it for each file.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import vm from 'node:vm'

const outer = createRequire(import.meta.url)
const PACKAGE = outer.resolve('threadmill')

setFlagsFromString('--expose-gc')
const gc = vm.runInNewContext('gc')

/** Modules are compiled in the context, what is built in and addons come from outside. */
function loadIn(context, name, hasCache = false) {
  const modules = new Map()
  const load = (file) => {
    if (modules.has(file)) return modules.get(file).exports
    if (file.endsWith('.node')) return outer(file)
    const module = { exports: {} }
    modules.set(file, module)
    const from = createRequire(file)
    const required = (id) => {
      const found = from.resolve(id)
      return path.isAbsolute(found) ? load(found) : outer(found)
    }
    Object.assign(required, { resolve: from.resolve }, hasCache && { cache: from.cache })
    const names = ['module', 'exports', 'require', '__filename', '__dirname']
    const body = vm.compileFunction(readFileSync(file, 'utf8'), names, { parsingContext: context, filename: file })
    // Some call it without `this`.
    body(module, module.exports, required, file, path.dirname(file))
    return module.exports
  }
  return load(name)
}

const OWN_NAMES = vm.runInNewContext('Object.getOwnPropertyNames(globalThis)')
const SHARED = Object.getOwnPropertyNames(globalThis).filter((name) => !OWN_NAMES.includes(name) && name !== 'global')

function contextWithout(missing) {
  const names = SHARED.filter((name) => !missing.includes(name))
  return vm.createContext(Object.fromEntries(names.map((name) => [name, globalThis[name]])))
}

/** Runs `use` with the package as that of a context of its own; tells of the end of what belongs to that. */
async function inContext(use) {
  const context = contextWithout([])
  await use(loadIn(context, PACKAGE))
  return new WeakRef(vm.runInContext('globalThis.ofTheContext = { is: "there" }', context))
}

const MODULE = 'data:text/javascript,export default (input) => input; export const twice = (input) => input * 2'

const uses = {
  kernels: async ({ WorkerPool }) => {
    const pool = new WorkerPool({ threads: 1 })
    assert.equal(await pool.kernels.fib(10), 55)
    await pool.close()
  },
  'JS tasks': async ({ WorkerPool }) => {
    const pool = new WorkerPool(MODULE, { maxWorkers: 1 })
    assert.equal(await pool.run(5), 5)
    await pool.close()
  },
  'pools one after the other': async ({ WorkerPool }) => {
    for (let round = 0; round < 3; round++) {
      const pools = [new WorkerPool({ threads: 1 }), new WorkerPool(MODULE, { maxWorkers: 1 })]
      const outputs = await Promise.all([pools[0].kernels.fib(10), pools[1].run(5)])
      assert.deepEqual(outputs, [55, 5])
      await pools[round % 2].close()
      assert.equal(await (round % 2 === 0 ? pools[1].run(6) : pools[0].kernels.fib(12)), round % 2 === 0 ? 6 : 144)
      await pools[1 - (round % 2)].destroy()
    }
  },
  'a module in a worker': async ({ importPersistentWorker }) => {
    const module = await importPersistentWorker(MODULE)
    assert.equal(await module.twice(4), 8)
    await module.terminate()
  },
}

for (const [what, use] of Object.entries(uses)) {
  test(`a context that has used ${what}, and closed it, is let go of`, { timeout: 60_000 }, async () => {
    const contexts = []
    for (let round = 0; round < 4; round++) contexts.push(await inContext(use))
    const isThere = (context) => context.deref() !== undefined
    // The last one may still be on the stack.
    while (contexts.filter(isThere).length > 1) {
      await setTimeout(10)
      gc()
    }
  })
}

/** The package in a context that shares what Node has but for `missing`. Some test runners give modules a `require` without a cache. */
function packageWithout(missing = [], hasCache = true) {
  const context = contextWithout(missing)
  return { ...loadIn(context, PACKAGE, hasCache), TheirTypeError: vm.runInContext('TypeError', context) }
}

test('in contexts of their own packages have the classes of these, and pools of their own', async () => {
  const [one, other] = [packageWithout(), packageWithout()]
  for (const { WorkerPool, TheirTypeError } of [one, other]) {
    assert.throws(
      () => new WorkerPool({ threads: 'two' }),
      (error) => error instanceof TheirTypeError && error.code === 'ERR_THREADMILL_INVALID_ARG_TYPE',
    )
  }
  const pools = [one, other].flatMap(({ WorkerPool }) => [
    new WorkerPool({ threads: 1 }),
    new WorkerPool('data:text/javascript,export default (x) => x + 1'),
  ])
  const [kernels, tasks, otherKernels, otherTasks] = pools
  const outputs = Array.from({ length: 100 }, (_, index) =>
    Promise.all([
      kernels.kernels.echo(index),
      tasks.run(index),
      otherKernels.kernels.echo(-index),
      otherTasks.run(-index),
    ]),
  )
  assert.deepEqual(
    await Promise.all(outputs),
    outputs.map((_, index) => [index, index + 1, -index, -index + 1]),
  )
  await Promise.all(pools.map((pool) => pool.close()))
})

test('also where what is required has no cache to be found in', async () => {
  const pools = [1, 2, 3].map(() => new (packageWithout([], false).WorkerPool)({ threads: 1 }))
  assert.deepEqual(await Promise.all(pools.map((pool, index) => pool.kernels.echo(index))), [0, 1, 2])
  await Promise.all(pools.map((pool) => pool.close()))
})

test('contexts that lack what values are cloned with can call kernels', async () => {
  const { WorkerPool } = packageWithout(['structuredClone', 'DOMException', 'Buffer'])
  const pool = new WorkerPool({ threads: 1 })
  assert.equal(await pool.kernels.echo(1), 1)
  await pool.close()
})
