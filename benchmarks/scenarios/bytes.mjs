// Bytes there and back: copied, and moved. What is moved goes round again and again.
import assert from 'node:assert/strict'
import { workersText } from '../lib/format.mjs'
import { allQueued, inFlight, rates } from '../lib/harness.mjs'
import { bytes } from '../lib/inputs.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { mode, pick, plan, WORKER_COUNTS, WORKERS } from '../lib/plan.mjs'
import { aheadOf, leastAhead } from '../lib/statistics.mjs'
import { BARE, closeAll, DEFAULTS, openAll, TUNED } from '../rivals/index.mjs'

export const title = 'Bytes, there and back'

const KIB = 2 ** 10
const MIB = 2 ** 20
const SIZES = [
  ['1 KiB', KIB],
  ['64 KiB', 64 * KIB],
  ['1 MiB', MIB],
  ['16 MiB', 16 * MIB],
]
const ALL = 10_000
/** So much is in flight at most. */
const MOST = 256 * MIB
/** So much is sent in one run at most. */
const MOST_PER_RUN = 512 * MIB

/** What the default selection has, by size: what the floors are about, and one more of each. */
const DEFAULT_WIDTHS = {
  copied: { '64 KiB': [16], '1 MiB': [16] },
  moved: { '64 KiB': [1, 16], '1 MiB': [1, 16] },
}

/** How many are in flight; with big ones, fewer are. */
function widthsOf(how, label, size) {
  if (mode !== 'full') return pick(how === 'moved' && size === MIB ? [16] : [], DEFAULT_WIDTHS[how][label] ?? [])
  const widths = [1, 16, 1024].filter((width) => width * size <= MOST)
  const all = Math.min(ALL, Math.floor(MOST / size))
  return all > widths.at(-1) ? [...widths, all] : widths
}

export async function measure() {
  const outcome = new Outcome()
  for (const workers of WORKER_COUNTS) {
    const copying = await openAll({ task: 'echo', workers })
    await compareAll(outcome, 'copied', workers, copying)
    await closeAll(copying)
    const all = await openAll({ task: 'move', workers })
    const moving = all.filter(({ pool }) => pool.move !== undefined)
    await compareAll(outcome, 'moved', workers, moving)
    await closeAll(all)
  }
  return outcome
}

async function compareAll(outcome, how, workers, pools) {
  let warmup = plan.opening
  for (const [label, size] of SIZES) {
    const pattern = bytes(size)
    for (const width of widthsOf(how, label, size)) {
      const most = Math.max(width, width * Math.floor(MOST_PER_RUN / size / width))
      const measured = await rates({
        id: `${how}/${label}/${width}/${workers}`,
        name: `${label} ${how}, ${width} in flight, ${workersText(workers)}`,
        group: `${label} ${how}`,
        column: `${width} in flight`,
        workers,
        warmup,
        step: width,
        // Long enough that filling and emptying the queue does not count for much, where there is the memory for it.
        least: Math.min(3 * width, most),
        most,
        contenders: pools.map((rival) => (how === 'moved' ? mover : copier)(rival, pattern, width)),
      })
      warmup = plan.warmup
      outcome.add(measured)
      if (how === 'moved' && workers === WORKERS) {
        const peers = [...DEFAULTS, ...TUNED, 'workerpool']
        outcome.judge(`moves.${label}.${width}`, leastAhead(measured, peers))
        if (width === 16) outcome.limit(`moves.${label}.${width}`, 1 / aheadOf(measured, BARE))
      }
    }
  }
}

/** Every output is looked at when it comes; only some are kept, for all of them would not fit. */
function copier({ name, pool }, pattern, width) {
  const last = pattern.length - 1
  async function call(index) {
    const output = await pool.run(pattern)
    assert.ok(output.length === pattern.length && output[0] === pattern[0] && output[last] === pattern[last])
    return index % 64 === 0 ? output : undefined
  }
  return {
    name,
    run: (total) => (total === width ? allQueued(call, total) : inFlight(call, total, width)),
    check(outputs, total) {
      assert.equal(outputs.length, total)
      for (let index = 0; index < total; index += 64) assert.ok(Buffer.from(outputs[index].buffer).equals(pattern))
    },
  }
}

function mover({ name, pool }, pattern, width) {
  return {
    name,
    prepare: () => Array.from({ length: width }, () => pattern.slice()),
    run: (total, buffers) => Promise.all(buffers.map((buffer) => goRound(pool, buffer, total / width))),
    check(buffers, total) {
      assert.equal(buffers.length, width)
      const expected = pattern.slice()
      expected[0] += total / width
      for (const buffer of buffers) assert.ok(Buffer.from(buffer.buffer).equals(expected))
    },
  }
}

/** Moves the same memory `times` times, each time when it is back. */
async function goRound(pool, buffer, times) {
  let here = buffer
  for (let i = 0; i < times; i++) {
    const back = await pool.move(here)
    // Not looked at before: some move it when a worker takes the task.
    assert.equal(here.byteLength, 0, 'it was copied')
    here = back
  }
  return here
}
