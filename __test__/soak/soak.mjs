// A soak test: runs a seeded plan of tasks and faults against one pool after the other, and checks what becomes of each.
//
//   node __test__/soak/soak.mjs --seed 7 --tasks 1000000 [--verbose]
//
// Prints one line of JSON with the hash of the plan. Ends with 1 when something is wrong; the first faults are printed.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import process from 'node:process'
import { Readable } from 'node:stream'
import { parseArgs, types } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { WorkerPool } from 'threadmill'
import { allowed, callOf, checkOutput, isCrasher, isPlainOutput, nameOf } from './check.mjs'
import { PlanHash, planOf } from './plan.mjs'

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    tasks: { type: 'string', default: '100000' },
    verbose: { type: 'boolean', default: false },
  },
})
const [seed, tasks] = [Number(flags.seed), Number(flags.tasks)]
assert.ok(Number.isSafeInteger(seed) && tasks > 0, '--seed and --tasks must be numbers')

const MODULE = new URL('./fixtures/soak.mjs', import.meta.url)
/** Most tasks in progress. */
const WINDOW = 3000
/** Tasks without options that are submitted in one turn at most. */
const BULK = 512
/** When nothing settles for that long, something is stuck, ms. */
const STUCK = 30_000
/** Faults that are printed. */
const MOST_FAULTS = 10
const MIB = 2 ** 20
/** What may remain between the first tenth and the last one: the process takes and gives memory in steps. */
const HEAP_GROWTH = 8 * MIB
const RSS_GROWTH = 128 * MIB

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
const hash = new PlanHash()
const runs = new Int32Array(new SharedArrayBuffer(2 ** 22))
/** What has not settled: by a key, what it is. */
const pending = new Map()
const counts = {}
const groups = new Map()
const samples = []
let [faults, at, settled, lastSettled, current, done] = [0, 0, 0, performance.now(), undefined, false]
const tick = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const turn = () => new Promise((resolve) => setImmediate(resolve))

function fault(what, details) {
  process.exitCode = 1
  if (++faults > MOST_FAULTS) return
  console.error(`seed ${seed}, operation ${at}, pool ${JSON.stringify(current?.summary)}: ${what}`)
  if (details !== undefined) console.error(details)
}

function settle(key, how) {
  if (!pending.delete(key)) fault(`${JSON.stringify(key)} has settled twice`)
  counts[how] = (counts[how] ?? 0) + 1
  settled++
  lastSettled = performance.now()
}

// --- operations ---

class Run {
  constructor({ options, crashes, nests, isWatched }) {
    const settings = { ...options, workerData: runs.buffer, name: `soak${at}` }
    if (settings.cancelGrace === 'Infinity') settings.cancelGrace = Number.POSITIVE_INFINITY
    if (crashes) settings.resourceLimits = { maxOldGenerationSizeMb: 24 }
    this.options = options
    this.threads = options.threads
    this.least = options.maxWorkers
    this.crashers = 0
    this.isWild = false
    // Workers are ended for the sake of tasks that were given up.
    this.isRough = false
    // A task that was given up may go on, and submit others.
    this.mayGoOn = false
    // Iterations and streams that are still fed: when a task of theirs has settled, they submit another.
    this.flowing = 0
    this.ending = undefined
    this.nests = nests
    this.added = new Set()
    this.ended = new Set()
    this.pool = new WorkerPool(MODULE, settings)
    // Of workers that fail while they run no task, which late crashes make some do, nobody has to be warned.
    this.pool.on('worker-exit', () => {})
    this.pool.onMessage('echo', ({ i, text }) => {
      if (text.length !== i) fault(`message ${i} has ${text.length} characters`)
    })
    if (isWatched) this.#watch()
  }

  get summary() {
    const { options, crashers, isWild, ending } = this
    return { ...options, crashers, isWild, ending }
  }

  #watch() {
    const { pool, added, ended } = this
    pool.on('task-added', ({ id }) => {
      if (added.has(id)) fault(`task ${id} was added twice`)
      added.add(id)
    })
    pool.on('task-complete', (error, _, { id }) => {
      if (!added.has(id)) fault(`task ${id} has completed and was not added`, error)
      if (ended.has(id)) fault(`task ${id} has completed twice`, error)
      ended.add(id)
    })
  }

  batch(items) {
    for (const item of items) this.submit(item)
  }

  submit(item) {
    const { pool } = this
    const [input, options] = callOf(item)
    const { giveUp } = item
    if (isCrasher(item)) this.crashers += item.times ?? 1
    if (isCrasher(item) && item.options.retries !== undefined) this.crashers += 3
    if (item.kind === 'lateCrash') this.isWild = true
    const isRough = giveUp !== undefined || item.options.timeout !== undefined
    if (isRough) this.isRough = true
    if (isRough && item.kind === 'nest') this.mayGoOn = true
    if (giveUp?.by === 'signal') options.signal = groupOf(giveUp.group).signal
    pending.set(item.n, { at, item })
    let cancelled
    const fail = (reason) => this.#ended(item, nameOf(reason, item), reason, cancelled)
    let messages = 0
    const succeed = (value) => {
      if (item.kind === 'flood' && messages !== undefined && messages < item.count)
        fault(`${messages} of ${item.count} messages came before the end of task ${item.n}`)
      try {
        if (item.kind === 'shared') assert.ok(types.isSharedArrayBuffer(value) && new Int32Array(value)[0] >= 1)
        else checkOutput(item, value)
      } catch (error) {
        fault(`task ${item.n} gave something else`, error)
      }
      this.#ended(item, 'ok', undefined, cancelled)
    }
    if (giveUp?.after === undefined && item.kind !== 'flood' && item.n % 2 === 0) {
      pool.run(input, options).then(succeed, fail)
      return
    }
    let task
    try {
      task = pool.addTask(input, options)
    } catch (error) {
      fail(error)
      return
    }
    task.on('message', () => messages++)
    task.then(succeed, fail)
    if (giveUp?.after === undefined) return
    const reason = giveUp.by === 'reason' ? [new Error(`given up ${item.n}`)] : []
    const giveItUp = () => {
      cancelled = task.cancel(...reason)
    }
    if (giveUp.after === 0) giveItUp()
    else setTimeout(giveItUp, giveUp.after)
  }

  #ended(item, how, reason, cancelled) {
    const ends = allowed(item, this)
    if (!ends.includes(how)) fault(`task ${JSON.stringify(item)} has ended as ${how}, not as ${ends}`, reason)
    const isGivenUp = how === 'ERR_THREADMILL_CANCELLED' || how === 'reason'
    if (cancelled !== undefined && cancelled !== isGivenUp)
      fault(`cancel of ${JSON.stringify(item)} returned ${cancelled}, and it has ended as ${how}`)
    settle(item.n, how)
  }

  /** Tasks without options, a part at a time. */
  async bulk({ kind, n, count }) {
    const what = { at, kind, options: {} }
    for (let next = n; next < n + count; ) {
      const last = Math.min(n + count, next + BULK)
      for (; next < last; next++) this.#plain(kind, next, what)
      await room()
    }
  }

  #plain(kind, n, what) {
    pending.set(n, what)
    this.#call(kind, n).then(
      (value) => {
        if (!isPlainOutput(kind, n, value)) fault(`task ${n}, ${kind}, gave something else`, value)
        settle(n, 'ok')
      },
      (reason) => this.#ended({ ...what, n }, nameOf(reason, { n, kind }), reason, undefined),
    )
  }

  #call(kind, n) {
    const { pool } = this
    if (kind === 'kernelEcho') return pool.kernels.echo(n)
    if (kind === 'kernelHash') return pool.kernels.sha256(`soak ${n}`)
    if (kind === 'number') return pool.run(n)
    return pool.run(kind === 'string' ? `${n}` : { do: 'echo', n })
  }

  /** An iteration over numbers that may be left early. */
  async flow({ type, n, of, taken, ordered, concurrency, kernel }) {
    const { pool } = this
    const key = `${type} ${n}`
    pending.set(key, { at })
    this.flowing++
    const inputs = Array.from({ length: of }, (_, index) => n + index)
    const options = { ordered, concurrency, ...(kernel && { kernel: 'echo' }) }
    const outputs = []
    let how = 'ok'
    try {
      let source
      if (type === 'map') source = pool.map(inputs, options)
      else {
        const stream = pool.stream(options)
        source = Readable.from(inputs)
          .on('error', () => {})
          .pipe(stream)
      }
      if (taken > 0) {
        for await (const output of source) {
          outputs.push(output)
          if (outputs.length === taken && taken < of) break
        }
      } else if (type === 'map') await source.return()
      else source.destroy()
      assert.equal(outputs.length, taken)
      const wanted = inputs.map((input) => (kernel ? input : input * 2 + 1))
      if (ordered) assert.deepEqual(outputs, wanted.slice(0, taken))
      else assert.ok(new Set(outputs).size === taken && outputs.every((output) => wanted.includes(output)))
    } catch (error) {
      how = nameOf(error, { n })
      const ends = []
      if (this.crashers > 0 && !kernel) ends.push('ERR_THREADMILL_WORKER_CRASHED')
      if (this.ending !== undefined) ends.push('ERR_THREADMILL_POOL_CLOSED')
      if (!ends.includes(how)) fault(`${key} has failed as ${how}`, error)
    }
    this.flowing--
    settle(key, `${type} ${how}`)
  }

  messages(count) {
    for (let i = 0; i < count; i++) this.pool.postMessageToWorkers('echo', { i, text: 'x'.repeat(i) })
  }

  resize(bounds) {
    this.least = Math.min(this.least, bounds.max)
    this.pool.resize(bounds)
  }

  stats() {
    const { tasksAdmitted, tasksCompleted, tasksErrored, queueLength, load } = this.pool.stats()
    if (tasksCompleted + tasksErrored > tasksAdmitted) fault('more tasks have ended than were admitted')
    if (queueLength < 0 || load < 0 || load > 1) fault(`queueLength is ${queueLength}, load ${load}`)
  }

  async end({ how, limit, after }) {
    const { pool } = this
    const key = `end ${at}`
    pending.set(key, { at, how })
    for (let i = 0; i < after; i++) await turn()
    this.ending = how
    const ways = {
      close: () => pool.close(),
      closeTimeout: () => pool.close({ timeout: limit }),
      dispose: () => pool.dispose(),
      destroy: () => pool.destroy(),
    }
    const ending = ways[how]()
    await assert.rejects(pool.run(1), { code: 'ERR_THREADMILL_POOL_CLOSED' })
    await ending
    settle(key, how)
    await turn()
    for (const [key, what] of pending) fault(`${how} has ended, and ${key} is pending: ${JSON.stringify(what)}`)
    pending.clear()
    const { tasksAdmitted, tasksCompleted, tasksErrored, queueLength } = pool.stats()
    if (tasksAdmitted !== tasksCompleted + tasksErrored || queueLength !== 0)
      fault(`of ${tasksAdmitted} tasks ${tasksCompleted} succeeded and ${tasksErrored} failed, ${queueLength} wait`)
    if (!pool.isIdle) fault('a pool that has ended is not idle')
    if (this.added.size !== this.ended.size) fault(`of ${this.added.size} tasks ${this.ended.size} have completed`)
    this.added.clear()
    this.ended.clear()
  }
}

function groupOf(group) {
  if (!groups.has(group)) groups.set(group, new AbortController())
  return groups.get(group)
}

/** Aborts the signals that tasks have got so far. */
function abortAll() {
  for (const controller of groups.values()) controller.abort(new Error('group given up'))
  groups.clear()
}

/** Waits until few enough are in progress. */
async function room() {
  // Whoever waits for a signal must not hold up the plan.
  if (pending.size > WINDOW) abortAll()
  // Turn after turn would take the workers' time.
  while (pending.size > WINDOW) await tick(1)
}

async function perform(operation) {
  const { type } = operation
  switch (type) {
    case 'pool':
      current = new Run(operation)
      break
    case 'batch':
      current.batch(operation.items)
      await room()
      break
    case 'bulk':
      await current.bulk(operation)
      break
    case 'abort':
      abortAll()
      break
    case 'turns':
      for (let i = 0; i < operation.count; i++) await turn()
      break
    case 'idle':
      abortAll()
      await current.pool.whenIdle()
      while ((current.mayGoOn || current.flowing > 0) && !current.pool.isIdle) await current.pool.whenIdle()
      if (current.flowing === 0 && !current.pool.isIdle) fault('whenIdle has resolved, and the pool is not idle')
      break
    case 'block': {
      const end = performance.now() + operation.ms
      while (performance.now() < end);
      break
    }
    case 'wait':
      await tick(operation.ms)
      break
    case 'map':
    case 'stream':
      current.flow(operation)
      break
    case 'messages':
      current.messages(operation.count)
      break
    case 'resize':
      current.resize(operation.bounds)
      break
    case 'stats':
      current.stats()
      break
    case 'end':
      await current.end(operation)
      current = undefined
      await checkThreads()
      break
    default:
      assert.fail(type)
  }
}

// --- what remains ---

const threads = () => (process.platform === 'linux' ? readdirSync('/proc/self/task').length : 0)
const threadsAtStart = threads()
/** Those that Node starts by itself for files and the like. */
const OWN_THREADS = 4

async function checkThreads() {
  for (let i = 0; i < 200 && threads() > threadsAtStart + OWN_THREADS; i++) await tick(5)
  const more = threads() - threadsAtStart
  if (more > OWN_THREADS) fault(`${more} more threads than at the start`)
}

async function sample() {
  for (let i = 0; i < 4; i++) {
    await tick(5)
    gc()
  }
  const { heapUsed, rss } = process.memoryUsage()
  samples.push({ settled, heap: heapUsed, rss })
  if (flags.verbose) console.error(`${settled} ${(heapUsed / MIB).toFixed(1)} ${(rss / MIB).toFixed(1)} ${threads()}`)
}

function checkMemory() {
  if (samples.length < 4) return
  const early = samples[Math.ceil(samples.length / 10)]
  const late = samples.at(-1)
  if (late.heap - early.heap > HEAP_GROWTH) fault(`the heap has grown by ${late.heap - early.heap} bytes`)
  if (late.rss - early.rss > RSS_GROWTH) fault(`memory has grown by ${late.rss - early.rss} bytes`)
}

const watchdog = setInterval(() => {
  if (performance.now() - lastSettled < STUCK) return
  fault(
    `nothing has settled for ${STUCK} ms; ${pending.size} pending`,
    [...pending]
      .slice(0, 20)
      .map((entry) => JSON.stringify(entry))
      .join('\n'),
  )
  const { keys: _, ...stats } = current?.pool.stats() ?? {}
  console.error(JSON.stringify(stats))
  process.exit(1)
}, 1000)

process.on('exit', (code) => {
  if (done) return
  fault(`the process ends with ${code}, and ${pending.size} are pending`, [...pending].slice(0, 20))
})
process.on('uncaughtException', (error) => fault('uncaught', error))
process.on('unhandledRejection', (error) => fault('unhandled', error))

const started = performance.now()
let [planned, nextSample] = [0, tasks / 20]
for (const operation of planOf(seed, tasks)) {
  at++
  hash.add(operation)
  planned += operation.type === 'bulk' ? operation.count : (operation.items?.length ?? operation.of ?? 0)
  const begun = performance.now()
  await perform(operation)
  const ms = performance.now() - begun
  if (flags.verbose && ms > 1500) console.error(`operation ${at}, ${operation.type}, took ${ms.toFixed()} ms`, planned)
  if (operation.type === 'end' && planned >= nextSample) {
    nextSample = planned + tasks / 20
    await sample()
  }
  if (faults > MOST_FAULTS) break
}
clearInterval(watchdog)
checkMemory()
done = true
const seconds = (performance.now() - started) / 1000
console.log(JSON.stringify({ seed, plan: hash.text, operations: at, tasks: planned, settled, faults, seconds, counts }))
// The process ends by itself; when it does not, somebody is left.
setTimeout(() => {
  fault('the process does not end', process.getActiveResourcesInfo())
  process.exit(1)
}, 5000).unref()
