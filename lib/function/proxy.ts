// Stage: submit. Thread: owner env.
// Modules whose exports run in workers: the objects that users hold in place of the module.
//
// F7. What an object offers is known when it is made: its own properties are the names of the exports, and nothing else
//     is on it but the function that ends a persistent worker. It has no `then`, so it is never taken for a promise.

import path from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { isUrl, localFile } from '../entry'
import { wrongType, wrongValue } from '../errors'
import { checkTimeout, optionsObject, own, ownOr } from '../options'
import { setImmediate } from '../timers'
import { type ModuleLaunch, ModuleWorker } from './module-worker'
import { resolveModule } from './resolve'
import { Spares } from './spares'

/** Their names. */
type Exports = readonly string[]
type Call = (name: string, args: readonly unknown[]) => unknown
type Proxied = Record<string, unknown>
type Make = (settings: Settings, isPlain: boolean) => Promise<Proxied>

/** A call of an export, as `workerPromise` gets it. */
interface Message {
  readonly file: string
  readonly name: string
  readonly args: readonly unknown[]
}

/** A worker, as `workerPromise` gets it. */
interface ProxyWorker {
  call(message: Message, messageOptions?: object): Promise<unknown>
  terminate(): Promise<number>
}

type WorkerPromise = (worker: ProxyWorker, message: Message, messageOptions: object) => unknown

/** What the objects of one import have in common. */
interface Settings {
  readonly url: string
  readonly launch: ModuleLaunch
  readonly timeout: number
  readonly terminateKey: string
  readonly isUnref: boolean
  readonly messageOptions: object
  readonly workerPromise: WorkerPromise | undefined
}

/** ms */
const DEFAULT_TIMEOUT = 30_000
/** The options of `Worker` that belong to threadmill. */
const OURS = new Set(['eval', 'workerData', 'transferList'])
/** What makes an object a promise. */
const THEN = 'then'
const DEFAULT_FILE = path.join(__dirname, '..', 'worker.js')
let workerFile: string | URL = DEFAULT_FILE
/** As it was given. */
let givenFile: string | URL = DEFAULT_FILE

/** See `getWorkerFile` in function.d.ts. */
export function getWorkerFile(): string | URL {
  return givenFile
}

/** See `setWorkerFile` in function.d.ts. */
export function setWorkerFile(file: unknown): void {
  if (!file) return
  workerFile = checkFile('file', file)
  givenFile = file as string | URL
  shared?.clear()
  shared = undefined
}

function checkFile(name: string, file: unknown): string | URL {
  const expectation = 'a path or the file: URL of a local file'
  const text = isUrl(file) ? file.href : file
  if (typeof text !== 'string') throw wrongType(name, expectation, file)
  const isGivenByUrl = isUrl(file) || text.startsWith('file:')
  if (text === '' || (isGivenByUrl && localFile(text) === undefined)) throw wrongValue(name, expectation, file)
  return isGivenByUrl ? new URL(text) : pathToFileURL(path.resolve(text))
}

/** Spares for calls without options of their own. */
let shared: Spares | undefined

/** See `importTaskWorker` in function.d.ts. */
export function importTaskWorker(filename: unknown, workerOptions?: unknown, messageOptions?: unknown): Promise<never> {
  return build(filename, workerOptions, messageOptions, oneShot(false))
}

/** See `importWorker` in function.d.ts. */
export function importWorker(filename: unknown, workerOptions?: unknown, messageOptions?: unknown): Promise<never> {
  return build(filename, workerOptions, messageOptions, oneShot(true))
}

/** See `importPersistentWorker` in function.d.ts. */
export function importPersistentWorker(
  filename: unknown,
  workerOptions?: unknown,
  messageOptions?: unknown,
): Promise<never> {
  return build(filename, workerOptions, messageOptions, persistent(true))
}

/** See `importWorkerProxy` in function.d.ts. */
export async function importWorkerProxy(filename: unknown, options?: unknown): Promise<never> {
  const given = optionsObject(options)
  const isPersistent = flag(given, 'isPersistent', false)
  const isImmediate = flag(given, 'executeImmediately', isPersistent)
  const messageOptions = { ...optionsObject(own(given, 'messageOptions'), 'options.messageOptions') }
  for (const name of ['terminateKey', 'WorkerType'] as const) {
    const value = own(given, name)
    if (value !== undefined) Object.assign(messageOptions, { [name]: value })
  }
  const workerPromise = own(given, 'workerPromise')
  if (workerPromise !== undefined && typeof workerPromise !== 'function') {
    throw wrongType('options.workerPromise', 'a function', workerPromise)
  }
  const file = own(given, 'workerFile')
  const extra = {
    workerPromise: workerPromise as WorkerPromise | undefined,
    script: file === undefined ? undefined : checkFile('options.workerFile', file),
  }
  const make = isPersistent ? persistent : oneShot
  return build(filename, own(given, 'workerOptions'), messageOptions, make(isImmediate), extra)
}

function flag(options: object, name: string, otherwise: boolean): boolean {
  const value = ownOr(options, name, otherwise)
  if (typeof value !== 'boolean') throw wrongType(`options.${name}`, 'a boolean', value)
  return value
}

interface Extra {
  readonly workerPromise: WorkerPromise | undefined
  readonly script: string | URL | undefined
}

async function build(
  filename: unknown,
  workerOptions: unknown,
  messageOptions: unknown,
  make: Make,
  extra?: Extra,
): Promise<never> {
  const options = workerSettings(workerOptions)
  const messages = optionsObject(messageOptions, 'messageOptions')
  const timeout = ownOr(messages, 'timeout', DEFAULT_TIMEOUT)
  const terminateKey = ownOr(messages, 'terminateKey', 'terminate')
  if (typeof terminateKey !== 'string') throw wrongType('messageOptions.terminateKey', 'a string', terminateKey)
  if (terminateKey === THEN)
    throw wrongValue('messageOptions.terminateKey', `a name other than '${THEN}'`, terminateKey)
  const WorkerType = ownOr(messages, 'WorkerType', Worker)
  if (typeof WorkerType !== 'function') throw wrongType('messageOptions.WorkerType', 'a class', WorkerType)
  const isUnref = ownOr(messages, 'unref', false)
  if (typeof isUnref !== 'boolean') throw wrongType('messageOptions.unref', 'a boolean', isUnref)
  const isPlain = Object.keys(options).length === 0 && WorkerType === Worker && extra?.script === undefined
  const settings: Settings = {
    url: resolveModule(filename, options),
    launch: { options, script: extra?.script ?? workerFile, Worker: WorkerType as typeof Worker },
    timeout: checkTimeout(timeout, 'messageOptions.timeout', true),
    terminateKey,
    isUnref,
    messageOptions: messages,
    workerPromise: extra?.workerPromise,
  }
  return (await make(settings, isPlain)) as never
}

/** What the constructor of a `Worker` takes, as it is now. */
function workerSettings(given: unknown): Record<string, unknown> {
  const options: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(optionsObject(given, 'workerOptions'))) {
    // The variables of this thread are what workers have anyway, as they are when the worker is wanted.
    const isDefault = value === undefined || (name === 'env' && value === process.env)
    if (!OURS.has(name) && !isDefault) options[name] = copied(name, value)
  }
  return options
}

/** Workers are started later, with what is there now. */
function copied(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return [...value]
  const isRecord = (name === 'env' || name === 'resourceLimits') && typeof value === 'object' && value !== null
  return isRecord ? { ...value } : value
}

/** Every call gets a worker of its own. */
function oneShot(isImmediate: boolean): Make {
  return async (settings, isPlain) => {
    if (isPlain) shared ??= new Spares(settings.launch)
    const spares = isPlain ? (shared as Spares) : new Spares(settings.launch)
    const exports = await loadOnce(settings, spares)
    const run: Call = async (name, args) => {
      const worker = spares.take()
      try {
        // Whoever calls is told; the call waits for it in the worker, and its own limit counts.
        worker.load(settings.url, 0).catch(() => {})
        return await callBy(settings, worker, name, args)
      } finally {
        // Whoever waits for the outcome goes first.
        setImmediate(() => {
          worker.terminate()
          spares.done()
          spares.fill()
        })
      }
    }
    return members(exports, isImmediate, run)
  }
}

/** What a module exports, from a worker that does nothing else. Only those that can be called have spares. */
async function loadOnce(settings: Settings, spares: Spares): Promise<Exports> {
  const worker = spares.take()
  try {
    const exports = await worker.load(settings.url, patience(settings))
    // Whoever waits for the outcome goes first.
    setImmediate(() => spares.fill())
    return exports
  } finally {
    // It is no call.
    spares.done()
    setImmediate(() => worker.terminate())
  }
}

/** One worker serves all calls until it is terminated. */
function persistent(isImmediate: boolean): Make {
  return async (settings) => {
    const worker = new ModuleWorker(settings.launch)
    let exports: Exports
    try {
      exports = await worker.load(settings.url, patience(settings))
    } catch (error) {
      worker.terminate()
      throw error
    }
    if (!settings.isUnref) worker.keepAlive()
    const call: Call = (name, args) => callBy(settings, worker, name, args)
    return members(exports, isImmediate, call, [settings.terminateKey, () => worker.terminate()])
  }
}

/** How long the import waits for the module, ms: a limit that is short for calls is none for the start of a worker. */
function patience({ timeout }: Settings): number {
  return timeout === 0 ? 0 : Math.max(timeout, DEFAULT_TIMEOUT)
}

function callBy(settings: Settings, worker: ModuleWorker, name: string, args: readonly unknown[]): Promise<unknown> {
  const { url, timeout, messageOptions, workerPromise } = settings
  if (workerPromise === undefined) return worker.call(name, args, timeout)
  const handle: ProxyWorker = {
    async call({ name: called, args: given }, options = {}) {
      const limit = ownOr(options, 'timeout', timeout)
      return worker.call(called, given, checkTimeout(limit, 'messageOptions.timeout', true))
    },
    terminate: () => worker.terminate(),
  }
  return (async () => workerPromise(handle, { file: url, name, args }, messageOptions))()
}

/** The object in place of a module. */
function members(
  exports: Exports,
  isImmediate: boolean,
  call: Call,
  terminate?: readonly [name: string, () => Promise<number>],
): Proxied {
  const base: Proxied = Object.create(null)
  if (terminate !== undefined) Object.defineProperty(base, terminate[0], { value: terminate[1] })
  const proxied: Proxied = Object.create(base)
  const made: Call = isImmediate ? call : (name, args) => () => call(name, args)
  for (const name of exports) {
    // A function `then` has been called by the import in the worker; any other would become one here.
    if (name === terminate?.[0] || name === THEN) continue
    // One that is no function may become one.
    const member = (...args: unknown[]): unknown => made(name, args)
    Object.defineProperty(member, 'name', { value: name })
    Object.defineProperty(proxied, name, { value: member, enumerable: true })
  }
  return Object.freeze(proxied)
}
