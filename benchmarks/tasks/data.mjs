// What the pool was given as `data`: everybody hands it to workers in another way.
import { workerData } from 'node:worker_threads'

/** `value` is what came. */
export const data = { value: Array.isArray(workerData) ? workerData[1] : (workerData?.data ?? workerData) }

/** jest-worker calls it before the first task. */
export function setup(value) {
  data.value = value
}
