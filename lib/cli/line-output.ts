// Stage: after settle. Thread: main.
// Where result lines go: standard output, or a file that a later run can go on with.
//
// L1. Nothing that the file held is given up before the first result, or the end, is there.

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import fs, { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import process from 'node:process'
import { promisify } from 'node:util'
import { CliError, explain } from './failure'

const fstat = promisify(fs.fstat)

/** Takes result lines. */
export interface LineOutput {
  /** Resolves when there is room for more. */
  write(text: string): Promise<void>
  /** The end; unless it is complete, a file to which nothing was written stays as it was. */
  close(isComplete: boolean): Promise<void>
}

/** Standard output. */
export const standardOutput: LineOutput = {
  async write(text) {
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
  },
  async close() {},
}

/** A file. */
export class FileOutput implements LineOutput {
  readonly path: string
  readonly #file: FileHandle
  readonly #isRegular: boolean
  /** Bytes that are kept, and those written behind them. */
  #length = 0
  #begun = false

  private constructor(path: string, file: FileHandle, isRegular: boolean) {
    this.path = path
    this.#file = file
    this.#isRegular = isRegular
  }

  static async open(path: string): Promise<FileOutput> {
    try {
      // A pipe that is opened for both would be its own reader.
      const isRegular = await stat(path).then(
        (stats) => stats.isFile(),
        () => true,
      )
      const flags = isRegular ? constants.O_RDWR | constants.O_CREAT : constants.O_WRONLY
      const file = await open(path, flags)
      return new FileOutput(path, file, (await file.stat()).isFile())
    } catch (error) {
      throw new CliError(`${path}: ${explain(error)}`)
    }
  }

  get isRegular(): boolean {
    return this.#isRegular
  }

  /** Whether that is the same regular file. */
  async isSameAs(fd: number): Promise<boolean> {
    if (!this.#isRegular) return false
    const [one, two] = await Promise.all([this.#file.stat({ bigint: true }), fstat(fd, { bigint: true })])
    return one.dev === two.dev && one.ino === two.ino
  }

  /** What the file holds. */
  chunks(): AsyncIterable<Uint8Array> {
    return this.#file.createReadStream({ autoClose: false, start: 0 })
  }

  /** Keeps so many bytes of it. */
  keep(length: number): void {
    this.#length = length
  }

  async write(text: string): Promise<void> {
    if (text === '') return
    const bytes = Buffer.from(text)
    try {
      await this.#begin()
      for (let at = 0; at < bytes.length; ) {
        const position = this.#isRegular ? this.#length : null
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, position)
        at += bytesWritten
        this.#length += bytesWritten
      }
    } catch (error) {
      throw new CliError(`${this.path}: ${explain(error)}`)
    }
  }

  async close(isComplete: boolean): Promise<void> {
    try {
      if (isComplete) await this.#begin()
    } finally {
      await this.#file.close()
    }
  }

  async #begin(): Promise<void> {
    if (this.#begun) return
    this.#begun = true
    if (this.#isRegular) await this.#file.truncate(this.#length)
  }
}
