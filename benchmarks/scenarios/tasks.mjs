// The JS lane against piscina and tinypool, as they come and tuned, with equally many workers: what a task costs, how
// long one takes, and what it costs to move memory there and back.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { judge } from './floors.mjs'
import { allQueued, compare, inFlight, latencies, leastRatio } from './harness.mjs'
import { bytes } from './inputs.mjs'
import { DEFAULTS, entry, openAll, TUNED, WORKERS } from './pools.mjs'

const quick = process.argv.includes('--quick')
const scale = (count) => (quick ? Math.ceil(count / 10) : count)

/** What tasks are given, and whether an output is what came of it: quickly for all of them, in full for a few. */
const KINDS = [
  { kind: 'number', make: (index) => index, isSame: (output, index) => output === index },
  {
    kind: 'small object',
    // JSON holds it exactly.
    make: (index) => ({ id: index, name: 'item', tags: ['a', 'b'], nested: { x: 1.5 } }),
    isSame: (output, index) => output.id === index,
  },
  {
    kind: 'V8 object',
    // It takes V8's serialiser: a map, a date, and an object that is there three times.
    make(index) {
      const shared = { id: index, tags: ['a', 'b'] }
      const when = new Date(1_700_000_000_000 + index)
      return {
        when,
        byName: new Map([
          ['item', shared],
          ['other', { shared }],
        ]),
        shared,
      }
    },
    isSame: ({ shared, byName }, index) =>
      shared.id === index && byName.get('item') === shared && byName.get('other').shared === shared,
  },
]

/** Tasks that give back what they get. */
export async function tasks() {
  const pools = await openAll(() => ({ filename: entry('task'), workers: WORKERS }))
  const measured = []
  const floors = []
  for (const { kind, make, isSame } of KINDS) {
    for (const [width, total] of [
      [1, scale(1_000)],
      [16, scale(4_000)],
      [1024, scale(8_000)],
      [Number.POSITIVE_INFINITY, scale(10_000)],
    ]) {
      const isAll = width === Number.POSITIVE_INFINITY
      const check = (outputs) => {
        assert.equal(outputs.length, total)
        assert.ok(outputs.every(isSame))
        for (const index of [0, total >> 1, total - 1]) assert.deepEqual(outputs[index], make(index))
      }
      const drive = (pool) => {
        const call = (index) => pool.run(make(index))
        return isAll ? allQueued(call, total) : inFlight(call, total, width)
      }
      const scenario = await compare({
        name: `${kind}, ${isAll ? `all ${total} queued` : `${width} in flight`}`,
        operations: total,
        repetitions: 5,
        warmups: 1,
        contenders: pools.map(({ name, pool }) => ({ name, run: () => drive(pool), check })),
      })
      measured.push(scenario)
      const id = `${kind}.${isAll ? 'all' : width}`
      floors.push(judge(`tasks.${id}`, leastRatio(scenario, DEFAULTS)))
      floors.push(judge(`tasks tuned.${id}`, leastRatio(scenario, TUNED)))
    }
  }
  await Promise.all(pools.map(({ pool }) => pool.close()))
  return { measured, floors: floors.filter((floor) => floor !== undefined) }
}

/** How long one number takes there and back when nothing else is going on. */
export async function latency() {
  const pools = await openAll(() => ({ filename: entry('task'), workers: WORKERS }))
  const results = await latencies({
    calls: 200,
    rounds: scale(30) + 1,
    contenders: pools.map(({ name, pool }) => ({
      name,
      call: (index) => pool.run(index),
      check: (output, index) => assert.equal(output, index),
    })),
  })
  await Promise.all(pools.map(({ pool }) => pool.close()))
  const values = {}
  for (const { name, p50, p99 } of results) {
    values[`${name}, p50, µs`] = p50
    values[`${name}, p99, µs`] = p99
  }
  const piscina = results.find(({ name }) => name === 'piscina')
  values['p50 of threadmill over piscina'] = piscina.firstOver
  return { measured: [], values, floors: [judge('latency.p50', piscina.firstOver.median)] }
}

/** Memory that a task gets and gives back, moved both ways; each buffer goes round again and again. */
export async function moves() {
  const moving = (name) => entry(`move-${name.replace(', tuned', '')}`)
  const pools = await openAll((name) => ({ filename: moving(name), workers: WORKERS }))
  const bare = await openBare(entry('move-bare'), WORKERS)
  const measured = []
  const floors = []
  for (const [label, size] of [
    ['64 KiB', 2 ** 16],
    ['1 MiB', 2 ** 20],
  ]) {
    const pattern = bytes(size)
    for (const [width, each] of [
      [1, scale(600)],
      [16, scale(150)],
    ]) {
      const drive = (move) => (buffers) => Promise.all(buffers.map((buffer) => goRound(move, buffer, each)))
      const check = (buffers) => {
        assert.equal(buffers.length, width)
        const expected = pattern.slice()
        expected[0] += each
        for (const buffer of buffers) assert.ok(Buffer.from(buffer.buffer).equals(expected))
      }
      const prepare = () => Array.from({ length: width }, () => pattern.slice())
      const scenario = await compare({
        name: `${label} there and back, ${width} in flight`,
        operations: width * each,
        repetitions: 7,
        contenders: [...pools, { name: 'bare Workers', pool: bare }].map(({ name, pool }) => ({
          name,
          prepare,
          run: drive(pool.move),
          check,
        })),
      })
      measured.push(scenario)
      floors.push(judge(`moves.${label}.${width}`, leastRatio(scenario, [...DEFAULTS, ...TUNED])))
    }
  }
  await Promise.all([...pools.map(({ pool }) => pool.close()), bare.close()])
  return { measured, floors }
}

/** Moves the same memory `times` times, each time when it is back. */
async function goRound(move, buffer, times) {
  let here = buffer
  for (let i = 0; i < times; i++) {
    const back = await move(here)
    // Not looked at before: the others move it when a worker takes the task.
    assert.equal(here.byteLength, 0, 'it was copied')
    here = back
  }
  return here
}

/** Workers without a pool, in turns, with only what it takes to know whose answer has come. */
async function openBare(filename, count) {
  const waiting = new Map()
  let next = 0
  const workers = Array.from({ length: count }, () => {
    const worker = new Worker(filename)
    worker.on('message', ({ id, bytes }) => {
      waiting.get(id)(bytes)
      waiting.delete(id)
    })
    return worker
  })
  await Promise.all(workers.map((worker) => once(worker, 'online')))
  return {
    move: (bytes) =>
      new Promise((resolve) => {
        const id = next++
        waiting.set(id, resolve)
        workers[id % count].postMessage({ id, bytes }, [bytes.buffer])
      }),
    close: () => Promise.all(workers.map((worker) => worker.terminate())),
  }
}
