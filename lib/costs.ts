// Stage: complete. Thread: owner env.
// What tasks take, by key, kept in a file from process to process.
//
// W1. A file is replaced as a whole (whole-file.ts). What others have written to it meanwhile stays, but for the keys that
//     this pool knows.
// W2. A file that no pool has written is refused, and never overwritten.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { ThreadmillError, wrongValue } from './errors'
import { native } from './native-owner'
import { warnOfFile, writeWhole } from './whole-file'

/** The first member of a file tells that it is one. */
const FORMAT = 'threadmill costs 1'
/** Most keys of a file, as in the core; the least recently used ones go first. */
const MOST_KEYS = 10_000

/** A key, the mean run time in ms that leans to the newest runs, and how many runs that is of. */
type Cost = readonly [key: string, ms: number, runs: number]

/** The costs of a pool on their way to its file. */
export interface KeptCosts {
  /** Writes the file; the pool is about to be released. */
  write(): void
}

/**
 * Gives a pool the costs that a file has, and writes those that it has learned there in the end: its own, or that of the process.
 * @throws ThreadmillError, TypeError when there is something else in that place
 */
export function keepCosts(pool: number, given: string): KeptCosts {
  // Whoever changes the working directory does not mean another file.
  const file = path.resolve(given)
  const known = readCosts(file)
  const figures = new Float64Array(known.flatMap(([, ms, runs]) => [ms, runs]))
  if (known.length > 0) {
    native.learnCosts(
      pool,
      known.map(([key]) => key),
      figures,
    )
  }
  // Whoever has learned nothing has nothing to write.
  const before = native.learnedCosts(pool)
  const write = (isEnding: boolean): void => {
    unwritten.delete(write)
    if (unwritten.size === 0) process.removeListener('exit', writeAll)
    const learned = native.learnedCosts(pool)
    if (learned === before) return
    try {
      writeCosts(file, JSON.parse(learned) as Cost[])
    } catch (error) {
      warnOfFile(`the costs of tasks could not be kept: ${(error as Error).message}`, isEnding)
    }
  }
  // Only as long as there are some: test runners load this again and again in one thread.
  if (unwritten.size === 0) process.on('exit', writeAll)
  unwritten.add(write)
  return { write: () => write(false) }
}

/** Those of pools that have not ended. */
const unwritten = new Set<(isEnding: boolean) => void>()

function writeAll(): void {
  for (const write of unwritten) write(true)
}

/** @throws ThreadmillError, TypeError */
function readCosts(file: string): readonly Cost[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return []
    throw new ThreadmillError('ERR_THREADMILL_IO', `options.costs cannot be read: ${message}`, { cause })
  }
  // Made for it, and not written yet.
  if (text.trim() === '') return []
  const { format, costs } = parsed(text)
  if (format !== FORMAT || !Array.isArray(costs) || !costs.every(isCost)) {
    throw wrongValue('options.costs', 'a file of costs, or one that does not exist', file)
  }
  return costs
}

function parsed(text: string): { readonly format?: unknown; readonly costs?: unknown } {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}

function isCost(value: unknown): value is Cost {
  if (!Array.isArray(value) || value.length !== 3) return false
  const [key, ms, runs] = value as unknown[]
  return typeof key === 'string' && isAmount(ms) && isAmount(runs)
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function writeCosts(given: string, learned: readonly Cost[]): void {
  const own = new Set(learned.map(([key]) => key))
  const others = readCosts(given).filter(([key]) => !own.has(key))
  const kept = [...others, ...learned].slice(-MOST_KEYS)
  const lines = kept.map(([key, ms, runs]) => JSON.stringify([key, Number(ms.toFixed(6)), runs]))
  mkdirSync(path.dirname(given), { recursive: true })
  writeWhole(given, (output) => {
    writeFileSync(output, `{"format":"${FORMAT}","costs":[\n${lines.join(',\n')}\n]}\n`)
  })
}
