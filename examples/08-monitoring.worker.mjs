// Entry module of 08-monitoring.mjs: most tasks are good.

import process from 'node:process'

export function workerEntrypoint({ kind }) {
  switch (kind) {
    case 'bad input':
      throw new TypeError('not what was expected')
    case 'crash':
      process.exit(9)
      break
    case 'slow': {
      const end = performance.now() + 100
      while (performance.now() < end);
    }
  }
}
