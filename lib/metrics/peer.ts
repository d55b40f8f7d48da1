// Stage: all. Thread: any env.
// Packages that users bring along: loaded when they are asked for first; and whether something is of such a package.

import { ThreadmillError } from '../errors'

/** @throws ThreadmillError `ERR_THREADMILL_NOT_SUPPORTED` when it is not installed */
export function peer(name: string, caller: string): unknown {
  try {
    return require(name)
  } catch (cause) {
    if (!isMissing(cause, name)) throw cause
    const message = `${caller} needs the package '${name}', which is not installed: npm install ${name}`
    throw new ThreadmillError('ERR_THREADMILL_NOT_SUPPORTED', message, { cause })
  }
}

/** Whether it is an object, or a function, with these methods. */
export function hasMethods(value: unknown, names: readonly string[]): boolean {
  const isHolder = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isHolder && names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

/** Whether a package itself was not found, and not something that it needs. */
function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as NodeJS.ErrnoException
  const isAbsent = code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND'
  return isAbsent && error.message.includes(`'${name}'`)
}
