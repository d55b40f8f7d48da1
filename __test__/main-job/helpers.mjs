// Builds trees for the duplicate finder and runs it in a process of its own.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export const PROGRAM = fileURLToPath(new URL('../../dist/cli/dupes.js', import.meta.url))

/** A fresh folder that everybody may enter, removed when the test ends. */
export function temporaryFolder(t) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'threadmill-dupes-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes files: `{ 'a/b.txt': contents }`. */
export function writeTree(folder, files) {
  for (const [name, contents] of Object.entries(files)) {
    const file = path.join(folder, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, contents)
  }
}

/** Starts the program; `outcome` resolves when it has ended and its output is complete. */
export function startDupes(args, options = {}) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  return { child, outcome: outcomeOf(child) }
}

/** Exit code, signal and output of a child. */
export function outcomeOf(child) {
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

/** Runs the program to its end. */
export function dupes(args, options) {
  return startDupes(args, options).outcome
}

/** Runs the program and parses its JSON. */
export async function dupesJson(folder, args = [], options = {}) {
  const outcome = await dupes(['--json', ...args, folder], options)
  if (outcome.stdout === '') throw new Error(`no output; exit code ${outcome.code}, ${outcome.stderr}`)
  return { ...outcome, result: JSON.parse(outcome.stdout) }
}

/**
 * Spawn options for a user whom permissions stop: root reads everything, so it steps down to nobody.
 * `undefined` where there is no such user, or where the program itself is out of its reach.
 */
export async function unprivileged() {
  if (process.platform === 'win32') return undefined
  const options = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {}
  const { code } = await dupes(['--help'], options).catch(() => ({ code: -1 }))
  return code === 0 ? options : undefined
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
export const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/
