// Runs other programs for the scripts of this folder and leaves none of them behind.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import process from 'node:process'

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Runs a program to its end. A signal that reaches this process is passed on, so the program never outlives it; when
 * the program has ended, the signal ends this process too.
 *
 * @param {string} file
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>} its exit code; 128 + n when signal n ended it
 */
export function run(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', ...options })
    let received
    const listeners = FORWARDED.map((signal) => {
      const listener = () => {
        received = signal
        child.kill(signal)
      }
      process.on(signal, listener)
      return () => process.off(signal, listener)
    })
    const cleanUp = () => {
      for (const remove of listeners) remove()
    }
    child.once('error', (error) => {
      cleanUp()
      reject(error)
    })
    child.once('close', (code, signal) => {
      cleanUp()
      if (received !== undefined) process.kill(process.pid, received)
      resolve(code ?? 128 + constants.signals[signal])
    })
  })
}

/**
 * As `run`, with npm: the one that started this script, if one did.
 *
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 */
export function npm(args, options) {
  const cli = process.env.npm_execpath
  if (cli !== undefined && /\.[cm]?js$/.test(cli)) return run(process.execPath, [cli, ...args], options)
  // npm is a batch file on Windows, which only a shell can start; no argument here holds a space.
  return run('npm', args, { ...options, shell: process.platform === 'win32' })
}
