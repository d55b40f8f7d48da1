// Stage: all. Thread: any env.
// The import helpers under one name.

import {
  getWorkerFile,
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  importWorkerProxy,
  setWorkerFile,
} from './proxy'

/** See `MainThread` in function.d.ts. */
export const MainThread = Object.freeze({
  getWorkerFile,
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  importWorkerProxy,
  setWorkerFile,
})
