// Stage: all. Thread: any env. The exports of the package, and nothing else.

export { isMainThread } from 'node:worker_threads'
export { ThreadmillError } from './errors'
export * from './function/lazily'
export { kernelInfo } from './kernels'
export { recommendedPoolSize, runWorker, waitAsync } from './lazy-owner'
export { WorkerPool } from './pool'
export { transfer } from './transfer'
