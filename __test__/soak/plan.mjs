// The plan of a soak run: operations that follow from the seed alone. No clock and no Math.random in here. Nine tasks of ten
// or more are many cheap ones in a row, so that faults and what they cost stay as they are while the rate is high.
import { createHash } from 'node:crypto'

/** A generator of numbers from 0 to below 1 (mulberry32). */
export function mulberry32(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Kinds of tasks by weight. */
const PLAIN = [
  ['number', 30],
  ['string', 12],
  ['echo', 12],
  ['map', 4],
  ['bytes', 4],
  ['moved', 3],
  ['shared', 2],
  ['other', 4],
  ['kernelEcho', 12],
  ['kernelFib', 4],
  ['kernelHash', 4],
  ['kernelSort', 2],
  ['main', 5],
  ['mainEcho', 2],
  ['burn', 0.6],
  ['sleep', 2],
  ['nest', 0.5],
  ['flood', 0.3],
]
const FAULTS = [
  ['fail', 20],
  ['failLater', 4],
  ['failOdd', 8],
  ['failTimes', 8],
  ['mainFail', 4],
  ['uncloneable', 3],
  ['badInput', 4],
  ['kernelBad', 4],
  ['heed', 6],
  ['hang', 0.8],
  ['spin', 0.4],
  ['fatal', 0.3],
]
const CRASHES = [
  ['exit', 6],
  ['exitTimes', 8],
  ['timer', 4],
  ['rejection', 4],
  ['lateCrash', 2],
  ['memory', 1],
]
/** Kinds of the many tasks that nothing is done to. */
const BULK = [
  ['number', 8],
  ['kernelEcho', 6],
  ['echo', 3],
  ['string', 2],
  ['kernelHash', 0.5],
]
const ENDS = ['close', 'closeTimeout', 'dispose', 'destroy']

/** Operations for at least `tasks` tasks, and for at least one pool. */
export function* planOf(seed, tasks) {
  const random = mulberry32(seed)
  const below = (limit) => Math.floor(random() * limit)
  const chance = (share) => random() < share
  const pick = (list) => list[below(list.length)]
  const weighted = (list) => {
    let at = random() * list.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of list) {
      at -= weight
      if (at < 0) return name
    }
    return list[0][0]
  }
  let [n, group, counted] = [0, 0, 0]

  function optionsOf() {
    const options = {}
    if (chance(0.15)) options.priority = pick(['high', 'low', 0.5, -3, below(10)])
    if (chance(0.12)) {
      if (chance(0.5)) options.affinityKey = `key ${below(8)}`
      else options.workerAffinity = below(3)
      options.affinityStrength = pick(['light', 'strong', 'force', 0, 1, 2])
    }
    if (chance(0.02)) options.key = `work ${below(5)}`
    if (chance(0.05)) options.retries = pick([1, 3, { limit: 2, delay: below(5) }, { limit: 1, delay: 0, on: 'error' }])
    return options
  }

  /** A limit on the time that a task has, or somebody who gives it up. */
  function endOf(item, mustEnd) {
    const { options } = item
    if (mustEnd || chance(0.5)) options.cancelGrace = pick(mustEnd ? [0, 0, 5] : [0, 5, 'Infinity'])
    const way = below(5)
    if (way === 0) options.timeout = 1 + below(20)
    else if (way === 1) {
      options.timeout = 1 + below(20)
      options.timeoutFrom = 'start'
    } else if (way === 2) item.giveUp = { by: 'cancel', after: mustEnd ? 1 + below(10) : below(4) }
    else if (way === 3) item.giveUp = { by: 'reason', after: below(10) }
    else item.giveUp = { by: 'signal', group }
  }

  function itemOf(kind) {
    const item = { n: n++, kind, options: optionsOf() }
    if (kind === 'hang' || kind === 'spin') endOf(item, true)
    else if (kind === 'heed') endOf(item, false)
    else if (chance(0.02)) endOf(item, false)
    if (kind === 'burn') item.ms = 1 + below(4)
    if (kind === 'sleep' || kind === 'lateCrash') item.ms = below(6)
    if (kind === 'heed') item.ms = 10 + below(30)
    if (kind === 'failOdd') item.odd = below(7)
    if (kind === 'flood') item.count = 1 + below(200)
    if (kind === 'nest') [item.depth, item.width] = [1 + below(2), 1 + below(3)]
    if (kind === 'failTimes' || kind === 'exitTimes') {
      item.times = 1 + below(2)
      item.counter = counted++
      const on = kind === 'failTimes' ? pick(['error', 'both']) : pick(['crash', 'both'])
      item.options.retries = { limit: below(4), delay: below(6), backoff: 1 + below(2), on }
    }
    if (kind === 'map' || kind === 'bytes' || kind === 'string') item.size = below(50)
    return item
  }

  /** Consecutive tasks of one kind, without options, that go in between everything else. */
  function bulkOf({ recycle }) {
    const kind = weighted(BULK)
    const most = recycle === undefined || kind.startsWith('kernel') ? 10_000 : recycle.tasks * 2
    const count = 100 + below(most)
    const bulk = { type: 'bulk', kind, n, count }
    n += count
    return bulk
  }

  while (n < tasks) {
    const crashes = chance(0.5)
    const options = {
      maxWorkers: 1 + below(3),
      minWorkers: chance(0.3) ? 1 : 0,
      threads: 1 + below(2),
      workerConcurrency: pick([1, 1, 1, 2, 8]),
      idleTimeout: pick([0, 1, 20, 60_000]),
      cancelGrace: pick([0, 5, 'Infinity']),
      eager: chance(0.9),
      schedule: pick(['fifo', 'fifo', 'longest-first']),
      disposeTimeout: pick([100, 5000]),
    }
    const nests = chance(0.6)
    if (chance(0.5)) options.recycle = { tasks: 40 + below(800) }
    const [plain, faulty] = [PLAIN, FAULTS].map((kinds) => kinds.filter(([kind]) => nests || kind !== 'nest'))
    yield { type: 'pool', options, crashes, nests, isWatched: chance(0.5) }
    for (let left = 500 + below(3500); left > 0 && n < tasks; ) {
      const isFlood = chance(0.3)
      const count = isFlood ? 100 + below(500) : 1 + below(40)
      const faults = chance(0.3) ? 0.1 : 0
      const items = []
      for (let i = 0; i < count; i++) items.push(itemOf(chance(faults) ? weighted(faulty) : weighted(plain)))
      if (crashes && chance(0.04)) {
        for (let i = 1 + below(3); i > 0; i--) items.splice(below(items.length), 0, itemOf(weighted(CRASHES)))
      }
      yield { type: 'batch', items }
      left -= items.length
      if (chance(0.4)) yield bulkOf(options)
      const by = random()
      if (by < 0.1) yield { type: 'abort', group: group++ }
      else if (by < 0.16) yield { type: 'turns', count: 1 + below(20) }
      else if (by < 0.2) yield { type: 'idle' }
      else if (by < 0.22) {
        const max = 1 + below(4)
        yield { type: 'resize', bounds: { min: below(2) * below(max + 1), max } }
      } else if (by < 0.24) yield { type: 'block', ms: 20 }
      else if (by < 0.26) yield { type: 'messages', count: 1 + below(200) }
      else if (by < 0.28) yield { type: 'stats' }
      else if (by < 0.29) yield { type: 'wait', ms: below(30) }
      else if (by < 0.33) {
        const of = 5 + below(60)
        const taken = chance(0.5) ? of : below(of)
        const way = { type: chance(0.5) ? 'map' : 'stream', n, of, taken, ordered: chance(0.7) }
        n += of
        yield { ...way, concurrency: 1 + below(10), kernel: chance(0.3) }
      }
    }
    yield { type: 'abort', group: group++ }
    if (chance(0.5)) yield { type: 'idle' }
    yield { type: 'end', how: pick(ENDS), limit: 1 + below(50), after: below(4) }
  }
}

/** A fingerprint of operations. */
export class PlanHash {
  #hash = createHash('sha256')

  add(operation) {
    this.#hash.update(JSON.stringify(operation))
  }

  get text() {
    return this.#hash.digest('hex').slice(0, 16)
  }
}
