// Stage: all. Thread: owner env.
// Those who look: event streams, and who has asked for figures a moment ago.
//
// D3. A stream that has not taken its last event is given no other: at most one is buffered for each.
// D8. A connection has one stream: what is asked on it afterwards never has its turn.

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { clearInterval, clearTimeout, setInterval, setTimeout } from '../timers'

/** Event streams at a time. */
const MOST = 64
/** How long one who has asked for figures counts as looking, ms. */
const GLANCE = 10_000

/** What is looked at. */
export interface Sight {
  /** ms */
  readonly interval: number
  /** Somebody looks, or nobody any more. */
  looking(isLooked: boolean): void
  /** JSON on one line. */
  figures(): string
}

/** See the head of this file. It never keeps the process alive. */
export class Streams {
  readonly #sight: Sight
  readonly #open = new Map<Socket, ServerResponse>()
  #ticks: ReturnType<typeof setInterval> | undefined
  #glance: ReturnType<typeof setTimeout> | undefined

  constructor(sight: Sight) {
    this.#sight = sight
  }

  get isLookedAt(): boolean {
    return this.#open.size > 0 || this.#glance !== undefined
  }

  /** Whether there is room for another stream. */
  get hasRoom(): boolean {
    return this.#open.size < MOST
  }

  /** Sends events from now on, the first at once. */
  add(response: ServerResponse): void {
    const { socket } = response.req
    if (this.#open.has(socket)) return
    this.#open.set(socket, response)
    this.#sight.looking(true)
    // A response that has not had its turn does not hear of the end of its connection.
    socket.on('close', () => {
      this.#open.delete(socket)
      if (this.#open.size > 0) return
      clearInterval(this.#ticks)
      this.#ticks = undefined
      if (!this.isLookedAt) this.#sight.looking(false)
    })
    response.write(`retry: 1000\n\ndata: ${this.#sight.figures()}\n\n`)
    this.#ticks ??= setInterval(() => this.#tick(), this.#sight.interval).unref()
  }

  /** Somebody has asked for figures, and may do so again. */
  glanced(): void {
    this.#sight.looking(true)
    clearTimeout(this.#glance)
    this.#glance = setTimeout(() => {
      this.#glance = undefined
      if (!this.isLookedAt) this.#sight.looking(false)
    }, GLANCE).unref()
  }

  close(): void {
    clearInterval(this.#ticks)
    clearTimeout(this.#glance)
    this.#glance = undefined
    for (const response of this.#open.values()) response.destroy()
  }

  #tick(): void {
    const ready = [...this.#open.values()].filter((response) => !response.writableNeedDrain)
    if (ready.length === 0) return
    const event = `data: ${this.#sight.figures()}\n\n`
    for (const response of ready) response.write(event)
  }
}
