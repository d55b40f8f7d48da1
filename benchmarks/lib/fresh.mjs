// Samples that need a process of their own.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import process from 'node:process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Runs Node with these arguments, and gives what it prints, as a number. */
export async function fresh(...args) {
  const { stdout } = await execute(process.execPath, args, { timeout: 60_000 })
  const value = Number(stdout)
  assert.ok(stdout.trim() !== '' && Number.isFinite(value), `printed ${JSON.stringify(stdout)}`)
  return value
}
