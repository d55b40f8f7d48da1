// What a task costs: an entry function that gives back its input.
import { workersText } from '../lib/format.mjs'
import { allQueued, drive, inFlight, rates } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { checkEcho, KINDS } from '../lib/payloads.mjs'
import { pick, plan, WORKER_COUNTS, WORKERS } from '../lib/plan.mjs'
import { CEILING, promisePool } from '../lib/promises.mjs'
import { aheadOf, leastAhead } from '../lib/statistics.mjs'
import { BATCHED, closeAll, DEFAULTS, openAll, TUNED } from '../rivals/index.mjs'

export const title = 'Tasks: an entry function that gives back its input'

const ALL = Number.POSITIVE_INFINITY
const QUEUED = pick(2_000, 10_000, 10_000)

/** No floor is about these. */
const OTHERS = new Map([
  ['1 KiB string', 1024],
  ['small Buffers', 1024],
  ['shared memory', 1024],
  ['200 records', 16],
])

/** How many are in flight; the default selection leaves out what no floor is about. */
function widthsOf(kind) {
  const width = OTHERS.get(kind)
  if (width !== undefined) return pick([width], [width], [1, 16, 1024, ALL])
  return pick([16, ALL], kind === 'number' ? [1, 16, 1024, ALL] : [1, 1024], [1, 16, 1024, ALL])
}

export async function measure() {
  const outcome = new Outcome()
  for (const workers of WORKER_COUNTS) {
    const pools = await openAll({ task: 'echo', workers })
    const ceiling = { name: CEILING, pool: promisePool() }
    for (const kind of KINDS) {
      const contenders = kind.kind === 'number' ? [...pools, ceiling] : pools
      // Other inputs take other paths.
      await drive(
        contenders.map(({ name, pool }) => contenderFor(kind, name, pool, 1024)),
        1024,
        plan.opening,
      )
      for (const width of widthsOf(kind.kind)) {
        const measured = outcome.add(await compare({ kind, width, workers, contenders }))
        if (workers === WORKERS) verdicts(outcome, kind.kind, width, measured)
      }
    }
    await closeAll(pools)
  }
  return outcome
}

function compare({ kind, width, workers, contenders }) {
  const isAll = width === ALL
  const columns = isAll ? `all ${QUEUED.toLocaleString('en-US')} queued` : `${width} in flight`
  return rates({
    id: `${kind.kind}/${isAll ? 'all' : width}/${workers}`,
    name: `${kind.kind}, ${columns}, ${workersText(workers)}`,
    group: kind.kind,
    column: columns,
    workers,
    // It is as long as several of the others.
    repetitions: isAll ? Math.ceil(plan.repetitions / 2) : undefined,
    // Long enough that filling and emptying the queue does not count for much.
    least: isAll ? QUEUED : 3 * width,
    most: isAll ? QUEUED : undefined,
    contenders: contenders.map(({ name, pool }) => contenderFor(kind, name, pool, width)),
  })
}

function contenderFor(kind, name, pool, width) {
  const call = (index) => pool.run(kind.make(index))
  const run = (total) => (width === ALL ? allQueued(call, total) : inFlight(call, total, width))
  return { name, check: checkEcho(kind), run }
}

function verdicts(outcome, kind, width, measured) {
  const id = `${kind}.${width === ALL ? 'all' : width}`
  outcome.judge(`tasks.${id}`, leastAhead(measured, DEFAULTS))
  outcome.judge(`tasks tuned.${id}`, leastAhead(measured, TUNED))
  if (width !== 1024 || OTHERS.has(kind)) return
  const limit = kind === 'number' ? CEILING : BATCHED
  const ahead = aheadOf(measured, limit)
  outcome.judge(`limit.${kind}`, ahead)
  outcome.limit(kind, 1 / ahead)
}
