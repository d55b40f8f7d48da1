// Checks of how processes end: each runs a program of its own.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { outcomeOf } from '../helpers/outcome.mjs'
import { DENO_FLAGS, runtime } from './runtime.mjs'

/** Longest time of a program, ms. */
const LIMIT = 10_000

/** Runs a program of fixtures/ and tells how it ended. */
async function runProgram(name, ...args) {
  const file = fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
  const flags = runtime.name === 'deno' ? ['run', ...DENO_FLAGS] : []
  const child = spawn(process.execPath, [...flags, file, ...args], { env: { ...process.env, NO_COLOR: '1' } })
  const { code, signal, stdout, stderr, timedOut } = await outcomeOf(child, { limit: LIMIT })
  const note = timedOut ? `no end after ${LIMIT / 1000} s` : ''
  return { code: code ?? signal, stdout, stderr: stderr + note }
}

/** A check that a program of fixtures/program.mjs ends by itself, with that output and nothing on stderr. */
const ends =
  (name, stdout, code = 0) =>
  async () =>
    assert.deepEqual(await runProgram('program.mjs', name), { code, stdout, stderr: '' })

export const checks = {
  'an unused pool lets the process end': ends('unused', 'end\n'),
  'an idle pool of kernels lets the process end': ends('idle kernels', '6765\n'),
  'pending kernels keep the process alive': ends('pending kernels', '196418\n196418\n'),
  'an idle pool with workers lets the process end': ends('idle workers', 'a\n'),
  'pending tasks keep the process alive': ends('pending tasks', 'b\n'),
  'a pending close keeps the process alive': ends('pending close', 'closed\n'),
  'process.exit ends the process while kernels run': ends('exit with kernels', '', 7),
  'process.exit ends the process while tasks run': ends('exit with tasks', '', 7),
  'worker threads end while their kernels run': ends('worker threads', '1 1 1 7 7 7\n'),
  'what tasks print comes out': ends('print', 'printed\n'),
  'with the option stdout, what tasks print does not come out': ends('print aside', ''),
  'a module may be the entry of the pool that it makes': async () =>
    assert.deepEqual(await runProgram('own-entry.mjs'), { code: 0, stdout: 'Hello, World!\n', stderr: '' }),
}
