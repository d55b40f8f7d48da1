// What Bun and Deno do otherwise than Node, as known: by runtime and check, why, and how the check fails because of it.
// A check that fails in another way has found something new. docs/runtimes.md says what the differences mean for users.

/**
 * @typedef {object} Difference
 * @property {RegExp} fails fits the message of the failure
 * @property {string} reason
 */

const serializer = {
  fails: /Serializer is not yet implemented|NotImplementedError|cannot be cloned/,
  reason: 'node:v8 has no Serializer there, which carries all that JSON cannot hold',
}
const transferred = {
  fails: /'TypeError'/,
  reason: 'its structuredClone throws a TypeError for memory that cannot be transferred',
}

/** @type {Record<string, Record<string, Difference>>} */
export const differences = {
  bun: {
    'a buffer that cannot be transferred is refused with a DataCloneError': transferred,
    'a data: URL runs tasks': {
      fails: /it exports default/,
      reason:
        'it takes what follows the last dot of a data: URL for a file extension, and gives the URL as the default',
    },
    'a module that is not there fails its tasks with the cause': serializer,
    'simple and structured values arrive as structuredClone gives them': serializer,
    'errors are values too': serializer,
    'what cannot be cloned is refused with a DataCloneError': serializer,
    'an error arrives with class, code, cause and properties': serializer,
    'other reasons arrive as they are': serializer,
    'messages reach workers and the pool, in order': serializer,
    'shared memory is shared, both ways': serializer,
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
    'resourceLimits end a worker that takes too much memory': {
      fails: /ERR_THREADMILL_TIMEOUT/,
      reason: 'the worker stops, but neither ends nor says so when its memory runs out in a task',
    },
    'close lets workers say goodbye, however short they have lived': {
      fails: /codes|goodbyes/,
      reason: 'receiveMessageOnPort misses messages that are on their way to the listener of the port',
    },
    'with the option stdout, what tasks print does not come out': {
      fails: /printed/,
      reason: 'the output of a worker goes to that of the process, whatever the option stdout says',
    },
  },
}
