// Stage: all. Thread: owner env.
// The typed view of the binding. The only module that loads it.

import * as addon from '#native'

/** Numbers per submitted record; see src/submit.rs for their meaning. */
export const SUBMIT_STRIDE = 12
/** Numbers per drained record; see src/settle.rs. */
export const DRAIN_STRIDE = 6

/** What the addon puts on its exports. */
export interface Native {
  /** Version of the package that the library was built for. */
  version(): string
  /** Makes the doorbell of this env. */
  connect(drain: () => void): void
  /** Hands `count` records to the scheduler. */
  flush(header: Float64Array, count: number, values: unknown[], arena: Uint8Array, held: unknown[]): void
  /** Whether a native worker of the pool would start at once. */
  hasIdle(pool: number): boolean
  /** Fills `header` and `values` with events; returns how many. */
  drain(header: Float64Array, values: unknown[], held: unknown[]): number
  /** Rings the doorbell for what is left. */
  ring(): void
  /** JSON of all kernel descriptions. */
  kernels(): string
  createPool(options: object): number
  /** 0 finishes everything, 1 rejects what waits, 2 rejects everything. */
  closePool(pool: number, mode: 0 | 1 | 2, first: boolean): void
  /** Forgets a closed pool. */
  releasePool(pool: number): void
  /** Whether this call ended the task in the slot. */
  cancel(pool: number, slot: number): boolean
  /** The native worker that runs the task in the slot, or -1. */
  inspect(pool: number, slot: number): number
  /** JSON of the pool's figures. */
  figures(pool: number): string
  /** Runs a kernel on this thread. For benchmarks and tests. */
  runSync(kernel: string, input: unknown, options?: unknown): unknown
  /** Address of a typed array's memory. For tests. */
  addressOf(view: ArrayBufferView): number
}

export const native = addon as unknown as Native
