// Stage: all. Thread: the main thread.
// Ends pools when the process is asked to end by a signal. (What follows an AbortSignal is in signals.ts.)
//
// H1. `process` has one listener of ours per signal, and only while a pool that asked for it has not ended.
// H2. The first signal closes the pools that asked for it, and when they have ended the process ends by that signal; the
//     second one destroys them; the third one ends the process at once.
// H3. Where others listen when the first signal comes, ending the process is left to them. Our listener is put before theirs, for
//     those who listen once have gone afterwards.
// H4. Other copies of the package in the process are no others: the last of those that the signal has come to ends the process.

import { constants } from 'node:os'
import process from 'node:process'
import { BuiltinPromise } from './promise'
import { setImmediate } from './timers'

/** What is ended: the core of a pool. */
export interface SignalHost {
  end(mode: 0 | 1 | 2): Promise<void>
  /** Calls `listener` when the pool has ended. */
  onRelease(listener: () => void): unknown
}

const hosts = new Map<NodeJS.Signals, Set<SignalHost>>()
/** On the listener of every copy of the package: whether that one is dealing with a signal. */
const IS_ENDING = Symbol.for('threadmill.isEnding')
/** Signals since the first one that is being dealt with. */
let count = 0

/** Ends `host` when one of these signals comes. */
export function handleSignals(host: SignalHost, signals: readonly NodeJS.Signals[]): void {
  const added: NodeJS.Signals[] = []
  try {
    for (const signal of signals) {
      const others = hosts.get(signal)
      if (others?.has(host)) continue
      // The system may refuse a signal.
      if (others === undefined) process.prependListener(signal, onSignal)
      hosts.set(signal, (others ?? new Set()).add(host))
      added.push(signal)
    }
  } catch (error) {
    for (const signal of added) leave(signal, host)
    throw error
  }
  if (added.length > 0) {
    host.onRelease(() => {
      for (const signal of added) leave(signal, host)
    })
  }
}

function leave(signal: NodeJS.Signals, host: SignalHost): void {
  const left = hosts.get(signal)
  left?.delete(host)
  if (left?.size !== 0) return
  hosts.delete(signal)
  process.removeListener(signal, onSignal)
}

Object.defineProperty(onSignal, IS_ENDING, { value: () => count > 0 })

function onSignal(signal: NodeJS.Signals): void {
  count++
  if (count === 1) {
    const isHeard = isHeardByOthers(signal)
    endAll(signal, 0).then(() => die(signal, isHeard))
  } else if (count === 2) for (const one of hosts.keys()) endAll(one, 2)
  else die(signal, false)
}

/** Resolves when no pool is left that asked for the signal. */
async function endAll(signal: NodeJS.Signals, mode: 0 | 2): Promise<void> {
  // Others may come while the first ones end.
  for (let left = hosts.get(signal); left !== undefined; left = hosts.get(signal)) {
    await BuiltinPromise.all(Array.from(left, (host) => host.end(mode)))
  }
}

/** The process ends by the signal, as if nobody had handled it; unless somebody else did or does, who then is to end it. */
function die(signal: NodeJS.Signals, isHeard: boolean): void {
  count = 0
  hosts.delete(signal)
  process.removeListener(signal, onSignal)
  if (isHeard || isHeardByOthers(signal)) return
  // A copy that has come to listen since then is to hear of it, too.
  if (listenersTo(signal).some((listener) => listener[IS_ENDING]?.())) return
  const isLast = process.listenerCount(signal) === 0
  const exit = (): void => process.exit(128 + (constants.signals[signal] ?? 0))
  try {
    process.kill(process.pid, signal)
  } catch {
    // Windows can send itself some of them only.
    if (isLast) exit()
  }
  // Process 1 of a container is not ended by signals; no other comes here.
  if (isLast) setImmediate(exit)
}

type Listener = NodeJS.SignalsListener & { readonly [IS_ENDING]?: () => boolean }

function listenersTo(signal: NodeJS.Signals): readonly Listener[] {
  return process.listeners(signal)
}

function isHeardByOthers(signal: NodeJS.Signals): boolean {
  return listenersTo(signal).some((listener) => !Object.hasOwn(listener, IS_ENDING))
}
