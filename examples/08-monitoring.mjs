// Shows: a monitoring system: events and figures of a pool, an alert when tasks pile up, and a report per worker.
// Run:   node examples/08-monitoring.mjs [tasks, from 12]

import process from 'node:process'
import { WorkerPool } from 'threadmill'

const BACKLOG = 5

/** Watches a pool from outside: listeners, and `pool.stats()`, whose cost does not depend on what waits. */
class Monitor {
  #pool
  #alarmed = false
  failures = new Map()
  alerts = []
  exits = []
  slowest = { name: undefined, time: -1 }

  constructor(pool) {
    this.#pool = pool
    pool.on('task-added', () => this.#check())
    pool.on('task-complete', (error, _result, task) => {
      if (error) this.failures.set(error.code ?? error.name, (this.failures.get(error.code ?? error.name) ?? 0) + 1)
      else if (task.taskCost > this.slowest.time) this.slowest = { name: task.argument.name, time: task.taskCost }
      this.#check()
    })
    pool.on('worker-exit', (worker, exitCode) => this.exits.push(`worker ${worker} ended with exit code ${exitCode}`))
  }

  /** Raises an alert once, and once more when it is over. */
  #check() {
    const { queueLength, poolSize } = this.#pool.stats()
    const isBehind = queueLength > BACKLOG * poolSize
    if (isBehind === this.#alarmed) return
    this.#alarmed = isBehind
    this.alerts.push(isBehind ? `${queueLength} tasks wait for ${poolSize} workers` : 'the backlog is gone')
  }

  report() {
    const { tasksCompleted, tasksErrored, avgWaitTime, avgRunTime, workers } = this.#pool.stats()
    const ms = (time) => `${time.toFixed(2)} ms`
    return [
      ...this.alerts.map((alert) => `alert: ${alert}`),
      ...this.exits,
      `${tasksCompleted} done, ${tasksErrored} failed`,
      ...[...this.failures].sort().map(([why, count]) => `${count} × ${why}`),
      `waited ${ms(avgWaitTime)}, ran ${ms(avgRunTime)} on average; ${this.slowest.name} ran longest`,
      ...workers.map(
        ({ id, tasksCompleted: done, tasksErrored: failed }) => `worker ${id}: ${done} done, ${failed} failed`,
      ),
    ]
  }
}

const count = Number(process.argv[2] ?? 40)
if (!Number.isInteger(count) || count < 12) {
  console.error('usage: node examples/08-monitoring.mjs [tasks, from 12]')
  process.exit(1)
}

const pool = new WorkerPool(new URL('./08-monitoring.worker.mjs', import.meta.url), 2)
const monitor = new Monitor(pool)

for (let index = 0; index < count; index++) {
  const kind = { 3: 'bad input', 5: 'crash', 7: 'slow' }[index] ?? 'good'
  // Failures are counted by the monitor: with a listener nobody has to catch them here.
  pool.addTask({ name: `task ${index}`, kind })
}
await pool.whenIdle()
// A worker that has crashed is replaced when tasks wait for it; the report is to have both of them anyway.
pool.resizeUpTo(2)

for (const line of monitor.report()) console.log(line)
await pool.close()
