// Stage: run. Thread: owner env.
// Launches the threads of a JS lane. It is there before the lane is, whose code is loaded while the first of them starts.

import path from 'node:path'
import { addonFile } from './addon'
import { workerCode, workerFolder } from './code-cache'
import type { EntryPlace } from './entry-module'
import type { LaneHost, LaneSettings } from './lane-settings'
import { heapWatch, LaneThread, type ThreadHost } from './lane-thread'
import { native } from './native-owner'

import { isRefused, refusedThread } from './refused'
import type { SeatSettings } from './seat'
import { root } from './timers'

const SCRIPT = path.join(__dirname, 'worker.js')

/** What threads are launched for. */
export interface LaunchHost {
  readonly handle: number
  readonly name: string
  readonly memory: LaneHost['memory']
  /** The id under which they attach to the pool. */
  readonly poolId: number
  readonly place: EntryPlace
  readonly settings: LaneSettings
  readonly seat: SeatSettings
  /** Hears of them. */
  readonly threads: ThreadHost
}

/** See the head of this file. */
export class LaneLauncher {
  readonly #host: LaunchHost
  /** Threads launched so far. */
  #lives = 0

  constructor(host: LaunchHost) {
    this.#host = host
  }

  /**
   * Launches the thread with this number; `undefined` when the pool takes no more.
   * @throws what the runtime throws for options; ThreadmillError `ERR_THREADMILL_SYSTEM` when the system refuses a thread
   */
  launch(index: number): LaneThread | undefined {
    const { handle, name, memory, poolId, place, settings, seat, threads } = this.#host
    if (!native.joinWorker(handle, index)) return undefined
    const file = addonFile()
    const folder = workerFolder()
    const launch = {
      poolId,
      index,
      life: this.#lives++,
      place,
      concurrency: settings.workerConcurrency,
      heap: heapWatch(settings, memory),
      trims: settings.trimWhenIdle,
      seat,
      workerData: settings.workerData,
      threadmillAddon: file,
      threadmillFolder: folder,
    }
    const title = `threadmill-${name}-js-${index}`
    let thread: LaneThread
    try {
      // As long as it lives, its port would keep the context of the call that it is launched for.
      thread = root.runInAsyncScope(() => new LaneThread(index, title, SCRIPT, launch, settings, threads))
    } catch (error) {
      native.leaveWorker(handle, index, 0, 'the worker could not be launched')
      throw isRefused(error, false) ? refusedThread(error) : error
    }
    // While it starts.
    if (folder !== undefined) thread.give(workerCode(file === undefined ? undefined : native))
    return thread
  }
}
