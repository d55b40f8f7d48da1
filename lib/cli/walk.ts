// Stage: before submit. Thread: main.
// Finds every regular file below a folder, and says what else is there.
//
// W1. Symbolic links are never followed. W2. Names of one inode become one file. W3. The result does not depend on
// the order in which the system lists a folder.

import type { Buffer } from 'node:buffer'
import type { BigIntStats } from 'node:fs'
import { lstat, readdir, readlink, stat } from 'node:fs/promises'
import { compare, type FilePath, join, within } from './file-path'

/** A regular file; paths are relative to the folder that was searched. */
export interface FoundFile {
  readonly path: FilePath
  /** Bytes, when it was found. */
  readonly size: number
  /** Further names of the same inode. */
  readonly links: FilePath[]
}

/** Something that was left out, and why. */
export interface Skipped {
  readonly path: FilePath
  readonly reason: string
}

/** What is below a folder. */
export interface Tree {
  readonly files: FoundFile[]
  readonly folders: number
  readonly symlinks: number
  /** Symbolic links that lead nowhere; `reason` is the target. */
  readonly brokenLinks: Skipped[]
  /** Pipes, sockets and devices. */
  readonly special: Skipped[]
  /** What could not be read. */
  readonly errors: Skipped[]
  /** What was listed and gone a moment later. */
  readonly vanished: FilePath[]
}

/** Folders read at once, and entries of one folder examined at once. */
const FOLDERS = 16
const ENTRIES = 64

/**
 * Searches `root`.
 *
 * @param onFile is called for every regular file, with the number so far
 */
export async function walk(root: string, onFile: (count: number) => void): Promise<Tree> {
  const search = new Search(root, onFile)
  const waiting: FilePath[] = ['']
  while (waiting.length > 0) {
    const batch = waiting.splice(-FOLDERS)
    for (const inner of await Promise.all(batch.map((folder) => search.readFolder(folder)))) {
      for (const folder of inner) waiting.push(folder)
    }
  }
  return search.finish()
}

class Search {
  readonly #root: string
  readonly #onFile: (count: number) => void
  readonly #found: { path: FilePath; stats: BigIntStats }[] = []
  readonly #brokenLinks: Skipped[] = []
  readonly #special: Skipped[] = []
  readonly #errors: Skipped[] = []
  readonly #vanished: FilePath[] = []
  #folders = 0
  #symlinks = 0

  constructor(root: string, onFile: (count: number) => void) {
    this.#root = root
    this.#onFile = onFile
  }

  /** Examines what is in the folder; gives the folders in it. */
  async readFolder(folder: FilePath): Promise<FilePath[]> {
    let names: Buffer[]
    try {
      names = await readdir(within(this.#root, folder), { encoding: 'buffer' })
    } catch (error) {
      this.#failed(folder, error)
      return []
    }
    this.#folders++
    const inner: FilePath[] = []
    for (let start = 0; start < names.length; start += ENTRIES) {
      const slice = names.slice(start, start + ENTRIES)
      await Promise.all(slice.map((name) => this.#examine(join(folder, name), inner)))
    }
    return inner
  }

  async #examine(path: FilePath, folders: FilePath[]): Promise<void> {
    try {
      // Inode numbers of some file systems do not fit a double.
      const stats = await lstat(within(this.#root, path), { bigint: true })
      if (stats.isFile()) {
        this.#found.push({ path, stats })
        this.#onFile(this.#found.length)
      } else if (stats.isDirectory()) {
        folders.push(path)
      } else if (stats.isSymbolicLink()) {
        this.#symlinks++
        await this.#examineLink(path)
      } else {
        this.#special.push({ path, reason: kindOf(stats) })
      }
    } catch (error) {
      this.#failed(path, error)
    }
  }

  async #examineLink(path: FilePath): Promise<void> {
    const absolute = within(this.#root, path)
    try {
      await stat(absolute)
    } catch (error) {
      const code = codeOf(error)
      // Whatever else goes wrong on the way to the target says nothing about the link, which is not read anyway.
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') return
      const target = await readlink(absolute, { encoding: 'buffer' })
      this.#brokenLinks.push({ path, reason: target.toString() })
    }
  }

  #failed(path: FilePath, error: unknown): void {
    if (codeOf(error) === 'ENOENT') this.#vanished.push(path)
    else this.#errors.push({ path, reason: messageOf(error) })
  }

  finish(): Tree {
    this.#found.sort((a, b) => compare(a.path, b.path))
    const files: FoundFile[] = []
    const inodes = new Map<string, FoundFile>()
    for (const { path, stats } of this.#found) {
      const inode = stats.nlink > 1n ? `${stats.dev}:${stats.ino}` : undefined
      const first = inode === undefined ? undefined : inodes.get(inode)
      if (first !== undefined) {
        first.links.push(path)
        continue
      }
      const file = { path, size: Number(stats.size), links: [] }
      if (inode !== undefined) inodes.set(inode, file)
      files.push(file)
    }
    return {
      files,
      folders: this.#folders,
      symlinks: this.#symlinks,
      brokenLinks: this.#brokenLinks,
      special: this.#special,
      errors: this.#errors,
      vanished: this.#vanished,
    }
  }
}

function kindOf(stats: BigIntStats): string {
  if (stats.isFIFO()) return 'named pipe'
  if (stats.isSocket()) return 'socket'
  if (stats.isCharacterDevice()) return 'character device'
  if (stats.isBlockDevice()) return 'block device'
  return 'unknown kind'
}

/** The system's code of an error, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** An error in a few words: Node's messages repeat the path, which is printed beside it. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const short = /^([A-Z][A-Z0-9]+: [^,]+), /.exec(message)
  return (short?.[1] ?? message).replace(/\s+/g, ' ')
}
