// Stage: after settle. Thread: main.
// What the text files hold, and which lane did what; the second part of the report.

import type { PoolStats, WorkerStats } from '../..'
import { display } from './file-path'
import { formatBytes, formatCount, formatNoun, formatSeconds } from './format'
import type { ExtensionFigures, TextOutcome } from './text'
import { LIMIT } from './text-worker'

/** What one lane of the pool did. */
export interface LaneFigures {
  /** Workers that ran a task. */
  readonly workers: number
  readonly tasks: number
  readonly busySeconds: number
}

/** The second part of the report. */
export interface TextReport extends TextOutcome {
  readonly js: LaneFigures
  readonly native: LaneFigures
  /** Seconds from the first task to the last. */
  readonly seconds: number
}

/** Puts the parts together. */
export function createTextReport(outcome: TextOutcome, stats: PoolStats, seconds: number): TextReport {
  return { ...outcome, js: laneFigures(stats.js), native: laneFigures(stats.native), seconds }
}

function laneFigures(workers: readonly WorkerStats[]): LaneFigures {
  const tasks = workers.map((worker) => worker.tasksCompleted + worker.tasksErrored)
  return {
    workers: tasks.filter((count) => count > 0).length,
    tasks: sum(tasks),
    busySeconds: sum(workers.map((worker) => worker.busyTime)) / 1000,
  }
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}

/** Rows of the table, and names in a row. */
const ROWS_SHOWN = 10
const NAMES_SHOWN = 4

/** The part for people, without a line end. */
export function textToText(report: TextReport, heading: (text: string) => string): string {
  const { extensions } = report
  const lines = ['', heading(`Text in ${formatNoun(sum(extensions.map(({ files }) => files)), 'file')}`)]
  if (extensions.length > 0) {
    lines.push(columns('ext', 'files', 'lines', 'words', 'bytes', 'zstd', 'most frequent names'))
    for (const figures of extensions.slice(0, ROWS_SHOWN)) lines.push(extensionRow(figures))
  }
  if (extensions.length > ROWS_SHOWN) {
    lines.push(`  and ${formatCount(extensions.length - ROWS_SHOWN)} more; --json lists all`)
  }
  lines.push(skippedLine(report), '', heading('Lanes') + lanesLine(report))
  return lines.join('\n')
}

function extensionRow({ extension, files, lines, words, bytes, compressedBytes, names }: ExtensionFigures): string {
  const ratio = compressedBytes === 0 ? '-' : (bytes / compressedBytes).toFixed(2)
  const shown = names.slice(0, NAMES_SHOWN).map(({ name }) => display(name))
  const counts = [files, lines, words].map(formatCount) as [string, string, string]
  return columns(extension, ...counts, formatBytes(bytes), ratio, shown.join(', '))
}

function columns(
  extension: string,
  files: string,
  lines: string,
  words: string,
  bytes: string,
  ratio: string,
  names: string,
): string {
  const figures = `${files.padStart(9)}${lines.padStart(12)}${words.padStart(12)}${bytes.padStart(11)}${ratio.padStart(8)}`
  return `  ${extension.padEnd(10)}${figures}  ${names}`.trimEnd()
}

function skippedLine({ skipped: { binary, large, unreadable, vanished, other } }: TextReport): string {
  const parts = [
    `${formatCount(binary)} binary`,
    `${formatCount(large)} above ${formatBytes(LIMIT)}`,
    ...(unreadable > 0 ? [`${formatCount(unreadable)} not readable`] : []),
    ...(vanished > 0 ? [`${formatCount(vanished)} vanished`] : []),
  ]
  return `  skipped: ${parts.join(', ')}; ${formatNoun(other, 'file')} of other kinds`
}

function lanesLine({ js, native, compressedBy, seconds }: TextReport): string {
  const compressing = sum(compressedBy.values())
  const kernels = `${formatNoun(native.tasks - compressing, 'task')} hashing and ${formatCount(compressing)} compressing`
  const lanes = [`js ${formatNoun(js.tasks, 'task')} reading (${share(js)})`, `native ${kernels} (${share(native)})`]
  return ` in ${formatSeconds(seconds)}: ${lanes.join(', ')}`
}

function share({ workers, busySeconds }: LaneFigures): string {
  return `${formatNoun(workers, 'worker')}, ${formatSeconds(busySeconds)} busy`
}

/** The part for programs: nothing that differs between equal trees. */
export function textToJson({ extensions, skipped, js, native, compressedBy }: TextReport): object {
  const compressing = sum(compressedBy.values())
  return { extensions, skipped, tasks: { reading: js.tasks, hashing: native.tasks - compressing, compressing } }
}
