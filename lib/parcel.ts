// Stage: submit and settle. Thread: any that posts.
// What only `postMessage` can move, on its way.

import { MessagePort, type Transferable } from 'node:worker_threads'

/** A value, and what of it is moved. */
export interface Parcel {
  readonly value: unknown
  readonly list: readonly Transferable[]
}

/** Keys of inputs tell who keeps them: those of a worker begin at (its number + 1) times this. */
export const KEYS_PER_WORKER = 2 ** 40

/** A value of its own, with what `list` names moved. @throws DataCloneError */
export function moved(value: unknown, list: readonly Transferable[]): Parcel {
  return structuredClone({ value, list }, { transfer: list as Transferable[] })
}

/** Nobody will use them; whoever has the other end is to know. */
export function closePorts(parcel: Parcel | undefined): void {
  for (const item of parcel?.list ?? []) if (item instanceof MessagePort) item.close()
}
