// Stage: submit. Thread: a JS worker.
// Which entry module this thread was started for, so that a module may make the very pool that it is the entry of.

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
  const { realpathSync } = require('node:fs') as typeof import('node:fs')
  const { fileURLToPath, pathToFileURL } = require('node:url') as typeof import('node:url')
  const url = new URL(text)
  for (const key of ['tsx-namespace', 'namespace']) url.searchParams.delete(key)
  try {
    return pathToFileURL(realpathSync(fileURLToPath(new URL(url.pathname, url)))).href + url.search + url.hash
  } catch {
    return url.href
  }
}
