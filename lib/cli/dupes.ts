#!/usr/bin/env node
// Stage: all. Thread: main.
// The main job: finds duplicate files below a folder by hashing every regular file on the native lane.

import { opendir } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { WorkerPool } from '../index'
import { type Arguments, HELP, parse, UsageError } from './arguments'
import { display } from './file-path'
import { hashFiles } from './hash'
import { createProgress, type ProgressView, silent } from './progress'
import { createReport, type Report, toJsonText, toText } from './report'
import { codeOf, messageOf, walk } from './walk'

const EXIT_UNUSABLE = 1
const EXIT_SKIPPED = 2

/** The package's own folder; this file is `dist/cli/dupes.js` in it. */
const PACKAGE_ROOT = path.resolve(__dirname, '../..')

async function main(): Promise<number> {
  let options: Arguments
  try {
    options = parse()
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return refuse(`${error.message} (--help explains)`)
  }
  if (options.help) {
    process.stdout.write(HELP)
    return 0
  }

  const folder = path.resolve(options.folder ?? PACKAGE_ROOT)
  try {
    // Whatever makes this fail, links and permissions included, makes the search impossible.
    await (await opendir(folder)).close()
  } catch (error) {
    return refuse(`${display(folder)}: ${explain(error)}`)
  }

  const progress = options.progress ? createProgress(process.stderr) : silent
  endOnSignals(progress)
  const report = await search(folder, options.threads, progress)
  const colour = process.stdout.isTTY === true && process.stdout.hasColors()
  process.stdout.write(options.json ? toJsonText(report) : toText(report, options.top, colour))
  return report.errors.length === 0 ? 0 : EXIT_SKIPPED
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

async function search(folder: string, threads: number | undefined, progress: ProgressView): Promise<Report> {
  const pool = new WorkerPool({ name: 'dupes', threads })
  try {
    const start = performance.now()
    const tree = await walk(folder, (count) => progress.found(count))
    const found = performance.now()
    const bytes = tree.files.reduce((total, file) => total + file.size, 0)
    progress.begin(tree.files.length, bytes)
    const outcome = await hashFiles(pool, folder, tree.files, (more, files) => progress.advance(more, files))
    const end = performance.now()
    return createReport(folder, tree, outcome, {
      walkSeconds: (found - start) / 1000,
      hashSeconds: (end - found) / 1000,
      workers: pool.stats().workers,
    })
  } finally {
    progress.stop()
    await pool.close()
  }
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

/** A reader that has seen enough, such as `head`, closes the pipe: no reason to complain. */
function endOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (codeOf(error) !== 'EPIPE') throw error
      process.exit()
    })
  }
}

endOnBrokenPipe()
// Not `process.exit`: output to a pipe may still be on its way.
main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(`dupes: ${error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = EXIT_UNUSABLE
  },
)
