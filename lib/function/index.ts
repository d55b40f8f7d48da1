// Stage: all. Thread: any env. The exports of `threadmill/function`, and nothing else.

export { startProfilingCpu, stopProfilingCpu } from './cpu-gate'
export {
  getWorkerFile,
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  importWorkerProxy,
  MainThread,
  normalizeFilename,
  setWorkerFile,
} from './imports'
export { FunctionPool } from './pool'
export { Status, ThreadStatus } from './status'
export { round, StatusAllField, StatusType, TaskPool } from './task-pool'
export { FunctionThread } from './thread'
export { asyncEventEmitter, close, exitEventSupported, exitKey } from './utilities'
