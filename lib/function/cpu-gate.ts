// Stage: schedule. Thread: any.
// Tells whether some logical CPU is less busy than a threshold. The counters are read when somebody asks and the last
// reading is older than the window, so there is no timer; what is not known keeps nobody waiting.

import type { NativeForOwners } from '../native-owner'

/** A reading serves for this long, ms. */
export const WINDOW = 250

/** What the machine is made of. */
export interface Machine {
  /** Physical cores. */
  readonly cores: number
  /** Logical cores. */
  readonly threads: number
  /** bytes */
  readonly memory: number
}

/** Where the figures come from; tests put their own here. */
export interface CpuSource {
  /** ms */
  now(): number
  /** Busy share in percent of every logical CPU since the call before; `anew`: there was none before. */
  shares(anew: boolean): readonly number[]
}

const system: CpuSource = { now: () => performance.now(), shares: (anew) => binding().cpuShares(anew) }

/** Loaded with the first pool, not with the package. */
function binding(): NativeForOwners {
  return (require('../native-owner') as typeof import('../native-owner')).native
}

let source = system
let isSampling = false
let readAt = 0
let shares: readonly number[] = []
let known: Machine | undefined

/** The machine; asked for once. */
export function machine(): Machine {
  known ??= Object.freeze(JSON.parse(binding().machine()) as Machine)
  return known
}

/** See `startProfilingCpu` in function.d.ts. */
export function startProfilingCpu(): void {
  if (isSampling) return
  isSampling = true
  read(true)
}

/** See `stopProfilingCpu` in function.d.ts. */
export function stopProfilingCpu(): void {
  isSampling = false
  shares = []
}

/** Whether some logical CPU was busy for less than `threshold` percent, as far as is known. */
export function isGateOpen(threshold: number): boolean {
  if (threshold >= 100 || !isSampling) return true
  if (source.now() - readAt >= WINDOW) read(false)
  return shares.length === 0 || shares.some((share) => share < threshold)
}

function read(anew: boolean): void {
  readAt = source.now()
  // What is no number comes from counters that did not move.
  shares = source.shares(anew).filter(Number.isFinite)
}

/** For tests: takes the figures from somewhere else, or from the system again, and stops sampling. */
export function setCpuSource(other: CpuSource = system): void {
  stopProfilingCpu()
  source = other
}
