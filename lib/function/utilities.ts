// Stage: all. Thread: any.
// What scripts of workers and programs around them need beside the pools.

import type { EventEmitter } from 'node:events'
import process from 'node:process'
import type { MessagePort } from 'node:worker_threads'
import type { AsyncEventEmitter } from '../../function'
import { BuiltinPromise } from '../promise'
import { clearTimeout, setTimeout } from '../timers'
import { checkFunction, checkNumber, MAX_INTERVAL } from './options'

/** See `exitKey` in function.d.ts. */
export const exitKey = '@@TerminateThread'

/** See `exitEventSupported` in function.d.ts. */
export async function exitEventSupported(delay: number = 250): Promise<boolean> {
  checkNumber('delay', delay)
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
  let worker: InstanceType<typeof Worker>
  try {
    worker = new Worker('', { eval: true, execArgv: [] })
  } catch {
    return false
  }
  const answer = await new BuiltinPromise<boolean>((resolve) => {
    const timer = setTimeout(resolve, Math.min(delay, MAX_INTERVAL), false)
    const settle = (isSupported: boolean) => {
      clearTimeout(timer)
      resolve(isSupported)
    }
    worker.on('error', () => settle(false)).on('exit', () => settle(true))
  })
  await worker.terminate()
  return answer
}

/** See `close` in function.d.ts. */
export function close(parentPort?: MessagePort | null): void {
  if (parentPort === undefined || parentPort === null) return
  if (process.env.USE_EXIT_FALLBACK === '1') parentPort.postMessage(exitKey)
  parentPort.close()
}

/** See `asyncEventEmitter` in function.d.ts. */
export function asyncEventEmitter(emitter: EventEmitter, defaultTimeout = 1): AsyncEventEmitter {
  checkFunction('emitter.emit', emitter?.emit)
  checkNumber('defaultTimeout', defaultTimeout)
  const emit = (event: string | symbol, value?: unknown, ...args: unknown[]) =>
    ask(emitter, defaultTimeout, event, value, args)
  const waitFor = (timeout: number, event: string | symbol, value?: unknown, ...args: unknown[]) =>
    ask(emitter, timeout, event, value, args)
  return Object.assign(emit, { waitFor }) as AsyncEventEmitter
}

/** The first answer of a listener, or the value itself when none comes in time. */
async function ask(
  emitter: EventEmitter,
  timeout: number,
  event: string | symbol,
  value: unknown,
  args: unknown[],
): Promise<unknown> {
  checkNumber('timeout', timeout)
  if (emitter.listenerCount(event) === 0) return value
  return new BuiltinPromise((resolve, reject) => {
    const timer = setTimeout(resolve, Math.min(timeout, MAX_INTERVAL), value)
    const answer = (result: unknown) => {
      clearTimeout(timer)
      resolve(result)
    }
    try {
      emitter.emit(event, answer, value, ...args)
    } catch (error) {
      clearTimeout(timer)
      reject(error)
    }
  })
}
