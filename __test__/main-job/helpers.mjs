// Builds trees for the duplicate finder and runs it in a process of its own.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { outcomeOf } from '../helpers/outcome.mjs'

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

// The one of util-linux; that of BSD has other arguments.
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true
export const terminal = { skip: hasScript ? false : 'needs script of util-linux' }

/** Runs the program on a terminal of 100 columns. */
export function onTerminal(args, env = {}) {
  const command = ['stty cols 100 rows 30;', 'exec', ...[process.execPath, PROGRAM, ...args].map((word) => `'${word}'`)]
  const inherited = { ...process.env, TERM: 'xterm-256color' }
  // What a person's terminal does not have: Node takes CI for a terminal without colours.
  for (const name of ['NO_COLOR', 'CI', 'FORCE_COLOR', 'NODE_DISABLE_COLORS']) delete inherited[name]
  const child = spawn('script', ['-qec', command.join(' '), '/dev/null'], { env: { ...inherited, ...env } })
  return { child, outcome: outcomeOf(child) }
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

/** Small numbers from a seed (mulberry32). */
export function random(seed) {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
export const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/
