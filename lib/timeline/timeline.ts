// Stage: all. Thread: owner env.
// The timeline of one pool: `pool.trace`, and the file that THREADMILL_TRACE names, which do not know of each other.
//
// L1. What was recorded can be had after the pool has ended.

import type { PoolTrace, Trace, TraceOptions } from '../..'
import { outOfRange, ThreadmillError, wrongType } from '../errors'
import { kernelNumbers } from '../kernels'
import { native, type RawRecording } from '../native-owner'
import { optionsObject, ownOr } from '../options'
import { flush } from '../port'
import { traceEvents } from './events'
import { readRecording } from './recording'
import { stallsSince, watchStalls } from './stalls'

/** Records for each thread. */
const CAPACITY = 2 ** 15

/** The pool whose timeline it is. */
export interface Traced {
  readonly handle: number
  readonly settings: { readonly name: string }
  /** @throws ThreadmillError when the pool has ended */
  checkAlive(): void
}

/** Somebody for whom is recorded. */
interface Viewer {
  /** ns on the clock of the records. */
  readonly since: number
  readonly unwatch: () => void
  /** What was there when the pool ended. */
  last?: Last
}

interface Last {
  readonly raw: RawRecording
  readonly stalls: ReturnType<typeof stallsSince>
}

/** See the head of this file. */
export class Timeline {
  readonly #pool: Traced
  readonly #viewers = new Set<Viewer>()
  /** What `pool.trace.start()` began. */
  #own: Viewer | undefined
  readonly #ends: (() => void)[] = []

  constructor(pool: Traced) {
    this.#pool = pool
  }

  /** What users hold. */
  readonly users: PoolTrace = Object.freeze({
    start: (options?: TraceOptions) => this.start(options),
    stop: () => this.stop(),
  })

  start(options?: TraceOptions): void {
    const capacity = checkCapacity(options)
    this.#pool.checkAlive()
    const { name } = this.#pool.settings
    if (this.#own !== undefined) {
      throw new ThreadmillError('ERR_THREADMILL_TRACE_STARTED', `pool '${name}' is being traced; stop() ends that`)
    }
    this.#own = this.follow(capacity)
  }

  stop(): Trace {
    const viewer = this.#own
    if (viewer === undefined) {
      const { name } = this.#pool.settings
      throw new ThreadmillError('ERR_THREADMILL_TRACE_NOT_STARTED', `pool '${name}' is not being traced; call start()`)
    }
    this.#own = undefined
    return this.leave(viewer)
  }

  /** Records from now on. */
  follow(capacity = CAPACITY): Viewer {
    // What was submitted before is no part of it.
    flush()
    const viewer = { since: native.traceNow(), unwatch: watchStalls() }
    if (this.#viewers.size === 0) native.traceStart(this.#pool.handle, capacity)
    this.#viewers.add(viewer)
    return viewer
  }

  /** Ends that; the trace. */
  leave(viewer: Viewer): Trace {
    const last = viewer.last ?? this.#read(viewer)
    viewer.unwatch()
    this.#viewers.delete(viewer)
    if (this.#viewers.size === 0 && viewer.last === undefined) native.traceStop(this.#pool.handle)
    const recording = readRecording(last.raw, viewer.since)
    const events = traceEvents(recording, {
      name: this.#pool.settings.name,
      kernels: [...kernelNumbers().keys()],
      stalls: last.stalls,
    })
    return { traceEvents: events, displayTimeUnit: 'ms', otherData: { lost: recording.lost } }
  }

  /** Calls `listener` when the pool ends. */
  onEnd(listener: () => void): void {
    this.#ends.push(listener)
  }

  /** The pool ends: the last moment at which the records can be read. */
  poolEnds(): void {
    for (const viewer of this.#viewers) {
      viewer.last = this.#read(viewer)
      viewer.unwatch()
    }
    for (const listener of this.#ends) listener()
  }

  #read(viewer: Viewer): Last {
    flush()
    const stalls = stallsSince(viewer.since)
    return { raw: native.traceRead(this.#pool.handle), stalls }
  }
}

function checkCapacity(options: unknown): number {
  const capacity = ownOr(optionsObject(options), 'capacity', CAPACITY)
  if (typeof capacity !== 'number') throw wrongType('options.capacity', 'a number', capacity)
  if (!Number.isInteger(Math.log2(capacity)) || capacity < 2 ** 6 || capacity > 2 ** 22) {
    throw outOfRange('options.capacity', 'a power of two from 2^6 to 2^22', capacity)
  }
  return capacity
}
