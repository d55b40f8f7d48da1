// The page of the dashboard: draws what `/events` sends. Names of pools and tasks can be anything, so text is only ever
// set as text.

/** Seconds that the charts show, at most and at least. */
const SHOWN = 300
const LEAST = 60
const { uPlot } = window

const element = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  node.append(...children)
  return node
}
const byId = (id) => document.getElementById(id)

// --- how figures look ---

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const CLOCK = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const count = (number) => whole.format(number)
const rate = (number) => (number === null ? '–' : number < 100 ? short.format(number) : whole.format(number))
const share = (number) => (number === null ? '–' : `${whole.format(number * 100)} %`)
const bytes = (number) => `${short.format(number / 2 ** 20)} MiB`

/** A time given in ms. */
function time(ms) {
  if (ms === null) return '–'
  if (ms === 0) return '0 ms'
  if (ms < 1) return `${short.format(ms * 1000)} µs`
  if (ms < 1000) return `${short.format(ms)} ms`
  if (ms < 60_000) return `${short.format(ms / 1000)} s`
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 60) return `${minutes} min ${Math.floor(ms / 1000) % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Sets what has changed only, so that selections and readers are left alone. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

// --- charts ---

/** A colour of the style sheet as a canvas takes it: only in the colour of an element it is that of the scheme in use. */
function colour(name, node) {
  node.style.color = `var(${name})`
  const { color } = getComputedStyle(node)
  node.style.color = ''
  return color
}

/** One chart with two lines: the last minutes of a pool. */
class Chart {
  #plot
  #data = [[], [], []]
  #caption = element('figcaption')
  #box = element('div', { role: 'img' })
  #names
  #format
  #values
  node = element('figure', {}, this.#caption, this.#box)

  constructor(title, names, format) {
    this.#names = names
    this.#format = format
    this.#values = names.map((name, at) => element('span', { class: at === 0 ? 'key' : 'key second' }, name))
    this.#caption.append(`${title}:`, ...this.#values)
    this.#box.setAttribute('aria-label', `${title}, last ${SHOWN / 60} minutes; the figures of now are in the caption`)
    new ResizeObserver(() => this.#resize()).observe(this.#box)
  }

  add(seconds, values) {
    this.#data[0].push(seconds)
    for (const [at, value] of values.entries()) this.#data[at + 1].push(value)
    while (this.#data[0][0] < seconds - SHOWN) for (const column of this.#data) column.shift()
    for (const [at, node] of this.#values.entries()) {
      setText(node, `${this.#names[at]} ${values[at] === null ? '–' : this.#format(values[at])}`)
    }
    this.#plot?.setData(this.#data)
  }

  /** Draws anew, in the colours of now. */
  paint() {
    this.#plot?.destroy()
    this.#plot = undefined
    this.#resize()
  }

  #resize() {
    const width = this.#box.clientWidth
    if (width === 0) return
    if (this.#plot === undefined) this.#plot = this.#make(width)
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: 160 })
  }

  #make(width) {
    const [text, line, accent, second] = ['--faint', '--line', '--accent', '--second'].map((name) =>
      colour(name, this.#box),
    )
    const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } }
    const series = [
      {},
      { label: this.#names[0], stroke: accent, width: 2, points: { show: false } },
      { label: this.#names[1], stroke: second, width: 1.5, points: { show: false } },
    ]
    const scales = {
      x: { range: (_, first, last) => [Math.min(first ?? 0, (last ?? 0) - LEAST), last ?? 0] },
      y: { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.1)] },
    }
    const values = (_, splits) => splits.map((value) => short.format(value))
    const clock = (_, splits) => splits.map((seconds) => CLOCK.format(seconds * 1000))
    const axes = [
      { ...axis, values: clock, space: 70 },
      { ...axis, size: 60, values },
    ]
    const options = {
      width,
      height: 160,
      series,
      scales,
      axes,
      padding: [8, 28, 0, 0],
      legend: { show: false },
      cursor: { show: false },
    }
    return new uPlot(options, this.#data, this.#box)
  }
}

// --- pools ---

const FIGURES = [
  ['busy', 'Busy workers', ({ stats }) => `${stats.busyWorkers} / ${stats.poolSize}`],
  ['queue', 'Waiting', ({ stats }) => count(stats.queueLength)],
  ['rate', 'Tasks per second', (_, rates) => rate(rates.completed)],
  ['completed', 'Completed', ({ stats }) => count(stats.tasksCompleted)],
  ['errored', 'Failed', ({ stats }) => count(stats.tasksErrored)],
  ['admitted', 'Admitted', ({ stats }) => count(stats.tasksAdmitted)],
  ['steals', 'Stolen', ({ stats }) => count(stats.steals)],
  ['crashes', 'Crashes', ({ stats }) => count(stats.crashes)],
  ['abandoned', 'Given up, running', ({ stats }) => count(stats.abandoned)],
]
const PERCENTILES = ['count', 'mean', 'p50', 'p90', 'p99', 'p999', 'max']

const WORKER_COLUMNS = [
  ['Completed', (worker) => count(worker.tasksCompleted)],
  ['Failed', (worker) => count(worker.tasksErrored)],
  ['Stolen', (worker) => count(worker.steals)],
  ['Crashes', (worker) => (worker.lane === 'js' ? count(worker.crashes) : '–')],
  ['Busy for', (worker) => time(worker.busyTime)],
  ['CPU time', (worker) => time(worker.cpuTime)],
  ['Event loop', (worker) => share(worker.eventLoopUtilization)],
]

function table(caption, columns) {
  const head = columns.map((name, at) => element('th', { scope: 'col', ...(at === 1 && caption.text) }, name))
  const body = element('tbody')
  const node = element('table', {}, element('thead', {}, element('tr', {}, ...head)), body)
  node.setAttribute('aria-label', caption.label)
  return { body, node: element('div', { class: 'scroll' }, node) }
}

/** Rows by key: makes those that are missing, removes those that are gone, keeps the order. */
function updateRows(body, rows, wanted, cells) {
  for (const [key, row] of rows) {
    if (wanted.some(([other]) => other === key)) continue
    row.node.remove()
    rows.delete(key)
  }
  for (const [at, [key, item]] of wanted.entries()) {
    let row = rows.get(key)
    if (row === undefined) {
      const head = element('th', { scope: 'row' }, key)
      const own = cells.map(() => element('td'))
      row = { node: element('tr', {}, head, ...own), cells: own }
      rows.set(key, row)
    }
    if (body.children[at] !== row.node) body.insertBefore(row.node, body.children[at] ?? null)
    for (const [index, fill] of cells.entries()) fill(row.cells[index], item)
  }
}

class PoolSection {
  #title = element('span')
  #state = element('span', { class: 'state' })
  #figures = new Map()
  #throughput = new Chart('Tasks per second', ['completed', 'failed'], rate)
  #queue = new Chart('Tasks', ['waiting', 'running'], count)
  #workers
  #workerRows = new Map()
  #times
  #timeRows = new Map()
  #last
  #name
  node

  constructor(name) {
    this.#name = name
    const figures = element('dl', { class: 'figures' })
    for (const [key, label] of FIGURES) {
      const value = element('dd', { 'data-figure': key })
      this.#figures.set(key, value)
      figures.append(element('div', {}, element('dt', {}, label), value))
    }
    this.#title.textContent = name
    this.#workers = table({ label: `Workers of ${name}`, text: { class: 'text' } }, [
      'Worker',
      'Runs',
      ...WORKER_COLUMNS.map(([label]) => label),
    ])
    this.#times = table({ label: `Times of ${name}` }, ['Times', ...PERCENTILES])
    this.node = element('section', { class: 'pool' })
    this.node.setAttribute('aria-label', `Pool ${name}`)
    this.node.append(
      element('h2', {}, this.#title, this.#state),
      figures,
      element('div', { class: 'charts' }, this.#throughput.node, this.#queue.node),
      element('h3', {}, 'Workers'),
      this.#workers.node,
      element('h3', {}, 'Times of successful tasks'),
      this.#times.node,
    )
  }

  update(pool, data) {
    const { stats } = pool
    const now = data.time
    setText(this.#state, pool.state === 'open' ? '' : pool.state)
    const rates = this.#rates(stats, now)
    for (const [key, , figure] of FIGURES) setText(this.#figures.get(key), figure(pool, rates))
    this.#throughput.add(now / 1000, [rates.completed, rates.failed])
    this.#queue.add(now / 1000, [stats.queueLength, pool.running.length])
    this.#updateWorkers(pool, data)
    this.#updateTimes(stats)
  }

  #rates({ tasksCompleted, tasksErrored }, now) {
    const last = this.#last
    this.#last = { now, tasksCompleted, tasksErrored }
    if (last === undefined || now <= last.now) return { completed: null, failed: null }
    const seconds = (now - last.now) / 1000
    return {
      completed: (tasksCompleted - last.tasksCompleted) / seconds,
      failed: (tasksErrored - last.tasksErrored) / seconds,
    }
  }

  #updateWorkers({ stats, running, state }, { time: now, interval, allowActions }) {
    const tasks = new Map()
    for (const task of running) {
      const key = task.worker < 0 ? 'this thread' : `${task.lane} ${task.worker}`
      tasks.set(key, [...(tasks.get(key) ?? []), task])
    }
    // Native workers of a pool with a module are there for kernels only.
    const native = stats.sizing.js === null ? stats.native : stats.native.filter(({ started }) => started)
    const rows = [...stats.js, ...native].map((worker) => [`${worker.lane} ${worker.id}`, worker])
    if (tasks.has('this thread')) rows.push(['this thread', undefined])
    const runs = (cell, worker) => {
      const key = worker === undefined ? 'this thread' : `${worker.lane} ${worker.id}`
      this.#fillRuns(cell, tasks.get(key) ?? [], worker, {
        now,
        interval,
        allowActions: allowActions && state === 'open',
      })
    }
    const figures = WORKER_COLUMNS.map(([, figure]) => (cell, worker) => {
      setText(cell, worker === undefined ? '–' : figure(worker))
    })
    updateRows(this.#workers.body, this.#workerRows, rows, [runs, ...figures])
  }

  #fillRuns(cell, tasks, worker, { now, interval, allowActions }) {
    cell.className = 'text'
    // Buttons stay as they are while they mean the same, or a click could miss them.
    const shape = JSON.stringify([tasks.map(({ id, name }) => [id ?? null, name ?? null]), allowActions])
    if (cell.dataset.shape !== shape) {
      cell.dataset.shape = shape
      const lines = tasks.map((task) => this.#taskLine(task, allowActions))
      if (allowActions && worker?.lane === 'js') {
        const button = element('button', { type: 'button' }, 'Recycle')
        button.addEventListener('click', () => act(this.#name, 'recycle', { worker: worker.id }))
        if (lines.length === 0) lines.push(element('div', {}, 'idle'))
        lines.at(-1).append(button)
      }
      cell.replaceChildren(...(lines.length > 0 ? lines : ['idle']))
    }
    const times = cell.querySelectorAll('time')
    const since = tasks.filter((task) => task.since !== undefined)
    // It is known no better than to an interval.
    const age = (task) => (now > task.since ? time(now - task.since) : `under ${time(interval)}`)
    for (const [at, node] of times.entries()) setText(node, age(since[at]))
  }

  #taskLine({ id, name, since }, allowActions) {
    const line = element('div')
    const what = name ?? (id === undefined ? 'a task' : 'task')
    line.append(element('span', {}, id === undefined ? what : `${what} #${id}`))
    if (since !== undefined) line.append(element('time'))
    if (allowActions && id !== undefined) {
      const button = element('button', { type: 'button' }, 'Cancel')
      button.setAttribute('aria-label', `Cancel task ${id}`)
      button.addEventListener('click', () => act(this.#name, 'cancel', { id }))
      line.append(button)
    }
    return line
  }

  #updateTimes(stats) {
    const rows = [
      ['waiting', stats.waitTime],
      ['running', stats.runTime],
      ...(stats.keys ?? []).flatMap(({ key, waitTime, runTime }) => [
        [`${key}: waiting`, waitTime],
        [`${key}: running`, runTime],
      ]),
    ]
    const cells = PERCENTILES.map((name) => (cell, times) => {
      setText(cell, name === 'count' ? count(times.count) : time(times.count === 0 ? null : times[name]))
    })
    updateRows(this.#times.body, this.#timeRows, rows, cells)
  }

  paint() {
    this.#throughput.paint()
    this.#queue.paint()
  }
}

const sections = new Map()

function update(data) {
  const { rss, heapUsed, uptime, pid } = data.process
  setText(byId('process'), `process ${pid}, up ${time(uptime)}, ${bytes(rss)} in memory, heap ${bytes(heapUsed)}`)
  const names = new Set(data.pools.map(({ name }) => name))
  for (const [name, section] of sections) {
    if (names.has(name)) continue
    section.node.remove()
    sections.delete(name)
  }
  for (const pool of data.pools) {
    let section = sections.get(pool.name)
    if (section === undefined) {
      section = new PoolSection(pool.name)
      sections.set(pool.name, section)
      byId('pools').append(section.node)
    }
    section.update(pool, data)
  }
}

async function act(pool, action, body) {
  const headers = { 'Content-Type': 'application/json' }
  const url = `/actions/${encodeURIComponent(pool)}/${action}`
  let text
  try {
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    const { error, cancelled } = await response.json()
    text = error ?? (cancelled === false ? 'it had ended already' : `${action}: done`)
  } catch {
    text = `${action}: no connection`
  }
  byId('notice').textContent = text
}

// --- colours ---

const THEMES = ['system', 'light', 'dark']
const KEY = 'threadmill-theme'

function setTheme(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  byId('theme').textContent = `Colours: ${theme}`
  for (const section of sections.values()) section.paint()
}

let theme = THEMES.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : 'system'
setTheme(theme)
byId('theme').addEventListener('click', () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]
  localStorage.setItem(KEY, theme)
  setTheme(theme)
})
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme(theme))

// --- the connection ---

function connection(state, text) {
  const node = byId('connection')
  node.dataset.state = state
  setText(node, text)
}

// The token is in a cookie now, and need not stay in the history.
if (location.search !== '') history.replaceState(null, '', '/')
const events = new EventSource('/events')
events.onopen = () => connection('live', 'live')
events.onerror = () => connection('lost', 'connection lost, trying again')
events.onmessage = ({ data }) => update(JSON.parse(data))
