// Runs the program `threadmill` in a process of its own.
import { spawn } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { outcomeOf } from '../helpers/outcome.mjs'

export const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Starts it; `outcome` resolves when it has ended and its output is complete. */
export function start(args, { nodeArgs = [], ...options } = {}) {
  const child = spawn(process.execPath, [...nodeArgs, PROGRAM, ...args], { stdio: 'pipe', ...options })
  // A program that ends early closes its standard input.
  child.stdin?.on('error', () => {})
  return { child, outcome: outcomeOf(child) }
}

/** Runs it to its end, with `input` on its standard input. */
export function threadmill(args, { input = '', ...options } = {}) {
  const { child, outcome } = start(args, options)
  child.stdin.end(input)
  return outcome
}

/** Runs it on a terminal of 100 columns; needs `script` of util-linux. */
export function onTerminal(args, env = {}, options = {}) {
  const words = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`)
  const inherited = { ...process.env, TERM: 'xterm-256color' }
  for (const name of ['NO_COLOR', 'CI', 'FORCE_COLOR', 'NODE_DISABLE_COLORS']) delete inherited[name]
  const command = `stty cols 100 rows 30; exec ${words.join(' ')}`
  const child = spawn('script', ['-qec', command, '/dev/null'], { ...options, env: { ...inherited, ...env } })
  return { child, outcome: outcomeOf(child) }
}

/** A line on standard error, nothing on standard output. */
export function complaint({ stdout, stderr }) {
  return { stdout, lines: stderr.trimEnd().split('\n') }
}
