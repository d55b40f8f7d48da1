// Stage: submit. Thread: owner env.
// The memory that inputs take, in pools with `capacityBytes`: measured when they are submitted, given back when their tasks
// are settled.
//
// B1. Inputs of unfinished tasks take `limit` bytes at most, but for that of a task that was submitted when there was no
//     other. Tasks without bytes are never refused.
// B2. After a refusal there is room again when there is room for what was refused, so that whoever waits does not come in
//     vain.

import { types } from 'node:util'
import { ThreadmillError } from './errors'
import { type Checked, isView, membersOf } from './schema'
import { onSettled } from './slots'
import { transferOf } from './transfer'

/** The pool, as seen from here. */
export interface BudgetHost {
  readonly name: string
  /** Unfinished tasks. */
  pending(): number
  /** A task has given its bytes back. */
  discharge(bytes: number): void
}

type Getter = (this: unknown) => number

function lengthGetter(prototype: object): Getter {
  return Object.getOwnPropertyDescriptor(prototype, 'byteLength')?.get as Getter
}

// Not `value.byteLength`: users may have defined that themselves.
const viewLength = lengthGetter(Object.getPrototypeOf(Uint8Array.prototype))
const dataViewLength = lengthGetter(DataView.prototype)
const bufferLength = lengthGetter(ArrayBuffer.prototype)

/** Bytes of a string or of memory that is not shared; of what they are in nothing is counted. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return 2 * value.length
  if (typeof value !== 'object' || value === null) return 0
  if (types.isArrayBuffer(value)) return bufferLength.call(value)
  if (types.isTypedArray(value)) return types.isSharedArrayBuffer(value.buffer) ? 0 : viewLength.call(value)
  if (types.isDataView(value)) return types.isSharedArrayBuffer(value.buffer) ? 0 : dataViewLength.call(value)
  return 0
}

function sizeOfList(list: readonly object[]): number {
  return list.reduce((sum, item) => sum + (types.isArrayBuffer(item) ? bufferLength.call(item) : 0), 0)
}

function sizeOfChecked(checked: Checked, moved: readonly ArrayBuffer[]): number {
  if (typeof checked === 'string') return 2 * checked.length
  if (typeof checked !== 'object' || checked === null) return 0
  if (isView(checked)) {
    const isOwn = !types.isSharedArrayBuffer(checked.buffer) && !moved.includes(checked.buffer)
    return isOwn ? checked.byteLength : 0
  }
  const parts: Checked[] = Object.values(membersOf(checked) ?? checked)
  return parts.reduce<number>((sum, part) => sum + sizeOfChecked(part, moved), 0)
}

/** See the head of this file. */
export class ByteBudget {
  readonly #host: BudgetHost
  readonly #limit: number
  #held = 0
  /** Bytes of the task that was refused last, until there is room for it. */
  #wanted = 1

  constructor(host: BudgetHost, limit: number) {
    this.#host = host
    this.#limit = limit
  }

  /** Whether there is room for the task that was refused, or for any. */
  get hasRoom(): boolean {
    return this.#host.pending() === 0 || this.#held + this.#wanted <= this.#limit
  }

  /** Whoever waited has been told. */
  told(): void {
    this.#wanted = 1
  }

  /** Bytes of an input for a kernel. @throws ThreadmillError when there is no room for them */
  ofKernel(checked: Checked, transfer: readonly ArrayBuffer[] = []): number {
    return this.admit(sizeOfChecked(checked, transfer) + sizeOfList(transfer))
  }

  /** Bytes of an input for an entry function, as far as they can be told before it is encoded. @throws ThreadmillError */
  ofInput(input: unknown, transfer: readonly object[] = []): number {
    const marked = transferOf(input)
    const value = marked === undefined ? input : marked.value
    const list = marked === undefined ? transfer : [...marked.list, ...transfer]
    const buffer = ArrayBuffer.isView(value) ? value.buffer : value
    const own = list.includes(buffer as object) ? 0 : sizeOf(value)
    return this.admit(own + sizeOfList(list))
  }

  /** Bytes of it when it is encoded. @throws ThreadmillError */
  ofEncoded(data: unknown, before: number): number {
    return this.admit(Math.max(sizeOf(data), before))
  }

  /** @throws ThreadmillError when there is no room */
  admit(bytes: number): number {
    if (bytes === 0 || this.#held + bytes <= this.#limit || this.#host.pending() === 0) return bytes
    this.#wanted = bytes
    const place = `pool '${this.#host.name}' holds ${this.#held} bytes of inputs of its ${this.#limit}`
    throw new ThreadmillError('ERR_THREADMILL_QUEUE_FULL', `${place}; ${bytes} more do not fit`)
  }

  /** The task in `slot` holds this much until it is settled. */
  take(slot: number, bytes: number): void {
    this.#held += bytes
    onSettled(slot, () => this.#host.discharge(bytes))
  }

  giveBack(bytes: number): void {
    this.#held -= bytes
  }
}
