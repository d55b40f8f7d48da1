// Stage: all. Thread: any env.
// Loads the modules that scripts/pack.mjs has packed, with the code that the engine made of them in an earlier process:
// compiling is half of what a process pays before the first result (docs/design/start-up.md).
//
// P1. A module is there once, whoever loads it.
// P2. Nothing depends on the code cache. What is not there, was made by another engine, for other flags or of other text, is
//     damaged or cannot be written, is as if there were none; nobody hears of it.
// P3. It lies beside the modules, where who can write can change the modules as well; or where THREADMILL_CODE_CACHE says. Others
//     than its owner cannot write it, whatever the mask of the process, and what they can write is not used.

import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { compileFunction, Script } from 'node:vm'
import type { MessagePort } from 'node:worker_threads'

type Load = (name: string) => unknown
/** Makes the exports of a module. */
type Make = (exports: object, load: Load) => void
type Define = (name: string, make: Make) => void

/** A file with modules. */
interface Pack {
  readonly file: string
  /** Tells its text from other texts. */
  readonly fingerprint: string
  /** The modules that are taken from it: a space before, between and behind their names, which a thread does not take apart. */
  readonly modules: string
}

/** With what workers begin, and what they write and read values with. They use other functions of a pack than their owners do. */
const WORKER = 'worker.js'
const PAYLOAD = 'payload.js'
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

let packs: readonly Pack[] = []
// Without prototypes, and methods that modules of users may have replaced by the time that more is loaded.
const defined: Record<string, Make> = Object.create(null)
const instances: Record<string, unknown> = Object.create(null)
instances['packs.js'] = exports
const { has } = Set.prototype
const { get: getGiven } = Map.prototype

/** Says in which pack each module lies. */
export function setPacks(found: readonly Pack[]): void {
  packs = found
}

function packOf(name: string): Pack | undefined {
  for (let at = 0; at < packs.length; at++) if (packs[at]?.modules.includes(` ${name} `)) return packs[at]
  return undefined
}

/** Some lie in more than one pack (P1). */
function define(name: string, make: Make): void {
  defined[name] ??= make
}

/** The exports of a packed module. */
export function load(name: string): unknown {
  const known = instances[name]
  if (known !== undefined) return known
  if (name === WORKER) enterWorker()
  const pack = defined[name] !== undefined ? undefined : packOf(name)
  if (pack !== undefined) open(pack)
  const made = {}
  instances[name] = made
  try {
    defined[name]?.(made, load)
  } catch (error) {
    instances[name] = undefined
    throw error
  }
  return made
}

/** `import()`, which code from a cache does not have without a warning. */
export function importFrom(url: string): Promise<unknown> {
  return import(url)
}

let isWorker = false
let folder: string | undefined

/** Where the code lies; `undefined` without. */
function codeFolder(): string | undefined {
  if (folder === undefined) {
    try {
      folder = findFolder()
    } catch {
      // The working directory has gone, or somebody has changed `process`.
      folder = ''
    }
  }
  return folder === '' ? undefined : folder
}

/** What workers need not find and read. The first message to each of them. */
export interface WorkerCode {
  readonly type: 'code'
  /** By file. */
  readonly packs: ReadonlyMap<string, Given>
  readonly asFunctions: boolean
}

/** A pack for workers. */
interface Given {
  /** A number: that of a text that the addon holds, whose memory workers share. */
  readonly text: string | number
  readonly stored: Stored | undefined
}

/** What was stored for a pack. */
interface Stored {
  readonly code: Uint8Array
  /** What it was used for. */
  readonly uses: ReadonlySet<string>
}

let forWorkers = new Map<string, Given>()
/**
 * Whether packs of workers are compiled as functions. Node 24 makes an object for a script in a heap of the engine that workers do
 * not use otherwise; for that to go takes a twelfth of what the end of a worker takes.
 */
let asFunctions = false
/** The file of the addon, in a worker. */
let addon: string | undefined

/** Where workers find code and keep it; `undefined` where nothing is kept, and for modules that are not packed. */
export function workerFolder(): string | undefined {
  return packOf(WORKER) === undefined ? undefined : codeFolder()
}

/** What of the addon is asked here; in a worker it is found by its file. */
interface CodeAddon {
  /** Has the addon hold a text. */
  holdText(text: Uint8Array): number
  heldText(number: number): string
  keepsFunctionCode(): boolean
  functionCode(compiled: object): ArrayBuffer
}

/** The code of workers, in memory that they share; they look for what is not there. `native`: where they find the addon. */
export function workerCode(native?: Pick<CodeAddon, 'holdText' | 'keepsFunctionCode'>): WorkerCode {
  asFunctions = native?.keepsFunctionCode() ?? false
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
  return { type: 'code', packs: forWorkers, asFunctions }
}

function shared(stored: Stored | undefined): Stored | undefined {
  if (stored === undefined) return undefined
  const code = new Uint8Array(new SharedArrayBuffer(stored.code.length))
  code.set(stored.code)
  return { code, uses: stored.uses }
}

/** What is asked here of what a worker is started with. */
interface Launched {
  readonly control: MessagePort
  readonly threadmillAddon: string | undefined
  readonly threadmillFolder: string | undefined
}

/** This thread is a worker: its owner says where the code lies, whatever its environment and flags say. */
function enterWorker(): void {
  const { receiveMessageOnPort, workerData } = require('node:worker_threads') as typeof import('node:worker_threads')
  const launch = workerData as Launched | null | undefined
  if (typeof launch !== 'object' || launch === null || !('threadmillFolder' in launch)) return
  isWorker = true
  began = uptime()
  addon = launch.threadmillAddon
  folder = launch.threadmillFolder ?? ''
  // It has long been there: an owner posts it at once, and a thread takes its time to start.
  if (folder !== '') {
    const code = receiveMessageOnPort(launch.control)?.message as WorkerCode | undefined
    if (code !== undefined) {
      forWorkers = new Map(code.packs)
      asFunctions = code.asFunctions
    }
  }
  // What was loaded before the worker began is nothing that others will need for it.
  compiled.length = 0
  // What it has not been given it reads before the modules of users run, which may replace what it is read with.
  const pack = packOf(PAYLOAD)
  if (pack !== undefined && !forWorkers.has(pack.file)) open(pack)
}

function findFolder(): string {
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
/** When a worker began, s. */
let began = 0
const { uptime } = process

/** Whether the engine may have thrown away code, as it does with functions that are not called for long. */
function hasLost(): boolean {
  if (isWorker) return uptime() - began > OLD
  return canary !== undefined && canary.script.createCachedData().length < canary.length
}

/**
 * Whether code says of functions that they are to be compiled with the baseline compiler when they are first called, which
 * later processes would do before their first result.
 */
function isHot(): boolean {
  if (isWorker) return false
  const port = instances['port.js'] as { readonly flushes?: number } | undefined
  return (port?.flushes ?? 0) > WARM
}

/** Runs a pack, which defines its modules. */
function open(pack: Pack): void {
  const found = codeFolder() === undefined ? undefined : compile(pack)
  const run = found ?? (require(`./${pack.file}`) as Run)
  run(define, require, path.join(__dirname, pack.file), __dirname)
  uses(pack.file)
}

/** What the text of a pack gives. */
type Run = (define: Define, require: NodeJS.Require, __filename: string, __dirname: string) => void

/** A pack of this thread that was compiled here. */
interface Compiled {
  readonly pack: Pack
  /** Where its code is stored. */
  readonly place: string
  readonly made: Made
  /** What the stored code was used for; `undefined` where the engine has taken none. */
  readonly known: ReadonlySet<string> | undefined
}

const compiled: Compiled[] = []

/** Compiles a pack, or takes the stored code; `undefined` when it has to be required. */
function compile(pack: Pack): Run | undefined {
  const filename = path.join(__dirname, pack.file)
  const given = isWorker ? (getGiven.call(forWorkers, pack.file) as Given | undefined) : undefined
  try {
    const text = given?.text ?? textOf(pack)
    const stored = given === undefined ? read(pack, isWorker) : given.stored
    const source = typeof text === 'string' ? text : heldText(text)
    const made = (isWorker && asFunctions ? asFunction : asScript)(source, { filename, cachedData: stored?.code })
    const place = nameOf(pack, isWorker)
    compiled[compiled.length] = { pack, place, made, known: made.isFromCode ? stored?.uses : undefined }
    return made.run
  } catch {
    return undefined
  }
}

/** What the engine has made of a text. */
interface Made {
  readonly run: Run
  /** Whether the stored code was taken. */
  readonly isFromCode: boolean
  /** All that has been compiled so far. */
  code(): Uint8Array
}

interface CompileOptions {
  readonly filename: string
  readonly cachedData: Uint8Array | undefined
}

function asScript(source: string, options: CompileOptions): Made {
  const script = new Script(source, options)
  return {
    run: script.runInThisContext(),
    isFromCode: script.cachedDataRejected === false,
    code: () => script.createCachedData(),
  }
}

function asFunction(source: string, options: CompileOptions): Made {
  const define = compileFunction(source, ['module'], options) as FunctionOfText
  const module = {} as { exports: Run }
  define(module)
  const code = (): Uint8Array => new Uint8Array(functionCode(define))
  return { run: module.exports, isFromCode: define.cachedDataRejected === false, code }
}

interface FunctionOfText {
  (module: object): void
  readonly cachedDataRejected?: boolean
}

/** Each character is one byte (scripts/pack.mjs). */
function textOf(pack: Pack): string {
  return bytesOf(pack).toString(LATIN1)
}

function bytesOf({ file }: Pack): Buffer {
  return readFileSync(path.join(__dirname, file))
}

let readHeld: CodeAddon['heldText'] | undefined

function heldText(number: number): string {
  readHeld ??= addonOfWorker().heldText
  return readHeld(number)
}

function addonOfWorker(): CodeAddon & { addForOwners(exports: object): void } {
  return require(addon as string)
}

function functionCode(compiled: object): ArrayBuffer {
  const native = {} as CodeAddon
  addonOfWorker().addForOwners(native)
  return native.functionCode(compiled)
}

// --- the cache ---

const used: string[] = []

/** Tells what this thread uses modules for: other uses compile other functions. */
export function uses(what: string): void {
  for (let at = 0; at < used.length; at++) if (used[at] === what) return
  used[used.length] = what
  if (!isStoring && isMissing()) storeLater()
}

/** Whether stored code lacks functions that this thread has compiled, and still has. */
function isMissing(): boolean {
  for (let at = 0; at < compiled.length; at++) {
    const { known } = compiled[at] as Compiled
    if (known === undefined || (lacks(known) && !hasLost() && !isHot())) return true
  }
  return false
}

function lacks(known: ReadonlySet<string>): boolean {
  for (let at = 0; at < used.length; at++) if (!has.call(known, used[at])) return true
  return false
}

let isStoring = false

/** Stores when what is in use has been compiled. */
function storeLater(): void {
  isStoring = true
  try {
    // Most processes have nothing to store.
    const { atRest, makeFolder } = require('./code-store') as typeof import('./code-store')
    if (makeFolder(codeFolder() as string))
      atRest(isWorker, () => {
        isStoring = false
        storeMissing()
      })
  } catch {
    // It stays undone.
  }
}

function storeMissing(): void {
  try {
    const { remove, write } = require('./code-store') as typeof import('./code-store')
    // Before the next line, which may run the canary's function again.
    const [isLess, hot] = [hasLost(), isHot()]
    // Flags can be set at any time.
    if (!codeFolder()?.endsWith(engine())) return
    for (const [at, { pack, place, made, known }] of compiled.entries()) {
      if (known !== undefined && (isLess || hot || !lacks(known))) continue
      if (known !== undefined && has.call(known, HOT)) {
        // It would say the same if it was written again. The next process compiles anew.
        remove(place)
        continue
      }
      // Better than nothing, until somebody has all of it.
      const all = hot ? [HOT] : isLess ? [] : new Set([...(known ?? []), ...used])
      write(place, [markOf(pack, isWorker), ...all], made.code())
      compiled[at] = { pack, place, made, known: new Set(all) }
    }
  } catch {
    // Where nothing can be written, nothing is.
  }
}

function nameOf({ file }: Pack, forWorker: boolean): string {
  return path.join(folder as string, `${forWorker ? 'worker-' : ''}${path.parse(file).name}.bin`)
}

/** What code is of. That of Node 20 brings the name of the file that it was compiled as, which then is in stacks. */
function markOf({ fingerprint }: Pack, forWorker: boolean): string {
  const text = forWorker && asFunctions ? `${fingerprint}-function` : fingerprint
  return process.version.startsWith('v20.') ? `${text}@${encodeURIComponent(__dirname)}` : text
}

/** The code as it was stored for that text: a line that says what it is, and the code twice. */
/** Whether others than its owner may write it; Windows says so of every file. */
function isOpen({ mode }: { readonly mode: number }): boolean {
  return process.platform !== 'win32' && (mode & 0o022) !== 0
}

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
