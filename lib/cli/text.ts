// Stage: submit. Thread: main.
// Reads the text files on the JS lane and compresses them on the native lane, a bounded number at a time.
//
// T1. However many files there are, at most READING + COMPRESSING of them are in memory.
// T2. Files are added up in the order in which they are given, so equal trees give equal figures.

import os from 'node:os'
import path from 'node:path'
import type { WorkerPool } from '../..'
import { within } from './file-path'
import { textExtension } from './languages'
import { LIMIT, type Refusal, type TextFile, type TextResult, type TextTask } from './text-worker'
import type { FoundFile } from './walk'

/** The entry module. */
export const TEXT_MODULE = path.join(__dirname, 'text-worker.js')
/** Most JS workers: each takes some 10 MB, and the native workers want cores too. */
export const TEXT_WORKERS = Math.min(8, os.availableParallelism())
/** Tasks for one worker before another is launched: starting it takes as long as reading some files. */
export const TASKS_PER_WORKER = 4

const READING = TEXT_WORKERS * TASKS_PER_WORKER
const COMPRESSING = 16
/** Names kept for one extension. As long as there are no more, the counts are exact. */
const NAMES_KEPT = 20_000
/** Most frequent names that are told of. */
const NAMES_TOLD = 10

/** A name and how often it occurs. */
export interface NameCount {
  readonly name: string
  readonly count: number
}

/** What the text files with one extension hold together. */
export interface ExtensionFigures {
  readonly extension: string
  readonly files: number
  readonly lines: number
  readonly words: number
  readonly bytes: number
  /** Each file compressed by itself with zstd; an empty one counts 0. */
  readonly compressedBytes: number
  /** The most frequent ones. */
  readonly names: readonly NameCount[]
}

/** What became of the text files. */
export interface TextOutcome {
  /** Those with the most bytes first. */
  readonly extensions: readonly ExtensionFigures[]
  /** Files that were not read, by reason; `other` are those whose extensions are not those of text. */
  readonly skipped: Readonly<Record<Refusal | 'other', number>>
  /** Files that each native worker has compressed, by its id. */
  readonly compressedBy: ReadonlyMap<number, number>
}

/** Reading of text files, under way. */
export interface TextReading {
  /** Files that will be read. */
  readonly files: number
  readonly outcome: Promise<TextOutcome>
}

/** Reads those of `files`, which are relative to `root`, that are text. */
export function readText(
  pool: WorkerPool<TextTask, TextResult>,
  root: string,
  files: readonly FoundFile[],
  onFile: () => void,
): TextReading {
  const skipped = { binary: 0, large: 0, unreadable: 0, vanished: 0, other: 0 }
  const readable: { readonly file: FoundFile; readonly extension: string }[] = []
  for (const file of files) {
    const extension = textExtension(file.path)
    if (extension === undefined) skipped.other++
    else if (file.size > LIMIT) skipped.large++
    else readable.push({ file, extension })
  }

  function* tasks(): Generator<TextTask> {
    for (const { file, extension } of readable) yield { path: within(root, file.path), extension }
  }

  const totals = new Map<string, Totals>()
  const compressedBy = new Map<number, number>()
  const results = pool.map(tasks(), { concurrency: READING })
  let next = 0

  async function lane(): Promise<void> {
    while (next < readable.length) {
      const { extension } = readable[next++] as (typeof readable)[number]
      // Results come in the order of the files, to whoever asked first.
      const { value: result } = (await results.next()) as { value: TextResult }
      if (result.kind === 'text') {
        const total = totals.get(extension) ?? new Totals()
        totals.set(extension, total)
        total.add(result)
        // In two steps: others add to the total meanwhile.
        const compressed = result.bytes.length > 0 ? await compress(result.bytes) : 0
        total.compressedBytes += compressed
      } else skipped[result.kind]++
      onFile()
    }
  }

  async function compress(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    // Ahead of files that wait to be hashed: those hold no memory yet.
    const task = pool.addTask(bytes, { kernel: 'zstd', priority: 'high', transfer: [bytes.buffer] })
    const { length } = await task
    const worker = task.worker?.id ?? 0
    compressedBy.set(worker, (compressedBy.get(worker) ?? 0) + 1)
    return length
  }

  async function all(): Promise<TextOutcome> {
    await Promise.all(Array.from({ length: COMPRESSING }, lane))
    const extensions = [...totals].map(([extension, total]) => total.figures(extension))
    extensions.sort((a, b) => b.bytes - a.bytes || (a.extension < b.extension ? -1 : 1))
    return { extensions, skipped, compressedBy }
  }

  return { files: readable.length, outcome: all() }
}

class Totals {
  #files = 0
  #lines = 0
  #words = 0
  #bytes = 0
  #names = new Map<string, number>()
  compressedBytes = 0

  add({ bytes, lines, words, names, counts }: TextFile): void {
    this.#files++
    this.#lines += lines
    this.#words += words
    this.#bytes += bytes.length
    for (let at = 0; at < names.length; at++) {
      const name = names[at] as string
      this.#names.set(name, (this.#names.get(name) ?? 0) + (counts[at] as number))
    }
    // Twice as many at most, so that this is rare.
    if (this.#names.size > 2 * NAMES_KEPT) this.#names = new Map(this.#mostFrequent(NAMES_KEPT))
  }

  #mostFrequent(most: number): [name: string, count: number][] {
    return [...this.#names].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, most)
  }

  figures(extension: string): ExtensionFigures {
    return {
      extension,
      files: this.#files,
      lines: this.#lines,
      words: this.#words,
      bytes: this.#bytes,
      compressedBytes: this.compressedBytes,
      names: this.#mostFrequent(NAMES_TOLD).map(([name, count]) => ({ name, count })),
    }
  }
}
