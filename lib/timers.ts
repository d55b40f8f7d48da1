// Stage: all. Thread: any.
// Timers, and what queues microtasks, as they were when the package was loaded: who tests with fake ones replaces those of the
// module, too.

import timers from 'node:timers'

export const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = timers

/** Calls a function in a microtask of its own. */
export const soon = queueMicrotask
