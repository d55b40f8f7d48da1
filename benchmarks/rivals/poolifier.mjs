// https://github.com/poolifier/poolifier, MIT
import { once } from 'node:events'
import { workerDataOf, workerFile } from './task-file.mjs'

export async function poolifier() {
  const { FixedThreadPool } = await import('poolifier')
  return (settings) => {
    const pool = new FixedThreadPool(settings.workers, workerFile('poolifier'), {
      workerOptions: { workerData: workerDataOf(settings) },
    })
    return {
      run: (input) => pool.execute(input),
      // No `move`: inputs can be moved, outputs are copied. It has one way to end.
      close: () => end(pool),
      destroy: () => end(pool),
    }
  }
}

/**
 * Ends it. What `destroy()` promises is not waited for: it never comes when a worker has ended by itself, at the message that
 * asks it to, before the pool listens for that. Its workers do not keep the process alive meanwhile.
 */
async function end(pool) {
  const timer = setInterval(() => undefined, 60_000)
  const ends = pool.workerNodes.map(({ worker }) => once(worker, 'exit'))
  pool.destroy()
  await Promise.all(ends)
  clearInterval(timer)
}
