// Stage: submit and settle. Thread: owner env.
// What `diagnostics_channel` tells of pools. No message is made up for a channel that nobody has subscribed to.

import { channel } from 'node:diagnostics_channel'
import type { IWorker, PoolStats, WorkerExitReason } from '..'
import type { ChannelMessages, TaskMessage } from '../metrics'
import { native } from './native'
import { own } from './own'
import type { TaskHandle } from './task'

const taskSubmit = channel('threadmill:task:submit')
const taskRetry = channel('threadmill:task:retry')
const taskEnd = channel('threadmill:task:end')
const workerLaunch = channel('threadmill:worker:launch')
const workerOnline = channel('threadmill:worker:online')
const workerExit = channel('threadmill:worker:exit')
const poolCreate = channel('threadmill:pool:create')
const poolClose = channel('threadmill:pool:close')
const { now } = native

type Message<Name extends keyof ChannelMessages> = ChannelMessages[Name]

/** Whether somebody wants to be told of tasks. Asked for every one. */
export function watchesTasks(): boolean {
  return taskSubmit.hasSubscribers || taskEnd.hasSubscribers || taskRetry.hasSubscribers
}

function about(pool: string, { id, kernel, options, timestamp }: TaskHandle<unknown>): TaskMessage {
  const name = kernel === undefined ? (own(options, 'name') as string | undefined) : undefined
  return { pool, id, lane: kernel === undefined ? 'js' : 'native', kernel, name, timestamp }
}

/** A task has been submitted. Of those that this was called for, and of no others, the channels tell the rest. */
export function taskSubmitted(pool: string, task: TaskHandle<unknown>): void {
  task.watchedSince = now()
  if (taskSubmit.hasSubscribers) taskSubmit.publish(about(pool, task))
}

/** It is settled. */
export function taskEnded(pool: string, task: TaskHandle<unknown>, succeeded: boolean, value: unknown): void {
  if (task.watchedSince === undefined || !taskEnd.hasSubscribers) return
  const { worker, ranFor, retries } = task
  const message: Message<'threadmill:task:end'> = {
    ...about(pool, task),
    succeeded,
    error: succeeded ? undefined : value,
    worker: worker?.id,
    elapsed: now() - task.watchedSince,
    runTime: ranFor,
    retries,
  }
  taskEnd.publish(message)
}

/** A run of it has failed, and it runs again. */
export function taskRetried(pool: string, task: TaskHandle<unknown>, attempt: number, error: unknown): void {
  if (task.watchedSince === undefined || !taskRetry.hasSubscribers) return
  const message: Message<'threadmill:task:retry'> = { ...about(pool, task), attempt, error }
  taskRetry.publish(message)
}

export function workerLaunched(pool: string, { id }: IWorker): void {
  if (!workerLaunch.hasSubscribers) return
  const message: Message<'threadmill:worker:launch'> = { pool, lane: 'js', worker: id }
  workerLaunch.publish(message)
}

export function workerIsOnline(pool: string, { id }: IWorker): void {
  if (!workerOnline.hasSubscribers) return
  const message: Message<'threadmill:worker:online'> = { pool, lane: 'js', worker: id }
  workerOnline.publish(message)
}

export function workerExited(
  pool: string,
  { id }: IWorker,
  exitCode: number,
  error: unknown,
  reason: WorkerExitReason,
): void {
  if (!workerExit.hasSubscribers) return
  const message: Message<'threadmill:worker:exit'> = { pool, lane: 'js', worker: id, exitCode, error, reason }
  workerExit.publish(message)
}

export function poolCreated(pool: string, threads: number, maxWorkers: number): void {
  if (!poolCreate.hasSubscribers) return
  const message: Message<'threadmill:pool:create'> = { pool, threads, maxWorkers }
  poolCreate.publish(message)
}

/** It has ended, and its workers with it. */
export function poolEnded(pool: string, stats: () => PoolStats): void {
  if (!poolClose.hasSubscribers) return
  const { tasksCompleted, tasksErrored } = stats()
  const message: Message<'threadmill:pool:close'> = { pool, tasksCompleted, tasksErrored }
  poolClose.publish(message)
}
