// The floors that have to be held, and the limits: what is possible at best, and how far it is to there. A measured value on
// the wrong side of its floor has failed.

/**
 * @typedef {object} Floor
 * @property {string} what
 * @property {number} limit
 * @property {'higher' | 'lower'} better
 * @property {string} unit
 */

/** @type {Record<string, Floor>} */
const FLOORS = {
  'calls.1024': over(12, 'kernel call, 1024 in flight, over napi AsyncTask'),
  'calls.all': over(4, 'kernel call, all queued, over napi AsyncTask'),
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
  'lane-start.imported': under(1, 'first JS result with the import, time over piscina'),
  'lane-start.memory': under(1, 'memory of a worker after its first tasks, over piscina'),
  'lane-start.rested': under(1, 'memory of an idle worker, over piscina'),
  'lane-start.littered': under(1, 'memory of an idle worker after tasks with much garbage, over piscina'),
  'lane-start.close': under(1, 'close() with 4 workers, time over piscina'),
  'lane-start.destroy': under(1, 'destroy() with 4 workers, time over piscina'),
  'independence.sleep.same turn': share('JS tasks done while main sleeps in the turn that submitted, of the possible'),
  'independence.sleep.next turn': share('JS tasks done while main sleeps in the turn after, of the possible'),
  'independence.spin.same turn': share('JS tasks done while main spins in the turn that submitted, of the fair share'),
  'independence.spin.next turn': share('JS tasks done while main spins in the turn after, of the fair share'),
  'module.a number': over(5, 'call of a module in a worker, 64 in flight, over a message each way'),
  'module.fresh': under(0.6, 'call of a module in a new worker, time over a bare Worker'),
  'transfer.sha256': under(1.05, 'sha256 of transferred 16 MiB, time over a direct call'),
  'transfer.sort': under(1.05, 'sort of transferred 16 MiB, time over a direct call'),
  'makespan.kernels': under(1.05, 'even kernels of 2 ms, makespan over ideal'),
  'makespan.tasks': under(1.05, 'even JS tasks of 2 ms, makespan over ideal'),
  'makespan.peers': under(1, 'even JS tasks of 2 ms, makespan over the best peer'),
  'skewed.log-normal.first': under(1.12, 'log-normal tasks, first run, makespan over the lower bound'),
  'skewed.log-normal.learned': under(1.06, 'log-normal tasks, learned costs, makespan over the lower bound'),
  'skewed.one heavy.first': under(1.12, 'one heavy task, first run, makespan over the lower bound'),
  'skewed.one heavy.learned': under(1.06, 'one heavy task, learned costs, makespan over the lower bound'),
  nested: under(0.3, '10,000 sub-tasks from inside a worker, time over a relay through main'),
  'blocked.sleep': share('kernels done while main sleeps 200 ms, of the possible'),
  'blocked.spin': share('kernels done while main spins 200 ms, of the fair share'),
  'start.first': { what: 'first kernel result after the constructor', limit: 2, better: 'lower', unit: ' ms' },
  'start.import': { what: 'module import over bare Node', limit: 15, better: 'lower', unit: ' ms' },
  scaling: share('CPU-bound kernels on 16 cores, of ideal'),
  'limit.number': over(0.7, 'number task, 1024 in flight, of promises without threads'),
  'limit.small object': over(1, 'small object, 1024 in flight, over batched postMessage'),
  'limit.map and date': over(1, 'object with a map and a date, 1024 in flight, over batched postMessage'),
  'limit.class and cycle': over(1, 'object with an instance and a cycle, 1024 in flight, over batched postMessage'),
  'limit.error and cycle': over(1, 'object with an error and a cycle, 1024 in flight, over batched postMessage'),
  'limit.V8 object': over(1, 'V8 object, 1024 in flight, over batched postMessage'),
}

/** Distances to what is possible, with or without a floor of their own. @type {Record<string, { what: string, unit: string }>} */
const LIMITS = {
  number: { what: 'number task, 1024 in flight: rate of promises without threads, over it', unit: '×' },
  'small object': { what: 'small object, 1024 in flight: rate of batched postMessage, over it', unit: '×' },
  'map and date': {
    what: 'object with a map and a date, 1024 in flight: rate of batched postMessage, over it',
    unit: '×',
  },
  'class and cycle': {
    what: 'object with an instance and a cycle, 1024 in flight: rate of batched postMessage, over it',
    unit: '×',
  },
  'error and cycle': {
    what: 'object with an error and a cycle, 1024 in flight: rate of batched postMessage, over it',
    unit: '×',
  },
  'V8 object': { what: 'V8 object, 1024 in flight: rate of batched postMessage, over it', unit: '×' },
  'moves.64 KiB.16': { what: '64 KiB moved, 16 in flight: rate of bare postMessage, over it', unit: '×' },
  'moves.1 MiB.16': { what: '1 MiB moved, 16 in flight: rate of bare postMessage, over it', unit: '×' },
  'latency.task': { what: 'task, one in flight: time over two bare wake-ups, there and back', unit: '×' },
  'latency.kernel': { what: 'kernel, one in flight: time over a bare wake-up of a thread and one back', unit: '×' },
  'makespan.kernels': { what: 'even kernels of 2 ms: makespan over ideal', unit: '×' },
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

/**
 * Names the distance to a limit. One is there.
 *
 * @param {string} id a key of the limits
 * @param {number} value
 */
export function distance(id, value) {
  if (LIMITS[id] === undefined) throw new Error(`no limit is called ${id}`)
  return { id, ...LIMITS[id], value }
}

/** What a floor asks for, as text. */
export function demand({ better, limit, unit }) {
  return `${better === 'higher' ? '≥' : '≤'} ${limit}${unit}`
}
