// Stage: submit. Thread: owner env.
// The WorkerPool that users hold: reads arguments, and keeps the pool's core reachable.

import type { Duplex } from 'node:stream'
import type { HealthOptions, IWorker, Kernels, MapOptions, PoolStats, PoolTrace } from '..'
import { checkType } from './callbacks'
import { PoolCore } from './core'
import { isUrl, resolveEntry } from './entry'
import { wrongType, wrongValue } from './errors'
import type { HealthMonitor } from './health'
import { kernelMethods } from './kernel-methods'
import { kernelOf } from './kernels'
import { costFiles, healthMonitor, memoryWatch, taskStream, timelines } from './lazy-owner'
import { Mapper, type MapSettings, type Submitter } from './map'
import {
  checkEntryPoint,
  checkLaneOptions,
  checkMapOptions,
  checkPoolOptions,
  checkSignal,
  checkTaskOptions,
  checkWorkers,
  isObject,
  optionsObject,
  own,
  ownOr,
  type PoolSettings,
} from './options'
import type { PoolEntry } from './pool-lanes'
import { BuiltinPromise } from './promise'
import { unloadable } from './refused'
import { isOwnEntry } from './self'
import {
  checkCloseOptions,
  checkHealthOptions,
  checkMainThread,
  checkShellOptions,
  checkSignals,
  type ShellSettings,
} from './shell-options'
import type { TaskHandle } from './task'
import { clearInterval, setInterval } from './timers'

/** Releases the threads of pools that nobody can reach any more. */
const abandoned = new FinalizationRegistry<PoolCore>((core) => {
  // Tasks that still run may submit others.
  core.whenIdle().then(() => core.end(0))
})

/** What a pool is made of; `undefined` for what is no pool. */
export let coreOf: (pool: unknown) => PoolCore | undefined

/** See `WorkerPool` in index.d.ts. */
export class WorkerPool implements AsyncDisposable {
  readonly name: string
  static {
    coreOf = (pool) => (typeof pool === 'object' && pool !== null && #core in pool ? pool.#core : undefined)
  }

  readonly #core: PoolCore
  #kernels: Kernels | undefined
  #health: HealthMonitor | undefined

  constructor(...given: unknown[]) {
    this.#core = createCore(given)
    this.name = this.#core.settings.name
    abandoned.register(this, this.#core, this.#core)
  }

  get kernels(): Kernels {
    // The methods keep the pool reachable.
    this.#kernels ??= kernelMethods(() => this.#core)
    return this.#kernels
  }

  run(input?: unknown, options?: object): Promise<never> {
    try {
      return this.#core.run(input, options) as Promise<never>
    } catch (error) {
      return BuiltinPromise.reject(error)
    }
  }

  addTask(input?: unknown, options?: object): TaskHandle<never, never> {
    return this.#core.addTask(input, options)
  }

  map(inputs: Iterable<unknown> | AsyncIterable<unknown>, options?: MapOptions): AsyncIterableIterator<never> {
    const [settings, submitter] = this.#manyTasks(options)
    return new Mapper(inputs, settings, submitter) as AsyncIterableIterator<never>
  }

  stream(options?: MapOptions): Duplex {
    const [settings, submitter] = this.#manyTasks(options)
    return new (taskStream())(settings, submitter)
  }

  /** What `map` and `stream` are made with. */
  #manyTasks(options: object | undefined): [MapSettings, Submitter] {
    const core = this.#core
    const kernel = core.isForEntry(options) ? undefined : kernelOf(options)
    // A copy, so that what the caller does with the object later does not matter.
    const given = { ...optionsObject(options) }
    const { signal } =
      kernel === undefined ? core.checkEntry(given) : checkTaskOptions(given, core.settings, core.threads, kernel)
    const each = taskOptions(given)
    // These closures keep the pool reachable while the iteration lasts.
    const submitter: Submitter = {
      hasRoom: () => this.#core.hasRoom,
      whenRoom: () => this.#core.whenRoom(),
      isTiny: () => this.#core.isTiny(kernel),
      start: (input, resolve, reject) =>
        kernel === undefined
          ? this.#core.startEntry(input, each, resolve, reject)
          : this.#core.start(kernel, input, each, resolve, reject),
      onEnd: (listener) => this.#core.onEnd(listener),
    }
    return [{ ...checkMapOptions(given, core.parallelism), signal }, submitter]
  }

  onMessage(type: string, listener: (contents: never, origin: IWorker) => void): this {
    this.#core.listeners.add(checkType(type), listener)
    return this
  }

  removeMessageListener(type: string, listener: (contents: never, origin: IWorker) => void): this {
    this.#core.listeners.remove(checkType(type), listener)
    return this
  }

  on(event: string, listener: (...args: never[]) => void): this {
    this.#core.events.add(checkEvent(event), listener)
    this.#core.watchChanged()
    return this
  }

  once(event: string, listener: (...args: never[]) => void): this {
    this.#core.events.add(checkEvent(event), listener, true)
    this.#core.watchChanged()
    return this
  }

  off(event: string, listener: (...args: never[]) => void): this {
    this.#core.events.remove(event, listener)
    this.#core.watchChanged()
    return this
  }

  removeListener(event: string, listener: (...args: never[]) => void): this {
    return this.off(event, listener)
  }

  resize(bounds: { readonly min?: number | undefined; readonly max?: number | undefined }): void {
    this.#core.resize(bounds)
  }

  resizeUpTo(workers: number): void {
    // What is not above the number that there is asks for nothing, and NaN is not.
    if (typeof workers === 'number' && !(workers > 0)) return
    this.#core.resizeUpTo(checkWorkers('workers', workers))
  }

  postMessageToWorkers(type: string, contents?: unknown, transfer?: readonly object[]): this {
    this.#core.broadcast(checkType(type), contents, transfer)
    return this
  }

  get workers(): readonly IWorker[] {
    return this.#core.workers
  }

  get isIdle(): boolean {
    return this.#core.pending === 0
  }

  whenIdle(): Promise<void> {
    return this.#core.whenIdle()
  }

  ref(): this {
    if (this.#hold !== undefined || this.#core.ending >= 0 || this.#core.isInert) return this
    this.#hold = setInterval(() => {}, LONGEST)
    this.#endHold = this.#core.onEnd(() => this.unref())
    return this
  }

  unref(): this {
    clearInterval(this.#hold)
    this.#hold = undefined
    this.#endHold?.()
    this.#endHold = undefined
    return this
  }

  /** Keeps the process alive. */
  #hold: ReturnType<typeof setInterval> | undefined
  #endHold: (() => void) | undefined

  ready(options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    try {
      const signal = own(optionsObject(options), 'signal')
      return this.#core.ready(signal === undefined ? undefined : checkSignal(signal))
    } catch (error) {
      return BuiltinPromise.reject(error)
    }
  }

  stats(): PoolStats {
    return this.#core.stats()
  }

  get trace(): PoolTrace {
    this.#core.timeline ??= new (timelines())(this.#core)
    return this.#core.timeline.users
  }

  close(options?: { readonly timeout?: number | undefined }): Promise<void> {
    let limit: number
    try {
      limit = checkCloseOptions(options)
    } catch (error) {
      return BuiltinPromise.reject(error)
    }
    return this.#end(0, limit)
  }

  dispose(options?: { readonly force?: boolean | undefined }): Promise<void> {
    try {
      const force = ownOr(optionsObject(options), 'force', false)
      if (typeof force !== 'boolean') throw wrongType('options.force', 'a boolean', force)
      return this.#end(force ? 2 : 1)
    } catch (error) {
      return BuiltinPromise.reject(error)
    }
  }

  destroy(): Promise<void> {
    return this.#end(2)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#end(0)
  }

  installSignalHandlers(signals?: readonly NodeJS.Signals[]): this {
    const checked = checkSignals('signals', signals ?? true)
    if (this.#core.isInert) return this
    checkMainThread()
    this.#core.handleSignals(checked)
    return this
  }

  startHealthMonitoring(options?: number | HealthOptions): this {
    const settings = checkHealthOptions(options)
    this.#core.checkAlive()
    this.stopHealthMonitoring()
    if (!this.#core.isInert) this.#health = new (healthMonitor())(this.#core, settings)
    return this
  }

  stopHealthMonitoring(): this {
    this.#health?.stop()
    this.#health = undefined
    return this
  }

  onShutdown(callback: () => unknown): this {
    if (typeof callback !== 'function') throw wrongType('callback', 'a function', callback)
    if (!this.#core.isInert) this.#core.onShutdown(callback)
    return this
  }

  #end(mode: 0 | 1 | 2, limit?: number): Promise<void> {
    abandoned.unregister(this.#core)
    try {
      return this.#core.end(mode, limit)
    } catch (error) {
      // What ends pools comes with the first one that ends, and could not be read.
      return new BuiltinPromise((_resolve, reject) => reject(unloadable(error)))
    }
  }
}

/** A pool for kernels, or one with a module: `(options?)`, `(module, options?)`, `(module, workers)`. */
function createCore([first, second]: unknown[]): PoolCore {
  const isModule = typeof first === 'string' || typeof first === 'function' || isUrl(first)
  if (!isModule) {
    // What other pools call it would be ignored, and the first task fail for want of a kernel.
    const filename = isObject(first) ? own(first, 'filename') : undefined
    if (filename !== undefined) {
      throw wrongValue('options.filename', 'the first argument: new WorkerPool(filename, options)', filename)
    }
    const settings = checkPoolOptions(first)
    return begun(settings, checkShellOptions(first))
  }
  const options = typeof second === 'number' ? {} : optionsObject(second)
  const settings = checkPoolOptions(options)
  const shell = checkShellOptions(options)
  const lane = checkLaneOptions(typeof second === 'number' ? second : options, settings)
  const { place, fn } = resolveEntry(first, own(options, 'entrypointSymbol'), lane.workerOptions)
  const entryPoint = fn ?? checkEntryPoint(own(options, 'entryPoint'))
  return begun(settings, shell, { place, settings: lane, entryPoint, isOwn: isOwnEntry(place.url) })
}

/** Makes the core, and begins what it does besides its tasks. */
function begun(settings: PoolSettings, shell: ShellSettings, entry?: PoolEntry): PoolCore {
  const { signals, memory, costs } = shell
  // The copies of a pool in its workers do nothing.
  if (entry?.isOwn) return new PoolCore(settings, shell, entry)
  if (signals !== undefined) checkMainThread()
  const core = new PoolCore(settings, shell, entry)
  try {
    if (signals !== undefined) core.handleSignals(signals)
    if (memory !== undefined) memoryWatch()(core, memory)
    if (costs !== undefined) core.costs = costFiles().keepCosts(core.handle, costs)
  } catch (error) {
    core.end(2)
    throw error
  }
  return core
}

/** The longest time of a timer, ms. */
const LONGEST = 2 ** 31 - 1

const EVENTS: readonly unknown[] = [
  'task-added',
  'task-complete',
  'retry',
  'worker-launched',
  'worker-online',
  'worker-exit',
  'broken',
  'drain',
  'health',
  'health-alert',
  'high-memory',
]

function checkEvent(event: unknown): string {
  // 'error' never fires: `once` and `on` of node:events listen to it beside what they are for.
  if (event !== 'error' && !EVENTS.includes(event)) {
    const names = EVENTS.map((name) => `'${name}'`)
    throw wrongValue('event', `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`, event)
  }
  return event as string
}

/** Options of `map` that are none of its tasks'. When the signal fires, it cancels them itself. */
const OF_MAP = new Set(['kernel', 'concurrency', 'ordered', 'signal'])

/** What is asked for each task of a `map`; `undefined` for nothing, so that nothing is checked for each of them. */
function taskOptions(options: object): object | undefined {
  const asked = Object.entries(options).filter(([name, value]) => value !== undefined && !OF_MAP.has(name))
  return asked.length === 0 ? undefined : Object.fromEntries(asked)
}
