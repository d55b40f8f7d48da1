// A kernel call of about 2 ms that only computes: sha256 of shared memory, which no worker has to copy.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { median } from 'simple-statistics'
import { runSync } from './subjects.mjs'

const MIB = 2 ** 20

/** @returns what to call it with, and the check of its outputs */
export function calibrateKernel(milliseconds = 2) {
  const probe = new Uint8Array(new SharedArrayBuffer(MIB))
  runSync('sha256', probe)
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now()
    runSync('sha256', probe)
    return performance.now() - start
  })
  const input = new Uint8Array(new SharedArrayBuffer(Math.round((milliseconds / median(times)) * MIB)))
  const digest = createHash('sha256').update(input).digest('hex')
  return { input, check: (outputs) => assert.ok(outputs.every((output) => output === digest)) }
}
