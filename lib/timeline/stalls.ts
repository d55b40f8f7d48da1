// Stage: all. Thread: owner env.
// Watches the event loop of this thread while somebody asks for it: when a timer comes late, the loop stood still.
//
// B1. It keeps no process alive, and nothing runs while nobody watches.

import { native } from '../native-owner'
import { clearInterval, setInterval } from '../timers'

/** Milliseconds between two looks. */
const INTERVAL = 10
/** ns that a look has to be late to count. */
const LATE = 20e6
/** Most that are kept. */
const MOST = 10_000

/** When the event loop stood still, ns on the clock of the records. */
export interface Stall {
  readonly from: number
  readonly to: number
}

let watchers = 0
let timer: ReturnType<typeof setInterval> | undefined
let expected = 0
let stalls: Stall[] = []

function look(): void {
  const time = native.traceNow()
  if (time - expected >= LATE) {
    stalls.push({ from: expected, to: time })
    if (stalls.length > MOST) stalls = stalls.slice(MOST / 2)
  }
  expected = time + INTERVAL * 1e6
}

/** Begins to watch. Returns how to stop that. */
export function watchStalls(): () => void {
  if (watchers++ === 0) {
    expected = native.traceNow() + INTERVAL * 1e6
    // A test framework's fake timers replace the globals only.
    timer = setInterval(look, INTERVAL)
    timer.unref()
  }
  let isWatching = true
  return () => {
    if (!isWatching) return
    isWatching = false
    if (--watchers > 0) return
    clearInterval(timer)
    stalls = []
  }
}

/** Stalls that were over after `since`, and the one that this very call is part of. */
export function stallsSince(since: number): Stall[] {
  // Not `look`: the timer has yet to come, and must not find that it was on time.
  const time = native.traceNow()
  const current = time - expected >= LATE ? [{ from: expected, to: time }] : []
  return [...stalls, ...current]
    .filter(({ to }) => to > since)
    .map(({ from, to }) => ({ from: Math.max(from, since), to }))
}
