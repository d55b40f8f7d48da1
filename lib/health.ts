// Stage: all. Thread: owner env.
// Tells listeners at intervals how a pool is, and when more tasks wait than its workers can be expected to do soon.

import type { HealthAlert, PoolStats } from '..'
import type { HealthSettings } from './shell-options'
import { clearInterval, setInterval } from './timers'

/** The pool, as seen from here. */
export interface HealthHost {
  stats(): PoolStats
  /** Calls listeners of the pool. */
  tell(event: 'health' | 'health-alert', details: unknown): void
  /** Calls `listener` when the pool has ended. Returns how to stop that. */
  onRelease(listener: () => void): () => void
}

/** See the head of this file. */
export class HealthMonitor {
  readonly #host: HealthHost
  readonly #settings: HealthSettings
  readonly #timer: ReturnType<typeof setInterval>
  readonly #forget: () => void
  #hasStopped = false

  constructor(host: HealthHost, settings: HealthSettings) {
    this.#host = host
    this.#settings = settings
    this.#timer = setInterval(() => this.#tick(), settings.interval)
    this.#timer.unref()
    this.#forget = host.onRelease(() => this.stop())
  }

  stop(): void {
    this.#hasStopped = true
    clearInterval(this.#timer)
    this.#forget()
  }

  #tick(): void {
    const { log, alert } = this.#settings
    const stats = this.#host.stats()
    if (log) print(stats)
    this.#host.tell('health', stats)
    // A listener may have stopped it.
    if (this.#hasStopped || stats.queueLength <= stats.poolSize * alert) return
    const details: HealthAlert = { type: 'queue-backlog', message: 'WARNING: Task queue is backing up!', stats }
    this.#host.tell('health-alert', details)
  }
}

function print({ name, busyWorkers, poolSize, queueLength, tasksCompleted, avgProcessingTime }: PoolStats): void {
  const lines = [
    `Health of pool '${name}'`,
    `  Busy workers: ${busyWorkers}/${poolSize}`,
    `  Waiting tasks: ${queueLength}`,
    `  Completed tasks: ${tasksCompleted}`,
    `  Average processing time: ${avgProcessingTime.toFixed(2)} ms`,
  ]
  // biome-ignore lint/suspicious/noConsole: it was asked for
  for (const line of lines) console.log(line)
}
