// Stage: run. Thread: a JS worker.
// What a worker writes goes to the pool's owner by the control port, so that it is there before the task that wrote it
// settles. Node's own way hands it over some turns of both event loops later.

import process from 'node:process'
import type { Writable } from 'node:stream'
import type { Stream } from './protocol'

type Send = (stream: Stream, chunk: string | Uint8Array, encoding: string) => void
type Callback = (error?: Error | null) => void
interface Chunk {
  readonly chunk: string | Uint8Array
  readonly encoding: string
}

/** Sends what is written to `process.stdout` and `process.stderr` from now on to `send`. */
export function redirectOutput(send: Send): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(process, stream)
    // Where it cannot be replaced, as in Bun, what is written goes the way of the runtime.
    if (descriptor?.get === undefined || descriptor.configurable !== true) continue
    let patched: Writable | undefined
    Object.defineProperty(process, stream, {
      ...descriptor,
      // Most workers write nothing, and making the streams takes a moment.
      get(): Writable {
        patched ??= patch(descriptor.get?.call(process) as Writable, stream, send)
        return patched
      },
    })
  }
}

function patch(target: Writable, stream: Stream, send: Send): Writable {
  target._write = (chunk: string | Uint8Array, encoding: string, callback: Callback): void => {
    send(stream, chunk, encoding)
    callback()
  }
  target._writev = (chunks: Chunk[], callback: Callback): void => {
    for (const { chunk, encoding } of chunks) send(stream, chunk, encoding)
    callback()
  }
  return target
}
