// What a listener of `worker-exit` does is done by a pool that has let go of the worker: the next one may have its number.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { WorkerPool } from 'threadmill'

const MODULE = `data:text/javascript,export default (input, client) => {
  if (input === 'crash') process.exit(1);
  if (input === 'hang') client.postMessageToPool('begun');
  while (input === 'hang');
  return input
}`

const ends = {
  'has crashed': [{}, (pool) => void pool.run('crash').catch(() => {})],
  'is recycled': [{ recycle: { tasks: 1 } }, (pool) => pool.run('the only one')],
  'has retired': [{ idleTimeout: 1 }, (pool) => pool.run('the only one')],
  'is evicted': [
    {},
    (pool) => {
      const task = pool.addTask('hang')
      pool.onMessage('begun', () => task.cancel())
      task.catch(() => {})
    },
  ],
}

const acts = {
  'submits a task': (pool) => pool.run('of the listener'),
  'submits one that is forced there': (pool) => pool.run('of the listener', { workerAffinity: 0, affinity: 'force' }),
  'launches as many as there may be': (pool) => pool.resizeUpTo(1),
  'asks for more': (pool) => pool.resize({ min: 1 }),
}

for (const [end, [options, begin]] of Object.entries(ends)) {
  describe(`when a worker ${end}`, () => {
    for (const [what, act] of Object.entries(acts)) {
      test(`a listener ${what}, and the pool goes on`, { timeout: 60_000 }, async (t) => {
        const pool = new WorkerPool(MODULE, { minWorkers: 0, maxWorkers: 1, ...options })
        t.after(() => pool.destroy())
        // It waits for a worker that ends by itself.
        pool.ref()
        let submitted
        // Later ones would have the worker of each task followed by another for ever.
        pool.once('worker-exit', () => {
          submitted = act(pool)
        })
        const exited = once(pool, 'worker-exit')
        await begin(pool)
        await exited
        if (submitted !== undefined) assert.equal(await submitted, 'of the listener')
        assert.equal(await pool.run('later'), 'later')
        assert.equal(pool.stats().queueLength, 0)
      })
    }
  })
}
