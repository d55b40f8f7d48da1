// A pool whose tasks do what a test wants, and what it saw of its workers.
import { WorkerPool } from 'threadmill'

const CONTROL = new URL('./fixtures/control.mjs', import.meta.url)

export function control(t, options) {
  const numbers = new Int32Array(new SharedArrayBuffer(256))
  const pool = new WorkerPool(CONTROL, { threads: 1, workerData: numbers.buffer, ...options })
  const launched = []
  const exits = []
  pool.on('worker-launched', ({ id }) => launched.push(id))
  pool.on('worker-exit', ({ id }, code, error) => exits.push({ id, code, error }))
  t.after(() => pool.destroy())
  return { pool, numbers, launched, exits }
}
