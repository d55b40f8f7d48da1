// Stage: all. Thread: main.
// Shows how far the work is: a live bar on a terminal, else plain lines.
//
// P1. On anything but a terminal: no control characters, and lines at least a second apart.
// P2. Whatever ends the process, the cursor is visible afterwards.

import { performance } from 'node:perf_hooks'
import process from 'node:process'
import type { SingleBar } from 'cli-progress'
import { BAR_INTERVAL, columnsOf, createBar, type Output } from './bar'
import { formatBytes, formatCount, formatNoun } from './format'

/** Shows progress of the three phases. */
export interface ProgressView {
  /** So many files have been found. */
  found(files: number): void
  /** Hashing begins. */
  begin(files: number, bytes: number): void
  /** Files and bytes done since the last call. */
  advance(bytes: number, files: number): void
  /** Only the reading of so many text files is left. */
  beginText(files: number): void
  /** A text file is done; some are before `beginText`. */
  advanceText(): void
  /** Removes the bar. Calls after it do nothing. */
  stop(): void
}

/** Milliseconds between plain lines. */
const LINE_INTERVAL = 1000

/**
 * Opening a file costs about as much as hashing so many bytes; without it the bar would stand near its end while
 * thousands of small files go by.
 */
const FILE_WEIGHT = 16 * 1024

/** Milliseconds since some moment. */
export type Clock = () => number

/** The view that suits the stream. */
export function createProgress(output: Output, now: Clock = () => performance.now()): ProgressView {
  return output.isTTY === true && process.env.TERM !== 'dumb' ? new Bar(output, now) : new Lines(output, now)
}

/** Shows nothing. */
export const silent: ProgressView = {
  found() {},
  begin() {},
  advance() {},
  beginText() {},
  advanceText() {},
  stop() {},
}

class Bar implements ProgressView {
  readonly #output: Output
  readonly #now: Clock
  #bar: SingleBar | undefined
  #work = 0
  #bytes = 0
  #files = 0
  #totals = { bytes: 0, files: 0 }
  #textFiles = 0
  #textTotal: number | undefined
  #start = 0
  #stopped = false
  #shown = 0
  readonly #onExit = () => this.stop()

  constructor(output: Output, now: Clock) {
    this.#output = output
    this.#now = now
    process.once('exit', this.#onExit)
  }

  found(files: number): void {
    if (this.#stopped) return
    if (this.#bar === undefined) {
      this.#bar = createBar(this.#output, '  finding files: {files}')
      this.#bar.start(1, 0, { files: '0' })
    }
    if (this.#due()) this.#bar.update(0, { files: formatCount(files) })
  }

  begin(files: number, bytes: number): void {
    if (this.#stopped) return
    this.#bar?.stop()
    this.#totals = { bytes, files }
    this.#start = this.#now()
    this.#bar = createBar(
      this.#output,
      columnsOf(this.#output) < 60 ? '{bar} {percentage}%' : '{bar} {percentage}% {figures} ETA {eta_formatted}',
    )
    this.#bar.start(Math.max(1, bytes + files * FILE_WEIGHT), 0, this.#figures())
  }

  advance(bytes: number, files: number): void {
    if (this.#stopped || this.#bar === undefined) return
    this.#bytes += bytes
    this.#files += files
    this.#work += bytes + files * FILE_WEIGHT
    if (this.#due()) this.#bar.update(this.#work, this.#figures())
  }

  beginText(files: number): void {
    if (this.#stopped || files === this.#textFiles) return
    this.#bar?.stop()
    this.#textTotal = files
    this.#bar = createBar(
      this.#output,
      columnsOf(this.#output) < 60
        ? '{bar} {percentage}%'
        : '{bar} {percentage}% reading text {figures} ETA {eta_formatted}',
    )
    this.#bar.start(files, this.#textFiles, this.#textFigures(files))
  }

  advanceText(): void {
    this.#textFiles++
    const total = this.#textTotal
    if (this.#stopped || total === undefined || !this.#due()) return
    this.#bar?.update(this.#textFiles, this.#textFigures(total))
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    process.off('exit', this.#onExit)
    this.#bar?.stop()
  }

  /** Formatting for every one of 100,000 files would cost more than hashing them. */
  #due(): boolean {
    const now = this.#now()
    if (now - this.#shown < BAR_INTERVAL) return false
    this.#shown = now
    return true
  }

  #figures(): { figures: string } {
    const seconds = (this.#now() - this.#start) / 1000
    const rate = seconds > 0 ? this.#bytes / seconds : 0
    const files = `${formatCount(this.#files)}/${formatNoun(this.#totals.files, 'file')}`
    return { figures: `${files} ${formatBytes(this.#bytes)} ${formatBytes(rate)}/s` }
  }

  #textFigures(total: number): { figures: string } {
    return { figures: `${formatCount(this.#textFiles)}/${formatNoun(total, 'file')}` }
  }
}

class Lines implements ProgressView {
  readonly #output: Output
  readonly #now: Clock
  #last: number
  #bytes = 0
  #files = 0
  #totals: { bytes: number; files: number } | undefined
  #textFiles = 0
  #textTotal: number | undefined
  #stopped = false

  constructor(output: Output, now: Clock) {
    this.#output = output
    this.#now = now
    this.#last = now()
  }

  found(files: number): void {
    this.#line(() => `finding files: ${formatCount(files)}`)
  }

  begin(files: number, bytes: number): void {
    this.#totals = { bytes, files }
  }

  advance(bytes: number, files: number): void {
    this.#bytes += bytes
    this.#files += files
    const totals = this.#totals
    if (totals === undefined) return
    this.#line(() => {
      const done = `${formatCount(this.#files)} of ${formatNoun(totals.files, 'file')}`
      return `hashing: ${done}, ${formatBytes(this.#bytes)} of ${formatBytes(totals.bytes)}`
    })
  }

  beginText(files: number): void {
    this.#textTotal = files
  }

  advanceText(): void {
    this.#textFiles++
    const total = this.#textTotal
    if (total === undefined) return
    this.#line(() => `reading text: ${formatCount(this.#textFiles)} of ${formatNoun(total, 'file')}`)
  }

  stop(): void {
    this.#stopped = true
  }

  #line(text: () => string): void {
    const now = this.#now()
    if (this.#stopped || now - this.#last < LINE_INTERVAL) return
    this.#last = now
    this.#output.write(`${text()}\n`)
  }
}
