// Stage: settle. Thread: any.
// Emitting events from the middle of bookkeeping.

import type { EventEmitter } from 'node:events'
import { rethrow } from '../callbacks'

/** Emits; what a listener throws becomes an uncaught exception of its own and does not disturb the caller. */
export function emitApart(emitter: EventEmitter, event: string, ...args: unknown[]): void {
  try {
    emitter.emit(event, ...args)
  } catch (error) {
    rethrow(error)
  }
}
