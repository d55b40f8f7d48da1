// Finds files and fingerprints them.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The top folder of the repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * All files below the given files and folders, in a fixed order; what does not exist is left out.
 *
 * @param {readonly string[]} entries paths from the root
 * @returns {string[]} paths from the root, with forward slashes
 */
export function filesBelow(entries) {
  const found = []
  for (const entry of entries) {
    const absolute = path.join(root, entry)
    if (!existsSync(absolute)) continue
    if (!statSync(absolute).isDirectory()) {
      found.push(entry)
      continue
    }
    const names = readdirSync(absolute).sort()
    found.push(...filesBelow(names.map((name) => `${entry}/${name}`)))
  }
  return found
}

/**
 * A fingerprint of the names and contents of files, and of anything else that matters.
 *
 * @param {readonly string[]} files paths from the root
 * @param {unknown} [extra] a value that JSON can hold
 */
export function fingerprint(files, extra) {
  const hash = createHash('sha256')
  for (const file of files) {
    const bytes = readFileSync(path.join(root, file))
    hash.update(`${file}\0${bytes.length}\0`).update(bytes)
  }
  return hash.update(JSON.stringify(extra ?? null)).digest('hex')
}
