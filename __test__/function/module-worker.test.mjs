// One worker for one module: a module that does not load.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { root } from '../helpers/child.mjs'
import { rejection } from '../helpers/pool.mjs'
import { CRASHED } from './imports.mjs'

const require = createRequire(import.meta.url)
const { ModuleWorker } = require('../../dist/function/module-worker.js')

test('a module that does not finish to load in time rejects, and ends the worker', { timeout: 20_000 }, async () => {
  for (const wait of ['await new Promise(() => {})', 'for (;;);']) {
    let online
    class Watched extends Worker {
      constructor(...args) {
        super(...args)
        online = once(this, 'online')
      }
    }
    const worker = new ModuleWorker({ options: {}, script: path.join(root, 'dist/worker.js'), Worker: Watched })
    worker.keepAlive()
    // One that is terminated before ends with 0.
    await online
    const loading = worker.load(`data:text/javascript,${wait}; export const never = 1`, 60)
    const pending = worker.call('never', [], 0)
    const errors = await Promise.all([loading, pending].map(rejection))
    assert.deepEqual([errors[0].code, errors[0].message], ['ERR_THREADMILL_TIMEOUT', 'Worker timeout after 60ms'])
    assert.equal(errors[1].code, CRASHED)
    assert.equal(await worker.exited, 1)
  }
})
