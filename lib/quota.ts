// Stage: all. Thread: owner env.
// Pools whose size nobody chose follow what the system grants this process: CPUs, affinity mask, cgroup quota.

import { onFirstResults } from './drain'
import { native } from './native-owner'
import { clearInterval, setInterval } from './timers'

/** How often it is read, ms. */
const PERIOD = 5000

/** Told the number of threads that the system grants, when that has changed. */
type Follower = (threads: number) => void

const followers = new Set<Follower>()
let timer: ReturnType<typeof setInterval> | undefined
let known = 0

/** Threads that the system grants this process now. */
export function grantedThreads(): number {
  return (JSON.parse(native.parallelism()) as { threads: number }).threads
}

/**
 * Follows from the first result of this thread on; never keeps the process alive. `now`: what is granted, as far as known.
 * Returns how to stop.
 */
export function followQuota(follower: Follower, now: number): () => void {
  followers.add(follower)
  if (followers.size === 1) {
    known = now
    // The first timer of a process takes longer than the first kernel.
    if (hasResults) begin()
    else onFirstResults(begin)
  }
  return () => {
    followers.delete(follower)
    if (followers.size === 0) clearInterval(timer)
  }
}

let hasResults = false

function begin(): void {
  hasResults = true
  if (followers.size > 0) timer = setInterval(() => look(grantedThreads()), PERIOD).unref()
}

/** Tells the followers if that many threads are not what was known. */
export function look(granted: number): void {
  if (granted === known) return
  known = granted
  for (const follower of followers) follower(granted)
}
