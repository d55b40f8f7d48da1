// Stage: run. Thread: owner env.
// A JS worker as users see it: the same object for all threads that get its number.

import type { Readable } from 'node:stream'
import type { IWorker } from '..'
import { checkType } from './callbacks'
import type { Stream } from './protocol'

/** A stream that others push to; `read` is called when somebody reads on. */
function pushed(read: () => void): Readable {
  const { Readable } = require('node:stream') as typeof import('node:stream')
  return new Readable({
    read,
    destroy(error, callback) {
      // Nobody will, and nobody is to wait for that.
      read()
      callback(error)
    },
  })
}

/** Which of its streams are read from the worker, instead of going where this thread writes. */
export interface Captured {
  readonly stdout: boolean
  readonly stderr: boolean
}

type Post = (type: string, contents: unknown, transfer: unknown) => void

/** A JS worker as users see it. */
export class JsWorker implements IWorker {
  readonly id: number
  readonly lane = 'js'
  threadId: number | undefined
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  readonly #post: Post

  constructor(id: number, { stdout, stderr }: Captured, post: Post, readOn: (stream: Stream) => void) {
    this.id = id
    this.stdout = stdout ? pushed(() => readOn('stdout')) : null
    this.stderr = stderr ? pushed(() => readOn('stderr')) : null
    this.#post = post
  }

  postMessageToWorker(type: string, contents?: unknown, transfer?: readonly object[]): this {
    this.#post(checkType(type), contents, transfer)
    return this
  }

  toString(): string {
    return String(this.id)
  }
}
