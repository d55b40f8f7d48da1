// Entry module of 06-pool-manager.mjs: two kinds of work, which the pools choose by name.

import process from 'node:process'

export function workerEntrypoint(text) {
  const words = text.split(/\s+/).filter((word) => word !== '')
  const longest = words.reduce((best, word) => (word.length > best.length ? word : best), '')
  return { count: words.length, longest }
}

/** Stands for a library that may take its thread down. */
export function risky(what) {
  if (what === 'crash') process.exit(3)
  return `${what} done`
}
