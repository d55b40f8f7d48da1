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

/** The track of the thread that owns the pool. */
const OWNER = 1
/** How long a submission is shown at most, ns: an arrow has to begin in a slice. */
const SHOWN = 1000

/** Events of one track at one time, ns. */
interface Point {
  readonly at: number
  readonly events: readonly Partial<TraceEvent>[]
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
    const points = tracks.flatMap(({ tid, points }) => inOrder(points).map((point) => ({ ...point, tid })))
    // The order within a track, and the owner's track first, are kept where times are equal.
    const all = inOrder([...points, ...this.#queue().map((point) => ({ ...point, tid: OWNER }))])
    const pid = this.#pid
    const timed = all.flatMap(({ at, tid, events }) =>
      events.map((event) => ({ ...event, ts: at / 1000, pid, tid }) as TraceEvent),
    )
    return [...this.#metadata(tracks), ...timed]
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
    const began: Partial<TraceEvent>[] = [{ name, ph: 'B', cat: 'task', args: { task: task.id, waited } }]
    const ended: Partial<TraceEvent>[] = [
      { name, ph: 'E', cat: 'task', args: { task: task.id, outcome: run.how ?? 'running' } },
    ]
    if (this.#hasFlow(task)) {
      began.push(this.#flow('t', task))
      if (run.end !== undefined && run === task.runs.at(-1)) ended.unshift({ ...this.#flow('f', task), bp: 'e' })
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

  #flow(ph: 's' | 't' | 'f', { id }: Task): Partial<TraceEvent> {
    return { name: 'task', ph, cat: 'task', id: this.#pid * 2 ** 32 + id }
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
    for (const [{ points }, submissions] of byTrack) {
      const times = inOrder([...points, ...[...submissions.keys()].map((at) => ({ at }))]).map(({ at }) => at)
      let next = 0
      for (const [at, tasks] of [...submissions].sort(([a], [b]) => a - b)) {
        while ((times[next] as number) <= at) next++
        // Before whatever is next on that track.
        const end = Math.min(at + SHOWN, (times[next] ?? Number.POSITIVE_INFINITY) - 1)
        const args = { tasks: tasks.length, first: tasks[0]?.id }
        const flows = tasks.filter((task) => this.#hasFlow(task)).map((task) => this.#flow('s', task))
        points.push(
          { at, events: [{ name: 'submit', ph: 'B', cat: 'submit', args }, ...flows] },
          { at: end, events: [{ name: 'submit', ph: 'E', cat: 'submit' }] },
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
        { at: from, events: [{ name: 'event loop stalled', ph: 'B', cat: 'stall' }] },
        { at: to, events: [{ name: 'event loop stalled', ph: 'E', cat: 'stall' }] },
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
    const [track] = (worker === undefined ? undefined : this.#workers.get(worker)) ?? [this.#owner]
    const event = { name: kind, ph: 'i', cat: kind, s: 't', ...(args && { args }) } as Partial<TraceEvent>
    track?.points.push({ at, events: [event] })
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
      steps.push({ at: submit.at, change: (queue) => queue.inbox++ })
      steps.push({ at: submit.admitted, change: (queue) => queue.inbox-- })
    }
    const queue: Queue = { native: 0, js: 0, main: 0, inbox: 0 }
    const points: Point[] = []
    let before = ''
    let [at, isFirst] = [since, true]
    const tell = (): void => {
      const args = { native: queue.native, js: queue.js, main: queue.main, arriving: queue.inbox }
      const text = JSON.stringify(args)
      if (text !== before) points.push({ at, events: [{ name: 'waiting tasks', ph: 'C', args }] })
      before = text
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

interface Queue {
  native: number
  js: number
  main: number
  inbox: number
}

/** Sorted by time; those of one time stay as they are. */
function inOrder<T extends { readonly at: number }>(points: readonly T[]): T[] {
  return [...points].sort((a, b) => a.at - b.at)
}
