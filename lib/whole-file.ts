// Stage: complete. Thread: owner env.
// Files that are there as a whole or not at all, and warnings of those that cannot be written.
//
// O1. A file is written beside its place and then moved there. A link stays one.
// O2. Nothing takes the place of what is no file, such as a device or a pipe: that is written into.

import { closeSync, constants, openSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs'
import process from 'node:process'

/** Gives `write` a descriptor for all that is to be in the file. @throws what the file system throws, and `write` */
export function writeWhole(given: string, write: (output: number) => void): void {
  const file = target(given)
  if (isNoFile(file)) {
    fill(openThere(file), write)
    return
  }
  const draft = `${file}.${process.pid}-${Math.random().toString(36).slice(2)}`
  try {
    fill(openSync(draft, 'wx', modeOf(file)), write)
    move(draft, file)
  } catch (error) {
    try {
      rmSync(draft, { force: true })
    } catch {
      // It is not there either.
    }
    throw error
  }
}

/** Windows moves nothing over a file that somebody else has open, be it to read it or to look for viruses. */
const IN_USE = ['EPERM', 'EACCES', 'EBUSY']
/** How often it is tried, and how much longer is waited each time, ms. */
const [TRIES, LONGER] = [10, 10]

function move(draft: string, file: string): void {
  for (let count = 1; ; count++) {
    try {
      renameSync(draft, file)
      return
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (process.platform !== 'win32' || count === TRIES || !IN_USE.includes(code ?? '')) throw error
    }
    // Also in the end of a thread, where no timer comes any more.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, count * LONGER)
  }
}

/** That of the file which is replaced; of a new one what the mask leaves. */
function modeOf(file: string): number {
  try {
    return statSync(file).mode & 0o777
  } catch {
    return 0o666
  }
}

/** Whether there is something else than a file. */
export function isNoFile(file: string): boolean {
  try {
    return !statSync(file).isFile()
  } catch {
    return false
  }
}

/** Warns of a file. In the end of the thread (`isEnding`) it is told at once, for no tick comes any more. */
export function warnOfFile(text: string, isEnding: boolean): void {
  if (isEnding) process.emit('warning', Object.assign(new Error(text), { name: 'ThreadmillWarning' }))
  else process.emitWarning(text, 'ThreadmillWarning')
}

/** Where a link leads. */
function target(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}

/** Opens what is no file. A pipe that nobody reads is an error: the end of a process does not wait for a reader. */
function openThere(file: string): number {
  const attempt = openSync(file, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    return openSync(file, 'w')
  } finally {
    closeSync(attempt)
  }
}

function fill(output: number, write: (output: number) => void): void {
  try {
    write(output)
  } finally {
    closeSync(output)
  }
}
