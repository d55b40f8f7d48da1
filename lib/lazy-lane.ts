// Stage: all. Thread: owner env.
// The JS lane of a pool. It is loaded with the first use, and when that needs a thread, then after the thread is launched,
// for both take their time.
//
// Z1. The code of the lane may not be there for a while: no descriptors are left. The thread that was launched for it waits then,
//     and is ended when it has something to say, or when the pool ends.

import type { IWorker } from '..'
import type { EntryPlace } from './entry-module'
import type { JsLane } from './lane'
import { LaneLauncher } from './lane-launcher'
import type { LaneHost, LaneSettings } from './lane-settings'
import type { LaneThread } from './lane-thread'
import { laneParts } from './lazy-owner'
import { native } from './native-owner'
import { unloadable } from './refused'
import type { SeatSettings } from './seat'
import { Shared } from './shared'
import type { TaskHandle } from './task'

/** The pool, as seen from here. */
export interface LazyLaneHost {
  /** What the lane needs, but for tasks of its workers. */
  readonly lane: Omit<LaneHost, 'told' | 'heard' | 'forgotten'>
  readonly seat: Omit<SeatSettings, 'shared'>
  /** The worker with that number, in the lane of that kernel or of entry functions. */
  workerAt(index: number, kernel: string | undefined): IWorker | undefined
  /** A worker has submitted that task. */
  added(task: TaskHandle<unknown>): void
}

/** See the head of this file. */
export class LazyLane {
  readonly shared = new Shared()
  readonly #host: LazyLaneHost
  readonly #settings: LaneSettings
  readonly #launcher: LaneLauncher
  /** Once it has been used. */
  known: JsLane | undefined
  /** Launched for a lane that is still to be made. */
  #first: LaneThread | undefined
  /** Whether the pool has ended. */
  #isOver = false

  constructor(host: LazyLaneHost, place: EntryPlace, settings: LaneSettings) {
    this.#host = host
    this.#settings = settings
    const { handle, name, memory } = host.lane
    this.#launcher = new LaneLauncher({
      handle,
      name,
      memory,
      poolId: native.shareWorkers(handle, settings.maxWorkers),
      place,
      settings,
      seat: { ...host.seat, shared: this.shared.buffer },
      // They say nothing before the next turn of the event loop.
      threads: {
        reported: (thread, report) => this.#laneOf(thread)?.reported(thread, report),
        exited: (thread, exitCode) => this.#exited(thread, exitCode),
      },
    })
  }

  /** The lane itself. */
  get lane(): JsLane {
    this.known ??= this.#make()
    const first = this.#first
    this.#first = undefined
    if (first !== undefined) this.known.adopt(first)
    return this.known
  }

  /** Once it has been used; also when all that there is of it is a thread (Z1). */
  get used(): JsLane | undefined {
    if (this.known !== undefined || this.#first === undefined) return this.known
    try {
      return this.lane
    } catch {
      return undefined
    }
  }

  /** The pool has ended. */
  release(): void {
    this.#isOver = true
    this.#first?.worker.terminate()
  }

  #laneOf(thread: LaneThread): JsLane | undefined {
    if (this.#isOver && this.known === undefined) return undefined
    try {
      return this.lane
    } catch {
      thread.worker.terminate()
      return undefined
    }
  }

  #exited(thread: LaneThread, exitCode: number): void {
    const lane = this.#laneOf(thread)
    if (lane !== undefined) {
      lane.exited(thread, exitCode)
      return
    }
    this.#first = undefined
    thread.control.close()
    if (!this.#isOver) native.leaveWorker(this.#host.lane.handle, thread.index, 4, 'the lane could not be loaded')
  }

  /** The same, for somebody who is about to need a worker. @throws what the runtime throws */
  launching(): JsLane {
    return this.known ?? this.#launchAhead()
  }

  #launchAhead(): JsLane {
    this.#first ??= this.#launcher.launch(0)
    try {
      return this.lane
    } catch (error) {
      throw unloadable(error)
    }
  }

  #make(): JsLane {
    const { Registry, JsLane } = laneParts()
    const { lane, workerAt, added } = this.#host
    const registry = new Registry(workerAt)
    const host: LaneHost = {
      ...lane,
      told: (details, worker) => registry.told(details, worker, added),
      heard: (count) => this.shared.heard(count),
      forgotten: (worker) => registry.forget(worker),
    }
    return new JsLane(host, this.#settings, this.#launcher)
  }
}
