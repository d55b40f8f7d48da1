// The floors that have to be held; a measured value on the wrong side of its floor has failed.

/** @type {Record<string, { what: string, limit: number, better: 'higher' | 'lower', unit: string }>} */
const FLOORS = {
  'calls.1024': { what: 'kernel call, 1024 in flight, over napi AsyncTask', limit: 12, better: 'higher', unit: '×' },
  'calls.all': { what: 'kernel call, all queued, over napi AsyncTask', limit: 4, better: 'higher', unit: '×' },
  'entry.number.1': { what: 'number task, one in flight, over piscina', limit: 1 / 0.7, better: 'higher', unit: '×' },
  'entry.number.16': { what: 'number task, 16 in flight, over piscina', limit: 8, better: 'higher', unit: '×' },
  'entry.number.1024': { what: 'number task, 1024 in flight, over piscina', limit: 20, better: 'higher', unit: '×' },
  'entry.number.all': { what: 'number task, all queued, over piscina', limit: 12, better: 'higher', unit: '×' },
  'entry.small object.1024': {
    what: 'small object, 1024 in flight, over piscina',
    limit: 4,
    better: 'higher',
    unit: '×',
  },
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
 * Judges one value; `undefined` when there is no floor for it.
 *
 * @param {string} id a key of the table above
 * @param {number} value
 */
export function judge(id, value) {
  const floor = FLOORS[id]
  if (floor === undefined) return undefined
  const passed = floor.better === 'higher' ? value >= floor.limit : value <= floor.limit
  return { id, ...floor, value, passed }
}
