// Stage: submit. Thread: owner env.
// Where a module is that is to be imported into a worker.

import { moduleUrl, packageOf } from '../entry'

const FORMS = 'a path, a file:, node: or JavaScript data: URL, or a package name'

/**
 * The URL of a module: relative ones from the working directory, packages from there and then from this package. A name
 * that nothing was found for stays as it is: importing it gives the error.
 * @throws TypeError
 */
export function resolveModule(filename: unknown): string {
  const url = moduleUrl(filename, 'filename', FORMS)
  return URL.canParse(url) ? url : (packageOf(url, __dirname) ?? url)
}
