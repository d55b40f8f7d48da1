// Stage: submit and settle. Thread: owner env.
// Tasks that the JS workers of a pool submitted: the core runs and settles them there, the owner counts them and tells its
// listeners.

import { decode } from './codec'
import { POSTED } from './codecs'
import type { LaneHost } from './lane-settings'
import { native } from './native-owner'
import type { ParcelStore } from './parcel-store'
import type { Details, EndedTask } from './registry'

type GuestsHost = Pick<LaneHost, 'settled' | 'told' | 'heard' | 'forgotten' | 'isDestroyed'>

/** See the head of this file. */
export class Guests {
  readonly #host: GuestsHost
  readonly #store: ParcelStore
  /** Unsettled tasks that each worker submitted. */
  readonly #unsettled: number[] = []
  /** Of each worker of a destroyed pool, those that have succeeded and failed meanwhile: they are told of when it has ended. */
  readonly #untold: [completed: number, errored: number][] = []

  constructor(host: GuestsHost, store: ParcelStore) {
    this.#host = host
    this.#store = store
  }

  /** A worker has submitted that many tasks and has seen that many settled. */
  count(index: number, added: number, settled: number): void {
    this.#unsettled[index] = (this.#unsettled[index] ?? 0) + added - settled
  }

  /** Tells of those that have succeeded or failed, and of what else a worker says about its tasks. */
  tell(index: number, completed: number, errored: number, codec: number, data: unknown): void {
    const details = codec === POSTED ? this.#store.takeValue(index, data as number)?.value : data
    try {
      if (this.#host.isDestroyed()) {
        // There may be thousands of them, and each has its listeners.
        const [before, failed] = this.#untold[index] ?? [0, 0]
        this.#untold[index] = [before + completed, failed + errored]
        return
      }
      const told = codec === POSTED || details === undefined ? details : decode(codec, details)
      this.#settle(told === undefined ? [] : this.#host.told(told as Details, index), completed, errored)
    } finally {
      // Also of what cannot be read: whoever has told of it waits for that.
      this.#host.heard(completed + errored)
    }
  }

  /** The worker that submitted them has ended: nobody is left to be told of them. */
  forget(index: number): void {
    const lost = this.#unsettled[index] ?? 0
    if (lost > 0) native.forgetTasks(lost)
    this.#unsettled[index] = 0
    const [completed, errored] = this.#untold[index] ?? [0, 0]
    this.#untold[index] = [0, 0]
    this.#settle(this.#host.forgotten(index), completed, errored + lost)
  }

  /** Settles those of which more is known, and the others. */
  #settle(ended: readonly EndedTask[], completed: number, errored: number): void {
    let [succeeded, failed] = [completed, errored]
    for (const { task, succeeded: ok, value } of ended) {
      // One whose end a destroyed pool was not told in detail counts as it ended, and is told of as lost.
      if ((ok && succeeded > 0) || failed === 0) succeeded--
      else failed--
      this.#host.settled(ok, value, task, false)
    }
    for (; succeeded > 0; succeeded--) this.#host.settled(true, undefined, undefined, false)
    for (; failed > 0; failed--) this.#host.settled(false, undefined, undefined, false)
  }
}
