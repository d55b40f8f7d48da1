// Runs a program in a process of its own and tells how it ended.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { outcomeOf } from './outcome.mjs'

/** The package root: programs are put below it, so that `import 'threadmill'` finds the package itself. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/** A new folder below the root, which git ignores. */
export function newFolder() {
  const programs = path.join(root, 'target', 'programs')
  mkdirSync(programs, { recursive: true })
  return mkdtempSync(path.join(programs, 'test-'))
}

/**
 * Runs `source` (an ES module) and resolves with `{ code, signal, stdout, stderr, elapsed }`. `onStdout(text, child)` is
 * called as output comes. A process that runs longer than `limit` ms is killed and reported with `timedOut`.
 */
export async function runProgram(source, { limit = 60_000, args = [], nodeArgs = [], env = {}, onStdout } = {}) {
  const folder = newFolder()
  const file = path.join(folder, 'program.mjs')
  writeFileSync(file, source)
  const started = performance.now()
  const child = spawn(process.execPath, [...nodeArgs, file, ...args], { env: { ...process.env, ...env } })
  const outcome = await outcomeOf(child, { limit, onStdout })
  rmSync(folder, { recursive: true, force: true })
  return { ...outcome, elapsed: performance.now() - started }
}
