// Stage: submit and settle. Thread: owner env.
// What the owner knows of tasks that workers submitted: their numbers always, the rest while somebody listens to events.

import { decode } from './codec'
import { ThreadmillError } from './errors'
import type { LazyLaneHost } from './lazy-lane'
import { BuiltinPromise } from './promise'
import { decodeReason } from './reason'
import { TaskHandle } from './task'

/** A value that was encoded when it was told of. */
type Told = readonly [codec: number, data: unknown]

/** What a worker tells of tasks that it submitted; see `SeatPool`. Times in ms. */
export interface Details {
  readonly added: readonly {
    readonly id: number
    readonly argument: Told
    readonly options: Told
    readonly kernel: string | undefined
    readonly expected: number
  }[]
  readonly ended: readonly {
    readonly id: number
    readonly succeeded: boolean
    readonly value: Told
    readonly worker: number
    readonly runTime: number
    readonly overhead: number
  }[]
}

/** A task that has ended, for its events. */
export interface EndedTask {
  readonly task: TaskHandle<unknown>
  readonly succeeded: boolean
  readonly value: unknown
}

interface Entry {
  readonly task: TaskHandle<unknown>
  readonly worker: number
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

/** See the head of this file. */
export class Registry {
  readonly #entries = new Map<number, Entry>()
  readonly #workerAt: LazyLaneHost['workerAt']

  constructor(workerAt: LazyLaneHost['workerAt']) {
    this.#workerAt = workerAt
  }

  /** Registers new tasks, tells `added` of each, and gives those that have ended, their promises settled. */
  told({ added, ended }: Details, worker: number, onAdded: (task: TaskHandle<unknown>) => void): EndedTask[] {
    for (const { id, argument, options, kernel, expected } of added) {
      const workerAt = (index: number) => this.#workerAt(index, kernel)
      const parts = {
        id,
        argument: read(argument),
        options: (read(options) ?? {}) as object,
        kernel,
        expected,
        worker: workerAt,
      }
      const task = new TaskHandle<unknown>(parts)
      const promise = new BuiltinPromise<unknown>((resolve, reject) => {
        this.#entries.set(id, { task, worker, resolve, reject })
      })
      // The worker that submitted it has a promise of its own; nobody need look at this one.
      promise.catch(() => {})
      task.attach(-1, promise)
      onAdded(task)
    }
    const tasks: EndedTask[] = []
    for (const { id, succeeded, value: told, worker: ranOn, runTime, overhead } of ended) {
      const entry = this.#entries.get(id)
      // It came when nobody listened.
      if (entry === undefined) continue
      this.#entries.delete(id)
      const value = succeeded ? read(told) : decodeReason(...told)
      entry.task.ended(ranOn, runTime, overhead)
      if (succeeded) entry.resolve(value)
      else entry.reject(value)
      tasks.push({ task: entry.task, succeeded, value })
    }
    return tasks
  }

  /** The worker has gone, and its tasks that have not ended fail. */
  forget(worker: number): EndedTask[] {
    const lost: EndedTask[] = []
    let reason: ThreadmillError | undefined
    for (const [id, entry] of this.#entries) {
      if (entry.worker !== worker) continue
      this.#entries.delete(id)
      // An error takes as long to make as all else of a worker that ends.
      reason ??= new ThreadmillError(
        'ERR_THREADMILL_WORKER_CRASHED',
        `worker ${worker}, which submitted the task, ended`,
      )
      entry.reject(reason)
      lost.push({ task: entry.task, succeeded: false, value: reason })
    }
    return lost
  }
}

function read([codec, data]: Told): unknown {
  try {
    return decode(codec, data)
  } catch {
    // Nested too deep for this thread.
    return undefined
  }
}
