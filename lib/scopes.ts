// Stage: run. Thread: a JS worker.
// Which task a caller belongs to, while more than one of a worker has not returned.
//
// J13. Of the tasks that have given promises and not returned, at most one runs without an async context of its own, and
//      what has no context belongs to it; with workerConcurrency all have one. Contexts cost more than tiny tasks do: a
//      function that has given its output at once so far is called without one beside others, too. Where tasks may run
//      beside each other, each gets a client that knows it, for the one case that this leaves open: such a function gives a
//      promise after all.

import { AsyncLocalStorage } from 'node:async_hooks'
import type { EntryWithHooks } from './call'
import { OwnMap, OwnSet, OwnWeakSet } from './collections'
import type { Running } from './worker-client'

/** Tasks of this worker that have not returned, by id index. */
export const unfinished = new OwnMap<number, Running>()
/** Those of them without a context, and among these those whose clients do not know them either. */
const loose = new OwnSet<Running>()
const unbound = new OwnSet<Running>()
/** Made when tasks may run beside each other. */
let contexts: AsyncLocalStorage<Running> | undefined
/** Whether a task has one even when it runs alone. */
let isAlways = false
/** Functions that have given their outputs at once so far, and the one of them that was called last. */
const direct = new OwnWeakSet<EntryWithHooks>()
let lastDirect: EntryWithHooks | undefined
/** Functions that have given a promise. */
const lasting = new OwnWeakSet<EntryWithHooks>()
/** The task whose function is on the stack. */
let onStack: Running | undefined

/** From now on tasks may begin beside one that waits, or (`always`) beside any. */
export function separate(always: boolean): void {
  contexts ??= new AsyncLocalStorage()
  isAlways ||= always
}

/** Tasks get no client that would have to know them. */
export function join(): void {
  contexts = undefined
}

/** Whether tasks may run beside each other. */
export function isSeparate(): boolean {
  return contexts !== undefined
}

/** The task that the caller belongs to, as far as that can be told; `given`: that of the client in use. */
export function currentTask(given?: Running): Running | undefined {
  const known = onStack ?? contexts?.getStore()
  if (known !== undefined) return known
  if (given !== undefined && unfinished.get(given.idIndex) === given) return given
  // What a task has left behind is not of another one.
  if (given !== undefined && isAlways) return undefined
  return given === undefined && unbound.size > 0 ? unbound.only : loose.only
}

/** Puts a task on the stack; gives the one that was there. */
export function enter(task: Running | undefined): Running | undefined {
  const outer = onStack
  onStack = task
  return outer
}

/** Whether a call of the function is made in a context; see J13. */
export function needsContext(fn: EntryWithHooks): boolean {
  if (contexts === undefined || fn === lastDirect || (unfinished.size === 0 && !isAlways)) return false
  if (!direct.has(fn)) return true
  lastDirect = fn
  return false
}

/** Calls `call` in the context of a task. */
export function callIn(task: Running, call: () => unknown): unknown {
  return (contexts as AsyncLocalStorage<Running>).run(task, call)
}

/** A call has given its output at once. */
export function sawOutput(fn: EntryWithHooks): void {
  if (contexts === undefined || fn === lastDirect || direct.has(fn) || lasting.has(fn)) return
  direct.add(fn)
  // Until the next call in a context, promises cost what they cost without. They are lost to those that are in one.
  if (loose.size === unfinished.size) contexts.disable()
}

/** A call has given a promise; `knownBy`: what tells that the task is meant. */
export function sawPromise(fn: EntryWithHooks, task: Running, knownBy: 'context' | 'client' | 'nothing'): void {
  unfinished.set(task.idIndex, task)
  if (knownBy !== 'context') loose.add(task)
  if (knownBy === 'nothing') unbound.add(task)
  if (contexts === undefined || lasting.has(fn)) return
  lasting.add(fn)
  direct.delete(fn)
  if (fn === lastDirect) lastDirect = undefined
}

/** A task has returned. */
export function finished(task: Running): void {
  unfinished.delete(task.idIndex)
  loose.delete(task)
  unbound.delete(task)
}
