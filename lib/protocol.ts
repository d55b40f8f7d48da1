// Stage: run. Thread: the owner env and its JS workers.
// What the owner and a worker say to each other by the port between them.

import type { MessagePort } from 'node:worker_threads'
import type { EntryPlace } from './entry-module'
import type { LastLook } from './last-look'
import type { LoadGate } from './load-gate'
import type { WorkerCode } from './packs'
import type { Parcel } from './parcel'
import type { SeatSettings } from './seat'

const { isArray } = Array

/** What a worker is started with. */
export interface Launch {
  readonly poolId: number
  readonly index: number
  /** How many threads this pool had launched before: no two of them use the same keys. */
  readonly life: number
  readonly place: EntryPlace
  readonly control: MessagePort
  readonly gate: LoadGate
  readonly lastLook: LastLook
  readonly concurrency: number
  /** When the worker says that it is used up. */
  readonly heap: HeapWatch | undefined
  /** Whether the worker gives memory back while it has nothing to do. */
  readonly trims: boolean
  /** What the worker has to know of its pool to submit to it. */
  readonly seat: SeatSettings
  readonly workerData: unknown
  /** The file of the addon, which need not be searched again. */
  readonly threadmillAddon: string | undefined
  /** Where it finds what it is to run, compiled, if not in the first message; where it keeps that. */
  readonly threadmillFolder: string | undefined
}

/** Heap of a worker, in bytes, and in times what it was after the first task, from which on it is replaced. */
export interface HeapWatch {
  readonly heapBytes: number
  readonly heapGrowth: number
  /** Bytes from which on it is told of, and the shortest time between two times, ms. */
  readonly limit: number
  readonly interval: number
}

/** Memory alone, by key: of an input or an output. The less there is in a message, the sooner it is through. */
export type Alone = readonly [key: number, view: ArrayBufferView]

/** What a worker reports on its control port; `Alone` is an output. */
export type Report =
  | Alone
  | { readonly type: 'ready' }
  /** It wants to be replaced after the tasks that it runs. */
  | { readonly type: 'used-up' }
  /** Its heap exceeds the limit. */
  | { readonly type: 'heap'; readonly used: number }
  /** The output of a task, or the contents of a message. */
  | ({ readonly type: 'value'; readonly key: number } & Parcel)
  /** The input of a task that it submits. */
  | ({ readonly type: 'input'; readonly key: number } & Parcel)
  /** That of one that it has not begun, and will not. */
  | ({ readonly type: 'returned'; readonly key: number } & Parcel)
  /** It has given back all of these. */
  | { readonly type: 'returned-all' }
  /** That task is settled. */
  | { readonly type: 'discard'; readonly key: number }
  /** It wants the output of a task that it submitted, which `worker` has left here. */
  | { readonly type: 'collect'; readonly worker: number; readonly key: number }
  /** It has seen what had ended by then: see 'hear'. */
  | { readonly type: 'heard'; readonly left: number }
  /** It submits a task to the owner's own thread. */
  | { readonly type: 'main' }
  /** It submits a task that would rather be run by that worker. */
  | { readonly type: 'preferred'; readonly worker: number }
  /** Something was written. */
  | { readonly type: 'text'; readonly stream: Stream; readonly chunk: string | Uint8Array; readonly encoding: string }
  | { readonly type: 'failed'; readonly codec: number; readonly data: unknown }

/** What the owner tells a worker on its control port; `Alone` is an input. */
export type Order =
  | Alone
  | WorkerCode
  | { readonly type: 'exit' }
  | ({ readonly type: 'input'; readonly key: number } & Parcel)
  | { readonly type: 'refused'; readonly key: number; readonly codec: number; readonly data: unknown }
  /** It is to give back the inputs of tasks that it has not begun; it takes no more. */
  | { readonly type: 'return' }
  /** The task whose input was posted ahead is settled. */
  | { readonly type: 'discard'; readonly key: number }
  /** The contents of a message. */
  | ({ readonly type: 'value'; readonly key: number } & Parcel)
  | ({ readonly type: 'collected'; readonly worker: number; readonly key: number } & Parcel)
  | { readonly type: 'lost'; readonly worker: number; readonly key: number }
  /** So much more of what it has written has been read, in units of the chunks. */
  | { readonly type: 'text-read'; readonly stream: Stream; readonly length: number }
  /** Another worker has ended: it is to look now at what that may have told it, and to ask for the outputs. */
  | { readonly type: 'hear'; readonly left: number }

/** Where a worker writes. */
export type Stream = 'stdout' | 'stderr'

/** How much that a worker has written may be on its way before its stream asks whoever writes to wait, in units of the chunks. */
export const MOST_UNREAD = 2 ** 20

/** Whether that is memory and nothing else. */
export function isAlone(message: Report | Order): message is Alone {
  return isArray(message)
}
