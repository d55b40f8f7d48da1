// What Bun and Deno do otherwise than Node, as known: by runtime and check, why, and how the check fails because of it.
// A check that fails in another way has found something new. docs/runtimes.md says what the differences mean for users.

/**
 * @typedef {object} Difference
 * @property {RegExp} fails fits the message of the failure
 * @property {string} reason
 */

const transferred = {
  fails: /'TypeError'/,
  reason: 'its structuredClone throws a TypeError for memory that cannot be transferred',
}

/** @type {Record<string, Record<string, Difference>>} */
export const differences = {
  bun: {
    'a buffer that cannot be transferred is refused with a DataCloneError': transferred,
    'an unhandled rejection fails the task with the cause, and another worker follows': {
      fails: /\+ {3}0,\n/,
      reason: 'a worker that ends by a rejection in a turn of its event loop exits with 0',
    },
    'resourceLimits end a worker that takes too much memory': {
      fails: /resolved with 256/,
      reason: 'it takes no notice of resourceLimits',
    },
  },
  deno: {
    'a buffer that cannot be transferred is refused with a DataCloneError': transferred,
    'a script on parentPort runs tasks': {
      fails: /does not listen on parentPort/,
      reason: 'its parentPort is no MessagePort, and carries what workers write',
    },
    'resourceLimits end a worker that takes too much memory': {
      fails: /ERR_THREADMILL_TIMEOUT/,
      reason: 'the worker stops, but neither ends nor says so when its memory runs out in a task',
    },
  },
}
