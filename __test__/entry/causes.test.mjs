// Why an entry module cannot be used.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { rejection } from '../helpers/pool.mjs'

test('what cannot load, or start, because of `undefined` has that for a cause', async (t) => {
  const sources = [
    'throw undefined',
    'export default Object.assign((x) => x, { onWorkerStart() { throw undefined } })',
    'setTimeout(() => { throw undefined }); await new Promise(() => setInterval(() => {}, 1000)); export default 1',
  ]
  for (const source of sources) {
    const pool = new WorkerPool(`data:text/javascript,${source}`, { maxWorkers: 1 })
    t.after(() => pool.destroy())
    const error = await rejection(pool.run(1))
    assert.deepEqual(
      [error.code, Object.hasOwn(error, 'cause'), error.cause],
      ['ERR_THREADMILL_ENTRY', true, undefined],
    )
  }
})
