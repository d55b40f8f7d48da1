// Stage: submit and settle. Thread: any that posts.
// What only `postMessage` can move, on its way.

import { MessagePort, type Transferable } from 'node:worker_threads'
import { builtins } from './builtins'

const { clone, DOMException: BaseException, isNativeError, isView } = builtins

/** A value, and what of it is moved. */
export interface Parcel {
  readonly value: unknown
  /** Left out where it is the memory of `value`, a view, and nothing else. */
  readonly list?: readonly Transferable[] | undefined
}

/** Whether all that moves is the memory of `value`, a view. */
export function isMemoryOf(value: unknown, list: readonly object[]): value is ArrayBufferView {
  return list.length === 1 && isView(value) && value.buffer === list[0]
}

/** What has to be moved with a parcel when it is posted on. */
export function listOf({ value, list }: Parcel): readonly Transferable[] {
  return list ?? [(value as Uint8Array).buffer as ArrayBuffer]
}

/** The code that Node 20 has for what would have to be moved and is not in the list. */
export const UNLISTED = 'ERR_MISSING_TRANSFERABLE_IN_TRANSFER_LIST'

/** Keys of inputs tell who keeps them: those of a worker begin at (its number + 1) times this. */
export const KEYS_PER_WORKER = 2 ** 40

/** Between two keys of inputs; what is added to one whose input is copied to whoever asks for it. */
export const KEY_STEP = 2
const COPIED = 1

/** The key of an input: without anything that moves it is copied. */
export function keyOfInput(key: number, list: readonly object[]): number {
  return list.length === 0 ? key + COPIED : key
}

/** Whether the input with this key stays with its keeper until its task is settled, so that it may be asked for early. */
export function isCopied(key: number): boolean {
  return key % KEY_STEP === COPIED
}

/** Keys that one thread has for itself: what an ended one has left is not its replacement's. */
export const KEYS_PER_LIFE = 2 ** 32

/** A value of its own, with what `list` names moved. @throws DataCloneError */
export function moved(value: unknown, list: readonly Transferable[]): Parcel {
  const transfer = list as Transferable[]
  try {
    return isMemoryOf(value, list) ? { value: clone(value, { transfer }) } : clone({ value, list }, { transfer })
  } catch (error) {
    throw cloneError(error)
  }
}

/** Posts a message with a value of the user's; what `list` names is moved. @throws DataCloneError */
export function post(port: MessagePort, message: unknown, list: readonly Transferable[]): void {
  try {
    port.postMessage(message, list)
  } catch (error) {
    throw cloneError(error)
  }
}

/** The error as later Nodes throw it. */
function cloneError(error: unknown): unknown {
  const isUnlisted = isNativeError(error) && (error as NodeJS.ErrnoException).code === UNLISTED
  return isUnlisted ? new BaseException((error as Error).message, 'DataCloneError') : error
}

/** Nobody will use them; whoever has the other end is to know. */
export function closePorts(parcel: Parcel | undefined): void {
  for (const item of parcel?.list ?? []) if (item instanceof MessagePort) item.close()
}
