// Stage: all. Thread: main.
// Shows how far `run` is: a bar on a terminal, nothing elsewhere.
//
// Whatever ends the process, the cursor is visible afterwards.

import { performance } from 'node:perf_hooks'
import process from 'node:process'
import type { SingleBar } from 'cli-progress'
import { BAR_INTERVAL, columnsOf, createBar, type Output } from './bar'
import { formatCount, formatNoun } from './format'
import type { Clock } from './progress'

/** Shows lines as they are done. */
export interface LineProgress {
  /** So many lines are done, so many of them failed, and so many bytes of the input are behind them. */
  show(lines: number, failed: number, bytes: number): void
  /** Removes the bar. Calls after it do nothing. */
  stop(): void
}

/** Shows nothing. */
export const silent: LineProgress = { show() {}, stop() {} }

/**
 * The view that suits the stream.
 * @param total bytes of the input; `undefined` when nobody knows
 */
export function createLineProgress(
  output: Output,
  total: number | undefined,
  now: Clock = () => performance.now(),
): LineProgress {
  if (output.isTTY !== true || process.env.TERM === 'dumb') return silent
  return new Bar(output, total, now)
}

class Bar implements LineProgress {
  readonly #now: Clock
  readonly #bar: SingleBar
  readonly #total: number | undefined
  readonly #start: number
  #first: number | undefined
  #shown = Number.NEGATIVE_INFINITY
  #stopped = false
  readonly #onExit = () => this.stop()

  constructor(output: Output, total: number | undefined, now: Clock) {
    this.#now = now
    this.#total = total
    this.#start = now()
    const isNarrow = columnsOf(output) < 60
    const known = isNarrow ? '{bar} {percentage}%' : '{bar} {percentage}% {figures} ETA {eta_formatted}'
    this.#bar = createBar(output, total === undefined ? '  {figures}' : known)
    this.#bar.start(Math.max(1, total ?? 1), 0, { figures: formatNoun(0, 'line') })
    process.once('exit', this.#onExit)
  }

  show(lines: number, failed: number, bytes: number): void {
    const now = this.#now()
    // Those of an earlier run say nothing about the rate.
    this.#first ??= lines
    if (this.#stopped || now - this.#shown < BAR_INTERVAL) return
    this.#shown = now
    const seconds = (now - this.#start) / 1000
    const rate = seconds > 0 ? (lines - this.#first) / seconds : 0
    const failures = failed === 0 ? '' : ` ${formatCount(failed)} failed`
    const figures = `${formatNoun(lines, 'line')} ${formatCount(rate)}/s${failures}`
    this.#bar.update(this.#total === undefined ? 0 : Math.min(bytes, this.#total), { figures })
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    process.off('exit', this.#onExit)
    this.#bar.stop()
  }
}
