// Stage: all. Thread: main.
// A trace as a picture: a lane for each worker with its tasks, the queue below, and the figures. One file without scripts,
// light or dark as whoever looks at it prefers.
//
// V1. Every task is drawn; those that lie on one pixel are one shape that says how many they are.

import { display } from './file-path'
import { formatCount, formatNoun } from './format'
import { type Group, type Lane, type Lanes, readLanes, type Slice } from './trace-lanes'

const WIDTH = 1200
const LEFT = 140
const RIGHT = 130
const PLOT = WIDTH - LEFT - RIGHT
const ROW = 22
const BAR = 16
const QUEUE = 56
/** Names of tasks with a colour of their own; the others share one. */
const COLOURS = 6

const STYLE = `
  :root { color-scheme: light dark }
  svg { background: #fff; font: 12px system-ui, sans-serif }
  text { fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .group { font-weight: 600 }
  .quiet { fill: #59636e }
  .lane { fill: #eff2f5 }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .c0 { fill: #0072b2 } .c1 { fill: #d98200 } .c2 { fill: #00845f } .c3 { fill: #b0578b } .c4 { fill: #3d97cf } .c5 { fill: #c24f00 }
  .other { fill: #6e7781 }
  .stall { fill: #cf222e; opacity: .75 }
  .submit { fill: #59636e }
  .cancel { fill: #9a6700 } .crash { fill: #cf222e }
  .queue { fill: #0072b2; opacity: .35 }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117 }
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .lane { fill: #1a2029 }
    .grid { stroke: #30363d }
    .c0 { fill: #4aa3e0 } .c1 { fill: #f0a93a } .c2 { fill: #2fb98e } .c3 { fill: #d98cb8 } .c4 { fill: #8cc8f2 } .c5 { fill: #f08549 }
    .other { fill: #8b949e }
    .stall, .crash { fill: #ff7b72 }
    .submit { fill: #9198a1 }
    .cancel { fill: #d4a72c }
    .queue { fill: #4aa3e0 }
  }`

/** The text of a trace as an SVG. @throws CliError */
export function traceView(text: string): string {
  return new Picture(readLanes(text)).toString()
}

class Picture {
  readonly #lanes: Lanes
  /** µs. */
  readonly #length: number
  readonly #colours: ReadonlyMap<string, string>
  readonly #parts: string[] = []
  #y = 0

  constructor(lanes: Lanes) {
    this.#lanes = lanes
    this.#length = Math.max(lanes.to - lanes.from, 1e-3)
    this.#colours = coloursOf(lanes)
    this.#drawHead()
    for (const group of lanes.groups) this.#drawGroup(group)
    this.#y += 8
  }

  toString(): string {
    const size = `width="${WIDTH}" height="${this.#y}" viewBox="0 0 ${WIDTH} ${this.#y}"`
    return [
      '<?xml version="1.0" encoding="UTF-8"?>',
      `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">`,
      '<title>Timeline of threads</title>',
      `<style>${STYLE}\n</style>`,
      ...this.#parts,
      '</svg>\n',
    ].join('\n')
  }

  #x(time: number): number {
    return LEFT + ((time - this.#lanes.from) / this.#length) * PLOT
  }

  #text(x: number, y: number, text: string, attributes = ''): void {
    this.#parts.push(`<text x="${round(x)}" y="${round(y)}"${attributes}>${forXml(text)}</text>`)
  }

  #drawHead(): void {
    const { groups } = this.#lanes
    const tasks = groups.flatMap(({ lanes }) => lanes.flatMap((lane) => lane.tasks))
    const marks = groups.flatMap(({ lanes }) => lanes.flatMap((lane) => lane.marks))
    const count = (name: string): number => marks.filter((mark) => mark.name === name).length
    const times = tasks.map(({ from, to }) => to - from).sort((a, b) => a - b)
    const deepest = groups.reduce(
      (most, { queue }) => queue.reduce((deep, { depth }) => Math.max(deep, depth), most),
      0,
    )
    const lost = groups.reduce((sum, group) => sum + group.lost, 0)
    const figures = [
      `${formatTime(this.#length)} in all`,
      formatNoun(tasks.length, 'task'),
      `run time ${formatTime(times[times.length >> 1] ?? 0)} (median), ${formatTime(times.at(-1) ?? 0)} (longest)`,
      `${formatCount(deepest)} waiting at most`,
      `${formatCount(count('steal'))} stolen`,
      `${formatCount(count('cancel'))} given up`,
      `${formatCount(count('crash'))} crashed`,
    ]
    this.#text(16, 28, 'Timeline', ' class="title"')
    this.#text(16, 50, figures.join('  ·  '), ' class="quiet summary"')
    this.#y = 62
    if (lost > 0) {
      this.#text(16, 68, `${formatNoun(lost, 'record')} were overwritten: what they told is missing.`, ' class="crash"')
      this.#y = 80
    }
    this.#drawLegend()
  }

  #drawLegend(): void {
    const classes = new Map([...this.#colours].map(([name, colour]) => [colour, name]))
    if (classes.has('other')) classes.set('other', 'other tasks')
    const extra = [
      ['submit', 'submitted'],
      ['stall', 'event loop stalled'],
      ['cancel', 'cancel'],
      ['crash', 'crash'],
      ['queue', 'waiting tasks'],
    ] as const
    let x = 16
    for (const [colour, name] of [...classes, ...extra]) {
      const label = shorten(name, 28)
      const width = 18 + label.length * 6.6 + 16
      if (x + width > WIDTH - 16) {
        x = 16
        this.#y += 18
      }
      this.#parts.push(`<rect class="key ${colour}" x="${x}" y="${this.#y}" width="12" height="12" rx="2"/>`)
      this.#text(x + 18, this.#y + 10, label)
      x += width
    }
    this.#y += 26
  }

  #drawGroup(group: Group): void {
    this.#text(16, this.#y + 12, shorten(group.name, 120), ' class="group"')
    this.#y += 20
    const top = this.#y
    // Behind everything else of the group.
    const grid = this.#parts.push('') - 1
    for (const lane of group.lanes) this.#drawLane(lane)
    if (group.queue.length > 0) this.#drawQueue(group.queue)
    this.#parts[grid] = this.#gridLines(top, this.#y)
    this.#drawAxis()
  }

  #drawLane(lane: Lane): void {
    const [y, bar] = [this.#y, this.#y + (ROW - BAR) / 2]
    this.#text(LEFT - 8, y + 15, shorten(lane.name, 20), ' text-anchor="end"')
    this.#parts.push(`<rect class="lane" x="${LEFT}" y="${bar}" width="${PLOT}" height="${BAR}"/>`)
    this.#drawSlices(lane.stalls, bar, BAR, () => 'stall')
    this.#drawSlices(lane.submissions, bar + BAR / 2, BAR / 2, () => 'submit')
    this.#drawSlices(lane.tasks, bar, BAR, (name) => `task ${this.#colours.get(name) ?? 'other'}`)
    for (const { name, at } of lane.marks) {
      if (name !== 'cancel' && name !== 'crash') continue
      const x = this.#x(at)
      const path = `M${round(x - 4)} ${bar - 2}h8l-4 7z`
      this.#parts.push(`<path class="${name}" d="${path}"><title>${name}</title></path>`)
    }
    if (lane.tasks.length > 0) {
      const busy = lane.tasks.reduce((sum, { from, to }) => sum + to - from, 0) / this.#length
      const text = `${Math.min(100, Math.round(busy * 100))} %, ${formatNoun(lane.tasks.length, 'task')}`
      this.#text(LEFT + PLOT + 8, y + 15, text, ' class="quiet"')
    }
    this.#y += ROW
  }

  #drawSlices(slices: readonly Slice[], y: number, height: number, classOf: (name: string) => string): void {
    let shape: Shape | undefined
    const draw = (): void => {
      if (shape === undefined) return
      const { from, to, count, name } = shape
      const [[colour] = ['']] = [...shape.times].sort(([, x], [, y]) => y - x)
      const time = formatTime([...shape.times.values()].reduce((sum, part) => sum + part, 0))
      const what = count === 1 ? `${name}, ${time}` : `${formatNoun(count, name)}, ${time} together`
      const place = `x="${round(from)}" y="${y}" width="${round(Math.max(to - from, 0.8))}" height="${height}"`
      this.#parts.push(`<rect class="${colour}" data-count="${count}" ${place}><title>${forXml(what)}</title></rect>`)
    }
    for (const { name, from, to } of slices) {
      const [left, right, colour, time] = [this.#x(from), this.#x(to), classOf(name), to - from]
      const isSmall = right - left < 1 && shape !== undefined && shape.to - shape.from < 1
      if (shape !== undefined && isSmall && left < shape.from + 1) {
        // V1.
        shape.to = Math.max(shape.to, right)
        shape.count++
        shape.times.set(colour, (shape.times.get(colour) ?? 0) + time)
        if (shape.name !== name) shape.name = 'task'
        continue
      }
      draw()
      shape = { from: left, to: right, count: 1, name, times: new Map([[colour, time]]) }
    }
    draw()
  }

  #drawQueue(queue: Group['queue']): void {
    const most = Math.max(1, ...thin(queue, (at) => Math.floor(this.#x(at))).map(({ depth }) => depth))
    const [bottom, height] = [this.#y + QUEUE - 4, QUEUE - 12]
    const y = (depth: number): number => bottom - (depth / most) * height
    const points: string[] = []
    let before = bottom
    for (const { at, depth } of thin(queue, (time) => Math.floor(this.#x(time)))) {
      const x = round(this.#x(at))
      points.push(`${x},${round(before)}`, `${x},${round(y(depth))}`)
      before = y(depth)
    }
    const first = round(this.#x(queue[0]?.at ?? this.#lanes.from))
    const path = `${first},${bottom} ${points.join(' ')} ${LEFT + PLOT},${round(before)} ${LEFT + PLOT},${bottom}`
    this.#text(LEFT - 8, this.#y + 18, 'waiting', ' text-anchor="end"')
    this.#text(LEFT + PLOT + 8, this.#y + 18, `${formatCount(most)} at most`, ' class="quiet"')
    this.#parts.push(`<polygon class="queue" points="${path}"/>`)
    this.#y += QUEUE
  }

  #ticks(): number[] {
    const rough = this.#length / 8
    const power = 10 ** Math.floor(Math.log10(rough))
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough
    return Array.from({ length: Math.floor(this.#length / step) + 1 }, (_, index) => index * step)
  }

  #gridLines(top: number, bottom: number): string {
    return this.#ticks()
      .map((tick) => round(this.#x(this.#lanes.from + tick)))
      .map((x) => `<line class="grid" x1="${x}" x2="${x}" y1="${top}" y2="${bottom}"/>`)
      .join('\n')
  }

  #drawAxis(): void {
    for (const tick of this.#ticks()) {
      const x = this.#x(this.#lanes.from + tick)
      this.#text(x, this.#y + 14, formatTime(tick), ' class="quiet" text-anchor="middle"')
    }
    this.#y += 28
  }
}

/** What is drawn for a slice, or for several on one pixel. */
interface Shape {
  readonly from: number
  to: number
  count: number
  name: string
  /** By class: the one that took longest gives the colour. */
  readonly times: Map<string, number>
}

/** Classes of the names that took most of the time; those of the others are one. */
function coloursOf({ groups }: Lanes): Map<string, string> {
  const times = new Map<string, number>()
  for (const { lanes } of groups) {
    for (const { tasks } of lanes) {
      for (const { name, from, to } of tasks) times.set(name, (times.get(name) ?? 0) + to - from)
    }
  }
  const names = [...times].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([name]) => name)
  return new Map(names.map((name, index) => [name, index < COLOURS ? `c${index}` : 'other']))
}

/** Of all that fall on one pixel, the deepest and the last. */
function thin(queue: Group['queue'], pixel: (at: number) => number): Group['queue'] {
  const kept: { at: number; depth: number }[] = []
  let here = Number.NaN
  for (const point of queue) {
    const at = pixel(point.at)
    const [deepest, last] = kept.slice(-2)
    if (at !== here || last === undefined || deepest === undefined) kept.push(point, point)
    else if (point.depth >= deepest.depth) kept.splice(-2, 2, point, point)
    else kept[kept.length - 1] = point
    here = at
  }
  return kept
}

function formatTime(micros: number): string {
  if (micros === 0) return '0'
  const [value, unit] =
    micros < 1
      ? [micros * 1000, 'ns']
      : micros < 1000
        ? [micros, 'µs']
        : micros < 1e6
          ? [micros / 1000, 'ms']
          : [micros / 1e6, 's']
  return `${Number(value.toPrecision(3))} ${unit}`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text for XML, which has no place for control characters. */
function forXml(text: string): string {
  return display(text).replace(/[&<>"]/g, (char) => ENTITIES[char] as string)
}
