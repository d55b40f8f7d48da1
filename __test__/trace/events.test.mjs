// Traces of recordings that are made up: what hardly ever happens, such as equal times, and what a release build cannot do.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { named, read } from '../helpers/timeline.mjs'

const require = createRequire(import.meta.url)
const { traceEvents } = require('../../dist/timeline/events.js')
const { readRecording } = require('../../dist/timeline/recording.js')

const JS = 2 ** 28
const NOWHERE = 2 ** 32 - 1
const KINDS = ['submit', 'start', 'end', 'steal', 'park', 'wake', 'cancel', 'crash', 'depth']
const kernels = ['echo', 'fib']

/** A record as it lies in memory: see crates/core/src/trace/record.rs. */
function record(kind, at, task, { how = 0, kernel = 0, place = NOWHERE, extra = 0 } = {}) {
  const halves = (value) => [value >>> 0, Math.floor(value / 2 ** 32)]
  return [...halves(at), 0, task, KINDS.indexOf(kind) + how * 2 ** 8 + kernel * 2 ** 16, place, ...halves(extra)]
}
const submit = (task, at, admitted = at, sink = 0) => record('submit', at, task, { place: sink, extra: admitted })
const start = (task, at, place) => record('start', at, task, { place })
const end = (task, from, at, place, how = 0) => record('end', at, task, { place, extra: from, how })
const run = (task, from, to, place, how) => [start(task, from, place), end(task, from, to, place, how)]

/** The trace of rings with these records. */
function made(rings, { since = 0, now = 10_000, lost = [], seats = [], stalls = [], names = [] } = {}) {
  const words = Uint32Array.from(rings.flat(2))
  const counts = rings.flatMap((ring, index) => [ring.length, lost[index] ?? 0])
  const recording = readRecording([words, counts, names, seats, now, 4], since)
  return read({ traceEvents: traceEvents(recording, { name: 'made', kernels, stalls }) })
}

test('a submission ends before whatever is next on its track', () => {
  const { slices, flows } = made(
    [
      [submit(0, 1000), submit(1, 1200), submit(2, 1200), submit(3, 1900), submit(4, 5000)],
      [0, 1, 2, 3, 4].flatMap((task) => run(task, 6000 + task * 10, 6010 + task * 10, 0)),
    ],
    { stalls: [{ from: 2000, to: 5000 }] },
  )
  assert.deepEqual(
    named(slices, 'submit').map(({ from, to, tasks, depth }) => [from, to, tasks, depth]),
    [
      [1, 1.199, 1, 0],
      [1.2, 1.899, 2, 0],
      [1.9, 1.999, 1, 0],
      [5, 6, 1, 0],
    ],
  )
  assert.equal(flows.size, 5)
})

test('what a worker submits lies within its task', () => {
  const { slices, flows } = made(
    [
      [submit(0, 100), ...run(0, 1000, 1500, JS), ...run(2, 1500, 3000, JS)],
      [submit(1, 1400, 1400, 3), submit(3, 1500, 1500, 3), submit(4, 2000, 2000, 3)],
      [1, 3, 4].flatMap((task) => run(task, 4000 + task, 4001 + task, 0)),
    ],
    { seats: [3, 0] },
  )
  const submits = named(slices, 'submit').filter(({ track }) => track === 'js 0')
  assert.deepEqual(
    submits.map(({ from, to, depth }) => [from, to, depth]),
    [
      [1.4, 1.499, 1],
      [1.5, 1.999, 1],
      [2, 2.999, 1],
    ],
  )
  assert.equal([...flows.values()].filter(({ from }) => from === 'js 0').length, 3)
})

test('tasks without a length, one after the other at one time', () => {
  const { tasks, tracks } = made([
    [submit(0, 500), submit(1, 500)],
    [0, 1, 2].flatMap((task) => run(task, 500, 500, 0)),
  ])
  assert.deepEqual(
    tasks.map(({ task, from, to }) => [task, from, to]),
    [0, 1, 2].map((task) => [task, 0.5, 0.5]),
  )
  assert.deepEqual(tracks, ['main', 'native 0'])
})

test('a task that seems to begin before it came, begins when it came', () => {
  const { tasks, flows } = made([[submit(0, 700)], run(0, 600, 650, 0)])
  assert.deepEqual([tasks[0].from, tasks[0].to, flows.size], [0.7, 0.7, 1])
})

test('no arrow goes from a later track to an earlier one at one time', () => {
  const { tasks, flows } = made([run(1, 0, 900, JS), [submit(0, 700, 700, 3)], run(0, 700, 800, 0)], { seats: [3, 0] })
  assert.deepEqual([tasks.length, flows.size], [2, 0])
})

test('a kernel that panics is a crash', () => {
  const { tasks, instants } = made([run(7, 100, 200, 1, 3)])
  assert.equal(tasks[0].outcome, 'crashed')
  assert.deepEqual(
    instants.map(({ name, track, ts, task }) => [name, track, ts, task]),
    [['crash', 'native 1', 0.2, 7]],
  )
})

test('ends without a begin: as long as it was recorded', () => {
  const { tasks, flows } = made([[submit(2, 10_500), end(1, 2000, 11_000, 0), end(2, 11_000, 12_000, 0)]], {
    since: 10_000,
    now: 20_000,
  })
  assert.deepEqual(
    tasks.map(({ task, from, to, name }) => [task, from, to, name]),
    [
      [1, 10, 11, 'echo'],
      [2, 11, 12, 'echo'],
    ],
  )
  assert.equal(flows.size, 1)
})

test('what was before is left out, but for the depth of the queues', () => {
  const depth = record('depth', 50, 2, { extra: 1 })
  depth[2] = 5
  const { tasks, counters, instants } = made([[depth, ...run(0, 10, 60, 0), record('park', 70, 0, { place: 0 })]], {
    since: 100,
  })
  assert.deepEqual([tasks, instants], [[], []])
  assert.deepEqual(
    counters.map(({ ts, native, js, main, arriving }) => [ts, native, js, main, arriving]),
    [[0.1, 5, 2, 1, 0]],
  )
})

test('tasks that nobody has queued yet are arriving', () => {
  const { counters } = made([[submit(0, 100, 300), submit(1, 200, 300)]])
  assert.deepEqual(
    counters.map(({ ts, arriving }) => [ts, arriving]),
    [
      [0.1, 1],
      [0.2, 2],
      [0.3, 0],
    ],
  )
})

test('a task that was taken and never begun has no slice', () => {
  const { tasks, flows } = made([[submit(0, 10), ...run(0, 20, 30, JS, 5), ...run(0, 40, 50, JS + 1)]])
  assert.deepEqual(
    tasks.map(({ track }) => track),
    ['js 1'],
  )
  assert.deepEqual([...flows.values()][0].steps, ['js 1'])
})

test('records count as lost where what is left does not reach back far enough', () => {
  const rings = [run(0, 100, 200, 0), run(1, 300, 400, 1), []]
  assert.equal(made(rings, { lost: [3, 4, 5] }).lost, 12)
  assert.equal(made(rings, { lost: [3, 4, 5], since: 250 }).lost, 9)
})

test('parking again, and being called twice, is told once', () => {
  const at = (kind, time, place) => record(kind, time, 0, { place })
  const { instants } = made([
    [at('park', 1, JS), at('park', 2, JS), at('wake', 3, JS), at('wake', 4, JS), at('wake', 5, 0), at('park', 6, JS)],
  ])
  assert.deepEqual(
    instants.map(({ name, track, ts }) => `${name} ${track} ${ts}`),
    ['park js 0 0.001', 'wake js 0 0.003', 'wake native 0 0.005', 'park js 0 0.006'],
  )
})
