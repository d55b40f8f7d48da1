// Stage: after settle. Thread: main.
// The lines that `run` writes, as text and read back.
//
// `{"line":1,"value":…}`, without `value` for `undefined`; `{"line":2,"error":{"name":…,"message":…,"code":…}}`.

import type { Line } from './lines'

/** What a result line says of a failure. */
export interface FailureInfo {
  readonly name: string
  readonly message: string
  /** When the error has one that is a string or a number. */
  readonly code?: string | number | undefined
}

/** What is known of a result line that was read back. */
export interface ResultLine {
  /** Number of the input line. */
  readonly line: number
  readonly failed: boolean
}

/**
 * The line for a value.
 * @throws TypeError when JSON cannot hold it
 */
export function valueLine(line: number, value: unknown): string {
  // First: it throws for cycles, which the walk below would follow forever.
  const text = JSON.stringify({ line, value })
  checkJson(value, 'the result')
  return `${text}\n`
}

/** The line for a failure. */
export function errorLine(line: number, error: FailureInfo): string {
  return `${JSON.stringify({ line, error })}\n`
}

/** Whatever was thrown, in the shape of the line. */
export function failureOf(thrown: unknown): FailureInfo {
  if (typeof thrown !== 'object' || thrown === null) return { name: 'Error', message: String(thrown) }
  const { name, message, code } = thrown as { name?: unknown; message?: unknown; code?: unknown }
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : Object.prototype.toString.call(thrown),
    code: typeof code === 'string' || Number.isFinite(code) ? (code as string | number) : undefined,
  }
}

/** Reads a result line back; `undefined` when it is none. */
export function readResultLine({ bytes }: Line): ResultLine | undefined {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { line, error } = value as { line?: unknown; error?: unknown }
  if (!Number.isSafeInteger(line)) return undefined
  return { line: line as number, failed: error !== undefined }
}

const PLAIN: readonly unknown[] = [Object.prototype, null]

/**
 * Refuses what `JSON.stringify` would change without a word; members that are undefined, dates and -0 it writes as everyone
 * expects.
 */
function checkJson(value: unknown, where: string): void {
  if (typeof value === 'number' && !Number.isFinite(value)) throw noJson(where, String(value))
  if (typeof value !== 'object' || value === null) return
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw noJson(where, 'an invalid date')
  } else if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) {
      if (value[at] === undefined) throw noJson(`${where}[${at}]`, 'undefined')
      checkJson(value[at], `${where}[${at}]`)
    }
  } else if (PLAIN.includes(Object.getPrototypeOf(value))) {
    for (const [key, member] of Object.entries(value)) checkJson(member, `${where}.${key}`)
  } else throw noJson(where, `a ${Object.prototype.toString.call(value).slice(8, -1)}`)
}

function noJson(where: string, what: string): TypeError {
  return new TypeError(`${where} is ${what}, which JSON cannot hold`)
}
