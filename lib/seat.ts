// Stage: submit. Thread: a JS worker.
// Tasks that a worker submits to its own pool. They go straight to the scheduler and settle here, without the thread that
// made the pool.
//
// J7. While tasks that this worker submitted are unsettled, its own tasks that have not returned do not count against
//     workerConcurrency: one of them may be waiting for another, and nobody can tell which.

import type { IWorker } from '..'
import { type Encoded, encode, POSTED } from './codec'
import { ThreadmillError } from './errors'
import { native } from './native'
import { checkEntryOptions, own, type PoolSettings } from './options'
import { allocate, connect, ENTRY, type Observer, type Owner, onRejected, onSettled, submitEntry } from './port'
import { follow } from './signals'
import { TaskHandle } from './task'
import { transferOf } from './transfer'

/** What a worker is told of its pool. */
export interface SeatSettings {
  readonly settings: PoolSettings
  readonly maxWorkers: number
}

/** See the head of this file. */
export class SeatPool implements Owner {
  readonly handle = native.openSeat()
  runTime: number | undefined
  readonly #index: number
  readonly #pool: SeatSettings
  readonly #waits: (waits: boolean) => void
  #nextId = 0
  #unsettled = 0
  #added = 0
  #completed = 0
  #errored = 0

  /** `waits` is told when the first task is submitted and when the last one has settled. */
  constructor(index: number, pool: SeatSettings, waits: (waits: boolean) => void) {
    this.#index = index
    this.#pool = pool
    this.#waits = waits
    connect(this)
  }

  /** As `pool.addTask`, by default with a light affinity to this worker. */
  addTask(input: unknown, options: object | undefined): TaskHandle<unknown> {
    const given = options ?? {}
    const isFree = own(given, 'workerAffinity') === undefined && own(given, 'affinityKey') === undefined
    const placed = isFree ? { ...given, workerAffinity: this.#index } : given
    const { signal, list, affinityKey, key, name, priority, affinity, timeout } = checkEntryOptions(
      placed,
      this.#pool.settings,
      this.#pool.maxWorkers,
    )
    if (signal?.aborted) throw signal.reason
    const worker = (id: number): IWorker => seatWorker(id)
    const task = new TaskHandle({ id: this.#nextId++, argument: input, options: given, kernel: ENTRY, worker })
    let resolve!: (value: unknown) => void
    let reject!: (reason: unknown) => void
    const promise = new Promise((onFulfilled, onFailed) => {
      resolve = onFulfilled
      reject = onFailed
    })
    let encoded: Encoded
    try {
      encoded = encode(input)
      if (encoded.codec === POSTED || list !== undefined || transferOf(input) !== undefined) {
        const message = 'a task that a worker submits cannot move or share an object'
        throw new ThreadmillError('ERR_THREADMILL_SYSTEM', message)
      }
    } catch (error) {
      task.attach(-1, promise)
      reject(error)
      return task
    }
    const hasExtra = affinityKey !== undefined || key !== undefined || name !== undefined
    const extra = hasExtra ? [affinityKey, key, name] : undefined
    const ticket = { owner: this, kernel: ENTRY, priority, affinity, timeout, extra }
    const slot = allocate(ticket, resolve)
    onRejected(slot, reject)
    task.attach(slot, promise)
    if (signal !== undefined) {
      const unfollow = follow(signal, (reason) => task.cancel(reason))
      onSettled(slot, () => unfollow?.())
    }
    this.#added++
    if (this.#unsettled++ === 0) this.#waits(true)
    submitEntry(slot, ticket, encoded.codec, encoded.data)
    return task
  }

  settled(succeeded: boolean, _value: unknown, _observer: Observer | undefined): void {
    if (succeeded) this.#completed++
    else this.#errored++
    if (--this.#unsettled === 0) this.#waits(false)
  }

  /** Tells the owner how many tasks came and went since the last time. Before answers that it must not overtake. */
  report(): void {
    if (this.#added + this.#completed + this.#errored === 0) return
    native.reportTasks(this.#added, this.#completed, this.#errored)
    this.#added = 0
    this.#completed = 0
    this.#errored = 0
  }

  message(): void {}

  closed(): void {}
}

/** A worker as another worker sees it. */
function seatWorker(id: number): IWorker {
  return {
    id,
    lane: 'js',
    postMessageToWorker(): IWorker {
      return this
    },
    toString: () => String(id),
  } as IWorker
}
