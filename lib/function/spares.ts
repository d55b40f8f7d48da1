// Stage: run. Thread: owner env.
// Workers that are started before they are needed, up to the point before the module loads: who calls for a new worker
// gets one that is ready.
//
// F5. A worker that was taken is never put back.
// F6. As many are kept as calls were running at once lately, one at least and one for every core at most; none once
//     nothing was taken or done for a while. All imports together keep two for every core at most: those go first whose import
//     has had no call that ended for longest. They do not keep the process alive.
// F8. A worker that is taken has the environment variables of the moment: Node copies them when a worker is created.

import { availableParallelism } from 'node:os'
import process from 'node:process'
import { clearTimeout, setTimeout } from '../timers'
import { type ModuleLaunch, ModuleWorker } from './module-worker'

/** How long spares are kept that nobody takes, ms. */
const IDLE = 60_000
/** Spares of all imports that are kept at most, for every core. */
const MOST_PER_CORE = 2

/** Shelves with something on them; the one that was filled last is the last one. */
const shelves = new Set<Spares>()

/** See the head of this file. */
export class Spares {
  readonly #launch: ModuleLaunch
  readonly #idle: number
  readonly #spares = new Set<ModuleWorker>()
  /** The environment variables that they have. */
  #variables = ''
  #inUse = 0
  #peak = 1
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(launch: ModuleLaunch, idle = IDLE) {
    this.#launch = launch
    this.#idle = idle
  }

  /** A worker that has loaded nothing. @throws Error when none can be started */
  take(): ModuleWorker {
    if (this.#spares.size > 0) this.#discardStale()
    const spare = [...this.#spares].find(({ isDead }) => !isDead)
    const worker = spare ?? new ModuleWorker(this.#launch)
    this.#spares.delete(worker)
    this.#inUse++
    this.#peak = Math.max(this.#peak, this.#inUse)
    this.#keep()
    return worker
  }

  /** A worker that was taken has done its work. */
  done(): void {
    this.#inUse--
  }

  /** Starts others for those that come next. */
  fill(): void {
    // Every shelf that has something on it has a timer, also when the last one ran out during the call.
    this.#keep()
    this.#discardStale()
    const cores = availableParallelism()
    const most = Math.min(this.#peak, cores)
    shelves.delete(this)
    shelves.add(this)
    while (this.#spares.size < most) {
      makeRoom(MOST_PER_CORE * cores)
      let worker: ModuleWorker
      try {
        worker = new ModuleWorker(this.#launch)
      } catch {
        // Who calls for one is told why.
        return
      }
      this.#spares.add(worker)
      worker.exited.then(() => this.#spares.delete(worker))
    }
  }

  /** How many there are. */
  get size(): number {
    return this.#spares.size
  }

  /** Ends those that nobody has taken. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#peak = 1
    this.#discard()
    shelves.delete(this)
  }

  #discardStale(): void {
    const variables = (this.#launch.options.env ?? null) === null ? variablesText() : ''
    if (variables === this.#variables) return
    this.#variables = variables
    this.#discard()
  }

  #discard(): void {
    for (const worker of this.#spares) worker.terminate()
    this.#spares.clear()
  }

  #keep(): void {
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.clear(), this.#idle).unref()
    else this.#timer.refresh()
  }
}

/** Clears those that were not filled for longest, until there is room for one more beside `most - 1`. */
function makeRoom(most: number): void {
  let count = 1
  for (const shelf of shelves) count += shelf.size
  for (const shelf of shelves) {
    if (count <= most) return
    count -= shelf.size
    shelf.clear()
  }
}

/** The environment variables of this thread: about half of what a copy of them takes. */
function variablesText(): string {
  let text = ''
  for (const name of Object.getOwnPropertyNames(process.env)) text += `${name}=${process.env[name]}\0`
  return text
}
