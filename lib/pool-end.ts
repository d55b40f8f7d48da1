// Stage: all. Thread: owner env.
// The end of a pool: nothing is admitted any more, tasks end or are given up, callbacks of users run, workers leave, and the
// pool is released.

import { rethrow } from './callbacks'
import { settleNow } from './drain'
import type { JsLane } from './lane'
import { shutdown, signalHandlers } from './lazy-owner'
import type { MainLane } from './main'
import { native } from './native-owner'
import { poolClosed } from './options'
import { uses } from './packs'
import { flush } from './port'
import { BuiltinPromise } from './promise'
import type { ShellSettings } from './shell-options'
import type { Shutdown } from './shutdown'

/** How far the end of a pool has been asked for: not at all, `close`, `dispose`, `destroy`. */
export type Ending = -1 | 0 | 1 | 2

/** The pool, as seen from here. */
export interface EndHost {
  readonly handle: number
  readonly settings: { readonly name: string }
  ending: Ending
  /** Unfinished tasks. */
  readonly pending: number
  /** The JS lane, if it has been used. */
  knownLane(): JsLane | undefined
  /** The executor on this thread, if there has been a task for it. */
  knownMain(): MainLane | undefined
  /** Takes the last figures; nothing comes of the core any more. */
  leaveCore(): void
  /** Nothing is left of it but its figures. */
  released(): void
}

/** See the head of this file. */
export class PoolEnd {
  readonly #host: EndHost
  readonly #patience: number
  #ended: Promise<void> | undefined
  #resolveEnded: (() => void) | undefined
  readonly #endListeners = new Set<(reason: unknown) => void>()
  readonly #atRelease = new Set<() => void>()
  #shutdown: Shutdown | undefined
  /** Whether the core admits nothing any more, of tasks that run neither. */
  #isCoreClosed = false
  /** Whether its workers have been told to leave: too late for callbacks. */
  #isLeaving = false
  isReleased = false

  constructor(host: EndHost, { disposeTimeout }: ShellSettings) {
    this.#host = host
    this.#patience = disposeTimeout
  }

  /** Calls `listener` when the pool admits nothing any more. Returns how to stop that. */
  onEnd(listener: (reason: unknown) => void): () => void {
    if (this.#host.ending >= 0) listener(this.#closed())
    else this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  /** Calls `listener` when the pool has ended. Returns how to stop that. */
  onRelease(listener: () => void): () => void {
    this.#atRelease.add(listener)
    return () => this.#atRelease.delete(listener)
  }

  /** Calls `callback` after the last task. @throws ThreadmillError when it is too late for that */
  onShutdown(callback: () => unknown): void {
    if (this.#isLeaving) throw this.#closed()
    this.#shutdownParts().add(callback)
  }

  /** Ends the pool when one of these signals comes. @throws ThreadmillError when it has ended */
  handleSignals(signals: readonly NodeJS.Signals[]): void {
    this.checkAlive()
    signalHandlers().handleSignals(this, signals)
  }

  /** @throws ThreadmillError when the pool has ended */
  checkAlive(): void {
    if (this.isReleased) throw this.#closed()
  }

  /** Ends the pool; asked again, it can only end sooner. It is destroyed when `limit` ms have passed. */
  end(mode: 0 | 1 | 2, limit = Number.POSITIVE_INFINITY): Promise<void> {
    if (limit === 0) return this.end(2)
    if (limit < Number.POSITIVE_INFINITY && !this.isReleased) this.#shutdownParts().limit(limit)
    this.#ended ??= new BuiltinPromise((resolve) => {
      this.#resolveEnded = resolve
    })
    const host = this.#host
    if (mode > host.ending && this.#resolveEnded !== undefined) {
      uses(mode === 2 ? 'destroy' : 'close')
      flush()
      host.ending = mode
      for (const listener of this.#endListeners) listener(this.#closed())
      this.#endListeners.clear()
      // Tasks that were admitted may need others to finish.
      if (mode > 0 || host.pending === 0) this.#closeCore(mode)
      // Tasks that do not return end with their workers.
      if (mode === 2) {
        this.#shutdown?.hurry()
        host.knownLane()?.shutdown(true)
        host.knownMain()?.leave()
      } else if (host.pending === 0) this.shutIdleLanes()
    }
    return this.#ended
  }

  #closeCore(mode: 0 | 1 | 2): void {
    native.closePool(this.#host.handle, mode, !this.#isCoreClosed)
    this.#isCoreClosed = true
  }

  /** Ends the workers of a pool that is closing when nothing is unsettled; what they still run was given up. */
  shutIdleLanes(): void {
    if (!this.#isCoreClosed) this.#closeCore(0)
    const leave = (): void => {
      this.#isLeaving = true
      this.#host.knownLane()?.shutdown(false)
      this.#host.knownMain()?.leave()
    }
    if (this.#shutdown === undefined) leave()
    else this.#shutdown.run().then(leave)
  }

  /** The core has nothing of the pool any more. */
  closed(): void {
    if (this.#shutdown === undefined) this.#shutLanes()
    else this.#shutdown.run().then(() => this.#shutLanes())
  }

  #shutLanes(): void {
    this.#isLeaving = true
    const isForced = this.#host.ending === 2
    const lanes = [this.#host.knownLane()?.shutdown(isForced), this.#host.knownMain()?.shutdown(isForced)]
    if (lanes.every((lane) => lane === undefined)) this.#release()
    else {
      // Nothing is unfinished any more; the workers say goodbye.
      BuiltinPromise.all(lanes).then(() => {
        settleNow()
        this.#release()
      })
    }
  }

  #release(): void {
    this.#host.leaveCore()
    this.isReleased = true
    this.#shutdown?.ended()
    this.#host.released()
    for (const listener of this.#atRelease) {
      try {
        listener()
      } catch (error) {
        rethrow(error)
      }
    }
    this.#resolveEnded?.()
    this.#resolveEnded = undefined
  }

  /** Made when somebody asks for it. */
  #shutdownParts(): Shutdown {
    this.#shutdown ??= new (shutdown())(this.#patience, () => this.end(2))
    return this.#shutdown
  }

  #closed(): Error {
    return poolClosed(this.#host.settings.name)
  }
}
