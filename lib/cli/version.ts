// Stage: all. Thread: main.
// The version of the package, and where it is.

import { readFileSync } from 'node:fs'
import path from 'node:path'

/** The package's own folder; this file is `dist/cli/version.js` in it. */
export const PACKAGE_ROOT = path.resolve(__dirname, '../..')

/** As package.json says. */
export function version(): string {
  const text = readFileSync(path.join(PACKAGE_ROOT, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
