// Stage: run. Thread: owner env.
// What Node says when the system refuses a thread, or what one needs: it says so at once or when the thread should have started.

import { isInstance, ThreadmillError } from './errors'

/** Whether that is why a worker has not started. */
export function isRefused(error: unknown): boolean {
  return isInstance(error, Error) && (error as { readonly code?: unknown }).code === 'ERR_WORKER_INIT_FAILED'
}

export function refusedThread(cause: unknown): ThreadmillError {
  const { message } = cause as Error
  return new ThreadmillError('ERR_THREADMILL_SYSTEM', `the system refused a worker its thread: ${message}`, { cause })
}
