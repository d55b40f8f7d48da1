// Stage: all. Thread: any.
// How many workers fit a kind of work.

import { availableParallelism } from 'node:os'
import { wrongValue } from './errors'
import { wholeNumber } from './options'

const MAX_CORES = 65_536

/** See `recommendedPoolSize` in index.d.ts. */
export function recommendedPoolSize(kind: unknown = 'cpu', given?: unknown): number {
  const cores = given === undefined ? availableParallelism() : wholeNumber('cores', given, 1, MAX_CORES)
  switch (kind) {
    case 'cpu':
      return cores
    case 'cpu-reserve':
      return Math.max(1, cores - 1)
    case 'mixed':
      return cores * 2
    case 'short':
      return Math.max(2, Math.floor(cores / 2))
    default:
      throw wrongValue('kind', `'cpu', 'cpu-reserve', 'mixed' or 'short'`, kind)
  }
}
