// Stage: all. Thread: owner env.
// One worker for one module: a pool of one JS worker that serves the exports of the module. Calls take the way of tasks.
//
// F3. The worker has one life: when it ends, for whatever reason, every call that is not settled rejects, and every later
//     one does so at once.
// F4. A call that takes longer than its limit ends the worker: nothing else stops a function that does not return.

import { PoolCore } from '../core'
import { isInstance, ThreadmillError } from '../errors'
import type { Launcher } from '../lane-settings'
import { checkLaneOptions, checkPoolOptions, type EntrySettings, type PoolSettings } from '../options'
import type { Ticket } from '../owner'
import { BuiltinPromise } from '../promise'
import { checkShellOptions } from '../shell-options'
import { type EntryHost, type EntryLane, startEntry } from '../submit'
import { soon } from '../timers'
import { pack } from './packing'

/** How a worker is started. */
export interface ModuleLaunch extends Launcher {
  /** Options for the `Worker`. */
  readonly options: Readonly<Record<string, unknown>>
}

/** Calls that run at a time: more than there can be, as one may wait for a later one. */
const CONCURRENCY = 2 ** 31 - 1
const NAME = 'module'
/** What Node ends a terminated thread with. */
const TERMINATED = 1

/** See the head of this file. */
export class ModuleWorker {
  readonly #core: PoolCore
  readonly #members = new Map<string, Member>()
  /** Numbers of the exports, from when they are known. */
  readonly #numbers = new Map<string, number>()
  /** Settles when the thread is gone: its exit code. */
  readonly exited: Promise<number>
  /** Whether nothing can be called any more. */
  isDead = false
  /** Why; set no later than that. */
  #reason: Error | undefined
  #terminating: Promise<number> | undefined

  constructor({ options, script, Worker }: ModuleLaunch) {
    const isCaptured = (stream: 'stdout' | 'stderr'): boolean => options[stream] === true
    const settings = { ...checkPoolOptions({ name: NAME, threads: 1 }), workerConcurrency: CONCURRENCY }
    const lane = {
      ...checkLaneOptions(
        { minWorkers: 1, maxWorkers: 1, stdout: isCaptured('stdout'), stderr: isCaptured('stderr') },
        settings,
      ),
      workerOptions: options,
      launcher: { script, Worker },
    }
    const place = { url: 'threadmill:module', symbol: undefined, isModuleHost: true }
    this.#core = new PoolCore(settings, checkShellOptions({}), {
      place,
      settings: lane,
      entryPoint: undefined,
      isOwn: false,
      explain: (error) => this.#explain(error),
    })
    this.exited = new BuiltinPromise((resolve) => {
      this.#core.events.add('worker-exit', (_worker: unknown, code: number, error: unknown) => {
        this.isDead = true
        this.#reason ??= error instanceof Error ? error : stopped(`Worker stopped with exit code ${code}`, code, error)
        resolve(code)
        // The pool would launch another one.
        this.#core.end(2)
      })
    })
    for (const { stdout, stderr } of this.#core.workers) {
      // Nobody can read them.
      stdout?.resume()
      stderr?.resume()
    }
  }

  /** Loads the module; the names of what it exports. Rejects with the error of the import. `timeout`: ms, 0 for none. */
  async load(url: string, timeout: number): Promise<readonly string[]> {
    const names = (await new Member(this.#core, undefined, timeout).call(url, undefined)) as string[]
    for (const [index, name] of names.entries()) this.#numbers.set(name, index)
    return names
  }

  /** Calls an export, which `load` has been asked for before. `timeout`: ms, 0 for none. */
  call(name: string, args: readonly unknown[], timeout: number): Promise<unknown> {
    if (this.isDead) return BuiltinPromise.reject(this.#reason)
    let member = this.#members.get(name)
    if (member === undefined || member.timeout !== timeout) {
      member = new Member(this.#core, this.#numbers.get(name) ?? name, timeout)
      this.#members.set(name, member)
    }
    const { packed, list } = pack(args)
    return member.call(packed, list)
  }

  /** From now on the worker keeps the process alive. */
  keepAlive(): void {
    this.#core.lane?.keepAlive()
  }

  /** Ends the worker at once. @returns its exit code */
  terminate(): Promise<number> {
    this.isDead = true
    this.#reason ??= stopped(`Worker was terminated, exit code ${TERMINATED}`, TERMINATED)
    this.#terminating ??= this.#terminate()
    return this.#terminating
  }

  async #terminate(): Promise<number> {
    const ended = this.#core.end(2)
    const code = await this.exited
    await ended
    return code
  }

  /** What a call rejects with instead of an error of the pool. */
  #explain(error: ThreadmillError): ThreadmillError {
    switch (error.code) {
      case 'ERR_THREADMILL_TIMEOUT':
        this.#reason ??= stopped('Worker was terminated because a call took too long', TERMINATED)
        this.isDead = true
        // Not while outcomes are being settled.
        soon(() => this.terminate())
        return new Expired()
      case 'ERR_THREADMILL_POOL_CLOSED':
      case 'ERR_THREADMILL_WORKER_CRASHED':
        return (this.#reason as ThreadmillError | undefined) ?? error
      default:
        return error
    }
  }
}

/** Stands for the timeout of a call, which the call itself knows. */
class Expired extends ThreadmillError {
  constructor() {
    super('ERR_THREADMILL_TIMEOUT', 'Worker timeout')
  }
}

function stopped(message: string, exitCode: number, cause?: unknown): ThreadmillError {
  const error = new ThreadmillError('ERR_THREADMILL_WORKER_CRASHED', message, cause === undefined ? {} : { cause })
  return Object.assign(error, { exitCode })
}

/** One export of the module, or what loads it: submits to the pool as the pool does, but with settings that are checked once. */
class Member implements EntryHost {
  readonly timeout: number
  readonly handle: number
  readonly settings: PoolSettings
  readonly threads: number
  readonly tickets: Ticket[] = []
  readonly plain: EntrySettings
  runTime: number | undefined
  readonly #core: PoolCore

  constructor(core: PoolCore, name: string | number | undefined, timeout: number) {
    this.#core = core
    this.timeout = timeout
    this.handle = core.handle
    this.settings = core.settings
    this.threads = core.threads
    this.plain = { ...core.checkEntry(timeout === 0 ? {} : { timeout }), name }
  }

  call(packed: unknown, list: readonly object[] | undefined): Promise<unknown> {
    return new BuiltinPromise((resolve, reject) => {
      const refuse = (reason: unknown): void => reject(isInstance(reason, Expired) ? this.#expired() : reason)
      const settlement = { resolve, reject: refuse, task: undefined, promise: undefined }
      startEntry(this, packed, list === undefined ? undefined : { list }, settlement)
    })
  }

  #expired(): ThreadmillError {
    return new ThreadmillError('ERR_THREADMILL_TIMEOUT', `Worker timeout after ${this.timeout}ms`)
  }

  checkEntry({ list }: { readonly list?: readonly object[] }): EntrySettings {
    return list === undefined ? this.plain : { ...this.plain, list }
  }

  checkOpen(): void {
    this.#core.checkOpen()
  }

  checkRoom(): void {}

  began(): void {
    this.#core.began()
  }

  laneOf(): EntryLane {
    return this.#core.laneOf(this.plain)
  }

  settled(): void {}

  message(): void {}

  closed(): void {}
}
