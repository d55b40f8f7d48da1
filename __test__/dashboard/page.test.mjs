// The page of the dashboard in a real browser.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { WorkerPool } from 'threadmill'
import { Gates } from '../helpers/gates.mjs'
import { occupy, until } from '../helpers/pool.mjs'
import { openPage, startBrowser } from './browser.mjs'
import { json, serve } from './helpers.mjs'

const TASKS = new URL('../js/fixtures/gates.mjs', import.meta.url)
const HOSTILE = '<img src=x onerror="console.error(1)"><script>alert(1)</script>&amp;"\''

let browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

/** Opens the dashboard's page until the test has ended. */
async function open(t, dashboard, options) {
  const opened = await openPage(browser, dashboard.url, options)
  t.after(() => opened.context.close())
  return opened
}

function closing(t, pool) {
  t.after(() => pool.destroy())
  return pool
}

const figure = (page, key) => page.locator(`[data-figure=${key}]`).first()
const number = (text) => Number(text.replaceAll(',', ''))

/** Waits until a figure reads so. */
async function reads(page, key, expected) {
  await page.waitForFunction(
    ([name, text]) => document.querySelector(`[data-figure=${name}]`)?.textContent === text,
    [key, expected],
    { timeout: 20_000 },
  )
}

/** The rows of a table, each an object by column head. */
function rowsOf(page, label) {
  return page.getByRole('table', { name: label, exact: true }).evaluate((node) => {
    const heads = [...node.querySelectorAll('thead th')].map((cell) => cell.textContent)
    return [...node.querySelectorAll('tbody tr')].map((row) =>
      Object.fromEntries([...row.children].map((cell, at) => [heads[at], cell.textContent])),
    )
  })
}

test('the page shows what stats() gives, and follows it', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 2, name: 'figures' }))
  const dashboard = await serve(t, pool, { interval: 100 })
  const { page, faults } = await open(t, dashboard)
  await reads(page, 'completed', '0')
  await Promise.all(Array.from({ length: 1234 }, () => pool.run(1, { kernel: 'echo' })))
  await assert.rejects(pool.run(61, { kernel: 'fib' }))
  await reads(page, 'completed', '1,234')
  const stats = pool.stats()
  await reads(page, 'errored', String(stats.tasksErrored))
  await reads(page, 'admitted', stats.tasksAdmitted.toLocaleString('en'))
  await reads(page, 'steals', String(stats.steals))
  await reads(page, 'busy', '0 / 2')
  const workers = await rowsOf(page, 'Workers of figures')
  assert.deepEqual(
    workers.map((row) => [row.Worker, row.Runs, number(row.Completed), number(row.Failed), number(row.Stolen)]),
    stats.native.map(({ id, tasksCompleted, tasksErrored, steals }) => [
      `native ${id}`,
      'idle',
      tasksCompleted,
      tasksErrored,
      steals,
    ]),
  )
  const [waiting, , key] = await rowsOf(page, 'Times of figures')
  assert.deepEqual([waiting.Times, waiting.count, key.Times], ['waiting', '1,234', 'echo: waiting'])

  const held = await occupy(pool)
  const queued = Array.from({ length: 7 }, () => pool.addTask(1, { kernel: 'echo', ...force(held.worker.id) }))
  await reads(page, 'queue', '7')
  await reads(page, 'busy', '1 / 2')
  const [running] = (await rowsOf(page, 'Workers of figures')).filter(({ Runs }) => Runs !== 'idle')
  assert.equal(running.Worker, `native ${held.worker.id}`)
  assert.match(running.Runs, new RegExp(`^fib #${held.task.id}(?:under )?[\\d.]+ m?s$`))
  await held.release()
  await Promise.all(queued)
  await reads(page, 'completed', '1,241')
  assert.deepEqual(faults, [])
})

const force = (worker) => ({ workerAffinity: worker, affinityStrength: 'force' })

test('charts are drawn in both colour schemes, and the switch holds', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1, name: 'charts' }))
  const dashboard = await serve(t, pool, { interval: 100 })
  const { page, faults, context } = await open(t, dashboard, { colorScheme: 'dark' })
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  await page.waitForFunction(() => document.querySelectorAll('canvas').length === 2)
  assert.equal(await background(), 'rgb(18, 22, 28)')
  await page.getByRole('button', { name: 'Colours: system' }).click()
  assert.equal(await background(), 'rgb(245, 246, 248)')
  await page.reload()
  assert.equal(await page.locator('#theme').textContent(), 'Colours: light')
  await page.locator('#theme').click()
  assert.equal(await background(), 'rgb(18, 22, 28)')
  // The lines are on the canvas, after the redrawing too, in the accent of that scheme.
  await page.waitForFunction(() =>
    [...document.querySelectorAll('canvas')].every((canvas) => {
      // From a copy of each round: Chromium warns of canvases that are read more than once.
      const { width, height } = canvas
      const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })
      copy.drawImage(canvas, 0, 0)
      const { data } = copy.getImageData(0, 0, width, height)
      return data.some((red, at) => at % 4 === 0 && `${red} ${data[at + 1]} ${data[at + 2]}` === '127 176 255')
    }),
  )
  assert.equal(await page.locator('canvas').count(), 2)
  await page.setViewportSize({ width: 360, height: 700 })
  await page.waitForFunction(() => document.querySelector('canvas').clientWidth < 360)
  const overflows = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
  assert.equal(overflows, false)
  assert.deepEqual(faults, [])
  await context.close()
})

test('names of pools and tasks are text, whatever is in them', async (t) => {
  const gates = new Gates()
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1, workerData: gates.memory, name: HOSTILE }))
  const dashboard = await serve(t, pool, { interval: 100 })
  const { page, faults } = await open(t, dashboard)
  assert.equal(await page.locator('h2 span').first().textContent(), HOSTILE)
  const gate = gates.closed()
  const task = pool.addTask({ do: 'block', gate }, { key: HOSTILE })
  await page.getByRole('cell', { name: `${HOSTILE} #${task.id}` }).waitFor()
  gates.open(gate)
  await task
  await page.getByRole('rowheader', { name: `${HOSTILE}: running` }).waitFor()
  assert.equal(await page.locator('main img, main script').count(), 0)
  assert.deepEqual(faults, [])
})

test('crashes, closed pools and pools that come and go are shown', async (t) => {
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1, name: 'crashes' }))
  const dashboard = await serve(t, pool, { interval: 100 })
  const { page, faults } = await open(t, dashboard)
  await assert.rejects(pool.run({ do: 'crash' }), { code: 'ERR_THREADMILL_WORKER_CRASHED' })
  // No worker is left, and later one that has crashed before.
  await reads(page, 'crashes', '1')
  await pool.run(1)
  await reads(page, 'crashes', '1')
  await pool.close()
  await page.waitForFunction(() => document.querySelector('.state')?.textContent === 'closed')
  await reads(page, 'crashes', '1')
  const other = closing(t, new WorkerPool({ threads: 1, name: 'other' }))
  dashboard.add(other)
  await page.getByRole('heading', { name: 'other' }).waitFor()
  dashboard.remove(pool)
  await page.getByRole('heading', { name: 'crashes' }).waitFor({ state: 'detached' })
  assert.equal(await page.locator('section').count(), 1)
  assert.deepEqual(faults, [])
})

test('with a token: the address is clean afterwards, tasks are cancelled and workers recycled', async (t) => {
  const gates = new Gates()
  const pool = closing(t, new WorkerPool(TASKS, { maxWorkers: 1, workerData: gates.memory, name: 'act' }))
  const dashboard = await serve(t, pool, { interval: 100, allowActions: true })
  const { page, faults } = await open(t, dashboard)
  assert.equal(page.url(), `http://127.0.0.1:${dashboard.port}/`)
  const running = pool.addTask(60, { kernel: 'fib' })
  const cancelled = assert.rejects(Promise.resolve(running), { code: 'ERR_THREADMILL_CANCELLED' })
  await page.getByRole('button', { name: `Cancel task ${running.id}` }).click()
  await cancelled
  await page.getByText('cancel: done').waitFor()

  const exits = []
  pool.on('worker-exit', (worker) => exits.push(worker.id))
  await pool.run(1)
  await page.getByRole('button', { name: 'Recycle' }).click()
  await until(() => exits.length === 1)
  // The cookie is enough for a page that is opened again.
  await page.reload()
  await page.locator('#connection[data-state=live]').waitFor()
  assert.deepEqual(faults, [])
})

test('without allowed actions there is nothing to press but the colours', async (t) => {
  const pool = closing(t, new WorkerPool({ threads: 1, name: 'quiet' }))
  const dashboard = await serve(t, pool, { interval: 100 })
  const { page } = await open(t, dashboard)
  const held = await occupy(pool)
  await page.getByRole('cell', { name: `fib #${held.task.id}` }).waitFor()
  assert.deepEqual(await page.getByRole('button').allTextContents(), ['Colours: system'])
  await held.release()
})

test('it keeps up with as many tasks between two looks as 10,000 a second are', async (t) => {
  const interval = 200
  const pool = closing(t, new WorkerPool({ threads: 1, name: 'busy' }))
  const dashboard = await serve(t, pool, { interval })
  const { page, faults } = await open(t, dashboard)
  // Counted, not timed: how many there are in a second depends on what else the machine does.
  const perLook = 12_000 * (interval / 1000)
  let [submitted, looks, isLoading] = [0, 1, true]
  const load = async () => {
    while (isLoading) {
      const batch = Array.from({ length: 200 }, () => pool.run(1, { kernel: 'echo' }))
      submitted += batch.length
      await Promise.all(batch)
      while (isLoading && submitted >= looks * perLook) await new Promise(setImmediate)
    }
  }
  const loaded = load()
  t.after(() => {
    isLoading = false
  })
  let rate = 0
  for (; looks <= 15; looks++) {
    const last = await figure(page, 'completed').textContent()
    await until(() => submitted >= looks * perLook)
    await page.waitForFunction((text) => document.querySelector('[data-figure=completed]').textContent !== text, last)
    rate = Math.max(rate, number(await figure(page, 'rate').textContent()))
  }
  isLoading = false
  await loaded
  assert.ok(rate > 0, 'the page shows a rate')
  await reads(page, 'completed', submitted.toLocaleString('en'))
  assert.equal((await json(dashboard)).pools[0].stats.tasksCompleted, submitted)
  assert.deepEqual(faults, [])
})

test('a page whose server has gone says so, and nothing breaks', async (t) => {
  const dashboard = await serve(t, [])
  const { page, faults } = await open(t, dashboard)
  await dashboard.close()
  await page.locator('#connection[data-state=lost]').waitFor()
  // The browser itself reports the requests that fail from now on.
  assert.deepEqual(
    faults.filter((fault) => !fault.includes('Failed to load resource')),
    [],
  )
})
