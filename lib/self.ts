// Stage: submit. Thread: a JS worker.
// Which entry module this thread was started for, so that a module may make the very pool that it is the entry of.

import { realpathSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

let own: string | undefined

/** This thread is a worker with that entry module. */
export function setOwnEntry(url: string): void {
  own = url
}

/** Whether that is the entry module of this worker. */
export function isOwnEntry(url: string): boolean {
  return own !== undefined && comparable(own) === comparable(url)
}

/** A URL without links on the way, and without what TypeScript loaders add. */
function comparable(text: string): string {
  if (!text.startsWith('file:')) return text
  const url = new URL(text)
  for (const key of ['tsx-namespace', 'namespace']) url.searchParams.delete(key)
  try {
    return pathToFileURL(realpathSync(fileURLToPath(new URL(url.pathname, url)))).href + url.search + url.hash
  } catch {
    return url.href
  }
}
