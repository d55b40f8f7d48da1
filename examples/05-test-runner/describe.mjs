// Errors as text: what went wrong, and where in the spec file.

import { inspect } from 'node:util'

/** Whatever a test or a file has failed with. */
export function describe(reason, spec) {
  if (!(reason instanceof Error)) return typeof reason === 'string' ? reason : inspect(reason)
  const stack = String(reason.stack)
  const at = stack.indexOf(`/${spec}:`)
  const place = at < 0 ? undefined : /^[^:]*(?::\d+)+/.exec(stack.slice(at + 1))?.[0]
  return `${reason.name}: ${reason.message}${place === undefined ? '' : `\nat ${place}`}`
}
