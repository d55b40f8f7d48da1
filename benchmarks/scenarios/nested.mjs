// Sub-tasks that are submitted and awaited inside of a worker, against a relay through the main thread.
import assert from 'node:assert/strict'
import { times } from '../lib/harness.mjs'
import { Outcome } from '../lib/outcome.mjs'
import { pick, WORKERS } from '../lib/plan.mjs'
import { openRelay } from '../lib/relay.mjs'
import { aheadOf } from '../lib/statistics.mjs'
import { WorkerPool } from '../lib/subjects.mjs'
import { taskFile } from '../rivals/task-file.mjs'

export const title = 'Sub-tasks from inside a worker'

const TOTAL = 10_000
const TASKS = 'relay through main, batched postMessage'
const LISTS = 'the same, lists sent on as they come'

export async function measure() {
  const outcome = new Outcome()
  const pool = new WorkerPool(taskFile('fan-out'), { maxWorkers: WORKERS })
  pool.resizeUpTo(WORKERS)
  const byTask = openRelay(WORKERS, 'task by task')
  const byList = openRelay(WORKERS, 'lists')
  const check = (sum) => assert.equal(sum, (TOTAL * (TOTAL - 1)) / 2)
  const name = `${TOTAL.toLocaleString('en-US')} sub-tasks awaited in a worker, ${WORKERS} workers`
  const measured = outcome.add(
    await times({
      id: 'fan-out',
      name,
      group: 'nested',
      column: name,
      repetitions: pick(2, 15, 41),
      warmups: pick(2, 15, 30),
      contenders: [
        { name: 'threadmill', run: () => pool.run(TOTAL, { name: 'fanOut' }), check },
        { name: 'threadmill, with handles', run: () => pool.run(TOTAL, { name: 'fanOutTasks' }), check },
        { name: TASKS, run: () => byTask.fanOut(TOTAL), check },
        { name: LISTS, run: () => byList.fanOut(TOTAL), check },
      ],
    }),
  )
  await Promise.all([pool.close(), byTask.close(), byList.close()])
  outcome.judge('nested', 1 / aheadOf(measured, TASKS))
  return outcome
}
