// Stage: submit. Thread: owner env.
// Where a module is that is to be imported into a worker.

import { moduleUrl, packageOf, type WorkerFlags } from '../entry'

const FORMS = 'a path, a file:, node: or JavaScript data: URL, or a package name'

/**
 * The URL of a module for workers with these flags: relative ones from the working directory, packages from there and then from this package. A name
 * that nothing was found for stays as it is: importing it gives the error.
 * @throws TypeError
 */
export function resolveModule(filename: unknown, flags: WorkerFlags): string {
  const url = moduleUrl(filename, flags, 'filename', FORMS)
  return URL.canParse(url) ? url : (packageOf(url, __dirname, flags) ?? url)
}
