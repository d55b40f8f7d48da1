// Stage: all. Thread: any env.
// The code that the engine has made of packs (packs.ts), kept for later processes: compiling is half of what a process pays
// before the first result (docs/design/start-up.md).
//
// P2. Nothing depends on the code cache. What is not there, was made by another engine, for other flags or of other text, is
//     damaged or cannot be written, is as if there were none; nobody hears of it.
// P3. It lies beside the modules, where who can write can change the modules as well; or where THREADMILL_CODE_CACHE says. Others
//     than its owner cannot write it, whatever the mask of the process, and what they can write is not used.

import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { Script } from 'node:vm'
import {
  addonOfWorker,
  type CodeAddon,
  type Compiled,
  type Given,
  lacks,
  loaded,
  type Made,
  PAYLOAD,
  type Pack,
  packOf,
  type Stored,
  state,
  WORKER,
  type WorkerCode,
} from './packs'

/** Bytes at the start of code: four numbers, with the versions of format and engine, and a hash of the flags. */
const ENGINE = 16
/** A function that is called once. */
const CANARY = '(() => 0)()'
/** A worker that is older may have lost functions, s. It has no canary, which would take memory in each. */
const OLD = 5
/** Batches of tasks after which V8 compiles what submits them with its baseline compiler. */
const WARM = 8
/** In place of what code was used for, when it is of a thread that had handed over more. */
const HOT = 'hot'
/** How a text with one byte for each character is read. */
const LATIN1 = 'latin1'

const { has } = Set.prototype
const { uptime } = process

/** Finds where the code lies, and remembers it. */
export function findFolder(): string {
  try {
    state.folder = seekFolder()
  } catch {
    // The working directory has gone, or somebody has changed `process`.
    state.folder = ''
  }
  return state.folder
}

function seekFolder(): string {
  const { env, version, arch, versions } = process
  // Other runtimes have none. Coverage counts what is compiled under its eyes.
  if ('bun' in versions || 'deno' in versions || env.NODE_V8_COVERAGE || env.NODE_DISABLE_COMPILE_CACHE) return ''
  const given = env.THREADMILL_CODE_CACHE
  if (given === 'off') return ''
  // Test runners have contexts of their own, whose classes ours have to be.
  if (!(Script instanceof Function)) return ''
  return path.join(given ? path.resolve(given) : path.join(__dirname, '.code-cache'), `${version}-${arch}-${engine()}`)
}

/** Tells version and flags of the engine from others, which would refuse the code: it begins with what they are. */
function engine(): string {
  const script = new Script(CANARY)
  script.runInThisContext()
  const code = script.createCachedData()
  canary ??= { script, length: code.length }
  return code.toString('hex', 0, ENGINE)
}

/** As old as what is compiled here: what becomes of its function becomes of those that were called once, at the start. */
let canary: { readonly script: Script; readonly length: number } | undefined

/** Where workers find code and keep it; `undefined` where nothing is kept, and for modules that are not packed. */
export function workerFolder(): string | undefined {
  if (packOf(WORKER) === undefined) return undefined
  const folder = state.folder ?? findFolder()
  return folder === '' ? undefined : folder
}

/** The code of workers, in memory that they share; they look for what is not there. `native`: where they find the addon. */
export function workerCode(native?: Pick<CodeAddon, 'holdText' | 'keepsFunctionCode'>): WorkerCode {
  state.asFunctions = native?.keepsFunctionCode() ?? false
  try {
    for (const name of [WORKER, PAYLOAD]) {
      const pack = packOf(name)
      const known = pack && forWorkers.get(pack.file)
      if (pack === undefined || known?.stored !== undefined) continue
      const text = known?.text ?? native?.holdText(bytesOf(pack)) ?? textOf(pack)
      forWorkers.set(pack.file, { text, stored: shared(read(pack, true)) })
    }
  } catch {
    // They find out themselves.
  }
  return { type: 'code', packs: forWorkers, asFunctions: state.asFunctions }
}

/** What workers of this thread are given: what it was given itself, if it is a worker. */
const forWorkers = new Map<string, Given>(state.given)

function shared(stored: Stored | undefined): Stored | undefined {
  if (stored === undefined) return undefined
  const code = new Uint8Array(new SharedArrayBuffer(stored.code.length))
  code.set(stored.code)
  return { code, uses: stored.uses }
}

/** Text and code of a pack for this thread. */
export function find(pack: Pack): Given {
  return { text: textOf(pack), stored: read(pack, state.isWorker) }
}

/** Each character is one byte (scripts/pack.mjs). */
function textOf(pack: Pack): string {
  return bytesOf(pack).toString(LATIN1)
}

function bytesOf({ file }: Pack): Buffer {
  return readFileSync(path.join(__dirname, file))
}

/** Whether the engine may have thrown away code, as it does with functions that are not called for long. */
function hasLost(): boolean {
  if (state.isWorker) return uptime() - state.began > OLD
  return canary !== undefined && canary.script.createCachedData().length < canary.length
}

/**
 * Whether code says of functions that they are to be compiled with the baseline compiler when they are first called, which
 * later processes would do before their first result.
 */
function isHot(): boolean {
  if (state.isWorker) return false
  const port = loaded('port.js') as { readonly flushes?: number } | undefined
  return (port?.flushes ?? 0) > WARM
}

/** Whether stored code lacks functions that this thread has compiled, and still has. */
function isMissing({ known }: Compiled): boolean {
  return known === undefined || (lacks(known) && !hasLost() && !isHot())
}

/** Stores when what is in use has been compiled, if anything is missing. @throws what the file system throws */
export function storeLater(): void {
  if (!state.compiled.some(isMissing)) return
  state.isStoring = true
  // Most processes have nothing to store.
  const { atRest, makeFolder } = require('./code-store') as typeof import('./code-store')
  if (makeFolder(state.folder as string))
    atRest(state.isWorker, () => {
      state.isStoring = false
      storeMissing()
    })
}

function storeMissing(): void {
  const { compiled, isWorker, used } = state
  try {
    const { remove, write } = require('./code-store') as typeof import('./code-store')
    // Before the next line, which may run the canary's function again.
    const [isLess, hot] = [hasLost(), isHot()]
    // Flags can be set at any time.
    if (!state.folder?.endsWith(engine())) return
    for (const [at, { pack, made, known }] of compiled.entries()) {
      if (known !== undefined && (isLess || hot || !lacks(known))) continue
      const place = nameOf(pack, isWorker)
      if (known !== undefined && has.call(known, HOT)) {
        // It would say the same if it was written again. The next process compiles anew.
        remove(place)
        continue
      }
      // Better than nothing, until somebody has all of it.
      const all = hot ? [HOT] : isLess ? [] : new Set([...(known ?? []), ...used])
      write(place, [markOf(pack, isWorker), ...all], codeOf(made))
      compiled[at] = { pack, made, known: new Set(all) }
    }
  } catch {
    // Where nothing can be written, nothing is.
  }
}

/** All that has been compiled so far. */
function codeOf({ from }: Made): Uint8Array {
  if (from instanceof Script) return from.createCachedData()
  const native = {} as CodeAddon
  addonOfWorker(state.addon as string).addForOwners(native)
  return new Uint8Array(native.functionCode(from))
}

function nameOf({ file }: Pack, forWorker: boolean): string {
  return path.join(state.folder as string, `${forWorker ? 'worker-' : ''}${path.parse(file).name}.bin`)
}

/** What code is of. That of Node 20 brings the name of the file that it was compiled as, which then is in stacks. */
function markOf({ fingerprint }: Pack, forWorker: boolean): string {
  const text = forWorker && state.asFunctions ? `${fingerprint}-function` : fingerprint
  return process.version.startsWith('v20.') ? `${text}@${encodeURIComponent(__dirname)}` : text
}

/** Whether others than its owner may write it; Windows says so of every file. */
function isOpen({ mode }: { readonly mode: number }): boolean {
  return process.platform !== 'win32' && (mode & 0o022) !== 0
}

/** The code as it was stored for that text: a line that says what it is, and the code twice. */
function read(pack: Pack, forWorker: boolean): Stored | undefined {
  let bytes: Buffer
  try {
    const file = nameOf(pack, forWorker)
    const stats = statSync(file)
    // A pipe would be waited for, and some devices have no end.
    if (!stats.isFile() || isOpen(stats)) return undefined
    bytes = readFileSync(file)
  } catch {
    return undefined
  }
  const start = bytes.indexOf('\n') + 1
  const [fingerprint, ...uses] = bytes.toString(LATIN1, 0, start).trim().split(' ')
  const middle = start + (bytes.length - start) / 2
  if (fingerprint !== markOf(pack, forWorker) || !Number.isInteger(middle)) return undefined
  const [code, again] = [bytes.subarray(start, middle), bytes.subarray(middle)]
  // The engine takes damaged code for good. Computing a checksum here would take longer than to compile.
  return code.equals(again) ? { code, uses: new Set(uses) } : undefined
}
