// Waits until as many tasks as the input says have begun, so that each worker runs one; then collects its garbage.
import { workerData } from 'node:worker_threads'

// Tinypool puts data of its own before it.
const begun = Array.isArray(workerData) ? workerData[1] : workerData

export default (goal) => {
  Atomics.add(begun, 0, 1)
  Atomics.notify(begun, 0)
  for (let seen = Atomics.load(begun, 0); seen < goal; seen = Atomics.load(begun, 0)) Atomics.wait(begun, 0, seen)
  globalThis.gc?.()
  return goal
}
