// For tests of modules whose exports run in workers.
import { fileURLToPath } from 'node:url'
import { importPersistentWorker, importTaskWorker, importWorker } from 'threadmill/function'

/** A module with exports of all kinds, and its file. */
export const MODULE = new URL('./fixtures/module.mjs', import.meta.url)
export const FILE = fileURLToPath(MODULE)
export const math = new URL('../../examples/math.mjs', import.meta.url)
export const CRASHED = 'ERR_THREADMILL_WORKER_CRASHED'

/** Imports a persistent worker that ends with the test. */
export async function persistent(t, module = MODULE, ...options) {
  const proxy = await importPersistentWorker(module, ...options)
  t.after(() => proxy.terminate())
  return proxy
}

/** By name: what imports a module, and how the proxy is called and ended. */
export const HELPERS = {
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
