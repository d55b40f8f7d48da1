// One sample of `lane-start`, in a process of its own: `node lane-child.mjs POOL MEASURE` prints a number.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import process from 'node:process'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { load } from '../rivals/index.mjs'

const MEASURES = {
  first,
  imported,
  'memory of 1': () => memory(1, 'meet', 200),
  'memory of 9': () => memory(9, 'meet', 200),
  'rested memory of 1': () => memory(1, 'meet', 3000),
  'rested memory of 9': () => memory(9, 'meet', 3000),
  'littered memory of 1': () => memory(1, 'litter', 12_000),
  'littered memory of 9': () => memory(9, 'litter', 12_000),
  close: () => shutdown('close'),
  destroy: () => shutdown('destroy'),
  idle,
}

const [name, measure] = process.argv.slice(2)
const begin = performance.now()
const open = await load(name)
console.log(await MEASURES[measure]())

/** From the constructor to the first output, ms. One worker, so that nobody has to launch more than it takes. */
async function first() {
  const start = performance.now()
  const pool = open({ task: 'echo', workers: 1 })
  const output = await pool.run(42)
  const milliseconds = performance.now() - start
  assert.equal(output, 42)
  await pool.destroy()
  return milliseconds
}

/** From the import of the package to the first output, ms. */
async function imported() {
  const start = performance.now()
  return start - begin + (await first())
}

/** A pool all of whose workers have run `times` tasks. */
async function openUsed(workers, times, task = 'meet') {
  const pool = open({ task, workers, data: new Int32Array(new SharedArrayBuffer(4)) })
  for (let round = 1; round <= times; round++) {
    const goal = round * workers
    const outputs = await Promise.all(Array.from({ length: workers }, () => pool.run(goal)))
    assert.ok(outputs.every((output) => output === goal))
  }
  return pool
}

/** Collects this thread's garbage. The flag is set late, for the code that is there was compiled for other flags. */
function collectGarbage() {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

/**
 * Resident memory that is the process's own, bytes. Where the system tells it apart, pages of files are left out: those of Node's
 * binary come into memory with the first thread that runs what is on them, and are no thread's.
 */
function ownMemory() {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : ''
  const [, kib] = /^RssAnon:\s+(\d+) kB$/m.exec(status) ?? []
  return kib === undefined ? process.memoryUsage().rss : Number(kib) * 1024
}

/** What there is when the workers have rested for so long, ms. */
async function memory(workers, task, rest) {
  const pool = await openUsed(workers, 3, task)
  collectGarbage()
  await setTimeout(rest)
  const bytes = ownMemory()
  await pool.destroy()
  return bytes
}

/** From the call to the end of all threads, ms. */
async function shutdown(method) {
  const pool = await openUsed(4, 1)
  const start = performance.now()
  await pool[method]()
  return performance.now() - start
}

/** CPU time of the process while the pool has nothing to do, ms per second. */
async function idle() {
  const seconds = 1
  const pool = await openUsed(4, 1)
  // Until the threads have come to rest, and what they do then is done.
  await setTimeout(3000)
  const before = process.cpuUsage()
  await setTimeout(seconds * 1000)
  const { user, system } = process.cpuUsage(before)
  await pool.destroy()
  return (user + system) / 1000 / seconds
}
