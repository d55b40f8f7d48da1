// Stage: all. Thread: any env. The exports of the package, and nothing else.

export { ThreadmillError } from './errors'
export { kernelInfo } from './kernels'
export { WorkerPool } from './pool'
export { recommendedPoolSize } from './pool-size'
export { runWorker } from './run-worker'
export { transfer } from './transfer'
export { waitAsync } from './wait-async'
