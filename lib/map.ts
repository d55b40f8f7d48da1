// Stage: submit. Thread: owner env.
// `map`: takes inputs only as fast as outputs are consumed, and never more than the pool has room for.
//
// M1. At most `concurrency` tasks are in progress or finished and not yet consumed.
// M2. When the consumer leaves, an input or task fails, the signal aborts or the pool ends, what is in progress is
//     cancelled, the source is closed, and whoever waits for an output is answered, whatever the source does.
// M3. The pool and the signal keep it while a task of its is in progress or somebody waits for an output, and not at rest.

import { AsyncResource } from 'node:async_hooks'
import { rethrow } from './callbacks'
import { isInstance, ThreadmillError, wrongType } from './errors'
import { isObject } from './own'
import { cancel } from './port'
import { BuiltinPromise, isPromise } from './promise'
import { follow, reasonOf } from './signals'
import { type Entry, TaskWindow } from './task-window'
import { Tie } from './tie'

/** What `map` needs of its pool. */
export interface Submitter {
  hasRoom(): boolean
  whenRoom(): Promise<void>
  /** Whether tasks are measured to take less than it takes to wake a worker. */
  isTiny(): boolean
  /** Submits one input; returns its slot. Throws when it is refused. */
  start(input: unknown, resolve: (value: unknown) => void, reject: (reason: unknown) => void): number
  /** Calls `listener` when the pool admits nothing any more. Returns how to stop that. */
  onEnd(listener: (reason: unknown) => void): () => void
}

/** Options of `map`, checked. */
export interface MapSettings {
  readonly concurrency: number
  /** The same while tasks are tiny. */
  readonly tinyConcurrency: number
  readonly ordered: boolean
  readonly signal: AbortSignal | undefined
}

/** So much room is always worth submitting for. */
const MOST_AT_ONCE = 32
const settled = BuiltinPromise.resolve()

interface Waiter {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void
  readonly reject: (reason: unknown) => void
}

/** Most tasks in progress, or finished and not yet passed on. */
export function concurrencyOf(settings: MapSettings, pool: Submitter): number {
  return pool.isTiny() ? settings.tinyConcurrency : settings.concurrency
}

/** Whether a task was refused for want of room. */
export function wasFull(error: unknown): boolean {
  return isInstance(error, ThreadmillError) && error.code === 'ERR_THREADMILL_QUEUE_FULL'
}

/** What `await` waits for. */
function isThenable(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && typeof (value as Partial<PromiseLike<unknown>>).then === 'function'
  )
}

interface Source {
  readonly iterator: Iterator<unknown> | AsyncIterator<unknown>
  /** Whether what it gives may be promises, as `for await` takes them. */
  readonly isSync: boolean
}

function sourceOf(inputs: unknown): Source {
  const isReadable = typeof inputs !== 'object' || isObject(inputs)
  const source = (isReadable ? inputs : null) as (Partial<Iterable<unknown>> & Partial<AsyncIterable<unknown>>) | null
  const openAsync: unknown = source?.[Symbol.asyncIterator]
  const open = (openAsync ?? source?.[Symbol.iterator]) as ((this: unknown) => unknown) | undefined
  if (typeof open !== 'function') throw wrongType('inputs', 'an iterable or async iterable', inputs)
  const iterator = open.call(inputs)
  const hasNext = isObject(iterator) && typeof (iterator as Partial<Iterator<unknown>>).next === 'function'
  if (!hasNext) throw wrongType('inputs', 'an iterable', inputs)
  return { iterator: iterator as Source['iterator'], isSync: open !== openAsync }
}

/** An iterator over the outputs. Nothing is taken from the source before the first `next`. */
export class Mapper implements AsyncIterableIterator<unknown, undefined> {
  readonly #source: Source
  readonly #settings: MapSettings
  readonly #pool: Submitter
  /** A refused input or a failed source has a rejected entry in its place. */
  readonly #window: TaskWindow
  readonly #waiters: Waiter[] = []
  readonly #toSignal: Tie<Mapper> | undefined
  /** Of whoever called `map`: all that is asked of the source and of its inputs runs there. */
  readonly #context = new AsyncResource('threadmill:map')
  #pumping = false
  /** Whether the source is being asked, and is to be closed when it has answered. */
  #isAsked = false
  #isToBeClosed = false
  /** Tasks that were submitted and are not settled. */
  #unsettled = 0
  #unwatch: (() => void) | undefined
  /** The source has ended, failed or been closed. */
  #exhausted = false
  #finished = false

  constructor(inputs: Iterable<unknown> | AsyncIterable<unknown>, settings: MapSettings, pool: Submitter) {
    this.#source = sourceOf(inputs)
    this.#settings = settings
    this.#window = new TaskWindow(settings.ordered)
    this.#pool = pool
    const { signal } = settings
    if (signal === undefined) return
    if (signal.aborted) {
      this.#fail(reasonOf(signal))
      return
    }
    this.#toSignal = new Tie(this, (tell) => follow(signal, tell), Mapper.#aborted)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.#finished) {
      this.#unwatch ??= this.#pool.onEnd(this.#poolEnded)
      this.#toSignal?.hold(this)
    }
    return new BuiltinPromise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#advance()
    })
  }

  /** Gives `value` back, as async generators do. */
  async return(value?: unknown): Promise<IteratorResult<unknown, undefined>> {
    this.#finish()
    return { done: true, value: (await value) as undefined }
  }

  throw(reason: unknown): Promise<never> {
    this.#finish()
    return BuiltinPromise.reject(reason)
  }

  readonly #poolEnded = (reason: unknown): void => {
    this.#fail(reason)
  }

  static readonly #aborted = (mapper: Mapper, reason: unknown): void => {
    mapper.#abort(reason)
  }

  /** One that is dropped must not be kept, nor keep the pool (M3). */
  #unwatchAtRest(): void {
    // What a source gives that answers after the end is of no interest.
    const isPumping = this.#pumping && !this.#exhausted
    if (this.#waiters.length > 0 || this.#unsettled > 0 || isPumping) return
    this.#unwatch?.()
    this.#unwatch = undefined
    this.#toSignal?.release()
  }

  /** Answers whoever waits as far as that is possible, then sees to it that there is more. */
  #advance(): void {
    while (this.#waiters.length > 0) {
      if (this.#finished) {
        this.#waiters.shift()?.resolve({ done: true, value: undefined })
        continue
      }
      const entry = this.#window.take()
      if (entry === undefined) {
        if (!this.#exhausted || this.#window.length > 0) break
        this.#finish()
      } else if (entry.state === 'rejected') {
        this.#waiters.shift()?.reject(entry.value)
        this.#finish()
      } else this.#waiters.shift()?.resolve({ done: false, value: entry.value })
    }
    if (this.#isLow() && !this.#pumping) {
      this.#pumping = true
      this.#context
        .runInAsyncScope(this.#pump, this)
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          this.#pumping = false
          // Room may have been made while the pump was on its way out.
          if (this.#isLow()) this.#advance()
          else this.#unwatchAtRest()
        })
    } else this.#unwatchAtRest()
  }

  /** Whether there is room for as many as are worth submitting: tasks that come one by one each wake a worker. */
  #isLow(): boolean {
    if (this.#finished || this.#exhausted) return false
    const most = concurrencyOf(this.#settings, this.#pool)
    return this.#window.length <= most - Math.max(1, Math.min(MOST_AT_ONCE, most >> 2))
  }

  #wantsMore(): boolean {
    return !this.#finished && !this.#exhausted && this.#window.length < concurrencyOf(this.#settings, this.#pool)
  }

  /** Starts tasks until the window is full or the source is at its end. Runs beside the consumer, in the context of `map`. */
  async #pump(): Promise<void> {
    // A drain may be under way, and the source is code of the caller's.
    await settled
    while (this.#wantsMore()) {
      if (!this.#pool.hasRoom()) {
        await this.#room()
        continue
      }
      const { isSync } = this.#source
      // Waits for nothing that is there: tasks that are submitted one right after the other are handed over together.
      const next = this.#ask()
      const result = isSync && !isThenable(next) ? next : await next
      if (typeof result !== 'object' || result === null) throw wrongType('a result of inputs', 'an object', result)
      const { done, value: given } = result as IteratorResult<unknown>
      if (!done) this.#closeAsked()
      // Also the last one, and whatever has happened since: one that rejects would be unhandled.
      const value = isSync && isThenable(given) ? await given : given
      if (done) {
        this.#exhausted = true
        this.#advance()
        return
      }
      while (!this.#submitIfRoom(value)) await this.#room()
    }
  }

  /** Whether this input is settled or submitted; `false` when there is no room for it. */
  #submitIfRoom(input: unknown): boolean {
    if (this.#finished || this.#exhausted) return true
    // Another user of the pool may have taken the room while the source was asked.
    if (!this.#pool.hasRoom()) return false
    try {
      this.#submit(input)
      return true
    } catch (error) {
      // There was room, but not for as many bytes.
      if (!wasFull(error) || this.#pool.hasRoom()) throw error
      return false
    }
  }

  async #room(): Promise<void> {
    while (!this.#finished && !this.#exhausted && !this.#pool.hasRoom()) await this.#pool.whenRoom()
  }

  #submit(input: unknown): void {
    const entry: Entry = { slot: -1, state: 'pending', value: undefined }
    const settle = (state: 'fulfilled' | 'rejected') => (value: unknown) => {
      this.#window.end(entry, state, value)
      this.#unsettled--
      this.#advance()
    }
    this.#unsettled++
    try {
      entry.slot = this.#pool.start(input, settle('fulfilled'), settle('rejected'))
    } catch (error) {
      this.#unsettled--
      throw error
    }
    // A getter of the input may have ended it.
    if (this.#exhausted) {
      if (entry.slot >= 0) cancel(entry.slot, undefined)
      return
    }
    this.#window.add(entry)
    // It was refused when it was not in its place yet.
    if (entry.state !== 'pending') this.#advance()
  }

  /** There are no more inputs, for this reason. What was submitted before still comes. */
  #fail(reason: unknown): void {
    if (this.#finished || this.#exhausted) return
    this.#window.add({ slot: -1, state: 'rejected', value: reason })
    this.#closeSource()
    this.#advance()
  }

  /** The end, now, for this reason. */
  #abort(reason: unknown): void {
    if (this.#finished) return
    this.#window.cancelAll()
    this.#window.add({ slot: -1, state: 'rejected', value: reason })
    this.#closeSource()
    this.#advance()
  }

  #finish(): void {
    if (this.#finished) return
    this.#finished = true
    this.#toSignal?.cut()
    this.#window.cancelAll()
    this.#closeSource()
    this.#advance()
  }

  /** Asks the source for its next result. */
  #ask(): unknown {
    const { iterator, isSync } = this.#source
    this.#isAsked = true
    try {
      return iterator.next()
    } finally {
      this.#isAsked = false
      if (!isSync) this.#closeAsked()
    }
  }

  /** Closes the source, if it has ended the iteration itself while it was asked: a generator that runs cannot be closed. */
  #closeAsked(): void {
    if (!this.#isToBeClosed) return
    this.#isToBeClosed = false
    this.#return()
  }

  #closeSource(): void {
    if (this.#exhausted) return
    this.#exhausted = true
    if (this.#isAsked) this.#isToBeClosed = true
    else this.#return()
  }

  /** Lets a generator run its `finally`. What that gives is of no interest, what it throws is. */
  #return(): void {
    const { iterator } = this.#source
    try {
      const closed: unknown = this.#context.runInAsyncScope(() => iterator.return?.())
      if (isPromise(closed)) closed.catch(() => {})
    } catch (error) {
      rethrow(error)
    }
  }
}
