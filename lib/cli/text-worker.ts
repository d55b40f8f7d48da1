// Stage: run. Thread: a JS worker. The entry module of the duplicate finder's pool.
// Reads one text file and counts what is in it; its bytes go back for a kernel to compress.
//
// X1. Only regular files are read, and none above the limit.

import { Buffer } from 'node:buffer'
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { transfer } from '../index'
import type { FilePath } from './file-path'
import { keywordsOf } from './languages'
import { codeOf } from './walk'

/** Bytes of the longest file that is read. */
export const LIMIT = 1_000_000

/** A file to read. A path that is no string arrives as plain bytes. */
export interface TextTask {
  readonly path: FilePath | Uint8Array
  readonly extension: string
}

/** What is in the file. */
export interface TextFile {
  readonly kind: 'text'
  /** Its contents, moved. */
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly lines: number
  readonly words: number
  /** Its names, and how often each occurs. */
  readonly names: readonly string[]
  readonly counts: readonly number[]
}

/** Why a file was not read. */
export type Refusal = 'binary' | 'large' | 'unreadable' | 'vanished'

/** What the entry function gives. */
export type TextResult = TextFile | { readonly kind: Refusal }

/** Shorter names say little, longer ones are data. */
const SHORTEST = 3
const LONGEST = 64

const decoder = new TextDecoder()

/** The entry function. */
export function processTask({ path, extension }: TextTask): TextResult {
  const bytes = tryRead(typeof path === 'string' ? path : Buffer.from(path))
  if (!(bytes instanceof Uint8Array)) return { kind: bytes }
  if (bytes.includes(0)) return { kind: 'binary' }
  const result: TextResult = { kind: 'text', bytes, ...countText(bytes, keywordsOf(extension)) }
  return transfer(result, [bytes.buffer])
}

function tryRead(path: FilePath): Uint8Array<ArrayBuffer> | Refusal {
  try {
    return read(path)
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'vanished' : 'unreadable'
  }
}

function read(path: FilePath): Uint8Array<ArrayBuffer> | Refusal {
  // Without O_NONBLOCK this would wait for ever if a pipe took the file's place meanwhile. Windows has neither flag.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) return 'unreadable'
    if (stats.size > LIMIT) return 'large'
    const bytes = new Uint8Array(stats.size)
    let length = 0
    while (length < bytes.length) {
      const more = readSync(file, bytes, length, bytes.length - length, null)
      if (more === 0) break
      length += more
    }
    return bytes.subarray(0, length)
  } finally {
    closeSync(file)
  }
}

/** Lines, words and names of UTF-8; what is no UTF-8 counts as U+FFFD, a byte order mark not at all. */
function countText(bytes: Uint8Array, keywords: ReadonlySet<string>): Omit<TextFile, 'kind' | 'bytes'> {
  const text = decoder.decode(bytes)
  return { lines: countLines(text), words: countWords(text), ...countNames(text, keywords) }
}

function countLines(text: string): number {
  let lines = text === '' || text.endsWith('\n') ? 0 : 1
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++
  return lines
}

const SPACE = /\s/

/** Runs of anything but white space. */
function countWords(text: string): number {
  let words = 0
  let inWord = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const isSpace = code < 128 ? code === 32 || (code >= 9 && code <= 13) : SPACE.test(text.charAt(at))
    if (!isSpace && !inWord) words++
    inWord = !isSpace
  }
  return words
}

const TOKEN = /[$\p{ID_Continue}]+/gu
const NAME = /^[$_\p{ID_Start}]/u
/** One token of ASCII, or some text with tokens of other characters in it. Many times as fast as `TOKEN`. */
const CHUNK = /[$\w\x80-\uffff]+/g
const ASCII = /^[$\w]+$/

/** Identifiers, wherever they stand: comments and strings included. */
function countNames(text: string, keywords: ReadonlySet<string>): Pick<TextFile, 'names' | 'counts'> {
  const chunks = new Map<string, number>()
  for (const chunk of text.match(CHUNK) ?? []) chunks.set(chunk, (chunks.get(chunk) ?? 0) + 1)
  const found = new Map<string, number>()
  for (const [chunk, count] of chunks) {
    for (const token of ASCII.test(chunk) ? [chunk] : (chunk.match(TOKEN) ?? [])) {
      if (token.length < SHORTEST || token.length > LONGEST || !NAME.test(token) || keywords.has(token)) continue
      found.set(token, (found.get(token) ?? 0) + count)
    }
  }
  return { names: [...found.keys()], counts: [...found.values()] }
}
