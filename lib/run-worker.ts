// Stage: run. Thread: any.
// One worker for one result, beside all pools: started with data, ended with its first message.

import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Transferable, Worker } from 'node:worker_threads'
import { isUrl, localFile } from './entry'
import { ThreadmillError, wrongType, wrongValue } from './errors'
import { checkSignal, checkTimeout, optionsObject } from './options'
import { BuiltinPromise } from './promise'
import { isRefused, refusedThread } from './refused'
import { checkNotAborted, reasonOf } from './signals'
import { clearTimeout, setTimeout } from './timers'
import { checkTransferList } from './transfer'
import { isWatchReport } from './watch-mode'

const FORMS = 'a path, the file: URL of a local file, or a data: URL'
/** Two characters at least: one letter and a colon are a drive of Windows. */
const SCHEME = /^[a-z][a-z\d+.-]+:/i

/** See `runWorker` in index.d.ts. */
export async function runWorker(script: unknown, workerData?: unknown, given?: unknown): Promise<never> {
  // Without a prototype: what others have added to that of all objects is no option, for Node neither.
  const options: Record<string, unknown> = Object.assign(Object.create(null), optionsObject(given))
  const { timeout, signal, transferList } = options
  const limit = timeout === undefined ? 0 : checkTimeout(timeout)
  const aborter = signal === undefined ? undefined : checkSignal(signal)
  const list = transferList === undefined ? [] : checkTransferList('options.transferList', transferList)
  const source = options.eval === true ? checkSource(script) : scriptUrl(script)
  checkNotAborted(aborter)
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
  let worker: Worker
  try {
    worker = new Worker(source, Object.assign(options, { workerData, transferList: list as Transferable[] }))
  } catch (error) {
    throw isRefused(error, true) ? refusedThread(error) : error
  }
  return resultOf(worker, limit, aborter)
}

/** What comes first: a message, an error, the end, an abort, or the limit in ms, unless that is 0. */
function resultOf(worker: Worker, limit: number, signal: AbortSignal | undefined): Promise<never> {
  return new BuiltinPromise((resolve, reject) => {
    let settle: (() => void) | undefined
    let failure: (() => void) | undefined
    let timer: NodeJS.Timeout | undefined
    const finish = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      settle?.()
    }
    // A thread that is in a call of the system ends when that returns: nobody waits for it then.
    const giveUp = (reason: () => unknown): void => {
      settle ??= failure ?? (() => reject(reason()))
      worker.terminate()
      finish()
    }
    const abort = (): void => giveUp(() => signal && reasonOf(signal))
    signal?.addEventListener('abort', abort)
    if (limit > 0) timer = setTimeout(() => giveUp(() => timedOut(limit)), limit)
    worker.on('message', (value: unknown) => {
      if (isWatchReport(value)) return
      settle ??= () => resolve(value as never)
      worker.terminate()
    })
    worker.once('messageerror', (error) => {
      settle ??= () => reject(error)
      worker.terminate()
    })
    // It comes another way than messages, and may overtake one that was posted before.
    worker.on('error', (error) => {
      failure ??= () => reject(isRefused(error, true) ? refusedThread(error) : error)
    })
    worker.once('exit', (code) => {
      settle ??= failure ?? (() => reject(stopped(code)))
      finish()
    })
    // Its data may have a getter that aborted it.
    if (signal?.aborted) abort()
  })
}

function stopped(exitCode: number): ThreadmillError {
  const text = exitCode === 0 ? 'Worker ended without sending a result' : `Worker stopped with exit code ${exitCode}`
  return Object.assign(new ThreadmillError('ERR_THREADMILL_WORKER_CRASHED', text), { exitCode })
}

function timedOut(limit: number): ThreadmillError {
  return new ThreadmillError('ERR_THREADMILL_TIMEOUT', `Worker sent no result within ${limit} ms`)
}

function checkSource(script: unknown): string {
  if (typeof script !== 'string') throw wrongType('script', 'a string of JavaScript, for options.eval is true', script)
  return script
}

function scriptUrl(script: unknown): URL {
  const text = isUrl(script) ? script.href : script
  if (typeof text !== 'string') throw wrongType('script', FORMS, script)
  if (text === '' || text.includes('\0')) throw wrongValue('script', FORMS, script)
  if (path.isAbsolute(text) || !SCHEME.test(text)) return pathToFileURL(path.resolve(text))
  const isUsable = /^data:/i.test(text) ? URL.canParse(text) : localFile(text) !== undefined
  if (!isUsable) throw wrongValue('script', FORMS, script)
  return new URL(text)
}
