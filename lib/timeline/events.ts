// Stage: all. Thread: owner env.
// The trace-event format that chrome://tracing and Perfetto read: one track for each worker, made from a recording.
//
// X1. Slices of one track nest: each begin has its end, in the order of the file. A worker that runs several tasks at a time
//     has a track for each.
// X2. The first event of a flow comes before the others, in time and in the file.
// X3. Events are in the order of their time.

import type { TraceEvent } from '../..'
import { FIRST_JS, MAIN, type Recording, type Run, type Task } from './recording'

/** What is shown besides the recording. */
export interface Surroundings {
  readonly name: string
  /** Names of the kernels by number. */
  readonly kernels: readonly string[]
  /** When the event loop of the owner's thread stood still, ns. */
  readonly stalls: readonly { readonly from: number; readonly to: number }[]
}

type Args = NonNullable<TraceEvent['args']>

/** The track of the thread that owns the pool. */
const OWNER = 1
/** How long a submission is shown at most, ns: an arrow has to begin in a slice. */
const SHOWN = 1000

/** Events of one track at one time, ns, in their order. */
interface Point {
  readonly at: number
  readonly events: readonly TraceEvent[]
}

interface Track {
  readonly tid: number
  readonly name: string
  readonly points: Point[]
  /** End of its last slice. */
  until: number
}

/** Events of the tracks of one pool. */
export function traceEvents(recording: Recording, surroundings: Surroundings): TraceEvent[] {
  return new Tracks(recording, surroundings).events()
}

class Tracks {
  readonly #recording: Recording
  readonly #shown: Surroundings
  readonly #pid: number
  readonly #owner: Track
  /** Tracks of each worker. */
  readonly #workers = new Map<number, Track[]>()
  #count = OWNER

  constructor(recording: Recording, shown: Surroundings) {
    this.#recording = recording
    this.#shown = shown
    // No pool of a process has the number of another, and none is 0.
    this.#pid = recording.pool + 1
    this.#owner = { tid: OWNER, name: 'main', points: [], until: 0 }
  }

  events(): TraceEvent[] {
    this.#addRuns()
    this.#addStalls()
    this.#addSubmissions()
    this.#addMarks()
    const tracks = [this.#owner, ...[...this.#workers.values()].flat()]
    // The order within a track, and the owner's track first, are kept where times are equal.
    const points = inOrder([...tracks.map((track) => track.points), this.#queue()].flat())
    const events = this.#metadata(tracks)
    for (const point of points) events.push(...point.events)
    return events
  }

  #slice(ph: 'B' | 'E', name: string, cat: string, at: number, tid: number, args: object): TraceEvent {
    return { name, ph, cat, ts: at / 1000, pid: this.#pid, tid, args: args as Args }
  }

  #metadata(tracks: readonly Track[]): TraceEvent[] {
    const about = (name: string, tid: number, args: object) =>
      ({ name, ph: 'M', ts: 0, pid: this.#pid, tid, args }) as TraceEvent
    const { lost } = this.#recording
    return [
      about('process_name', OWNER, { name: `threadmill ${this.#shown.name}` }),
      about('process_labels', OWNER, { labels: `process ${process.pid}` }),
      about('threadmill', OWNER, { lost }),
      ...tracks.flatMap(({ tid, name }, index) => [
        about('thread_name', tid, { name }),
        about('thread_sort_index', tid, { sort_index: index }),
      ]),
    ]
  }

  // --- tasks ---

  #addRuns(): void {
    const runs: (readonly [Task, Run])[] = []
    for (const task of this.#recording.tasks.values()) {
      task.runs.sort((a, b) => a.start - b.start)
      for (const run of task.runs) if (run.how !== 'unbegun') runs.push([task, run])
    }
    runs.sort(([, a], [, b]) => a.start - b.start || (a.end ?? 0) - (b.end ?? 0))
    // Workers in the order of their numbers, whoever began first.
    const workers = new Set(runs.map(([, { worker }]) => worker))
    for (const { worker } of this.#recording.marks) if (worker !== undefined) workers.add(worker)
    for (const worker of [...workers].sort((a, b) => a - b)) this.#addTrack(worker)
    for (const [task, run] of runs) this.#addRun(task, run)
  }

  #addRun(task: Task, run: Run): void {
    const { submit } = task
    const { now } = this.#recording
    // The clock was read a moment before the lock was had under which the task came.
    const start = Math.max(run.start, submit?.at ?? 0)
    const end = Math.max(start, run.end ?? now)
    const tracks = this.#workers.get(run.worker) as Track[]
    const track = tracks.find(({ until }) => until <= start) ?? this.#addTrack(run.worker)
    track.until = end
    const name = this.#nameOf(run)
    const waited = submit === undefined ? undefined : (start - submit.at) / 1000
    const { tid } = track
    const outcome = run.how ?? 'running'
    const began = [this.#slice('B', name, 'task', start, tid, { task: task.id, waited })]
    const ended = [this.#slice('E', name, 'task', end, tid, { task: task.id, outcome })]
    if (this.#hasFlow(task)) {
      began.push(this.#flow('t', task, start, tid))
      if (run.end !== undefined && run === task.runs.at(-1)) ended.unshift(this.#flow('f', task, end, tid))
    }
    track.points.push({ at: start, events: began }, { at: end, events: ended })
    if (run.how === 'crashed' && run.worker < FIRST_JS) {
      this.#addMark(end, run.worker, 'crash', { task: task.id })
    }
  }

  #nameOf({ kernel, name }: { readonly kernel: number; readonly name?: string | undefined }): string {
    return name ?? this.#shown.kernels[kernel] ?? 'entry'
  }

  /** Whether there is something to draw arrows between. Not where the order of the file would not be that of the flow. */
  #hasFlow({ submit, runs }: Task): boolean {
    const first = runs.find(({ how }) => how !== 'unbegun')
    if (submit === undefined || first === undefined) return false
    return first.start > submit.at || this.#trackOf(submit) === this.#owner
  }

  #flow(ph: 's' | 't' | 'f', task: Task, at: number, tid: number): TraceEvent {
    const id = this.#pid * 2 ** 32 + task.id
    const event = { name: 'task', ph, cat: 'task', ts: at / 1000, pid: this.#pid, tid, id } as const
    // It ends in the slice that is open, not in the next one.
    return ph === 'f' ? { ...event, bp: 'e' } : event
  }

  /** Who submitted it. */
  #trackOf({ sink }: { readonly sink: number }): Track {
    const seat = this.#recording.seats.get(sink)
    const tracks = seat === undefined ? undefined : this.#workers.get(FIRST_JS + seat)
    return tracks?.[0] ?? this.#owner
  }

  #addSubmissions(): void {
    const byTrack = new Map<Track, Map<number, Task[]>>()
    for (const task of this.#recording.tasks.values()) {
      if (task.submit === undefined) continue
      const track = this.#trackOf(task.submit)
      const times = byTrack.get(track) ?? new Map<number, Task[]>()
      byTrack.set(track, times)
      const tasks = times.get(task.submit.at)
      // Those of one turn have one time.
      if (tasks === undefined) times.set(task.submit.at, [task])
      else tasks.push(task)
    }
    for (const [{ points, tid }, submissions] of byTrack) {
      const times = Float64Array.from([...points.map(({ at }) => at), ...submissions.keys()]).sort()
      let next = 0
      for (const [at, tasks] of [...submissions].sort(([a], [b]) => a - b)) {
        while ((times[next] as number) <= at) next++
        // Before whatever is next on that track.
        const end = Math.min(at + SHOWN, (times[next] ?? Number.POSITIVE_INFINITY) - 1)
        const args = { tasks: tasks.length, first: tasks[0]?.id }
        const flows = tasks.filter((task) => this.#hasFlow(task)).map((task) => this.#flow('s', task, at, tid))
        points.push(
          { at, events: [this.#slice('B', 'submit', 'submit', at, tid, args), ...flows] },
          { at: end, events: [this.#slice('E', 'submit', 'submit', end, tid, {})] },
        )
      }
    }
  }

  // --- workers ---

  #addTrack(worker: number): Track {
    const tracks = this.#workers.get(worker) ?? []
    this.#workers.set(worker, tracks)
    const isJs = worker >= FIRST_JS
    const first = worker === MAIN ? 'main, tasks' : isJs ? `js ${worker - FIRST_JS}` : `native ${worker}`
    const name = tracks.length === 0 ? first : `${first} (${tracks.length + 1})`
    const track = { tid: ++this.#count, name, points: [], until: 0 }
    tracks.push(track)
    return track
  }

  #addStalls(): void {
    for (const { from, to } of this.#shown.stalls) {
      this.#owner.points.push(
        { at: from, events: [this.#slice('B', 'event loop stalled', 'stall', from, OWNER, {})] },
        { at: to, events: [this.#slice('E', 'event loop stalled', 'stall', to, OWNER, {})] },
      )
    }
  }

  #addMarks(): void {
    const last = new Map<number, string>()
    for (const { kind, at, worker, task, why } of this.#recording.marks) {
      if (worker !== undefined && (kind === 'park' || kind === 'wake')) {
        // One that is called twice, or for a message only.
        if (last.get(worker) === kind) continue
        last.set(worker, kind)
      }
      this.#addMark(at, worker, kind, task === undefined ? undefined : { task, why })
    }
  }

  #addMark(at: number, worker: number | undefined, kind: string, args?: object): void {
    const [track = this.#owner] = (worker === undefined ? undefined : this.#workers.get(worker)) ?? []
    const event = { name: kind, ph: 'i', cat: kind, ts: at / 1000, pid: this.#pid, tid: track.tid, s: 't' } as const
    track.points.push({ at, events: [args === undefined ? event : { ...event, args: args as Args }] })
  }

  // --- queues ---

  /** How many tasks wait: those in the queues, and those that nobody has put there yet. */
  #queue(): Point[] {
    const { depths, tasks, since } = this.#recording
    const steps: { readonly at: number; readonly change: (queue: Queue) => void }[] = depths.map((depth) => ({
      at: depth.at,
      change: (queue) => {
        ;[queue.native, queue.js, queue.main] = [depth.native, depth.js, depth.main]
      },
    }))
    for (const { submit } of tasks.values()) {
      if (submit === undefined || submit.admitted <= submit.at) continue
      steps.push({ at: submit.at, change: (queue) => queue.arriving++ })
      steps.push({ at: submit.admitted, change: (queue) => queue.arriving-- })
    }
    const queue: Queue = { native: 0, js: 0, main: 0, arriving: 0 }
    const points: Point[] = []
    let before: Queue | undefined
    let [at, isFirst] = [since, true]
    const tell = (): void => {
      const { native, js, main, arriving } = queue
      const isSame =
        before?.native === native && before.js === js && before.main === main && before.arriving === arriving
      if (isSame) return
      before = { native, js, main, arriving }
      const ts = at / 1000
      points.push({
        at,
        events: [{ name: 'waiting tasks', ph: 'C', ts, pid: this.#pid, tid: OWNER, args: before as unknown as Args }],
      })
    }
    for (const step of inOrder(steps)) {
      // What happens at one time is told once.
      if (step.at !== at && !isFirst) tell()
      isFirst = false
      at = step.at
      step.change(queue)
    }
    tell()
    return points
  }
}

/** Waiting tasks by lane. */
interface Queue {
  native: number
  js: number
  main: number
  /** In the inbox. */
  arriving: number
}

/** Sorted by time; those of one time stay as they are. */
function inOrder<T extends { readonly at: number }>(points: readonly T[]): T[] {
  return [...points].sort((a, b) => a.at - b.at)
}
