// Stage: all. Thread: any.
// Which runtime this is.

import process from 'node:process'

/** Whether it is Node, and no other that does as Node does. */
export const IS_NODE = !('bun' in process.versions || 'deno' in process.versions)
