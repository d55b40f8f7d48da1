// The floors that have to be held; a measured value on the wrong side of its floor has failed.

/** @type {Record<string, { what: string, limit: number, better: 'higher' | 'lower', unit: string }>} */
const FLOORS = {
  'calls.1024': { what: 'kernel call, 1024 in flight, over napi AsyncTask', limit: 12, better: 'higher', unit: '×' },
  'calls.all': { what: 'kernel call, all queued, over napi AsyncTask', limit: 4, better: 'higher', unit: '×' },
  'tasks.number.16': over(8, 'number task, 16 in flight, over the better defaults'),
  'tasks.number.1024': over(20, 'number task, 1024 in flight, over the better defaults'),
  'tasks.number.all': over(12, 'number task, all queued, over the better defaults'),
  'tasks.small object.1024': over(4, 'small object, 1024 in flight, over the better defaults'),
  'tasks.V8 object.1024': over(1.5, 'V8 object, 1024 in flight, over the better defaults'),
  'tasks tuned.number.1024': over(10, 'number task, 1024 in flight, over the best tuning'),
  'tasks tuned.small object.1024': over(3, 'small object, 1024 in flight, over the best tuning'),
  'latency.p50': under(0.7, 'number task, one in flight, median time over piscina'),
  'moves.64 KiB.1': over(1, '64 KiB moved both ways, one in flight, over the best peer'),
  'moves.64 KiB.16': over(1, '64 KiB moved both ways, 16 in flight, over the best peer'),
  'moves.1 MiB.1': over(1, '1 MiB moved both ways, one in flight, over the best peer'),
  'moves.1 MiB.16': over(1, '1 MiB moved both ways, 16 in flight, over the best peer'),
  'lane-start.first': under(1, 'first JS result after the constructor, time over piscina'),
  'lane-start.memory': under(1, 'memory of an idle worker over piscina'),
  'lane-start.close': under(1, 'close() with 4 workers, time over piscina'),
  'lane-start.destroy': under(1, 'destroy() with 4 workers, time over piscina'),
  'independence.sleep.same turn': share('JS tasks done while main sleeps in the turn that submitted, of the possible'),
  'independence.sleep.next turn': share('JS tasks done while main sleeps in the turn after, of the possible'),
  'independence.spin.same turn': share('JS tasks done while main spins in the turn that submitted, of the fair share'),
  'independence.spin.next turn': share('JS tasks done while main spins in the turn after, of the fair share'),
  'module.a number': over(5, 'call of a module in a worker, 64 in flight, over a message each way'),
  'module.fresh': under(0.6, 'call of a module in a new worker, time over a bare Worker'),
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

/** A rate that is at least `limit` times another. */
function over(limit, what) {
  return { what, limit, better: 'higher', unit: '×' }
}

/** An amount that is at most `limit` times another. */
function under(limit, what) {
  return { what, limit, better: 'lower', unit: '×' }
}

/** A share of what could have been. */
function share(what) {
  return { what, limit: 0.9, better: 'higher', unit: '' }
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
