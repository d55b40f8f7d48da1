// Stage: all. Thread: any.
// Which runtime this is, and what it was told.

import process from 'node:process'

/** Whether it is Node, and no other that does as Node does. */
export const IS_NODE = !('bun' in process.versions || 'deno' in process.versions)

/** Flags with which something is loaded before the entry module, or modules are found or read in another way. */
const CHANGES = /(?:^|[\s"])(?:-r|--(?:require|import|loader|preserve-symlinks|(?:no-)?experimental-))/

let areChanged: boolean | undefined

/** Whether this thread may have loaded something because of its flags, or may find modules in another way. */
export function mayBeChanged(): boolean {
  areChanged ??= isAnyOf([...process.execArgv, process.env.NODE_OPTIONS ?? ''])
  return areChanged
}

function isAnyOf(flags: readonly string[]): boolean {
  // Most threads have none, and a pattern takes 0.1 ms when it is first asked.
  const all = flags.join(' ')
  return all !== '' && CHANGES.test(all)
}
