// Stage: submit and settle. Thread: owner env.
// What kernels and entry functions take, as far as is known.

import * as numbers from './native'
import type { Owner } from './owner'

const { ENTRY, MAIN_ENTRY } = numbers

/** Kernels that run shorter than this, ms, are worth buffering. */
const TINY = 0.02
/** And those to look out for: what is measured while workers are woken for each task is more than they take awake. */
const SHORT = 0.05

/** Smoothed run time by kernel, ms; -1 before the first measurement. */
const runTimes: number[] = []

/** Whether tasks for a kernel or an entry function take less than it takes to wake a worker. */
export function isTiny(kernel: number, owner: Owner): boolean {
  return isBelow(TINY, kernel, owner)
}

/** Whether their outcomes may be there sooner than this thread is put to sleep and woken. */
export function isShort(kernel: number, owner: Owner): boolean {
  return isBelow(SHORT, kernel, owner)
}

function isBelow(limit: number, kernel: number, owner: Owner): boolean {
  // What is called on the owner's thread is not worth it.
  const runTime = kernel === ENTRY ? owner.runTime : runTimes[kernel]
  return runTime !== undefined && runTime < limit
}

/** Expected run time of a kernel or an entry function, ms, 0 when it has never run. */
export function expectedCost(owner: Owner, kernel: number): number {
  return (kernel === ENTRY ? owner.runTime : runTimes[kernel]) ?? 0
}

/** Smooths the measured run time of a kernel. */
export function learn(kernel: number, owner: Owner, runTime: number): void {
  if (kernel === MAIN_ENTRY) return
  const known = kernel === ENTRY ? owner.runTime : runTimes[kernel]
  const smoothed = known === undefined ? runTime : known + (runTime - known) / 8
  // Entry functions of different pools have nothing to do with each other.
  if (kernel === ENTRY) owner.runTime = smoothed
  else runTimes[kernel] = smoothed
}
