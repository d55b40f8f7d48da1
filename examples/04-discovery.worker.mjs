// Entry module of 04-discovery.mjs: a folder becomes tasks for what is in it, and adds up their results.

import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'

const SKIPPED = new Set(['.git', 'node_modules'])
const NEWLINE = 10

/** A folder: how many folders there are, and files and lines by extension. */
export async function workerEntrypoint(folder, client) {
  const tasks = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const place = path.join(folder, entry.name)
    // Symbolic links are neither, so no folder is walked twice.
    if (entry.isDirectory() && !SKIPPED.has(entry.name)) tasks.push(client.run(place))
    else if (entry.isFile()) tasks.push(client.run(place, { name: 'countLines' }))
  }

  // A task that waits for its own leaves its worker free for others: no depth of the tree can lock the pool up.
  const kinds = new Map()
  let folders = 1
  for (const part of await Promise.all(tasks)) {
    folders += part.folders
    for (const [kind, { files, lines }] of part.kinds) {
      const sum = kinds.get(kind) ?? { files: 0, lines: 0 }
      kinds.set(kind, { files: sum.files + files, lines: sum.lines + lines })
    }
  }
  return { folders, kinds }
}

/** A file, in the same shape. */
export async function countLines(file) {
  const bytes = await readFile(file)
  // Text that does not end with a newline has a last line all the same.
  let lines = bytes.length > 0 && bytes.at(-1) !== NEWLINE ? 1 : 0
  for (const byte of bytes) if (byte === NEWLINE) lines++
  const kind = path.extname(file) || '(none)'
  return { folders: 0, kinds: new Map([[kind, { files: 1, lines }]]) }
}
