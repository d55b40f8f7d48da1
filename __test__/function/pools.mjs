// For tests of pools of functions.
import { after, beforeEach } from 'node:test'
import { Cpus } from '../helpers/function.mjs'

/** What a task fails with. */
export const failure = new Error('failure')

/** Events of a pool that are about one of its threads. */
export const WORKER_EVENTS = ['init', 'status', 'message', 'error', 'messageerror', 'exit'].map(
  (name) => `worker.${name}`,
)

/** What the tasks of these threads were told apart by. */
export const metas = (threads) => threads.map((thread) => thread.meta)

/** Lets no test of a file depend on how busy the machine is. */
export function quietCpus() {
  let cpus
  beforeEach(() => {
    cpus = new Cpus()
  })
  after(() => cpus.restore())
}
