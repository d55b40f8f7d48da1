// https://github.com/piscinajs/piscina, MIT
import { taskFile } from './task-file.mjs'

/**
 * Options that make tiny tasks quickest.
 *
 * What counts is how many tasks a worker may be handed before it has answered: messages are then taken and answered
 * without a wake-up for each, which about doubles the rate; 1024 did as well as 16 and 128 or better, whatever was in
 * flight. `recordTiming: false` spares it its clocks and histograms. `atomics: 'async'` and `'disabled'`, and a balancer
 * that only takes turns, came out within the noise of the defaults. `maxQueue` only refuses tasks.
 */
const TUNED = { concurrentTasksPerWorker: 1024, recordTiming: false }

export const piscina = () => load({})
export const tunedPiscina = () => load(TUNED)

async function load(options) {
  const { Piscina } = await import('piscina')
  return ({ task, workers, data }) => {
    const filename = taskFile(task === 'move' ? 'move-piscina' : task)
    const pool = new Piscina({ filename, minThreads: workers, maxThreads: workers, workerData: data, ...options })
    return {
      run: (input) => pool.run(input),
      move: (bytes) => pool.run(bytes, { transferList: [bytes.buffer] }),
      close: () => pool.close(),
      destroy: () => pool.destroy(),
    }
  }
}
