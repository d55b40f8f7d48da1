// Stage: after settle. Thread: main.
// The result as text and as JSON; equal trees give equal text, but for times and workers.

import type { WorkerStats } from '../..'
import { compare, display, type FilePath, toJson } from './file-path'
import { formatBytes, formatCount, formatNoun, formatSeconds } from './format'
import { type Group, groupDuplicates } from './groups'
import type { HashOutcome } from './hash'
import { type TextReport, textToJson, textToText } from './text-report'
import type { Skipped, Tree } from './walk'

/** Everything that the program found out. */
export interface Report {
  readonly folder: string
  readonly files: number
  readonly bytes: number
  readonly folders: number
  readonly symlinks: number
  readonly hardLinks: number
  readonly groups: readonly Group[]
  readonly redundantFiles: number
  readonly redundantBytes: number
  readonly brokenLinks: readonly Skipped[]
  readonly special: readonly Skipped[]
  readonly errors: readonly Skipped[]
  readonly vanished: readonly FilePath[]
  readonly walkSeconds: number
  readonly hashSeconds: number
  /** The native workers. */
  readonly workers: readonly WorkerStats[]
  /** `undefined` when the text files were left alone. */
  readonly text: TextReport | undefined
}

/** How long the phases took, and who did the work. */
export interface Timing {
  readonly walkSeconds: number
  readonly hashSeconds: number
  readonly workers: readonly WorkerStats[]
}

/** Puts the parts together. */
export function createReport(
  folder: string,
  tree: Tree,
  outcome: HashOutcome,
  timing: Timing,
  text?: TextReport,
): Report {
  const groups = groupDuplicates(outcome.hashed)
  const files = outcome.hashed.map(({ file }) => file)
  return {
    folder,
    files: files.length,
    bytes: sum(files, (file) => file.size),
    folders: tree.folders,
    symlinks: tree.symlinks,
    hardLinks: sum(files, (file) => file.links.length),
    groups,
    redundantFiles: sum(groups, (group) => group.files.length - 1),
    redundantBytes: sum(groups, (group) => group.redundantBytes),
    brokenLinks: sorted(tree.brokenLinks),
    special: sorted(tree.special),
    errors: sorted([...tree.errors, ...outcome.errors]),
    vanished: [...tree.vanished, ...outcome.vanished].sort(compare),
    ...timing,
    text,
  }
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0)
}

function sorted(items: readonly Skipped[]): Skipped[] {
  return [...items].sort((a, b) => compare(a.path, b.path))
}

/** Files of one group, and entries of one list, that the text shows. */
const FILES_SHOWN = 5
const ENTRIES_SHOWN = 100

/** The report for people: `top` largest groups, headings in bold when `colour`. */
export function toText(report: Report, top: number, colour: boolean): string {
  const heading = (text: string) => (colour ? `\u001b[1m${text}\u001b[22m` : text)
  const lines = [heading(display(report.folder)), ...summary(report)]
  const groups = report.groups.slice(0, top)
  if (groups.length > 0) {
    lines.push('', heading(`Largest of ${formatNoun(report.groups.length, 'duplicate group')}`))
    for (const group of groups) lines.push(...groupLines(group))
  }
  lines.push('', heading('Workers'), ...report.workers.map((worker) => workerLine(worker, report.hashSeconds)))
  lines.push(
    ...section(
      heading,
      'Broken links',
      report.brokenLinks,
      ({ path, reason }) => `${display(path)} -> ${display(reason)}`,
    ),
  )
  lines.push(
    ...section(heading, 'Special files, skipped', report.special, ({ path, reason }) => `${display(path)}: ${reason}`),
  )
  lines.push(...section(heading, 'Vanished while running, skipped', report.vanished, display))
  lines.push(
    ...section(
      heading,
      'Not readable, skipped',
      report.errors,
      ({ path, reason }) => `${display(path) || '.'}: ${display(reason)}`,
    ),
  )
  if (report.text !== undefined) lines.push(textToText(report.text, heading))
  return `${lines.join('\n')}\n`
}

function summary(report: Report): string[] {
  const links = report.hardLinks === 0 ? '' : ` (and ${formatNoun(report.hardLinks, 'hard link')} to them)`
  const exact = (bytes: number) =>
    bytes < 1000 ? formatBytes(bytes) : `${formatBytes(bytes)} (${formatCount(bytes)} bytes)`
  const rate = report.hashSeconds > 0 ? report.bytes / report.hashSeconds / 1e9 : 0
  return [
    row('files', formatCount(report.files) + links),
    row('bytes', exact(report.bytes)),
    row('duplicate groups', formatCount(report.groups.length)),
    row('redundant files', formatCount(report.redundantFiles)),
    row('redundant bytes', exact(report.redundantBytes)),
    row('time', `${formatSeconds(report.walkSeconds)} finding, ${formatSeconds(report.hashSeconds)} hashing`),
    row('throughput', `${rate.toFixed(2)} GB/s`),
  ]
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(18)}${value}`
}

function groupLines(group: Group): string[] {
  const count = formatNoun(group.files.length, 'file')
  const lines = [`  ${formatBytes(group.redundantBytes)} redundant: ${count} of ${formatBytes(group.size)}`]
  for (const file of group.files.slice(0, FILES_SHOWN)) lines.push(`    ${display(file.path)}`)
  if (group.files.length > FILES_SHOWN) lines.push(`    and ${formatCount(group.files.length - FILES_SHOWN)} more`)
  return lines
}

function workerLine(worker: WorkerStats, seconds: number): string {
  const share = busyShare(worker, seconds)
  const filled = Math.round(share * 20)
  const bar = '#'.repeat(filled).padEnd(20, '.')
  const percent = `${Math.round(share * 100)}`.padStart(3)
  const files = formatNoun(worker.tasksCompleted + worker.tasksErrored, 'file')
  return `  worker ${String(worker.id).padEnd(3)} ${bar} ${percent} % busy, ${files}`
}

function busyShare(worker: WorkerStats, seconds: number): number {
  // Clocks of two threads: a hair above 1 is possible and means 1.
  return seconds > 0 ? Math.min(1, worker.busyTime / 1000 / seconds) : 0
}

function section<T>(
  heading: (text: string) => string,
  title: string,
  items: readonly T[],
  line: (item: T) => string,
): string[] {
  if (items.length === 0) return []
  const lines = ['', heading(`${title} (${formatCount(items.length)})`)]
  for (const item of items.slice(0, ENTRIES_SHOWN)) lines.push(`  ${line(item)}`)
  if (items.length > ENTRIES_SHOWN)
    lines.push(`  and ${formatCount(items.length - ENTRIES_SHOWN)} more; --json lists all`)
  return lines
}

/** The report for programs, on one line; nothing is left out. */
export function toJsonText(report: Report): string {
  const entries = (items: readonly Skipped[]) => items.map(({ path, reason }) => ({ path: toJson(path), reason }))
  const { folder, files, bytes, folders, symlinks, hardLinks, redundantFiles, redundantBytes } = report
  const { walkSeconds, hashSeconds } = report
  const value = {
    folder,
    files,
    bytes,
    folders,
    symlinks,
    hardLinks,
    duplicateGroups: report.groups.length,
    redundantFiles,
    redundantBytes,
    groups: report.groups.map(({ digest, size, files: members }) => ({
      digest,
      size,
      files: members.map(({ path, links }) => ({ path: toJson(path), links: links.map(toJson) })),
    })),
    brokenLinks: report.brokenLinks.map(({ path, reason }) => ({ path: toJson(path), target: reason })),
    special: entries(report.special),
    vanished: report.vanished.map(toJson),
    errors: entries(report.errors),
    walkSeconds,
    hashSeconds,
    bytesPerSecond: hashSeconds > 0 ? bytes / hashSeconds : 0,
    workers: report.workers.map((worker) => ({
      id: worker.id,
      busy: busyShare(worker, hashSeconds),
      tasks: worker.tasksCompleted + worker.tasksErrored,
    })),
    text: report.text === undefined ? undefined : textToJson(report.text),
  }
  return `${JSON.stringify(value)}\n`
}
