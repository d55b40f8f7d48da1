// Stage: run. Thread: owner env.
// What is said when the system refuses a thread, or what one needs: at once, or when the thread should have started.

import { describe, isInstance, ThreadmillError } from './errors'

const REFUSED = 'ERR_WORKER_INIT_FAILED'
/** What passes: no descriptors or memory are left, or the working directory has gone. */
const PASSES = new Set<unknown>(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'])

/** Whether that is why a worker has not started; `hasBegun`: it had come to its module, whose error it may be. */
export function isRefused(error: unknown, hasBegun: boolean): boolean {
  if (!isInstance(error, Error)) return false
  const { code, syscall } = error as { readonly code?: unknown; readonly syscall?: unknown }
  return code === REFUSED || (!hasBegun && (PASSES.has(code) || syscall === 'uv_cwd'))
}

export function refusedThread(cause: unknown): ThreadmillError {
  return systemError('the system refused a worker its thread', cause)
}

/** What is told when a part of the package could not be loaded. */
export function unloadable(cause: unknown): unknown {
  const { code, syscall } = (cause ?? {}) as { readonly code?: unknown; readonly syscall?: unknown }
  // Newer ones than Node 20 say so of a package.json beside it that they cannot open.
  const isRefusal = syscall !== undefined || code === 'ERR_INVALID_PACKAGE_CONFIG'
  return isRefusal ? systemError('a file of threadmill could not be read', cause) : cause
}

/** A part of the package that is loaded now. @throws ThreadmillError when the system refuses it */
export function part<T>(load: () => T): T {
  try {
    return load()
  } catch (error) {
    throw unloadable(error)
  }
}

function systemError(what: string, cause: unknown): ThreadmillError {
  const message = isInstance(cause, Error) ? cause.message : describe(cause)
  return new ThreadmillError('ERR_THREADMILL_SYSTEM', `${what}: ${message}`, { cause })
}
