// Stage: all. Thread: any env.
// Stores what the engine has compiled for later processes (packs.ts). What throws here is not heard of.

import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { threadId } from 'node:worker_threads'
import { setTimeout } from './timers'

/** Folders, one for each version and set of flags, at most: whoever tries many must not fill the disk. */
const MAX_FOLDERS = 16
/** How long code is left to be compiled; a worker may be terminated at any time. ms */
const OWNER_DELAY = 2000
const WORKER_DELAY = 50
/** What is not renamed after that time never will be, ms. */
const ABANDONED = 60_000
/** Whoever can write there has later processes run what he likes, whatever mask this one has. */
const FOLDER_MODE = 0o755
const FILE_MODE = 0o644
/** Names of folders and files. */
const OURS = /^v\d+\.\d+\.\d+\S*-[a-z]\w+-[\da-f]{32}$/
const FILES = /^(?:(?:worker-)?pack-\w+\.bin|\d+-\d+)$/

/** Calls `callback` once, after a while or when the thread ends before. Does not keep it alive. */
export function atRest(isWorker: boolean, callback: () => void): void {
  let isDone = false
  const rested = (): void => {
    if (isDone) return
    isDone = true
    process.removeListener('exit', rested)
    allowListeners(-1)
    callback()
  }
  // Others may have as many as Node takes for no leak.
  allowListeners(1)
  process.on('exit', rested)
  setTimeout(rested, isWorker ? WORKER_DELAY : OWNER_DELAY).unref()
}

function allowListeners(more: number): void {
  const most = process.getMaxListeners()
  if (most > 0) process.setMaxListeners(most + more)
}

/** Makes the folder of a version and its flags, in place of the oldest when there are many. Whether it is there. */
export function makeFolder(folder: string): boolean {
  try {
    if (existsSync(folder)) {
      accessSync(folder, constants.W_OK)
      return true
    }
    const all = path.dirname(folder)
    makeAll(all)
    const others = readdirSync(all).filter((name) => OURS.test(name))
    if (others.length >= MAX_FOLDERS) removeOldest(others.map((name) => path.join(all, name)))
    makeAll(folder)
    return true
  } catch {
    return false
  }
}

/** One after the other: where a system like that of /proc refuses one, Node before 26 tries for ever to make all of them. */
function makeAll(folder: string): void {
  if (existsSync(folder)) return
  makeAll(path.dirname(folder))
  try {
    mkdirSync(folder, FOLDER_MODE)
  } catch (error) {
    // Another process was quicker.
    if (!existsSync(folder)) throw error
  }
}

/** Removes nothing but what was written here: others may use the same place. @throws what the file system throws */
function removeOldest(folders: readonly string[]): void {
  const ages = folders.map((folder): [number, string] => [statSync(folder).mtimeMs, folder])
  const [, oldest] = ages.reduce((old, other) => (other[0] < old[0] ? other : old))
  for (const name of readdirSync(oldest)) if (FILES.test(name)) rmSync(path.join(oldest, name), { force: true })
  rmdirSync(oldest)
}

/** Removes a file of the cache. */
export function remove(file: string): void {
  rmSync(file, { force: true })
}

/** Writes a file of the cache, at once or not at all: others may be reading it, or writing the same. */
export function write(file: string, head: readonly string[], code: Uint8Array): void {
  const folder = path.dirname(file)
  const own = path.join(folder, `${process.pid}-${threadId}`)
  try {
    writeFileSync(own, Buffer.concat([Buffer.from(`${head.join(' ')}\n`, 'latin1'), code, code]), { mode: FILE_MODE })
    renameSync(own, file)
  } catch (error) {
    rmSync(own, { force: true })
    throw error
  }
  for (const name of readdirSync(folder)) {
    const left = path.join(folder, name)
    // Of a thread that was ended between the two.
    if (!name.endsWith('.bin') && FILES.test(name) && Date.now() - statSync(left).mtimeMs > ABANDONED)
      rmSync(left, { force: true })
  }
}
