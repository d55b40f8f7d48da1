// Stage: all. Thread: owner env.
// What the core has recorded, read into objects; crates/core/src/trace/record.rs says how it lies in memory.

import type { RawRecording } from '../native-owner'

/** Numbers of 32 bits for each record. */
const STRIDE = 8
const HALF = 2 ** 32

/** Kinds of records, by their number. */
const KINDS = ['submit', 'start', 'end', 'steal', 'park', 'wake', 'cancel', 'crash', 'depth'] as const
/** How a run ended, by its number. */
const HOW = ['ok', 'failed', 'given up', 'crashed', 'put back', 'unbegun'] as const
/** Why a task was given up, by its number. */
const WHY = ['cancelled', 'timeout', 'closed'] as const

export type How = (typeof HOW)[number]

/** Workers by number: native ones from 0, JS workers and the thread that owns the pool from these. */
export const FIRST_JS = 2 ** 28
export const MAIN = 2 ** 29
/** No worker. */
const NOWHERE = HALF - 1

/** A run of a task. Times in ns. */
export interface Run {
  readonly worker: number
  readonly kernel: number
  readonly start: number
  /** `undefined` while it runs. */
  end: number | undefined
  how: How | undefined
  readonly name: string | undefined
}

/** A task that something is known of. */
export interface Task {
  readonly id: number
  submit?: { readonly at: number; readonly admitted: number; readonly sink: number; readonly kernel: number }
  readonly runs: Run[]
}

/** Something that happened at a worker, or to a task that waited. */
export interface Mark {
  readonly kind: 'steal' | 'park' | 'wake' | 'cancel' | 'crash'
  readonly at: number
  /** `undefined` for a task that waited. */
  readonly worker: number | undefined
  readonly task: number | undefined
  /** Of a cancellation. */
  readonly why: string | undefined
}

/** Tasks in the queues from a moment on. */
export interface Depth {
  readonly at: number
  readonly native: number
  readonly js: number
  readonly main: number
}

/** See the head of this file. */
export interface Recording {
  readonly tasks: ReadonlyMap<number, Task>
  readonly marks: readonly Mark[]
  readonly depths: readonly Depth[]
  /** JS workers by the number under which their submissions came. */
  readonly seats: ReadonlyMap<number, number>
  /** Records that were overwritten. */
  readonly lost: number
  readonly since: number
  readonly now: number
  /** Number of the pool in this process. */
  readonly pool: number
}

/** Reads what was recorded from `since` on, ns. */
export function readRecording([words, rings, names, seats, now, pool]: RawRecording, since: number): Recording {
  const tasks = new Map<number, Task>()
  const marks: Mark[] = []
  const depths: Depth[] = []
  const ends: number[] = []
  const low = (at: number) => words[at] as number
  const long = (at: number) => low(at) + low(at + 1) * HALF
  const taskOf = (id: number): Task => {
    let task = tasks.get(id)
    if (task === undefined) {
      task = { id, runs: [] }
      tasks.set(id, task)
    }
    return task
  }
  for (let at = 0; at < words.length; at += STRIDE) {
    const time = long(at)
    const about = low(at + 4)
    const kind = KINDS[about & 0xff] as (typeof KINDS)[number]
    if (time < since && kind !== 'depth') continue
    const detail = (about >>> 8) & 0xff
    const kernel = about >>> 16
    const place = low(at + 5)
    // The number in the order of admission: the place beside it is used again and again.
    const id = low(at + 3)
    switch (kind) {
      case 'submit':
        taskOf(id).submit = { at: time, admitted: long(at + 6), sink: place, kernel }
        break
      case 'start': {
        const name = names[long(at + 6) - 1]
        taskOf(id).runs.push({ worker: place, kernel, start: time, end: undefined, how: undefined, name })
        break
      }
      case 'end':
        // Another thread may have recorded its start.
        ends.push(at)
        break
      case 'depth':
        depths.push({ at: Math.max(time, since), native: low(at + 2), js: id, main: long(at + 6) })
        break
      default: {
        const worker = place === NOWHERE ? undefined : place
        const isTask = kind === 'steal' || kind === 'cancel'
        const why = kind === 'cancel' ? WHY[detail] : undefined
        marks.push({ kind, at: time, worker, task: isTask ? id : undefined, why })
      }
    }
  }
  for (const at of ends) {
    const [end, start, worker] = [long(at), long(at + 6), low(at + 5)]
    const { runs } = taskOf(low(at + 3))
    const how = HOW[(low(at + 4) >>> 8) & 0xff]
    const run = runs.find((other) => other.start === start && other.worker === worker)
    if (run !== undefined) [run.end, run.how] = [end, how]
    // Its start was overwritten, or came before.
    else runs.push({ worker, kernel: low(at + 4) >>> 16, start: Math.max(start, since), end, how, name: undefined })
  }
  return {
    tasks,
    marks: marks.sort((a, b) => a.at - b.at),
    // The lock that they were recorded under has put them in order.
    depths: depths.sort((a, b) => a.at - b.at),
    seats: new Map(pairs(seats)),
    lost: lostSince(words, rings, since),
    since,
    now,
    pool,
  }
}

/** Records that were overwritten; none of them are from before `since` where the oldest that is left is. */
function lostSince(words: Uint32Array, rings: readonly number[], since: number): number {
  let [at, sum] = [0, 0]
  for (const [kept, lost] of pairs(rings)) {
    const oldest = (words[at] ?? 0) + (words[at + 1] ?? 0) * HALF
    if (lost > 0 && (kept === 0 || oldest >= since)) sum += lost
    at += kept * STRIDE
  }
  return sum
}

function* pairs(numbers: readonly number[]): Generator<[number, number]> {
  for (let at = 0; at < numbers.length; at += 2) yield [numbers[at] as number, numbers[at + 1] as number]
}
