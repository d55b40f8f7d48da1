#!/usr/bin/env node
// Stage: all. Thread: main.
// The main job: finds duplicate files below a folder by hashing every regular file on the native lane, and reads the text
// files among them on the JS lane of the same pool.

import { opendir } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import type { PoolStats, WorkerStats } from '../..'
import { WorkerPool } from '../index'
import { type Arguments, HELP, parse, UsageError } from './arguments'
import { display } from './file-path'
import { hashFiles } from './hash'
import { createProgress, type ProgressView, silent } from './progress'
import { createReport, type Report, toJsonText, toText } from './report'
import { endWithoutOutput } from './terminal'
import { readText, TASKS_PER_WORKER, TEXT_MODULE, TEXT_WORKERS, type TextOutcome } from './text'
import { createTextReport } from './text-report'
import { PACKAGE_ROOT } from './version'
import { codeOf, messageOf, walk } from './walk'

const EXIT_UNUSABLE = 1
const EXIT_SKIPPED = 2

/**
 * Runs the duplicate finder; gives its exit code.
 * @param defaultFolder searched when the arguments name none
 */
export async function dupes(args: readonly string[], defaultFolder: string): Promise<number> {
  let options: Arguments
  try {
    options = parse(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return refuse(`${error.message} (--help explains)`)
  }
  if (options.help) {
    process.stdout.write(HELP)
    return 0
  }

  const folder = path.resolve(options.folder ?? defaultFolder)
  try {
    // Whatever makes this fail, links and permissions included, makes the search impossible.
    await (await opendir(folder)).close()
  } catch (error) {
    return refuse(`${display(folder)}: ${explain(error)}`)
  }

  const progress = options.progress ? createProgress(process.stderr) : silent
  endOnSignals(progress)
  const report = await search(folder, options, progress)
  const colour = process.stdout.isTTY === true && process.stdout.hasColors()
  process.stdout.write(options.json ? toJsonText(report) : toText(report, options.top, colour))
  // A file that was hashed may have become unreadable before its text was read.
  return report.errors.length === 0 && !report.text?.skipped.unreadable ? 0 : EXIT_SKIPPED
}

function refuse(message: string): number {
  process.stderr.write(`dupes: ${message}\n`)
  return EXIT_UNUSABLE
}

function explain(error: unknown): string {
  switch (codeOf(error)) {
    case 'ENOENT':
      return 'no such folder'
    case 'ENOTDIR':
      return 'not a folder'
    case 'EACCES':
    case 'EPERM':
      return 'not readable'
    default:
      return display(messageOf(error))
  }
}

async function search(folder: string, options: Arguments, progress: ProgressView): Promise<Report> {
  const pool = new WorkerPool(TEXT_MODULE, {
    name: 'dupes',
    threads: options.threads,
    maxWorkers: TEXT_WORKERS,
    taskPerWorker: TASKS_PER_WORKER,
  })
  try {
    const start = performance.now()
    const tree = await walk(folder, (count) => progress.found(count))
    const found = performance.now()
    const bytes = tree.files.reduce((total, file) => total + file.size, 0)
    progress.begin(tree.files.length, bytes)
    const reading = options.text ? readText(pool, folder, tree.files, () => progress.advanceText()) : undefined
    const hashing = hashFiles(pool, folder, tree.files, (more, files) => progress.advance(more, files)).then(
      (outcome) => {
        if (reading !== undefined) progress.beginText(reading.files)
        return { outcome, end: performance.now(), native: pool.stats().native }
      },
    )
    const [hashed, text] = await Promise.all([hashing, reading?.outcome])
    const stats = pool.stats()
    const timing = {
      walkSeconds: (found - start) / 1000,
      hashSeconds: (hashed.end - found) / 1000,
      workers: hashed.native.map((worker) => withHashedFiles(worker, stats, text)),
    }
    const seconds = (performance.now() - found) / 1000
    return createReport(folder, tree, hashed.outcome, timing, text && createTextReport(text, stats, seconds))
  } finally {
    progress.stop()
    await pool.close()
  }
}

/** The figures of a worker when the last file was hashed, with the tasks that were files. */
function withHashedFiles(worker: WorkerStats, { native }: PoolStats, text: TextOutcome | undefined): WorkerStats {
  // Counted at the end: then every task is settled, and those that compressed are known.
  const { tasksCompleted, tasksErrored } = native[worker.id] ?? worker
  return { ...worker, tasksCompleted: tasksCompleted - (text?.compressedBy.get(worker.id) ?? 0), tasksErrored }
}

/** Ends at once: `process.exit` on the main thread waits for no native worker. */
function endOnSignals(progress: ProgressView): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      progress.stop()
      process.exit(128 + os.constants.signals[signal])
    })
  }
}

if (require.main === module) {
  endWithoutOutput()
  // Not `process.exit`: output to a pipe may still be on its way.
  dupes(process.argv.slice(2), PACKAGE_ROOT).then(
    (code) => {
      process.exitCode = code
    },
    (error: unknown) => {
      process.stderr.write(`dupes: ${error instanceof Error ? error.stack : String(error)}\n`)
      process.exitCode = EXIT_UNUSABLE
    },
  )
}
