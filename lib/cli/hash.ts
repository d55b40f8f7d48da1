// Stage: submit. Thread: main.
// Hashes files on the native lane, a bounded number at a time.

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import process from 'node:process'
import type { Progress, WorkerPool } from '../..'
import { type FilePath, within } from './file-path'
import { codeOf, type FoundFile, messageOf, type Skipped } from './walk'

/** A file with the digest of its contents. */
export interface HashedFile {
  readonly file: FoundFile
  readonly digest: string
}

/** What became of the files. */
export interface HashOutcome {
  readonly hashed: readonly HashedFile[]
  readonly errors: readonly Skipped[]
  readonly vanished: readonly FilePath[]
}

/** Told of bytes and files as they are done. */
export type OnAdvance = (bytes: number, files: number) => void

/** Enough to hand the workers whole batches; the tasks hold only a path each. */
const IN_FLIGHT = 256
/** Files from this size on report progress of their own. */
const LARGE = 32 * 1024 * 1024

/** The native lane's fastest hash that no two different files share. */
const ALGORITHM = 'blake3'

/** Where the system shows an open file under an ASCII name. */
const OPEN_FILES: Partial<Record<NodeJS.Platform, string>> = { linux: '/proc/self/fd', darwin: '/dev/fd' }

/** Hashes every one of `files`, which are relative to `root`. */
export async function hashFiles(
  pool: WorkerPool,
  root: string,
  files: readonly FoundFile[],
  onAdvance: OnAdvance,
): Promise<HashOutcome> {
  const hashed: HashedFile[] = []
  const errors: Skipped[] = []
  const vanished: FilePath[] = []
  // The largest first, so that no worker is left with one of them at the end.
  const order = [...files].sort((a, b) => b.size - a.size)
  let next = 0

  async function lane(): Promise<void> {
    while (next < order.length) {
      const file = order[next++] as FoundFile
      let reported = 0
      try {
        const digest = await hashFile(pool, within(root, file.path), file.size, (done) => {
          onAdvance(done - reported, 0)
          reported = done
        })
        hashed.push({ file, digest })
      } catch (error) {
        const reason = systemErrorOf(error)
        if (codeOf(reason) === 'ENOENT') vanished.push(file.path)
        else errors.push({ path: file.path, reason: messageOf(reason) })
      }
      onAdvance(file.size - reported, 1)
    }
  }

  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  return { hashed, errors, vanished }
}

/** The error of the system behind one of the pool; any other error is a fault of this program and is thrown. */
function systemErrorOf(error: unknown): unknown {
  if (codeOf(error) === 'ERR_THREADMILL_IO') return (error as Error).cause ?? error
  // Something else, such as a pipe, took the file's place meanwhile.
  if (codeOf(error) === 'ERR_THREADMILL_INVALID_ARG_VALUE') return error
  // Opening a name that is not UTF-8 happens here, not in the kernel.
  if (error instanceof Error && 'syscall' in error) return error
  if (error instanceof UnusableName) return error
  throw error
}

/** A name that kernels, which take strings, cannot be given. */
class UnusableName extends Error {}

async function hashFile(
  pool: WorkerPool,
  path: FilePath,
  size: number,
  onProgress: (bytes: number) => void,
): Promise<string> {
  if (typeof path === 'string') return hashPath(pool, path, size, onProgress)

  const folder = OPEN_FILES[process.platform]
  if (folder === undefined) throw new UnusableName('the name is not UTF-8')
  // Without O_NONBLOCK this would wait for ever if a pipe took the file's place meanwhile.
  const handle: FileHandle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  try {
    return await hashPath(pool, `${folder}/${handle.fd}`, size, onProgress)
  } catch (error) {
    // The file is open, so it is that folder which is missing.
    if (codeOf(systemErrorOf(error)) === 'ENOENT') throw new UnusableName(`the name is not UTF-8, and no ${folder}`)
    throw error
  } finally {
    await handle.close()
  }
}

function hashPath(
  pool: WorkerPool,
  path: string,
  size: number,
  onProgress: (bytes: number) => void,
): PromiseLike<string> {
  const input = { path, algorithm: ALGORITHM } as const
  if (size < LARGE) return pool.kernels.hashFile(input) as Promise<string>
  const task = pool.addTask(input, { kernel: 'hashFile' })
  task.on('progress', (progress: Progress) => onProgress(Math.min(size, progress.fraction * size)))
  return task as PromiseLike<string>
}
