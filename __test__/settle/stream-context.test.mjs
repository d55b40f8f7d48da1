// In which async context what a stream does is seen.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { WorkerPool } from 'threadmill'

test('outputs, ends and writes that go on are seen where the stream was made', async (t) => {
  const storage = new AsyncLocalStorage()
  const make = () => new WorkerPool('data:text/javascript,export default (n) => n', { maxWorkers: 1 })
  const pool = storage.run('maker of the pool', make)
  t.after(() => pool.close())
  for (const kernel of [undefined, 'echo']) {
    const seen = new Set()
    const note = (what) => seen.add(`${what} ${storage.getStore()}`)
    const follow = async (name) => {
      const stream = pool.stream({ kernel, concurrency: 2 })
      stream.on('data', () => note(`data ${name}`)).on('end', () => note(`end ${name}`))
      const end = new Writable({
        objectMode: true,
        write(_output, _encoding, callback) {
          note(`write ${name}`)
          setImmediate(callback)
        },
      })
      const inputs = Readable.from(Array.from({ length: 20 }, (_, index) => index + 1))
      await pipeline(inputs, stream, end)
    }
    await Promise.all(['a', 'b'].map((name) => storage.run(name, follow, name)))
    const expected = ['a', 'b'].flatMap((name) => ['data', 'end', 'write'].map((what) => `${what} ${name} ${name}`))
    assert.deepEqual([...seen].sort(), expected.sort())
  }
})
