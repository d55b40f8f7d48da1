// Stage: before submit. Thread: main.
// Where `run` gets its lines from: standard input, or a file.

import fs from 'node:fs'
import { Socket } from 'node:net'
import process from 'node:process'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { CliError, explain } from './failure'

const CHUNK = 256 * 1024

const open = promisify(fs.open)
const fstat = promisify(fs.fstat)

/** An input that is open. */
export class LineInput {
  readonly fd: number
  /** Bytes of a regular file. */
  readonly size: number | undefined
  readonly #name: string
  readonly #stream: Readable

  private constructor(name: string, stream: Readable, fd: number, size?: number) {
    this.#name = name
    this.#stream = stream
    this.fd = fd
    this.size = size
  }

  static async open(path: string): Promise<LineInput> {
    try {
      const fd = path === '-' ? process.stdin.fd : await open(path, 'r')
      const stats = await fstat(fd)
      const size = stats.isFile() ? stats.size : undefined
      if (path === '-') return new LineInput('standard input', process.stdin, fd, size)
      // A read of an empty pipe in the thread pool could not be ended.
      const stream = stats.isFIFO()
        ? new Socket({ fd, readable: true, writable: false })
        : fs.createReadStream(path, { fd, highWaterMark: CHUNK })
      return new LineInput(path, stream, fd, size)
    } catch (error) {
      throw new CliError(`${path}: ${explain(error)}`)
    }
  }

  async *chunks(): AsyncGenerator<Uint8Array, undefined> {
    try {
      yield* this.#stream
    } catch (error) {
      throw new CliError(`${this.#name}: ${explain(error)}`)
    }
  }

  /** Ends whoever waits for a chunk. */
  close(): void {
    this.#stream.destroy()
  }
}
