// https://github.com/tinylibs/tinypool, MIT
import { taskFile } from './task-file.mjs'

/** As for piscina; `useAtomics: false` made it slower. */
const TUNED = { concurrentTasksPerWorker: 1024 }

export const tinypool = () => load({})

/** Its default queue is an array, so it is lent piscina's, which does not move its elements. */
export async function tunedTinypool() {
  const { FixedQueue } = await import('piscina')
  return load(TUNED, FixedQueue)
}

async function load(options, Queue) {
  const { Tinypool } = await import('tinypool')
  return ({ task, workers, data }) => {
    const filename = taskFile(task === 'move' ? 'move-tinypool' : task)
    const taskQueue = Queue && new Queue()
    const pool = new Tinypool({
      filename,
      minThreads: workers,
      maxThreads: workers,
      workerData: data,
      taskQueue,
      ...options,
    })
    return {
      run: (input) => pool.run(input),
      move: (bytes) => pool.run(bytes, { transferList: [bytes.buffer] }),
      // It has no other way to end.
      close: () => pool.destroy(),
      destroy: () => pool.destroy(),
    }
  }
}
