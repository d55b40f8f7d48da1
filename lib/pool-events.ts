// Stage: submit and settle. Thread: owner env.
// What a pool tells of its tasks and workers: to listeners of its events, and to subscribers of its channels.

import process from 'node:process'
import type { IWorker, WorkerExitReason } from '..'
import { Listeners } from './callbacks'
import * as channels from './channels'
import { ThreadmillError } from './errors'
import type { Observer } from './owner'
import { quiet } from './promise'
import { TaskHandle } from './task'
import { soon } from './timers'

/** See the head of this file. `name`: of the pool. */
export class PoolEvents extends Listeners {
  readonly #name: string
  /** Whether there can be listeners: those of workers that the constructor launches come after it. */
  isHeard = false

  constructor(name: string) {
    super()
    this.#name = name
  }

  /** Whether somebody is told of all tasks. Asked for every one. */
  get areOfTasks(): boolean {
    const listens = !this.isEmpty && (this.has('task-added') || this.has('task-complete') || this.has('retry'))
    return listens || channels.watchesTasks()
  }

  taskAdded(task: TaskHandle<unknown>): void {
    if (channels.watchesTasks()) channels.taskSubmitted(this.#name, task)
    this.call('task-added', task)
  }

  taskEnded(observer: Observer | undefined, succeeded: boolean, value: unknown): void {
    if (!(observer instanceof TaskHandle)) return
    channels.taskEnded(this.#name, observer, succeeded, value)
    if (!this.has('task-complete')) return
    if (succeeded) {
      this.call('task-complete', undefined, value, observer)
      return
    }
    // Whoever listens has seen the failure.
    quiet(observer)
    const wrapped = () => Object.assign(new Error('a task failed with a falsy reason'), { reason: value })
    this.call('task-complete', value || wrapped(), undefined, observer)
  }

  taskRetried(observer: Observer | undefined, count: number, reason: unknown): void {
    if (!(observer instanceof TaskHandle)) return
    channels.taskRetried(this.#name, observer, count, reason)
    this.call('retry', observer, count, reason)
  }

  workerLaunched(worker: IWorker): void {
    channels.workerLaunched(this.#name, worker)
    if (this.isHeard) this.call('worker-launched', worker)
    else soon(() => this.call('worker-launched', worker))
  }

  workerIsOnline(worker: IWorker): void {
    channels.workerIsOnline(this.#name, worker)
    this.call('worker-online', worker)
  }

  workerExited(worker: IWorker, code: number, error: unknown, reason: WorkerExitReason): void {
    channels.workerExited(this.#name, worker, code, error, reason)
    this.call('worker-exit', worker, code, error, reason)
  }

  /** Warns of what nobody is told otherwise: no task of the worker has failed with it. */
  workerFailed(worker: IWorker, code: number, error: unknown): void {
    if (this.has('worker-exit')) return
    const why = error instanceof Error ? `: ${error.message}` : ''
    // What the module threw tells where.
    const origin = error instanceof ThreadmillError ? error.cause : error
    const detail = origin instanceof Error && origin.stack !== undefined ? { detail: origin.stack } : {}
    const text = `worker ${worker.id} of pool '${this.#name}' ended with exit code ${code} while it ran no task${why}`
    process.emitWarning(text, { type: 'ThreadmillWarning', ...detail })
  }
}
