// Stage: run. Thread: a JS worker.
// Loads what the worker is for: an entry module, which may talk through `parentPort` instead, or a host of modules.

import process from 'node:process'
import { MessagePort, parentPort } from 'node:worker_threads'
import { type LoadedEntry, loadEntry } from './entry-module'
import { beginLoad, loadBehind } from './load-gate'
import { native } from './native'
import type { Launch } from './protocol'
import type { RawScript } from './raw-script'
import { required } from './required'
import { join } from './scopes'
import { isWatchReport } from './watch-mode'
import type { Client } from './worker-client'

/** From this version on, Node does not abort the process when a thread is terminated that links a required module. */
const HOLDS_OUT = 24

/** Entry modules see their own data where they look for it. */
export function showWorkerData(data: unknown): void {
  const threads = require('node:worker_threads') as { workerData: unknown }
  threads.workerData = data
  // Modules have it from their class; few workers need the rest of `node:module`.
  const Module = (require.main?.constructor ?? {}) as Partial<typeof import('node:module')>
  const { syncBuiltinESMExports = (require('node:module') as typeof import('node:module')).syncBuiltinESMExports } =
    Module
  syncBuiltinESMExports()
}

/** Rejects with a ThreadmillError `ERR_THREADMILL_ENTRY`. */
export async function loadModule({ place, control, gate }: Launch, client: Client): Promise<LoadedEntry> {
  beginLoad(gate)
  // See src/termination.rs.
  if (Number.parseInt(process.versions.node, 10) < HOLDS_OUT) native.surviveTermination()
  if (place.isModuleHost) return moduleHost()
  watchParentPort(client, control)
  return loadEntry(
    place,
    () => rawScript?.entry(),
    (file) => loadBehind(gate, () => required(file)),
  )
}

function moduleHost(): LoadedEntry {
  // Its functions get no client that would have to know their tasks.
  join()
  const { ModuleHost } = require('./function/module-host') as typeof import('./function/module-host')
  return new ModuleHost()
}

/** Made with the first use of `parentPort`: most entry modules have none. */
let rawScript: RawScript | undefined

/** Lets a module that talks through `parentPort` do that. */
function watchParentPort(client: Client, control: MessagePort): void {
  const port = parentPort
  // That of Deno is of another make, and carries what is written.
  if (!(port instanceof MessagePort)) return
  for (const name of ['addEventListener', 'postMessage'] as const) {
    const own = Object.getPrototypeOf(port)[name] as (...args: unknown[]) => void
    const value = (...args: unknown[]): void => {
      // Before anything is loaded, of which Node would tell in its turn.
      if (name === 'postMessage' && isWatchReport(args[0])) {
        own.apply(port, args)
        return
      }
      const parts = require('./raw-script') as typeof import('./raw-script')
      rawScript ??= new parts.RawScript(port, {
        postMessageToPool: (...message) => client.postMessageToPool(...message),
        onMessage: (type, listener) => client.onMessage(type, listener),
        release: () => control.unref(),
      })
      // It has replaced them.
      ;(port[name] as (...args: unknown[]) => void)(...args)
    }
    Object.defineProperty(port, name, { value, configurable: true, writable: true })
  }
}
