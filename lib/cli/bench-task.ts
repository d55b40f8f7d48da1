// Stage: run. Thread: JS worker.
// What `threadmill bench` has its workers do: the entry function of the pool, and the same in a plain worker that answers
// every message with one.

import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'

/** The task. */
export function workerEntrypoint(input: string | Uint8Array): string {
  return createHash('sha256').update(input).digest('hex')
}

if (workerData === 'threadmill bench: plain worker') {
  parentPort?.on('message', ({ id, input }: { readonly id: number; readonly input: string | Uint8Array }) => {
    parentPort?.postMessage({ id, output: workerEntrypoint(input) })
  })
}
