// Stage: all. Thread: any that makes pools.
// THREADMILL_TRACE=file: every pool is traced from its creation, and all of them go to one file.
//
// F1. The file is always whole (whole-file.ts). It is written when no traced pool of this thread is open any more, unless
//     that was a moment ago, and when the thread ends; what is no file, such as a pipe, only then.
// F2. Threads do not know of each other: each writes all parts that there are, and once more when others came meanwhile.
// F3. Another copy of the package in this thread has parts of its own, and a file of its own beside that one.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { addonFile } from '../addon'
import { native } from '../native-owner'
import { isNoFile, warnOfFile, writeWhole } from '../whole-file'
import { Timeline, type Traced } from './timeline'

/** What writes the part of a pool that has not ended. */
const open = new Set<() => void>()
let file: string | undefined
/** Whether there is something that this thread has not written. */
let isBehind = false
/** Whether the thread is ending. */
let isEnding = false
/** When writing would take less than a twentieth of the time. */
let nextWrite = 0
const now = performance.now.bind(performance)

/** Traces a new pool. */
export function traceToFile(pool: Traced & { timeline: Timeline | undefined }, name: string): void {
  // Where the process was when it began; %p tells processes apart.
  file ??= ownFile(path.resolve(name.replaceAll('%p', String(process.pid))))
  const timeline = new Timeline(pool)
  pool.timeline = timeline
  const viewer = timeline.follow()
  const end = (): void => {
    if (!open.delete(end)) return
    const events = timeline.leave(viewer).traceEvents
    isBehind = true
    if (native.keepTrace(JSON.stringify(events).slice(1, -1))) return
    warn(`has no room for pool '${pool.settings.name}'`)
  }
  listen(true)
  open.add(end)
  timeline.onEnd(() => {
    end()
    // Many pools that are made one after the other are not worth a file each.
    if (open.size === 0 && now() >= nextWrite && !isNoFile(file as string)) write()
    if (open.size === 0 && !isBehind) listen(false)
  })
}

/** Which copy of the addon writes which files, for all copies of this thread. */
const WRITERS = Symbol.for('threadmill.trace')

/** The file that this copy writes. */
function ownFile(wanted: string): string {
  if (isNoFile(wanted)) return wanted
  const { [WRITERS]: known } = process as { [WRITERS]?: Map<string, string> }
  const writers = known ?? new Map<string, string>()
  if (known === undefined) Object.defineProperty(process, WRITERS, { value: writers })
  // Test runners load modules again and again, but addons once.
  const me = addonFile() ?? __dirname
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}.${number}`
    const writer = writers.get(name) ?? me
    if (writer !== me) continue
    if (number > 1 && !writers.has(name)) warn(`is written by another copy of threadmill; this one writes ${name}`)
    writers.set(name, me)
    return name
  }
}

let listens = false

/** For the end of the thread, only as long as there may be something to write: test runners load this again and again in it. */
function listen(isWanted: boolean): void {
  if (listens === isWanted) return
  listens = isWanted
  if (isWanted) process.on('exit', writeRest)
  else process.removeListener('exit', writeRest)
}

function writeRest(): void {
  isEnding = true
  for (const end of open) end()
  if (isBehind) write()
}

function write(): void {
  const began = now()
  isBehind = false
  try {
    let written = 0
    do {
      writeWhole(file as string, (output) => {
        written = writeParts(output)
      })
    } while (native.keptTrace(written) !== undefined)
  } catch (error) {
    warn(`could not be written: ${(error as Error).message}`)
  }
  nextWrite = now() + 20 * (now() - began)
}

/** Not worth ending a program for that has nothing to do with it. */
function warn(what: string): void {
  warnOfFile(`THREADMILL_TRACE ${what}`, isEnding)
}

/** Texts, for the events of all pools would take many times as much; their number. The order of pools does not matter. */
function writeParts(output: number): number {
  let [count, before] = [0, '{"displayTimeUnit":"ms","traceEvents":[\n']
  for (let part = native.keptTrace(0); part !== undefined; part = native.keptTrace(++count)) {
    // A part may be as long as a string can be.
    writeFileSync(output, before)
    writeFileSync(output, part)
    before = ',\n'
  }
  writeFileSync(output, '\n]}\n')
  return count
}
