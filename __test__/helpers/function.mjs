// For tests of threadmill/function: CPU figures that a test chooses, and gates that functions wait at.
import { createRequire } from 'node:module'
import process from 'node:process'

const { setCpuSource, WINDOW } = createRequire(import.meta.url)('../../dist/function/cpu-gate.js')

/** Puts figures of its own in the place of the machine's; `readings` counts how often they were asked for. */
export class Cpus {
  readings = 0
  restarts = 0
  #now = 0

  /** @param {number[]} shares busy shares in percent */
  constructor(shares = [0]) {
    this.shares = shares
    setCpuSource({
      now: () => this.#now,
      shares: (anew) => {
        this.readings++
        if (anew) this.restarts++
        return anew ? [] : this.shares
      },
    })
  }

  /** Lets time pass, by default so much that the next look at the gate reads anew. */
  pass(ms = WINDOW) {
    this.#now += ms
  }

  /** What the next look at the gate sees. */
  set(...shares) {
    this.shares = shares
    this.pass()
  }

  /** Gives the machine its place back. */
  restore() {
    setCpuSource()
  }
}

/** A function that waits, when it has been called, until it is told how to end. */
export class Gate {
  #resolvers = Promise.withResolvers?.() ?? resolvers()
  calls = 0

  /** What is given to a thread. */
  fn = () => {
    this.calls++
    return this.#resolvers.promise
  }

  open(value) {
    this.#resolvers.resolve(value)
  }

  fail(reason) {
    this.#resolvers.reject(reason)
  }
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function resolvers() {
  const parts = {}
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }))
  return parts
}

/** Everything that microtasks lead to has happened. */
export const microtasks = () => new Promise((resolve) => setImmediate(resolve))

/** Resolves with the arguments of the next `event`. */
export const next = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)))

/** Records the given events of an emitter, each as an array of its name and `pick(args)`. */
export function record(emitter, events, pick = (args) => args) {
  const seen = []
  for (const event of events) emitter.on(event, (...args) => seen.push([event, ...pick(args)]))
  return seen
}

/** What is thrown at the process while `body` runs and until microtasks are done. */
export async function uncaught(body) {
  const thrown = []
  const listener = (error) => thrown.push(error)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException').on('uncaughtException', listener)
  try {
    await body()
    await microtasks()
  } finally {
    process.off('uncaughtException', listener)
    for (const other of others) process.on('uncaughtException', other)
  }
  return thrown
}
