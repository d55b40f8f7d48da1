// Stage: all. Thread: main.
// A trace as lanes: which slices lie on which track, in the trace-event format of Chrome. Reads traces of other programs too,
// as far as they are made of slices and counters.

import { CliError, EXIT_FAILED } from './failure'

/** A slice, µs. */
export interface Slice {
  readonly name: string
  readonly from: number
  readonly to: number
}

/** A track with its slices in the order of their begin. */
export interface Lane {
  readonly name: string
  readonly tasks: readonly Slice[]
  /** Of the thread that owns the pool. */
  readonly stalls: readonly Slice[]
  readonly submissions: readonly Slice[]
  readonly marks: readonly { readonly name: string; readonly at: number }[]
}

/** A pool. */
export interface Group {
  readonly name: string
  readonly lanes: readonly Lane[]
  /** Waiting tasks from a time on. */
  readonly queue: readonly { readonly at: number; readonly depth: number }[]
  readonly lost: number
}

/** See the head of this file. */
export interface Lanes {
  readonly groups: readonly Group[]
  readonly from: number
  readonly to: number
}

interface Event {
  readonly name: string
  readonly ph: string
  readonly cat: string | undefined
  readonly ts: number
  readonly dur: number
  readonly pid: string
  readonly tid: string
  readonly args: Readonly<Record<string, unknown>>
}

interface Building {
  name: string
  sort: number
  readonly open: Event[]
  readonly slices: { readonly event: Event; readonly to: number; readonly depth: number }[]
  readonly marks: { name: string; at: number }[]
}

/** Reads the text of a trace. @throws CliError */
export function readLanes(text: string): Lanes {
  const events = readEvents(text)
  const timed = events.filter(({ ph }) => ph !== 'M')
  const from = timed.reduce((least, { ts }) => Math.min(least, ts), Number.POSITIVE_INFINITY)
  const to = timed.reduce((most, { ts, dur }) => Math.max(most, ts + dur), Number.NEGATIVE_INFINITY)
  if (timed.length === 0) throw new CliError('the trace is empty', EXIT_FAILED)
  const groups = [...groupBy(events)].map(([pid, own]) => groupOf(pid, own, to))
  return { groups: groups.filter(({ lanes, queue }) => lanes.length > 0 || queue.length > 0), from, to }
}

function groupBy(events: readonly Event[]): Map<string, Event[]> {
  const groups = new Map<string, Event[]>()
  for (const event of events) {
    const group = groups.get(event.pid)
    if (group === undefined) groups.set(event.pid, [event])
    else group.push(event)
  }
  return groups
}

function groupOf(pid: string, events: readonly Event[], end: number): Group {
  let name = `process ${pid}`
  let lost = 0
  const tracks = new Map<string, Building>()
  const queue: { at: number; depth: number }[] = []
  const trackOf = (tid: string): Building => {
    let track = tracks.get(tid)
    if (track === undefined) {
      track = { name: `thread ${tid}`, sort: tracks.size, open: [], slices: [], marks: [] }
      tracks.set(tid, track)
    }
    return track
  }
  for (const event of events) {
    const { ph, args, ts } = event
    if (ph === 'M') {
      if (event.name === 'process_name') name = String(args.name)
      else if (event.name === 'threadmill') lost = Number(args.lost) || 0
      else if (event.name === 'thread_name') trackOf(event.tid).name = String(args.name)
      else if (event.name === 'thread_sort_index') trackOf(event.tid).sort = Number(args.sort_index) || 0
    } else if (ph === 'C') {
      const depth = Object.values(args).reduce<number>(
        (sum, value) => sum + (isExact(Number(value)) ? Number(value) : 0),
        0,
      )
      queue.push({ at: ts, depth })
    } else if (ph === 'B') trackOf(event.tid).open.push(event)
    else if (ph === 'E') {
      const track = trackOf(event.tid)
      const begin = track.open.pop()
      if (begin !== undefined) track.slices.push({ event: begin, to: ts, depth: track.open.length })
    } else if (ph === 'X') {
      const track = trackOf(event.tid)
      track.slices.push({ event, to: ts + event.dur, depth: track.open.length })
    } else if (ph === 'i' || ph === 'I') trackOf(event.tid).marks.push({ name: event.name, at: ts })
  }
  for (const { open, slices } of tracks.values()) {
    // What had not ended yet.
    open.forEach((event, depth) => {
      slices.push({ event, to: end, depth })
    })
  }
  const hasTasks = [...tracks.values()].some(({ slices }) => slices.some(({ event }) => event.cat === 'task'))
  const lanes = [...tracks.values()].sort((a, b) => a.sort - b.sort).map((track) => laneOf(track, hasTasks))
  return { name, lanes, queue: queue.sort((a, b) => a.at - b.at), lost }
}

function laneOf({ name, slices, marks }: Building, hasTasks: boolean): Lane {
  const pick = (wanted: (slice: Building['slices'][number]) => boolean): Slice[] =>
    slices
      .filter(wanted)
      .map(({ event, to }) => ({ name: event.name, from: event.ts, to }))
      .sort((a, b) => a.from - b.from)
  return {
    name,
    // In traces of other programs what is outermost is taken for the work.
    tasks: pick(({ event, depth }) => (hasTasks ? event.cat === 'task' : depth === 0)),
    stalls: hasTasks ? pick(({ event }) => event.cat === 'stall') : [],
    submissions: hasTasks ? pick(({ event }) => event.cat === 'submit') : [],
    marks,
  }
}

function readEvents(text: string): Event[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new CliError(`not JSON: ${(error as Error).message}`, EXIT_FAILED)
  }
  const list = Array.isArray(value) ? value : (value as { readonly traceEvents?: unknown } | null)?.traceEvents
  if (!Array.isArray(list)) throw new CliError('not a trace: it has no list traceEvents', EXIT_FAILED)
  return list.map((item: unknown, index) => {
    const { name, ph, cat, ts = 0, dur = 0, pid = 0, tid = 0, args } = (item ?? {}) as Record<string, unknown>
    const isRight = typeof ph === 'string' && isExact(ts) && isExact(dur) && dur >= 0
    if (!isRight) throw new CliError(`not a trace: traceEvents[${index}] is no event`, EXIT_FAILED)
    return {
      name: String(name ?? ''),
      ph,
      cat: typeof cat === 'string' ? cat : undefined,
      ts,
      dur,
      pid: String(pid),
      tid: String(tid),
      args: typeof args === 'object' && args !== null ? (args as Record<string, unknown>) : {},
    }
  })
}

/** Whether sums and differences of such numbers are still numbers; times have room for 285 years, µs. */
function isExact(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER
}
