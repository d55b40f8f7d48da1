// Reads a trace as those who show one do: whatever they need to be there is asserted here.
import assert from 'node:assert/strict'

/**
 * Slices (with the name of their track), instants, arrows and counters of a trace. Fails when a slice has no end, an arrow
 * begins or ends outside of a slice, a track has no name, or times of a process go backwards.
 */
export function read({ traceEvents }) {
  const processes = new Map()
  const tracks = new Map()
  const open = new Map()
  const found = { processes, slices: [], instants: [], flows: new Map(), counters: [], lost: 0 }
  const key = ({ pid, tid }) => `${pid}:${tid}`
  const trackOf = (event) => {
    const name = tracks.get(key(event))
    assert.ok(name !== undefined, `a track has no name: ${JSON.stringify(event)}`)
    return name
  }
  const times = new Map()
  for (const event of traceEvents) {
    const { name, ph, cat, ts, pid, id, args } = event
    assert.equal(typeof name, 'string')
    assert.ok(Number.isInteger(pid) && Number.isInteger(event.tid), JSON.stringify(event))
    assert.ok(Number.isFinite(ts))
    if (ph === 'M') {
      if (name === 'process_name') processes.set(pid, args.name)
      if (name === 'thread_name') tracks.set(key(event), args.name)
      if (name === 'threadmill') found.lost += args.lost
      continue
    }
    assert.ok(processes.has(pid), 'a process has no name')
    assert.ok(ts >= (times.get(pid) ?? 0), `time goes backwards: ${JSON.stringify(event)}`)
    times.set(pid, ts)
    const track = trackOf(event)
    const stack = open.get(key(event)) ?? []
    open.set(key(event), stack)
    const isInside = () => assert.ok(stack.length > 0, `an arrow outside of a slice: ${JSON.stringify(event)}`)
    switch (ph) {
      case 'B':
        stack.push(event)
        break
      case 'E': {
        const begin = stack.pop()
        assert.equal(begin?.name, name, 'a slice ends that did not begin')
        found.slices.push({
          name,
          cat,
          track,
          pid,
          from: begin.ts,
          to: ts,
          depth: stack.length,
          ...begin.args,
          ...args,
        })
        break
      }
      case 's':
        isInside()
        assert.ok(!found.flows.has(id), 'an arrow begins twice')
        found.flows.set(id, { from: track, steps: [], pid })
        break
      case 't':
        isInside()
        assert.ok(found.flows.has(id), 'an arrow goes on that has not begun')
        assert.equal(found.flows.get(id).to, undefined)
        found.flows.get(id).steps.push(track)
        break
      case 'f':
        isInside()
        assert.ok(found.flows.get(id)?.steps.length > 0, 'an arrow ends that has not begun')
        assert.equal(event.bp, 'e')
        found.flows.get(id).to = track
        break
      case 'i':
        assert.equal(event.s, 't')
        found.instants.push({ name, track, pid, ts, ...args })
        break
      case 'C':
        for (const value of Object.values(args)) assert.ok(Number.isInteger(value) && value >= 0, JSON.stringify(event))
        found.counters.push({ name, pid, ts, ...args })
        break
      default:
        assert.fail(`phase ${ph}`)
    }
  }
  for (const stack of open.values()) assert.deepEqual(stack, [], 'a slice has no end')
  for (const list of Object.groupBy
    ? Object.values(Object.groupBy([...tracks], ([place]) => place.split(':')[0]))
    : []) {
    assert.equal(new Set(list.map(([, name]) => name)).size, list.length, 'two tracks of a process have one name')
  }
  const tasks = found.slices.filter(({ cat }) => cat === 'task')
  for (const { track } of tasks) assert.match(track, /^(native|js|main, tasks)/)
  return { ...found, tasks, tracks: [...tracks.values()] }
}

/** Records what happens in `pool` while `action` runs, and reads it. */
export async function traced(pool, action, options) {
  pool.trace.start(options)
  await action()
  const trace = pool.trace.stop()
  return { ...read(trace), trace }
}

export const named = (list, name) => list.filter((item) => item.name === name)
