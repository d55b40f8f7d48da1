// Computes for as long as the input says, then counts itself where the main thread sees it without its event loop.
import { workerData } from 'node:worker_threads'
import { work } from './work.mjs'

// Tinypool puts data of its own before it.
const done = Array.isArray(workerData) ? workerData[1] : workerData

export default (rounds) => {
  const result = work(rounds)
  Atomics.add(done, 0, 1)
  return result
}
