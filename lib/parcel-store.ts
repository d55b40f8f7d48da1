// Stage: submit, run and settle. Thread: owner env.
// What only `postMessage` can move and is on its way between the threads of a pool: inputs until a worker asks for them,
// outputs and contents of messages until somebody does (J8 in lane-mail.ts).

import process from 'node:process'
import type { MessagePort, Transferable } from 'node:worker_threads'
import { Ahead, type AheadHost } from './ahead'
import { ThreadmillError } from './errors'
import { MAIN_WORKER } from './native'
import type { End } from './owner'
import { closePorts, isCopied, KEY_STEP, KEYS_PER_WORKER, keyOfInput, listOf, moved, type Parcel } from './parcel'
import type { Order } from './protocol'
import { encodeReason } from './reason'
import type { Pushed } from './submit'

/** Deno does not find what is on its way to a listener. */
const COMES_LATE = 'deno' in process.versions
const UNREADABLE = 'the output could not be read'
const LOST_INPUT = 'the task did not begin: its input had been moved to a worker that ended'

/** What the store needs of the lane that it belongs to. */
export interface StoreHost extends Omit<AheadHost, 'newKey'> {
  /** The way to a worker that has a thread. */
  control(worker: number): MessagePort | undefined
  /** Hears what a worker has reported so far. */
  readPort(worker: number): void
}

/** Outputs of a worker that has ended, and the workers that may still ask for them. */
interface Left {
  readonly worker: number
  readonly keys: readonly number[]
  readonly heirs: Set<number>
}

/** See the head of this file. */
export class ParcelStore {
  readonly #host: StoreHost
  /** Inputs, by key. */
  readonly #inputs = new Map<number, Parcel>()
  /** Workers that have been given one of them, by key, where it stays here. */
  readonly #copies = new Map<number, number[]>()
  readonly #ahead: Ahead
  #nextKey = 0
  /** By worker and key: outputs and contents that were posted and not asked for yet. */
  readonly #values = new Map<number, Map<number, Parcel>>()
  /** What workers have left that have ended, until the others have heard of it. */
  readonly #left = new Map<number, Left>()
  #nextLeft = 0
  /** Who waits for an output that `receiveMessageOnPort` did not find, by worker and key. */
  readonly #late = new Map<string, End>()

  constructor(host: StoreHost) {
    this.#host = host
    this.#ahead = new Ahead({
      idleWorker: () => host.idleWorker(),
      get runTime() {
        return host.runTime
      },
      get mostWorkers() {
        return host.mostWorkers
      },
      taking: (worker) => host.taking(worker),
      isReady: (worker) => host.isReady(worker),
      newKey: () => this.newKey(),
    })
  }

  /** Another key for what this thread posts. */
  newKey(): number {
    this.#nextKey += KEY_STEP
    return this.#nextKey
  }

  /**
   * Keeps an input for the worker that will begin its task. What `transfer` names is moved now; `isOwn`: nobody else has it.
   * @returns its key
   * @throws DataCloneError
   */
  keep(value: unknown, transfer: readonly object[], isOwn = false): number {
    const list = transfer as Transferable[]
    const key = keyOfInput(this.newKey(), list)
    this.#inputs.set(key, isOwn && list.length === 0 ? { value, list } : moved(value, list))
    return key
  }

  /** Keeps an input of a task that a worker submits. */
  accept(key: number, parcel: Parcel): void {
    this.#inputs.set(key, parcel)
  }

  push(value: unknown, list: readonly object[]): Pushed | undefined {
    return this.#ahead.push(value, list)
  }

  /** Whether a worker has inputs of tasks that are unsettled. */
  hasAhead(worker: number): boolean {
    return this.#ahead.countOf(worker) > 0
  }

  /** A worker has not begun the task of an input that it had got ahead, and takes no more. */
  giveBack(key: number, parcel: Parcel): void {
    if (this.#ahead.has(key)) this.#inputs.set(key, parcel)
    else closePorts(parcel)
  }

  discard(key: number, succeeded: boolean): void {
    closePorts(this.#inputs.get(key))
    this.#inputs.delete(key)
    const worker = this.#ahead.end(key)
    // Where it has run it was used.
    if (succeeded && (this.#copies.get(key)?.length ?? 1) === 1) this.#copies.delete(key)
    else if (worker === undefined) this.#dropCopies(key)
    else this.#sendDiscard(worker, key)
  }

  /** Nobody needs what workers have been given of that input. */
  #dropCopies(key: number): void {
    for (const holder of this.#copies.get(key) ?? []) this.#sendDiscard(holder, key)
    this.#copies.delete(key)
  }

  #sendDiscard(worker: number, key: number): void {
    const order: Order = { type: 'discard', key }
    this.#host.control(worker)?.postMessage(order)
  }

  /** Takes the input with this key, whoever keeps it. */
  takeInput(key: number): Parcel {
    // Its keeper has posted it before it submitted the task (J8).
    if (!this.#inputs.has(key)) this.#host.readPort(keeperOf(key))
    const parcel = this.#inputs.get(key)
    // One that is copied goes with its task.
    if (!isCopied(key)) this.#inputs.delete(key)
    if (parcel === undefined) throw new ThreadmillError('ERR_THREADMILL_WORKER_CRASHED', LOST_INPUT)
    return parcel
  }

  #noteCopy(key: number, worker: number): void {
    const copies = this.#copies.get(key)
    if (copies === undefined) this.#copies.set(key, [worker])
    else if (!copies.includes(worker)) copies.push(worker)
  }

  /** A worker has begun a task and needs the input, or will soon. */
  wanted(worker: number, key: number): void {
    const control = this.#host.control(worker)
    try {
      const parcel = this.takeInput(key)
      const order: Order = { type: 'input', key, value: parcel.value, list: parcel.list }
      control?.postMessage(order, listOf(parcel))
      if (isCopied(key)) this.#noteCopy(key, worker)
    } catch (error) {
      // Its worker needs an end of it all the same.
      const refused: Order = { type: 'refused', key, ...encodeReason(error) }
      control?.postMessage(refused)
    }
  }

  /** Keeps an output of the owner's own thread for the worker that asked for it. */
  keepValue(key: number, parcel: Parcel): void {
    this.#valuesOf(MAIN_WORKER).set(key, parcel)
  }

  /** A worker has posted an output, or the contents of a message. */
  arrived(worker: number, key: number, parcel: Parcel): void {
    const waiting = this.#late.size === 0 ? '' : `${worker} ${key}`
    const late = this.#late.get(waiting)
    this.#late.delete(waiting)
    if (late === undefined) this.#valuesOf(worker).set(key, parcel)
    else late(true, parcel.value)
  }

  /** Takes what a worker has posted, if it can be read. */
  takeValue(worker: number, key: number): Parcel | undefined {
    const values = this.#valuesOf(worker)
    if (!values.has(key)) this.#host.readPort(worker)
    const value = values.get(key)
    values.delete(key)
    return value
  }

  #valuesOf(worker: number): Map<number, Parcel> {
    const found = this.#values.get(worker)
    if (found !== undefined) return found
    const made = new Map<number, Parcel>()
    this.#values.set(worker, made)
    return made
  }

  /** Ends a task with what a worker has posted. */
  collect(key: number, worker: number, end: End): void {
    const parcel = this.takeValue(worker, key)
    if (parcel !== undefined) end(true, parcel.value)
    else if (COMES_LATE && this.#host.control(worker) !== undefined) this.#late.set(`${worker} ${key}`, end)
    else end(false, new ThreadmillError('ERR_THREADMILL_SYSTEM', UNREADABLE))
  }

  /** Gives an output of `worker` to the worker that submitted the task. */
  handOn(control: MessagePort, worker: number, key: number): void {
    try {
      const parcel = this.takeValue(worker, key) as Parcel
      const order: Order = { type: 'collected', worker, key, value: parcel.value, list: parcel.list }
      control.postMessage(order, listOf(parcel))
    } catch {
      const lost: Order = { type: 'lost', worker, key }
      control.postMessage(lost)
    }
  }

  /** Nothing more comes from a worker whose thread has ended: ends those who wait for it. */
  endLate(worker: number): void {
    for (const [key, end] of this.#late) {
      if (!key.startsWith(`${worker} `)) continue
      this.#late.delete(key)
      end(false, new ThreadmillError('ERR_THREADMILL_SYSTEM', UNREADABLE))
    }
  }

  /**
   * Drops what a worker whose thread has ended kept here. Its outputs stay until each of the others has seen what the scheduler
   * had for it by then: what it wants of them it has asked for when it says so.
   */
  forget(worker: number): void {
    for (const key of this.#inputs.keys()) {
      if (keeperOf(key) !== worker) continue
      this.#inputs.delete(key)
      this.#dropCopies(key)
    }
    for (const left of this.#left.keys()) this.heard(worker, left)
    const keys = [...(this.#values.get(worker)?.keys() ?? [])]
    if (keys.length === 0) return
    const left = this.#nextLeft++
    const order: Order = { type: 'hear', left }
    // Itself, in case there are no others.
    const heirs = new Set([worker])
    for (let other = 0; other < this.#host.mostWorkers; other++) {
      const control = this.#host.control(other)
      if (control === undefined) continue
      heirs.add(other)
      control.postMessage(order)
    }
    this.#left.set(left, { worker, keys, heirs })
    this.heard(worker, left)
  }

  /** Nobody asks for anything any more. */
  clear(): void {
    this.#inputs.clear()
    this.#copies.clear()
    this.#values.clear()
    this.#left.clear()
  }

  /** A worker has asked for all that it wants of what another one has left, or has ended. */
  heard(worker: number, left: number): void {
    const entry = this.#left.get(left)
    entry?.heirs.delete(worker)
    if (entry === undefined || entry.heirs.size > 0) return
    this.#left.delete(left)
    for (const key of entry.keys) this.#values.get(entry.worker)?.delete(key)
  }
}

/** The worker that keeps the input with this key; below 0 for this thread. */
function keeperOf(key: number): number {
  return Math.floor(key / KEYS_PER_WORKER) - 1
}
