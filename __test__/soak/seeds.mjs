// A part of the million tasks of the soak test: tasks and faults of all kinds, one pool after the other, by plans that
// follow from a seed. In several files, so that each of them ends in time on a machine that is slow.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { outcomeOf } from '../helpers/outcome.mjs'
import { PlanHash, planOf } from './plan.mjs'

const DRIVER = fileURLToPath(new URL('./soak.mjs', import.meta.url))
/** Of each seed. */
const TASKS = 125_000

export function hashOf(seed) {
  const hash = new PlanHash()
  for (const operation of planOf(seed, TASKS)) hash.add(operation)
  return hash.text
}

/** Runs the driver in a process of its own. */
function soak(seed) {
  const child = spawn(process.execPath, [DRIVER, '--seed', `${seed}`, '--tasks', `${TASKS}`])
  return outcomeOf(child, { limit: 100_000 })
}

/** Declares the tests of these seeds. */
export function soakWith(...seeds) {
  for (const seed of seeds) {
    test(`every task ends once and as it may, nothing is left behind: seed ${seed}`, async () => {
      const { code, signal, stdout, stderr } = await soak(seed)
      assert.deepEqual([code, signal, stderr], [0, null, ''])
      const { plan, faults, tasks } = JSON.parse(stdout)
      assert.deepEqual([plan, faults], [hashOf(seed), 0])
      assert.ok(tasks >= TASKS)
    })
  }
}
