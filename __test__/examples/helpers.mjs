// Runs an example as a user would: in a process of its own.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { outcomeOf } from '../helpers/outcome.mjs'

/** Path of a file below `examples/`. */
export const example = (name) => path.resolve(fileURLToPath(new URL('../../examples/', import.meta.url)), name)

/** Runs an example to its end: exit code and output. */
export function runExample(name, args = []) {
  const options = { stdio: ['ignore', 'pipe', 'pipe'], timeout: 90_000, killSignal: 'SIGKILL' }
  return outcomeOf(spawn(process.execPath, [example(name), ...args], options))
}

/** The lines that an example prints; it must end well. */
export async function linesOf(name, args) {
  const { code, signal, stdout, stderr } = await runExample(name, args)
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' }, stdout)
  return stdout.trimEnd().split('\n')
}
