// The JS lane against piscina and tinypool: what a task costs, with the defaults of each and equally many workers.
import assert from 'node:assert/strict'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { Tinypool } from 'tinypool'
import { judge } from './floors.mjs'
import { allQueued, compare, inFlight, ratioOf } from './harness.mjs'
import { WorkerPool } from './subjects.mjs'

const quick = process.argv.includes('--quick')
const scale = (count) => (quick ? Math.ceil(count / 10) : count)
const filename = fileURLToPath(new URL('entry-task.mjs', import.meta.url))
/** A small object that JSON holds exactly. */
const small = (index) => ({ id: index, name: 'item', tags: ['a', 'b'], nested: { x: 1.5 } })

/** Tasks that do nothing, of a number and of a small object. */
export async function tasks() {
  const threads = os.availableParallelism()
  const options = { filename, minThreads: threads, maxThreads: threads }
  const pool = new WorkerPool(filename, threads)
  const piscina = new Piscina(options)
  const tinypool = new Tinypool(options)
  const contenders = [
    { name: 'threadmill', run: (value) => pool.run(value) },
    { name: 'piscina', run: (value) => piscina.run(value) },
    { name: 'tinypool', run: (value) => tinypool.run(value) },
  ]
  const measured = []
  const floors = []
  for (const [kind, make] of [
    ['number', (index) => index],
    ['small object', small],
  ]) {
    for (const [width, total] of [
      [1, scale(3_000)],
      [16, scale(20_000)],
      [1024, scale(30_000)],
      [Number.POSITIVE_INFINITY, scale(30_000)],
    ]) {
      const isAll = width === Number.POSITIVE_INFINITY
      const check = (outputs) => {
        assert.equal(outputs.length, total)
        for (const index of [0, total >> 1, total - 1]) assert.deepEqual(outputs[index], make(index))
      }
      const drive = (run) => {
        const call = (index) => run(make(index))
        return isAll ? allQueued(call, total) : inFlight(call, total, width)
      }
      const scenario = await compare({
        name: `${kind}, ${isAll ? `all ${total} queued` : `${width} in flight`}`,
        operations: total,
        repetitions: 7,
        contenders: contenders.map(({ name, run }) => ({ name, run: () => drive(run), check })),
      })
      measured.push(scenario)
      const id = `entry.${kind}.${isAll ? 'all' : width}`
      floors.push(judge(id, ratioOf(scenario, 'piscina')))
    }
  }
  await Promise.all([pool.close(), piscina.destroy(), tinypool.destroy()])
  return { measured, floors: floors.filter((floor) => floor !== undefined) }
}
