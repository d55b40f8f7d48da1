// Entry module of 01-hello.mjs: the entry function is called once for each task.

import { isMainThread } from 'node:worker_threads'

export function workerEntrypoint(name) {
  return `Hello, ${name}, from ${isMainThread ? 'the main thread' : 'a worker thread'}!`
}
