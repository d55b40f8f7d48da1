// Stage: all. Thread: main.
// Paths as the system gives them, names that are not UTF-8 included.
//
// F1. A path is a string exactly when its bytes are UTF-8, so equal paths compare equal.

import { Buffer, isUtf8 } from 'node:buffer'
import path from 'node:path'

/** A path: a string where its bytes are UTF-8, else the bytes themselves. */
export type FilePath = string | Buffer

/** The path of `name` inside `folder`; an empty folder gives the bare name. */
export function join(folder: FilePath, name: Buffer): FilePath {
  const prefix = folder.length === 0 || endsWithSeparator(folder) ? '' : path.sep
  if (typeof folder === 'string' && isUtf8(name)) return folder + prefix + name.toString()
  return Buffer.concat([toBytes(folder), Buffer.from(prefix), name])
}

/** The path of `relative` inside `root`. */
export function within(root: string, relative: FilePath): FilePath {
  if (relative.length === 0) return root
  if (typeof relative === 'string') return root + (endsWithSeparator(root) ? '' : path.sep) + relative
  return join(root, relative)
}

function endsWithSeparator(folder: FilePath): boolean {
  const last = typeof folder === 'string' ? folder.at(-1) : String.fromCharCode(folder.at(-1) ?? 0)
  return last === path.sep || last === '/'
}

function toBytes(value: FilePath): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value
}

/** Orders paths by their bytes, so that the order does not depend on a locale. */
export function compare(a: FilePath, b: FilePath): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  return Buffer.compare(toBytes(a), toBytes(b))
}

// Control characters could move the cursor or recolour the terminal; bidirectional marks could disguise a name.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\ufffe\uffff]/gu

/** The path on one line and harmless in a terminal: what is not printable is escaped. */
export function display(value: FilePath): string {
  if (typeof value === 'string') return value.replace(UNSAFE, (char) => escaped(char.codePointAt(0) ?? 0))
  let text = ''
  for (const byte of value) text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : escaped(byte)
  return text
}

function escaped(code: number): string {
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
}

/** The path for JSON: a string, or its bytes in base64 where a string could not hold it. */
export function toJson(value: FilePath): string | { readonly base64: string } {
  return typeof value === 'string' ? value : { base64: value.toString('base64') }
}
