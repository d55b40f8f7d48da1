// Values as numbers (lib/flat.ts), on one thread.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
export const FLAT = require.resolve('../../dist/flat.js')
export const FLAT_READ = require.resolve('../../dist/flat-read.js')
export const { MOST_WORDS, write, written } = require(FLAT)
export const { read } = require(FLAT_READ)

/** Writes and reads; `undefined` for what is not written. */
export function cross(value) {
  // One that can be written, for after many that cannot it is hardly tried any more.
  assert.ok(write([]) > 0)
  const count = write(value)
  return count < 0 ? undefined : read(written.slice(0, count), 0)
}

/** The same where the table of shapes may be half full: others are written when they are seen again. */
export const crossAgain = (value) => cross(value) ?? cross(value)
