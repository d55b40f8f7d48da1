// Stage: run. Thread: the owner env and its JS workers.
// Node aborts the process when a thread is terminated in the wrong moment of a `require` that loads an ECMAScript module:
// while it is linked (20 and 22), or while what `require` gives is made (20 to 26). So a worker requires its entry module
// behind a gate, a word of memory that it shares with its owner. Another word tells whether it has come that far.
//
// L1. Whoever comes first has the gate: a worker that is to be ended does not begin to load, and one that loads is ended
//     after that.
// L2. No end is put off by more than PATIENCE: a module may never stop to load. The process ends with the same patience.
// L3. No worker waits for ever for an end that does not come.

import process from 'node:process'
import { native } from './native'
import { clearTimeout, setTimeout } from './timers'

/** How long the end of a worker that loads its module is put off, ms. */
const PATIENCE = 250
/** How often the owner looks whether it has loaded, ms. */
const INTERVAL = 1

const [OPEN, LOADING, ENDING] = [0, 1, 2]
/** Where the second word is: 1 when the worker has come to its module. */
const BEGUN = 1
// Users fake the time.
const { now } = native

/** The words. */
export type LoadGate = Int32Array<SharedArrayBuffer>

/** In a worker: what comes now is the module's. */
export function beginLoad(gate: LoadGate): void {
  Atomics.store(gate, BEGUN, 1)
}

/** Whether the worker has come to its module. */
export function hasBegun(gate: LoadGate): boolean {
  return Atomics.load(gate, BEGUN) === 1
}

/** In a worker: calls `load`, unless the worker is being ended; then it waits for that, as long as it may take. */
export function loadBehind<T>(gate: LoadGate, load: () => T): T {
  if (Atomics.compareExchange(gate, 0, OPEN, LOADING) === ENDING) {
    Atomics.wait(gate, 0, ENDING, 2 * PATIENCE)
    Atomics.store(gate, 0, LOADING)
  }
  try {
    return load()
  } finally {
    Atomics.store(gate, 0, OPEN)
    Atomics.notify(gate, 0)
  }
}

/** Gates of workers of this env that may be loading. */
const gates = new Set<LoadGate>()

/** The gate of a new worker. */
export function makeGate(): LoadGate {
  // Test runners load this again and again in one thread: nothing is to be left that listens.
  if (gates.size === 0) process.on('exit', closeAll)
  const gate = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  gates.add(gate)
  return gate
}

/** The worker has loaded its module, or has ended. */
export function forgetGate(gate: LoadGate): void {
  if (gates.delete(gate) && gates.size === 0) process.removeListener('exit', closeAll)
}

/** Whether the worker is not loading, and from now on will not. */
function close(gate: LoadGate): boolean {
  return Atomics.compareExchange(gate, 0, OPEN, ENDING) !== LOADING
}

/** Calls `end` as soon as the worker may be terminated; gives what calls that off. */
export function whenClosed(gate: LoadGate, end: () => void): () => void {
  if (close(gate)) {
    end()
    return () => {}
  }
  const deadline = now() + PATIENCE
  const look = (): void => {
    if (close(gate) || now() >= deadline) end()
    else timer = setTimeout(look, INTERVAL)
  }
  let timer = setTimeout(look, INTERVAL)
  return () => clearTimeout(timer)
}

/** The process is about to terminate all of them. */
function closeAll(): void {
  const deadline = now() + PATIENCE
  for (const gate of gates) {
    while (!close(gate)) {
      if (Atomics.wait(gate, 0, LOADING, Math.max(0, deadline - now())) === 'timed-out') break
    }
  }
}
