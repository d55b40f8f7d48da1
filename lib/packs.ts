// Stage: all. Thread: any env.
// Loads the modules that scripts/pack.mjs has packed, with the code that the engine made of them in an earlier process
// (code-cache.ts), which a worker is given. It begins with this and little else (docs/design/start-up.md).
//
// P1. A module is there once, whoever loads it.

import path from 'node:path'
import process from 'node:process'
import { compileFunction, Script } from 'node:vm'
import type { MessagePort } from 'node:worker_threads'

type Load = (name: string) => unknown
/** Makes the exports of a module. */
type Make = (exports: object, load: Load) => void
type Define = (name: string, make: Make) => void

/** A file with modules. */
export interface Pack {
  readonly file: string
  /** Tells its text from other texts. */
  readonly fingerprint: string
  /** The modules that are taken from it: a space before, between and behind their names, which a thread does not take apart. */
  readonly modules: string
}

/** With what workers begin, and what they write and read values with. They use other functions of a pack than their owners do. */
export const WORKER = 'worker.js'
export const PAYLOAD = 'payload.js'
/** Owners have it from the start; workers have little use for it. */
const CACHE = 'code-cache.js'

// Without prototypes, and methods that modules of users may have replaced by the time that more is loaded.
const defined: Record<string, Make> = Object.create(null)
const instances: Record<string, unknown> = Object.create(null)
instances['packs.js'] = exports
const { has } = Set.prototype
const { includes } = String.prototype
const { get: getGiven } = Map.prototype

/** What this thread knows of packs and their code. */
export const state = {
  packs: [] as readonly Pack[],
  isWorker: false,
  /** When a worker began, s. */
  began: 0,
  /** Where the code lies; empty where none is kept, and `undefined` before anybody has asked (code-cache.ts). */
  folder: undefined as string | undefined,
  /** The file of the addon, in a worker. */
  addon: undefined as string | undefined,
  /** What workers are given, by file. */
  given: new Map() as ReadonlyMap<string, Given>,
  /**
   * Whether packs of workers are compiled as functions. Node 24 makes an object for a script in a heap of the engine that workers
   * do not use otherwise; for that to go takes a twelfth of what the end of a worker takes.
   */
  asFunctions: false,
  /** Packs of this thread whose code is kept. */
  compiled: [] as Compiled[],
  /** What this thread uses modules for. */
  used: [] as string[],
  /** Whether code is to be stored soon. */
  isStoring: false,
}

/** Says in which pack each module lies. */
export function setPacks(found: readonly Pack[]): void {
  state.packs = found
}

export function packOf(name: string): Pack | undefined {
  const { packs } = state
  for (let at = 0; at < packs.length; at++) if (includes.call(packs[at]?.modules, ` ${name} `)) return packs[at]
  return undefined
}

/** Some lie in more than one pack (P1). */
export function define(name: string, make: Make): void {
  defined[name] ??= make
}

/** The exports of a packed module. @throws Error when it is in no pack */
export function load(name: string): unknown {
  const known = instances[name]
  if (known !== undefined) return known
  if (name === WORKER) enterWorker()
  const pack = defined[name] !== undefined ? undefined : packOf(name)
  if (pack !== undefined) open(pack)
  const make = defined[name]
  if (make === undefined) {
    // In a worker it is a file.
    if (name === CACHE) return require('./code-cache')
    throw new Error(`threadmill has no module ${name}`)
  }
  const made = {}
  instances[name] = made
  try {
    make(made, load)
  } catch (error) {
    instances[name] = undefined
    throw error
  }
  return made
}

/** The exports of a packed module that has been loaded. */
export function loaded(name: string): unknown {
  return instances[name]
}

/** `import()`, which code from a cache does not have without a warning. */
export function importFrom(url: string): Promise<unknown> {
  return import(url)
}

function codeCache(): typeof import('./code-cache') {
  return load(CACHE) as typeof import('./code-cache')
}

/** What workers need not find and read. The first message to each of them. */
export interface WorkerCode {
  readonly type: 'code'
  /** By file. */
  readonly packs: ReadonlyMap<string, Given>
  readonly asFunctions: boolean
}

/** A pack for workers. */
export interface Given {
  /** A number: that of a text that the addon holds, whose memory workers share. */
  readonly text: string | number
  readonly stored: Stored | undefined
}

/** What was stored for a pack. */
export interface Stored {
  readonly code: Uint8Array
  /** What it was used for. */
  readonly uses: ReadonlySet<string>
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
  state.isWorker = true
  state.began = process.uptime()
  state.addon = launch.threadmillAddon
  state.folder = launch.threadmillFolder ?? ''
  // It has long been there: an owner posts it at once, and a thread takes its time to start.
  if (state.folder !== '') {
    const code = receiveMessageOnPort(launch.control)?.message as WorkerCode | undefined
    if (code !== undefined) {
      state.given = code.packs
      state.asFunctions = code.asFunctions
    }
  }
  // What was loaded before the worker began is nothing that others will need for it.
  state.compiled.length = 0
  // What it has not been given it reads before the modules of users run, which may replace what it is read with.
  const pack = packOf(PAYLOAD)
  if (pack !== undefined && !state.given.has(pack.file)) open(pack)
}

/** Runs a pack, which defines its modules. */
function open(pack: Pack): void {
  const run = compile(pack) ?? required(pack)
  run(define, require, path.join(__dirname, pack.file), __dirname)
  uses(pack.file)
}

function required({ file }: Pack): Run {
  try {
    return require(`./${file}`) as Run
  } catch (cause) {
    const { existsSync } = require('node:fs') as typeof import('node:fs')
    if (existsSync(path.join(__dirname, file))) throw cause
    // Its own parts lie beside it unless somebody has put it into a bundle.
    const message = `threadmill does not find its file '${file}': it cannot be bundled into a program, leave it external (docs/runtimes.md)`
    throw Object.assign(new Error(message, { cause }), { code: 'ERR_THREADMILL_NOT_SUPPORTED' })
  }
}

/** What the text of a pack gives. */
type Run = (define: Define, require: NodeJS.Require, __filename: string, __dirname: string) => void

/** A pack of this thread that was compiled here. */
export interface Compiled {
  readonly pack: Pack
  readonly made: Made
  /** What the stored code was used for; `undefined` where the engine has taken none. */
  readonly known: ReadonlySet<string> | undefined
}

/** Compiles a pack, or takes the stored code; `undefined` when it has to be required. */
function compile(pack: Pack): Run | undefined {
  const { isWorker, asFunctions, compiled } = state
  try {
    if ((state.folder ?? codeCache().findFolder()) === '') return undefined
    const given = isWorker ? (getGiven.call(state.given, pack.file) as Given | undefined) : undefined
    const { text, stored } = given ?? codeCache().find(pack)
    const source = typeof text === 'string' ? text : heldText(text)
    const options = { filename: path.join(__dirname, pack.file), cachedData: stored?.code }
    const made = (isWorker && asFunctions ? asFunction : asScript)(source, options)
    compiled[compiled.length] = { pack, made, known: made.isFromCode ? stored?.uses : undefined }
    return made.run
  } catch {
    return undefined
  }
}

/** What the engine has made of a text. */
export interface Made {
  readonly run: Run
  /** Whether the stored code was taken. */
  readonly isFromCode: boolean
  /** Of what all that has been compiled so far can be asked. */
  readonly from: Script | FunctionOfText
}

interface CompileOptions {
  readonly filename: string
  readonly cachedData: Uint8Array | undefined
}

function asScript(source: string, options: CompileOptions): Made {
  const from = new Script(source, options)
  return { run: from.runInThisContext(), isFromCode: from.cachedDataRejected === false, from }
}

function asFunction(source: string, options: CompileOptions): Made {
  const from = compileFunction(source, ['module'], options) as FunctionOfText
  const module = {} as { exports: Run }
  from(module)
  return { run: module.exports, isFromCode: from.cachedDataRejected === false, from }
}

interface FunctionOfText {
  (module: object): void
  readonly cachedDataRejected?: boolean
}

/** What of the addon is asked for; in a worker it is found by its file. */
export interface CodeAddon {
  /** Has the addon hold a text. */
  holdText(text: Uint8Array): number
  heldText(number: number): string
  keepsFunctionCode(): boolean
  functionCode(compiled: object): ArrayBuffer
}

let readHeld: CodeAddon['heldText'] | undefined

function heldText(number: number): string {
  readHeld ??= addonOfWorker(state.addon as string).heldText
  return readHeld(number)
}

type AddonOfWorker = CodeAddon & { addForOwners(exports: object): void }

let opened: AddonOfWorker | undefined

/** The addon of a worker, from the file that its owner has it from. */
export function addonOfWorker(file: string): AddonOfWorker {
  if (opened === undefined) {
    const holder = { exports: {} }
    // `require` looks for files first. It may have found a package.
    if (file.endsWith('.node')) process.dlopen(holder, path.toNamespacedPath(file))
    else holder.exports = require(file)
    opened = holder.exports as AddonOfWorker
  }
  return opened
}

/** Tells what this thread uses modules for: other uses compile other functions. */
export function uses(what: string): void {
  const { used, compiled, isStoring } = state
  for (let at = 0; at < used.length; at++) if (used[at] === what) return
  used[used.length] = what
  if (isStoring) return
  for (let at = 0; at < compiled.length; at++) {
    const { known } = compiled[at] as Compiled
    if (known !== undefined && !lacks(known)) continue
    try {
      codeCache().storeLater()
    } catch {
      // It stays undone.
    }
    return
  }
}

/** Whether code was used for less than this thread. */
export function lacks(known: ReadonlySet<string>): boolean {
  const { used } = state
  for (let at = 0; at < used.length; at++) if (!has.call(known, used[at])) return true
  return false
}
