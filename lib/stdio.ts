// Stage: run. Thread: a JS worker.
// What a worker writes goes to the pool's owner by the control port, so that it is there before the task that wrote it
// settles. Node's own way hands it over some turns of both event loops later. There is nothing for it to read.
//
// J19. What is written is sent at once, however much is on its way, but for one who writes on and on without coming to an end, for
//      then the owner would do nothing but read: after FEW messages without a tick, text that follows other text within PAUSE waits
//      until there are PIECE units of it, or the next tick or answer comes. Who writes faster than it is read is asked to wait, as by
//      any stream: `write` returns false, and 'drain' follows.

import process from 'node:process'
import type { Readable, Writable } from 'node:stream'
import { builtins } from './builtins'
import { native } from './native'
import { MOST_UNREAD, type Stream } from './protocol'
import { IS_NODE, mayBeChanged } from './runtime'
import { nextTick } from './timers'

type Send = (stream: Stream, chunk: string | Uint8Array, encoding: string) => void
type Callback = (error?: Error | null) => void
interface Chunk {
  readonly chunk: string | Uint8Array
  readonly encoding: string
}

const { defineProperty, getOwnPropertyDescriptor } = builtins

/** Messages that code which does not come to an end sends at once, and then the length of one, in UTF-16 units. */
const [FEW, PIECE] = [4096, 16 * 1024]
/** The longest time between what goes together, ms. */
const PAUSE = 2

/** Whether something that was loaded before waits for the end of the process, as Node does once it has made the streams. */
const mayHaveStreams = process.listenerCount('exit') > 0

/**
 * Has `process.stdin` be at its end. Node can do that before the worker begins, and makes all three streams of the process for it,
 * which takes half a millisecond.
 */
export function endInput(): void {
  const descriptor = getOwnPropertyDescriptor(process, 'stdin')
  if (!IS_NODE || descriptor?.get === undefined || descriptor.configurable !== true) return
  let ended: Readable | undefined
  const get = (): Readable => {
    if (ended === undefined) {
      ended = descriptor.get?.call(process) as Readable
      ended.push(null)
    }
    return ended
  }
  defineProperty(process, 'stdin', { ...descriptor, get })
  // Somebody may wait for it, also where the flags that have loaded him are no longer told.
  if (mayHaveStreams || mayBeChanged()) get()
}

/** What this worker writes; see the head of this file. */
export class Output {
  readonly #send: Send
  /** How much was sent and is not known to be read, in units of the chunks. */
  readonly #unread = { stdout: 0, stderr: 0 }
  /** Those that somebody waits for. */
  readonly #awaited: { stdout?: Writable; stderr?: Writable } = {}
  #isLimited = false
  /** How much was written since the last tick, in chunks. */
  #count = 0
  /** Text that waits, and of which stream it is. */
  #held = ''
  #heldOf: Stream = 'stdout'
  /** When something was sent, ms. */
  #sentAt = 0

  constructor(send: Send) {
    this.#send = send
  }

  /** Sends what is written to `process.stdout` and `process.stderr` from now on. */
  redirect(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const descriptor = getOwnPropertyDescriptor(process, stream)
      // Where it cannot be replaced, as in Bun, what is written goes the way of the runtime.
      if (descriptor?.get === undefined || descriptor.configurable !== true) continue
      let patched: Writable | undefined
      defineProperty(process, stream, {
        ...descriptor,
        // Most workers write nothing, and making the streams takes a moment.
        get: (): Writable => {
          patched ??= this.#patch(descriptor.get?.call(process) as Writable, stream)
          return patched
        },
      })
    }
  }

  /** The thread ends, and has no more ticks. */
  end(): void {
    this.flush()
    this.#isLimited = false
  }

  /** Sends what waits. */
  flush(): void {
    if (this.#held === '') return
    const text = this.#held
    this.#held = ''
    this.#send(this.#heldOf, text, 'utf8')
  }

  #write(stream: Stream, chunk: string | Uint8Array, encoding: string): void {
    this.#unread[stream] += chunk.length
    if (this.#count++ === 0) {
      nextTick(() => {
        this.#count = 0
        this.flush()
      })
    }
    if (stream !== this.#heldOf) this.flush()
    // Before the module is loaded, a thread may end without a tick.
    if (this.#count > FEW && this.#isLimited && typeof chunk === 'string' && encoding === 'utf8') {
      const time = native.now()
      this.#heldOf = stream
      this.#held += chunk
      if (time - this.#sentAt < PAUSE && this.#held.length < PIECE) return
      this.#sentAt = time
      this.flush()
      return
    }
    this.flush()
    this.#send(stream, chunk, encoding)
  }

  /** Has writers wait from now on: this thread hears what is read. */
  limit(): void {
    this.#isLimited = true
  }

  /** So much more has been read. */
  read(stream: Stream, length: number): void {
    this.#unread[stream] -= length
    const target = this.#awaited[stream]
    if (target === undefined || this.#unread[stream] > MOST_UNREAD / 2) return
    delete this.#awaited[stream]
    // Not within whatever has read this message.
    nextTick(() => target.emit('drain'))
  }

  #isFull(stream: Stream): boolean {
    return this.#isLimited && this.#unread[stream] >= MOST_UNREAD
  }

  #patch(target: Writable, stream: Stream): Writable {
    const send = (chunk: string | Uint8Array, encoding: string) => this.#write(stream, chunk, encoding)
    target._write = (chunk: string | Uint8Array, encoding: string, callback: Callback): void => {
      send(chunk, encoding)
      callback()
    }
    target._writev = (chunks: Chunk[], callback: Callback): void => {
      for (const { chunk, encoding } of chunks) send(chunk, encoding)
      callback()
    }
    const write = target.write as (...given: unknown[]) => boolean
    target.write = (...given: unknown[]): boolean => {
      const goesOn = write.apply(target, given)
      if (!this.#isFull(stream)) return goesOn
      this.#awaited[stream] = target
      // It would say so by itself as soon as this chunk is sent.
      ;(target as unknown as { _writableState: { needDrain: boolean } })._writableState.needDrain = false
      return false
    }
    const { Writable } = require('node:stream') as typeof import('node:stream')
    const needsDrain = getOwnPropertyDescriptor(Writable.prototype, 'writableNeedDrain')?.get
    defineProperty(target, 'writableNeedDrain', {
      configurable: true,
      get: () => this.#awaited[stream] !== undefined || needsDrain?.call(target) === true,
    })
    return target
  }
}
