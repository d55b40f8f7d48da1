// Stage: all. Thread: main.
// What a dashboard tells, as text; nothing that it says can move the cursor.

import type { WorkerStats } from '../..'
import { display } from './file-path'
import { formatCount } from './format'

/** What `GET /stats` gives, as far as it is shown. */
export interface Snapshot {
  readonly pools: readonly PoolSnapshot[]
}

interface PoolSnapshot {
  readonly name: string
  readonly stats: {
    readonly poolSize: number
    readonly busyWorkers: number
    readonly queueLength: number
    readonly tasksCompleted: number
    readonly tasksErrored: number
    readonly native?: readonly WorkerStats[]
    readonly js?: readonly WorkerStats[]
  }
  readonly running?: readonly unknown[]
}

/** Whether it has the shape; figures and names are looked at when they are shown. */
export function isSnapshot(value: unknown): value is Snapshot {
  const pools = (value as Snapshot | null | undefined)?.pools
  return (
    Array.isArray(pools) &&
    pools.every(
      (pool) => isObject(pool?.stats) && [pool.stats.native ?? [], pool.stats.js ?? []].every(isListOfObjects),
    )
  )
}

function isListOfObjects(value: unknown): boolean {
  return Array.isArray(value) && value.every(isObject)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** A heading for each pool, and a line for each of its workers. */
export function snapshotText({ pools }: Snapshot, heading: (text: string) => string): string {
  if (pools.length === 0) return 'no pools\n'
  return pools.map((pool) => poolText(pool, heading)).join('\n')
}

function poolText({ name, stats }: PoolSnapshot, heading: (text: string) => string): string {
  const figures = [
    `${count(stats.busyWorkers)} of ${count(stats.poolSize)} busy`,
    `${count(stats.queueLength)} waiting`,
    `${count(stats.tasksCompleted)} done`,
    `${count(stats.tasksErrored)} failed`,
  ]
  const lines = [`${heading(text(name))}  ${figures.join(', ')}`]
  const workers = [...(stats.native ?? []), ...(stats.js ?? [])]
  if (workers.length > 0)
    lines.push(`  ${row('WORKER', 'STATE', 'DONE', 'FAILED', 'CPU', 'LOOP', 'P50', 'P99')} RUNNING`)
  for (const worker of workers) lines.push(`  ${workerText(worker)}`)
  return `${lines.join('\n')}\n`
}

function workerText(worker: WorkerStats): string {
  const { lane, id, busy, started, tasksCompleted, tasksErrored, cpuTime, eventLoopUtilization: loop, runTime } = worker
  const figures = row(
    `${text(lane)} ${count(id)}`,
    busy ? 'busy' : started ? 'idle' : 'none',
    count(tasksCompleted),
    count(tasksErrored),
    typeof cpuTime === 'number' ? `${(cpuTime / 1000).toFixed(1)} s` : '-',
    typeof loop === 'number' ? `${Math.round(loop * 100)} %` : '-',
    milliseconds(runTime?.p50),
    milliseconds(runTime?.p99),
  )
  const running = Array.isArray(worker.running) ? worker.running.map(text).join(', ') : ''
  return `${figures} ${running}`.trimEnd()
}

function row(worker: string, state: string, ...figures: string[]): string {
  return `${worker.padEnd(12)}${state.padEnd(5)}${figures.map((figure) => figure.padStart(11)).join('')}`
}

function count(value: unknown): string {
  return typeof value === 'number' ? formatCount(value) : '?'
}

function text(value: unknown): string {
  return typeof value === 'string' ? display(value) : '?'
}

function milliseconds(value: unknown): string {
  if (typeof value !== 'number') return '-'
  return value < 100 ? `${value.toFixed(2)} ms` : `${formatCount(value)} ms`
}
