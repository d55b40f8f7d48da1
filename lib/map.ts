// Stage: submit. Thread: owner env.
// `map`: takes inputs only as fast as outputs are consumed, and never more than the pool has room for.
//
// M1. At most `concurrency` tasks are in progress or finished and not yet consumed.
// M2. When the consumer leaves or an input or task fails, what is in progress is cancelled and the source is closed.

import { wrongType } from './errors'
import { cancel } from './port'

/** What `map` needs of its pool. */
export interface Submitter {
  hasRoom(): boolean
  whenRoom(): Promise<void>
  /** Submits one input; returns its slot. Throws when it is refused. */
  start(input: unknown, resolve: (value: unknown) => void, reject: (reason: unknown) => void): number
}

interface Entry {
  /** -1 when settled. */
  slot: number
  state: 'pending' | 'fulfilled' | 'rejected'
  value: unknown
}

/** An iterator over the outputs. */
export function mapTasks(
  inputs: Iterable<unknown> | AsyncIterable<unknown>,
  options: { readonly concurrency: number; readonly ordered: boolean },
  pool: Submitter,
): AsyncIterableIterator<unknown> {
  return new Mapper(iteratorOf(inputs), options, pool).outputs()
}

function iteratorOf(inputs: unknown): Iterator<unknown> | AsyncIterator<unknown> {
  const source = inputs as (Partial<Iterable<unknown>> & Partial<AsyncIterable<unknown>>) | null | undefined
  if (typeof source?.[Symbol.asyncIterator] === 'function') {
    return (source as AsyncIterable<unknown>)[Symbol.asyncIterator]()
  }
  if (typeof source?.[Symbol.iterator] === 'function') return (source as Iterable<unknown>)[Symbol.iterator]()
  throw wrongType('inputs', 'an iterable or async iterable', inputs)
}

class Mapper {
  readonly #source: Iterator<unknown> | AsyncIterator<unknown>
  readonly #concurrency: number
  readonly #ordered: boolean
  readonly #pool: Submitter
  /** In the order of the inputs, or of completion when not ordered (then only settled ones are taken). */
  #entries: Entry[] = []
  #exhausted = false
  #stopped = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  constructor(
    source: Iterator<unknown> | AsyncIterator<unknown>,
    options: { readonly concurrency: number; readonly ordered: boolean },
    pool: Submitter,
  ) {
    this.#source = source
    this.#concurrency = options.concurrency
    this.#ordered = options.ordered
    this.#pool = pool
  }

  async *outputs(): AsyncGenerator<unknown, undefined> {
    let pumping: Promise<void> | undefined
    try {
      for (;;) {
        // The pump runs beside the consumer: a slow source does not hold finished outputs back.
        if (pumping === undefined && this.#wantsMore) {
          pumping = this.#pump().finally(() => {
            pumping = undefined
            this.#notify()
          })
        }
        const entry = this.#takeSettled()
        if (entry !== undefined) {
          if (entry.state === 'rejected') throw entry.value
          yield entry.value
          continue
        }
        if (this.#failure !== undefined) throw this.#failure.error
        if (this.#exhausted && this.#entries.length === 0) return
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      this.#stop()
    }
  }

  get #wantsMore(): boolean {
    return !this.#stopped && !this.#exhausted && this.#entries.length < this.#concurrency
  }

  /** Starts tasks until the window is full or the source is at its end. */
  async #pump(): Promise<void> {
    try {
      while (this.#wantsMore) {
        while (!this.#pool.hasRoom()) {
          await this.#pool.whenRoom()
          if (this.#stopped) return
        }
        const next = this.#source.next()
        const { done, value } = next instanceof Promise ? await next : await Promise.resolve(next)
        if (done) this.#exhausted = true
        else if (!this.#stopped) await this.#submit(value)
      }
    } catch (error) {
      this.#failure ??= { error }
      this.#exhausted = true
    }
  }

  async #submit(input: unknown): Promise<void> {
    // Another user of the pool may have taken the room while the source was asked.
    while (!this.#pool.hasRoom()) await this.#pool.whenRoom()
    if (this.#stopped) return
    const entry: Entry = { slot: -1, state: 'pending', value: undefined }
    const settle = (state: 'fulfilled' | 'rejected') => (value: unknown) => {
      entry.slot = -1
      entry.state = state
      entry.value = value
      this.#notify()
    }
    entry.slot = this.#pool.start(input, settle('fulfilled'), settle('rejected'))
    this.#entries.push(entry)
  }

  #takeSettled(): Entry | undefined {
    const at = this.#ordered ? 0 : this.#entries.findIndex((entry) => entry.state !== 'pending')
    const entry = this.#entries[at]
    if (entry === undefined || entry.state === 'pending') return undefined
    this.#entries.splice(at, 1)
    return entry
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    for (const entry of this.#entries) if (entry.slot >= 0) cancel(entry.slot, undefined)
    this.#entries = []
    if (this.#exhausted && this.#failure === undefined) return
    this.#exhausted = true
    try {
      // Lets generators run their `finally`; what it gives is of no interest any more.
      Promise.resolve(this.#source.return?.()).catch(() => {})
    } catch {}
  }
}
