// https://github.com/poolifier/poolifier, MIT
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
      close: () => awake(pool.destroy()),
      destroy: () => awake(pool.destroy()),
    }
  }
}

/** It waits for workers that do not keep the process alive: without anything else that does, its promise never settles. */
async function awake(promise) {
  const timer = setInterval(() => undefined, 60_000)
  await promise
  clearInterval(timer)
}
