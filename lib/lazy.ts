// Stage: all. Thread: any.
// What not every user of values or traces needs, loaded with the first of them: what values are written with and read takes
// as long to load as all the rest of a worker. What users may have changed by then has been taken before.

import './builtins'
import { part } from './refused'

let values: typeof import('./payload').parts | undefined

/** What values are written with and read that are no numbers. */
export function payload(): typeof import('./payload').parts {
  values ??= part(() => require('./payload') as typeof import('./payload')).parts
  return values
}

/** What a tracer is to know of what a task does. */
export function taskContext(carried: string): import('./metrics/context').TaskContext | undefined {
  return part(() => require('./metrics/context') as typeof import('./metrics/context')).taskContext(carried)
}
