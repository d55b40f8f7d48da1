// Stage: all. Thread: any that makes pools.
// THREADMILL_TRACE=file: every pool is traced from its creation, and all of them go to one file.
//
// F1. The file is always whole: it is written beside its place and then moved there. It is written when no traced pool of
//     this thread is open any more, unless that was a moment ago, and when the thread ends.
// F2. Threads do not know of each other: each writes all parts that there are, and once more when others came meanwhile.

import { closeSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { threadId } from 'node:worker_threads'
import type { TraceEvent } from '../..'
import { native } from '../native-owner'
import { Timeline, type Traced } from './timeline'

/** Events that are written at once. */
const CHUNK = 10_000

/** What writes the part of a pool that has not ended. */
const open = new Set<() => void>()
let file: string | undefined
/** Whether there is something that this thread has not written. */
let isBehind = false
/** When writing would take less than a twentieth of the time. */
let nextWrite = 0
const now = performance.now.bind(performance)

/** Traces a new pool. */
export function traceToFile(pool: Traced & { timeline: Timeline | undefined }, name: string): void {
  // Where the process was when it began; %p tells processes apart.
  file ??= path.resolve(name.replaceAll('%p', String(process.pid)))
  const timeline = new Timeline(pool)
  pool.timeline = timeline
  const viewer = timeline.follow()
  const end = (): void => {
    if (!open.delete(end)) return
    const events = timeline.leave(viewer).traceEvents
    isBehind = true
    if (native.keepTrace(JSON.stringify(events))) return
    warn(`has no room for pool '${pool.settings.name}'`)
  }
  listen(true)
  open.add(end)
  timeline.onEnd(() => {
    end()
    // Many pools that are made one after the other are not worth a file each.
    if (open.size === 0 && now() >= nextWrite) write()
    if (open.size === 0 && !isBehind) listen(false)
  })
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
  for (const end of open) end()
  if (isBehind) write()
}

function write(): void {
  const target = file as string
  const draft = `${target}.${process.pid}-${threadId}`
  const began = now()
  isBehind = false
  try {
    for (let parts: string[] = []; ; ) {
      const all = native.keptTraces()
      if (all.length === parts.length) break
      parts = all
      writeEvents(draft, merged(parts))
      renameSync(draft, target)
    }
  } catch (error) {
    try {
      rmSync(draft, { force: true })
    } catch {
      // It is not there either.
    }
    warn(`could not be written: ${(error as Error).message}`)
  }
  nextWrite = now() + 20 * (now() - began)
}

/** Not worth ending a program for that has nothing to do with it. */
function warn(what: string): void {
  process.emitWarning(`THREADMILL_TRACE ${what}`, 'ThreadmillWarning')
}

/** Events of all pools: metadata, then the others by time. */
function merged(parts: readonly string[]): TraceEvent[] {
  const events = parts.flatMap((part) => JSON.parse(part) as TraceEvent[])
  // Those of one time stay in their order.
  return events.sort((a, b) => Number(b.ph === 'M') - Number(a.ph === 'M') || a.ts - b.ts)
}

function writeEvents(name: string, events: readonly TraceEvent[]): void {
  const output = openSync(name, 'w')
  try {
    writeFileSync(output, '{"displayTimeUnit":"ms","traceEvents":[\n')
    // No string holds all of a long trace.
    for (let at = 0; at < events.length; at += CHUNK) {
      const lines = events.slice(at, at + CHUNK).map((event) => JSON.stringify(event))
      writeFileSync(output, `${lines.join(',\n')}${at + CHUNK < events.length ? ',' : ''}\n`)
    }
    writeFileSync(output, ']}\n')
  } finally {
    closeSync(output)
  }
}
