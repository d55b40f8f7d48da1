// Stage: all. Thread: any env. The exports of `threadmill/function`, and nothing else.

export { startProfilingCpu, stopProfilingCpu } from './cpu-gate'
export { MainThread } from './main-thread'
export { FunctionPool } from './pool'
export {
  getWorkerFile,
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  importWorkerProxy,
  setWorkerFile,
} from './proxy'
export { normalizeFilename } from './resolve'
export { Status, ThreadStatus } from './status'
export { round, StatusAllField, StatusType, TaskPool } from './task-pool'
export { FunctionThread } from './thread'
export { asyncEventEmitter, close, exitEventSupported, exitKey } from './utilities'
