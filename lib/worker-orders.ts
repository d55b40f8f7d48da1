// Stage: run. Thread: a JS worker.
// What the owner has posted to this worker: inputs and contents that only `postMessage` can move, by key, and orders.

import process from 'node:process'
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { rethrow } from './callbacks'
import { listFrom, OwnMap, OwnSet } from './collections'
import { isInstance, ThreadmillError } from './errors'
import { type LastLook, lookLast } from './last-look'
import { payload } from './lazy'
import { native } from './native'
import { closePorts, isCopied, listOf, type Parcel } from './parcel'
import { resolved } from './promise'
import { isAlone, type Order, type Report, type Stream } from './protocol'

/** Gives what has come, or throws why it has not. */
type Read = () => unknown

/** The worker, as seen from here. */
export interface OrdersHost {
  /** The pool has no more tasks for it. */
  exit(): void
  /** The thread is ending, whoever has ended it. */
  ending(): void
  /** An input has come ahead of its task, which is about to be there if it is not yet. */
  inputCame(): void
  /** It is to settle now what has come back of the tasks that it submitted. */
  settleNow(): void
  /** An output has come that it asked `worker` for. */
  collected(worker: number, key: number, read: Read): void
  /** So much of what it has written has been read. */
  textRead(stream: Stream, length: number): void
  /** Something that was posted cannot be read here. */
  unread(error: unknown): void
}

/** The code of what its keeper has not any more. */
const LOST = 'ERR_THREADMILL_WORKER_CRASHED'
/** Names no input: the owner refuses it. */
const NONE = 0
/** What could not be read and nobody has asked for is kept for so many. */
const MOST_UNREAD = 64

function fail(reason: unknown): never {
  throw reason
}

/** See the head of this file. */
export class Orders {
  readonly #control: MessagePort
  readonly #lastLook: LastLook
  readonly #host: OrdersHost
  /** Tasks that wait for their inputs. */
  readonly #fetched = new OwnMap<number, (read: Read) => void>()
  /** Inputs that were asked for and have not come, in that order. */
  readonly #asked = new OwnSet<number>()
  /** Inputs that came before their tasks. */
  readonly #ahead = new OwnMap<number, Parcel>()
  /** Contents of messages. */
  readonly #contents = new OwnMap<number, Parcel>()
  /** Why things could not be read, until it shows what they were. */
  #unread: unknown[] = []
  /** The inputs that had been asked for when something could not be read, for each answer about that which is to come. */
  #doubts: (readonly number[])[] = []

  constructor(control: MessagePort, lastLook: LastLook, host: OrdersHost) {
    this.#control = control
    this.#lastLook = lastLook
    this.#host = host
  }

  /** Obeys whatever comes from now on. */
  listen(): void {
    // However it ends, as long as it ends by itself.
    process.on('exit', () => {
      // Others may emit it without an end.
      if ((process as { readonly _exiting?: boolean })._exiting === false) return
      this.#host.ending()
      this.giveBack()
    })
    this.#control.on('message', (order: Order) => {
      this.#obey(order)
      // The doorbell rings as well, one event later.
      if (isAlone(order) || order.type === 'input') this.#host.inputCame()
    })
    this.#control.on('messageerror', (error) => this.#cannotRead(error))
  }

  /**
   * Takes the contents of a message, which were posted before the worker was told of it (J8 in lane-mail.ts).
   * @throws what reading them has thrown
   */
  takeContents(key: number): Parcel | undefined {
    this.#read()
    const parcel = this.#contents.get(key)
    this.#contents.delete(key)
    if (parcel === undefined && this.#unread.length > 0) throw this.#takeUnread()
    return parcel
  }

  /** Takes an input that was posted ahead, as the owner does for a worker that waits for work. */
  takeInput(key: number): Parcel | undefined {
    if (!this.#ahead.has(key)) this.#read()
    const parcel = this.#ahead.get(key)
    this.#ahead.delete(key)
    return parcel
  }

  /** Gives back the inputs of tasks that have not begun: this worker begins no more. */
  giveBack(): void {
    this.#fetched.clear()
    lookLast(this.#lastLook)
    this.#read()
    this.#ahead.forEach((parcel, key) => {
      // Its keeper has it.
      if (isCopied(key)) return
      const report: Report = { type: 'returned', key, value: parcel.value, list: parcel.list }
      try {
        this.#control.postMessage(report, listOf(parcel))
      } catch {
        // A port in it has been closed meanwhile: its task is told that it is lost, and no other.
        closePorts(parcel)
      }
    })
    this.#ahead.clear()
  }

  /** Asks for an input; `begin` is called when it has come. */
  fetchInput(key: number, begin: (read: Read) => void): void {
    this.#fetched.set(key, begin)
    this.#ask(key)
  }

  /** Asks for the input of a task that will begin soon, if that does not hinder others from having it. */
  askEarly(key: number): void {
    if (isCopied(key) && !this.#ahead.has(key)) this.#ask(key)
  }

  #ask(key: number): void {
    if (this.#asked.has(key)) return
    this.#asked.add(key)
    native.wantInput(key)
  }

  /** Obeys what has been posted so far. */
  #read(): void {
    for (;;) {
      let received: { readonly message: unknown } | undefined
      try {
        received = receiveMessageOnPort(this.#control)
      } catch (error) {
        // It has been taken all the same.
        this.#cannotRead(error)
        continue
      }
      if (received === undefined) return
      try {
        this.#obey(received.message as Order)
      } catch (error) {
        rethrow(error)
      }
    }
  }

  /**
   * What it was shows later. An input that was asked for: when something comes that was asked for after it, as that comes in
   * order; one whose task has not begun is asked for again then. One that came unasked: when its task asks for it, which its keeper
   * refuses. The contents of a message: when it is delivered.
   */
  #cannotRead(error: unknown): void {
    if (this.#unread.length < MOST_UNREAD) this.#unread[this.#unread.length] = error
    this.#host.unread(error)
    if (this.#asked.size === 0) return
    const asked: number[] = []
    this.#asked.forEach((key) => {
      asked[asked.length] = key
    })
    this.#doubts[this.#doubts.length] = asked
    native.wantInput(NONE)
  }

  /** All that had been asked for has come, or does not come. */
  #settleDoubts(): void {
    const asked = this.#doubts[0] ?? []
    this.#doubts = listFrom(this.#doubts, 1)
    for (let at = 0; at < asked.length; at++) {
      const key = asked[at] as number
      if (!this.#asked.has(key)) continue
      const reason = this.#takeUnread()
      this.#receive(key, () => fail(reason))
    }
  }

  #takeUnread(): unknown {
    if (this.#unread.length === 0) return new ThreadmillError('ERR_THREADMILL_SYSTEM', 'the input could not be read')
    const oldest = this.#unread[0]
    this.#unread = listFrom(this.#unread, 1)
    return oldest
  }

  /** Its keeper does not give an input. */
  #refused(key: number, reason: unknown): void {
    // It has given it before, and this worker could not read it.
    const isHere = this.#unread.length > 0 && isInstance(reason, ThreadmillError) && reason.code === LOST
    const why = isHere ? this.#takeUnread() : reason
    this.#receive(key, () => fail(why))
  }

  #obey(order: Order): void {
    if (isAlone(order)) {
      const [key, value] = order
      if (!this.#receive(key, () => value)) this.#keep(key, { value })
      return
    }
    switch (order.type) {
      case 'exit':
        this.#host.exit()
        break
      case 'code':
        // It has come late.
        break
      case 'return': {
        this.giveBack()
        const report: Report = { type: 'returned-all' }
        this.#control.postMessage(report)
        break
      }
      case 'input':
        if (!this.#receive(order.key, () => order.value)) this.#keep(order.key, order)
        break
      case 'refused':
        if (order.key === NONE) this.#settleDoubts()
        else this.#refused(order.key, payload().decodeReason(order.codec, order.data))
        break
      case 'discard':
        closePorts(this.#ahead.get(order.key))
        this.#ahead.delete(order.key)
        break
      case 'value':
        this.#contents.set(order.key, order)
        break
      case 'collected':
        this.#host.collected(order.worker, order.key, () => order.value)
        break
      case 'text-read':
        this.#host.textRead(order.stream, order.length)
        break
      case 'hear':
        // Not within a drain, which may be what reads this.
        resolved().then(() => {
          this.#host.settleNow()
          const report: Report = { type: 'heard', left: order.left }
          this.#control.postMessage(report)
        })
        break
      case 'lost':
        this.#host.collected(order.worker, order.key, () =>
          fail(new ThreadmillError('ERR_THREADMILL_SYSTEM', 'the output could not be read')),
        )
    }
  }

  #keep(key: number, parcel: Parcel): void {
    this.#ahead.set(key, parcel)
  }

  /** The input of a task has come. */
  #receive(key: number, read: Read): boolean {
    this.#asked.delete(key)
    const begin = this.#fetched.get(key)
    this.#fetched.delete(key)
    begin?.(read)
    return begin !== undefined
  }
}
