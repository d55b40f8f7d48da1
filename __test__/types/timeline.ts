// Timelines: what compiles and what must not. Checked by tsc, never run. A line below @ts-expect-error that compiles is an
// error of its own.
import { type PoolTrace, type Trace, type TraceEvent, type TraceOptions, WorkerPool } from 'threadmill'
import { exactly } from './assert'

const pool = new WorkerPool()

exactly<PoolTrace>()(pool.trace)
exactly<void>()(pool.trace.start())
pool.trace.start({})
pool.trace.start({ capacity: 1024 })
pool.trace.start({ capacity: undefined })
// @ts-expect-error a number
pool.trace.start({ capacity: '1024' })
// @ts-expect-error a typing mistake
pool.trace.start({ size: 1024 })
// @ts-expect-error read only
pool.trace = new WorkerPool().trace
declare const options: TraceOptions
// @ts-expect-error read only
options.capacity = 5

const trace = pool.trace.stop()
exactly<Trace>()(trace)
exactly<number>()(trace.otherData.lost)
exactly<'ms'>()(trace.displayTimeUnit)
exactly<readonly TraceEvent[]>()(trace.traceEvents)
for (const { ph, ts, pid, tid, cat, id, args } of trace.traceEvents) {
  exactly<number>()(ts + pid + tid)
  exactly<string | undefined>()(cat)
  exactly<number | undefined>()(id)
  exactly<unknown>()(args?.task)
  if (ph === 'B') continue
  // @ts-expect-error no such phase
  if (ph === 'Z') continue
}
// @ts-expect-error nothing to give
pool.trace.stop({})
