// Memory that kernels have used, while the workers rest (crates/core/src/pool/memory.rs).
import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { runProgram } from '../helpers/child.mjs'

const hasGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined

/** Prints the MiB of the process's own that a burst of large tasks leaves, and what is left of that as soon as it is half as much. */
const program = `
  import { WorkerPool } from 'threadmill'
  import { readFileSync } from 'node:fs'
  import { randomBytes } from 'node:crypto'
  import { setTimeout } from 'node:timers/promises'
  const own = () => Number(/^RssAnon:\\s+(\\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
  const pool = new WorkerPool({ threads: 4 })
  const burst = async (bytes) => {
    const input = randomBytes(bytes)
    await Promise.all(Array.from({ length: 2 ** 26 / bytes }, () => pool.kernels.gzip(input, { kernelOptions: { level: 1 } })))
  }
  const before = own()
  for (let round = 0; round < 3; round++) for (const bytes of [2 ** 16, 2 ** 20, 2 ** 22, 2 ** 24]) await burst(bytes)
  globalThis.gc()
  await setTimeout(100)
  globalThis.gc()
  const used = own() - before
  const end = performance.now() + 10_000
  while (own() - before > used / 2 && performance.now() < end) await setTimeout(50)
  console.log(JSON.stringify([used, own() - before]))
  await pool.close()`

const skip = !hasGlibc && 'the C library has no malloc_trim'

test('goes back to the system', { skip, timeout: 120_000 }, async () => {
  const { code, stdout, stderr } = await runProgram(program, { nodeArgs: ['--expose-gc'] })
  assert.equal(code, 0, stderr)
  const [used, left] = JSON.parse(stdout)
  assert.ok(left <= used / 2, `${left} MiB of ${used} are left`)
})
