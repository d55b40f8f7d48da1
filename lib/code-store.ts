// Stage: all. Thread: any env.
// Stores what the engine has compiled for later processes (packs.ts).

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout } from 'node:timers'
import { threadId } from 'node:worker_threads'

/** Folders, one for each set of flags, at most: whoever tries many must not fill the disk. */
const MAX_FOLDERS = 16
/** How long code is left to be compiled; a worker may be terminated at any time. ms */
const OWNER_DELAY = 2000
const WORKER_DELAY = 50

/** Calls `callback` once, after a while or when the thread ends before. Does not keep it alive. */
export function atRest(isWorker: boolean, callback: () => void): void {
  let isDone = false
  const rested = (): void => {
    if (isDone) return
    isDone = true
    process.removeListener('exit', rested)
    callback()
  }
  process.on('exit', rested)
  setTimeout(rested, isWorker ? WORKER_DELAY : OWNER_DELAY).unref()
}

/** Writes a file of the cache, at once or not at all: others may be reading it, or writing the same. Never throws. */
export function write(file: string, head: readonly string[], code: Buffer): void {
  const folder = path.dirname(file)
  const own = path.join(folder, `${process.pid}-${threadId}`)
  try {
    if (!existsSync(folder)) makeFolder(folder)
    writeFileSync(own, Buffer.concat([Buffer.from(`${head.join(' ')}\n`, 'latin1'), code, code]))
    renameSync(own, file)
  } catch {
    discard(own)
  }
}

function makeFolder(folder: string): void {
  const all = path.dirname(folder)
  mkdirSync(all, { recursive: true })
  if (readdirSync(all).length < MAX_FOLDERS) mkdirSync(folder, { recursive: true })
}

function discard(file: string): void {
  try {
    rmSync(file, { force: true })
  } catch {
    // What may not be written may not be removed either.
  }
}
