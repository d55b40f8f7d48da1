// The package as built in the folder above.
import { taskFile } from './task-file.mjs'

export async function threadmill() {
  const { WorkerPool } = await import('../../dist/index.js')
  return ({ task, workers, data }) => {
    const file = taskFile(task === 'move' ? 'move-threadmill' : task)
    const pool = new WorkerPool(file, { maxWorkers: workers, workerData: data })
    // The others launch them at once as well.
    pool.resizeUpTo(workers)
    return {
      run: (input) => pool.run(input),
      move: (bytes) => pool.run(bytes, { transfer: [bytes.buffer] }),
      close: () => pool.close(),
      destroy: () => pool.destroy(),
    }
  }
}
