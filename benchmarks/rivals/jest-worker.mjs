// https://github.com/jestjs/jest, MIT
import { taskFile } from './task-file.mjs'

export async function jestWorker() {
  const { Worker } = await import('jest-worker')
  return ({ task, workers, data }) => {
    const pool = new Worker(taskFile(task), {
      enableWorkerThreads: true,
      exposedMethods: ['run'],
      numWorkers: workers,
      setupArgs: [data],
    })
    // No `move`: it has no transfer lists. It has one way to end.
    return { run: (input) => pool.run(input), close: () => pool.end(), destroy: () => pool.end() }
  }
}
