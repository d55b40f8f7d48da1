// Runs a program in a process of its own and tells how it ended.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package root: programs are put below it, so that `import 'threadmill'` finds the package itself. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Runs `source` (an ES module) and resolves with `{ code, signal, stdout, stderr, elapsed }`. `onStdout(text, child)` is
 * called as output comes. A process that runs longer than `limit` ms is killed and reported with `timedOut`.
 */
export function runProgram(source, { limit = 60_000, args = [], nodeArgs = [], env = {}, onStdout } = {}) {
  const folder = mkdtempSync(path.join(root, 'dist', '.test-'))
  const file = path.join(folder, 'program.mjs')
  writeFileSync(file, source)
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const child = spawn(process.execPath, [...nodeArgs, file, ...args], { env: { ...process.env, ...env } })
    let [stdout, stderr, timedOut] = ['', '', false]
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
    }, limit)
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text
      onStdout?.(stdout, child)
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      rmSync(folder, { recursive: true, force: true })
      resolve({ code, signal, stdout, stderr, timedOut, elapsed: performance.now() - started })
    })
  })
}
