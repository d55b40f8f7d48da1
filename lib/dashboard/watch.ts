// Stage: all. Thread: owner env.
// One pool as the dashboard sees it: its state, its figures, and, while somebody looks, its unfinished tasks.
//
// D1. While nobody looks it listens to nothing.
// D2. It knows at most MOST tasks, and keeps none of them alive; of those that are too many it only knows that workers are busy.

import type { AnyPool, DashboardPool, RunningTask } from '../../dashboard'
import type { PoolCore } from '../core'
import { own } from '../own'
import type { TaskHandle } from '../task'

/** Tasks that are kept. */
const MOST = 10_000
/** Characters of a name. */
const LONGEST = 200

interface Seen {
  /** Nothing of a task that has ended is kept here; while it has not, its pool has it. */
  readonly handle: WeakRef<TaskHandle<unknown>>
  /** ms since the epoch; 0 while it has not been seen running. */
  since: number
}

/** See the head of this file. */
export class WatchedPool {
  readonly pool: AnyPool
  readonly core: PoolCore
  /** What it is called among those that are shown. */
  readonly name: string
  #state: DashboardPool['state'] = 'open'
  readonly #tasks = new Map<number, Seen>()
  readonly #forget: readonly (() => void)[]
  #isLooking = false
  /** Whether it makes no sense to look for tasks that have ended. */
  #isFull = false

  constructor(pool: AnyPool, core: PoolCore, name: string) {
    this.pool = pool
    this.core = core
    this.name = name
    const closing = core.onEnd(() => {
      this.#state = 'closing'
    })
    const closed = core.onRelease(() => this.#closed())
    this.#forget = [closing, closed]
    try {
      core.checkAlive()
    } catch {
      this.#closed()
    }
  }

  #closed(): void {
    this.#state = 'closed'
    this.#tasks.clear()
  }

  /** Somebody looks from now on. */
  look(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.pool.on('task-added', this.#added)
  }

  lookAway(): void {
    if (!this.#isLooking) return
    this.#isLooking = false
    this.pool.off('task-added', this.#added)
    this.#tasks.clear()
    this.#isFull = false
  }

  /** It is shown no longer. */
  release(): void {
    this.lookAway()
    for (const forget of this.#forget) forget()
  }

  readonly #added = (task: unknown): void => {
    if (this.#tasks.size >= MOST) this.#drop()
    if (this.#isFull) return
    const handle = task as TaskHandle<unknown>
    this.#tasks.set(handle.id, { handle: new WeakRef(handle), since: 0 })
  }

  /** Forgets tasks that have ended; once per snapshot when nearly none has. */
  #drop(): void {
    if (this.#isFull) return
    for (const [id, seen] of this.#tasks) if (unended(seen) === undefined) this.#tasks.delete(id)
    this.#isFull = this.#tasks.size > MOST * 0.9
  }

  /** Cancels a task. Whether that was in time; `undefined` for one that is not known. */
  cancel(id: number): boolean | undefined {
    const seen = this.#tasks.get(id)
    return seen && (unended(seen)?.cancel() ?? false)
  }

  snapshot(now: number): DashboardPool {
    const stats = this.pool.stats()
    const running = this.#running(now)
    const known = new Map<string, RunningTask[]>()
    for (const task of running) {
      const key = `${task.lane} ${task.worker}`
      known.set(key, [...(known.get(key) ?? []), task])
    }
    // What is left of what the figures tell: tasks of which there is no handle.
    for (const { id: worker, lane, running: kernels, busy } of [...stats.native, ...stats.js]) {
      const seen = known.get(`${lane} ${worker}`) ?? []
      const names = seen.map(({ name }) => name)
      for (const name of kernels) {
        const at = names.indexOf(name)
        if (at >= 0) names.splice(at, 1)
        else if (seen.length < kernels.length) running.push({ worker, lane, name })
      }
      if (busy && seen.length === 0 && kernels.length === 0) running.push({ worker, lane })
    }
    return { name: this.name, state: this.#state, stats, running }
  }

  #running(now: number): RunningTask[] {
    const running: RunningTask[] = []
    this.#isFull = false
    for (const [id, seen] of this.#tasks) {
      const task = unended(seen)
      if (task === undefined) {
        this.#tasks.delete(id)
        continue
      }
      const { worker } = task
      if (worker === undefined) {
        // It waits, perhaps to be run again.
        seen.since = 0
        continue
      }
      seen.since ||= now
      const name = nameOf(task)
      running.push({ worker: worker.id, lane: worker.lane, id, ...(name !== undefined && { name }), since: seen.since })
    }
    return running
  }
}

function unended({ handle }: Seen): TaskHandle<unknown> | undefined {
  const task = handle.deref()
  return task !== undefined && task.slot >= 0 ? task : undefined
}

/** What a task is called. Its options are whatever the user gave. */
function nameOf({ options }: TaskHandle<unknown>): string | undefined {
  for (const option of ['key', 'name', 'kernel']) {
    try {
      const value = own(options, option)
      if (typeof value === 'string' && value !== '') return value.slice(0, LONGEST)
    } catch {
      // A getter of the user.
    }
  }
  return undefined
}
