// https://github.com/josdejong/workerpool, Apache-2.0
import { workerDataOf, workerFile } from './task-file.mjs'

export async function workerpool() {
  const { default: library } = await import('workerpool')
  return (settings) => {
    const pool = library.pool(workerFile('workerpool'), {
      workerType: 'thread',
      minWorkers: settings.workers,
      maxWorkers: settings.workers,
      workerThreadOpts: { workerData: workerDataOf(settings) },
    })
    return {
      run: (input) => pool.exec('run', [input]),
      move: (bytes) => pool.exec('run', [bytes], { transfer: [bytes.buffer] }),
      close: () => pool.terminate(),
      destroy: () => pool.terminate(true),
    }
  }
}
