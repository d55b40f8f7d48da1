// The floors that the native lane has to hold; a measured value on the wrong side of its floor has failed.

/** @type {Record<string, { what: string, limit: number, better: 'higher' | 'lower', unit: string }>} */
const FLOORS = {
  'calls.1024': { what: 'kernel call, 1024 in flight, over napi AsyncTask', limit: 12, better: 'higher', unit: '×' },
  'transfer.sha256': {
    what: 'sha256 of transferred 16 MiB, time over a direct call',
    limit: 1.05,
    better: 'lower',
    unit: '×',
  },
  'transfer.sort': {
    what: 'sort of transferred 16 MiB, time over a direct call',
    limit: 1.05,
    better: 'lower',
    unit: '×',
  },
  'makespan.even': { what: 'even 2 ms tasks, makespan over ideal', limit: 1.05, better: 'lower', unit: '×' },
  'blocked.sleep': {
    what: 'work done while main sleeps 200 ms, of the possible',
    limit: 0.9,
    better: 'higher',
    unit: '',
  },
  'blocked.spin': {
    what: 'work done while main spins 200 ms, of the fair share',
    limit: 0.9,
    better: 'higher',
    unit: '',
  },
  'start.first': { what: 'first kernel result after the constructor', limit: 2, better: 'lower', unit: ' ms' },
  'start.import': { what: 'module import over bare Node', limit: 15, better: 'lower', unit: ' ms' },
  scaling: { what: 'CPU-bound kernels on 16 cores, of ideal', limit: 0.9, better: 'higher', unit: '' },
}

/**
 * Judges one value.
 *
 * @param {string} id a key of the table above
 * @param {number} value
 */
export function judge(id, value) {
  const floor = FLOORS[id]
  const passed = floor.better === 'higher' ? value >= floor.limit : value <= floor.limit
  return { id, ...floor, value, passed }
}
