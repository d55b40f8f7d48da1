// Stage: all. Thread: any env.
// The functions that import modules into workers; what they are made of is loaded with the first call, the addon with it.

import { part } from '../refused'

type Proxy = typeof import('./proxy')

function proxy(): Proxy {
  return part(() => require('./proxy') as Proxy)
}

/** See `importTaskWorker` in function.d.ts. */
export async function importTaskWorker(...given: Parameters<Proxy['importTaskWorker']>): Promise<never> {
  return proxy().importTaskWorker(...given)
}

/** See `importWorker` in function.d.ts. */
export async function importWorker(...given: Parameters<Proxy['importWorker']>): Promise<never> {
  return proxy().importWorker(...given)
}

/** See `importPersistentWorker` in function.d.ts. */
export async function importPersistentWorker(...given: Parameters<Proxy['importPersistentWorker']>): Promise<never> {
  return proxy().importPersistentWorker(...given)
}

/** See `importWorkerProxy` in function.d.ts. */
export async function importWorkerProxy(...given: Parameters<Proxy['importWorkerProxy']>): Promise<never> {
  return proxy().importWorkerProxy(...given)
}

/** See `setWorkerFile` in function.d.ts. */
export function setWorkerFile(file: unknown): void {
  proxy().setWorkerFile(file)
}

/** See `getWorkerFile` in function.d.ts. */
export function getWorkerFile(): string | URL {
  return proxy().getWorkerFile()
}

/** See `normalizeFilename` in function.d.ts. */
export function normalizeFilename(filename: string | URL): string {
  // URL objects of other realms (Jest) count too.
  return Object.prototype.toString.call(filename) === '[object URL]' ? (filename as URL).href : (filename as string)
}

/** See `MainThread` in function.d.ts. */
export const MainThread = Object.freeze({
  getWorkerFile,
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  importWorkerProxy,
  setWorkerFile,
})
