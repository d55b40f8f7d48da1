// Shows: tasks that submit tasks. Walks a folder tree in the workers and counts lines per file extension.
// Run:   node examples/04-discovery.mjs [folder]

import { statSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { WorkerPool } from 'threadmill'

const folder = path.resolve(process.argv[2] ?? fileURLToPath(new URL('../lib', import.meta.url)))
if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
  console.error(`${folder} is not a folder`)
  process.exit(1)
}

const pool = new WorkerPool(new URL('./04-discovery.worker.mjs', import.meta.url))

// This thread submits one task; the workers discover the others.
const { folders, kinds } = await pool.run(folder)

const rows = [...kinds]
  .map(([kind, { files, lines }]) => ({ kind, files, lines }))
  .sort((a, b) => b.lines - a.lines || (a.kind < b.kind ? -1 : 1))
const total = { kind: 'total', files: 0, lines: 0 }
for (const { files, lines } of rows) {
  total.files += files
  total.lines += lines
}
const width = Math.max(...[...rows, total].map(({ kind }) => kind.length), 'extension'.length)
const print = (...[kind, files, lines]) =>
  console.log(`${kind.padEnd(width)} ${String(files).padStart(8)} ${String(lines).padStart(10)}`)

print('extension', 'files', 'lines')
for (const { kind, files, lines } of [...rows, total]) print(kind, files, lines)
console.log(`${folders} folder(s)`)

// Counted by the pool: one task per folder and one per file.
const tasks = pool.stats().tasksCompleted
console.log(`${tasks} tasks, 1 of them submitted by the main thread`)

await pool.close()
