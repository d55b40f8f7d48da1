// The pool: what compiles and what must not. Checked by tsc, never run. A line below @ts-expect-error that compiles
// is an error of its own.
import {
  type IWorker,
  isMainThread,
  type PoolStats,
  type Task,
  ThreadmillError,
  WorkerPool,
  type WorkerPoolOptions,
} from 'threadmill'
import { type Assert, exactly, type Same } from './assert'

const pool = new WorkerPool()

// Construction
declare const options: WorkerPoolOptions
new WorkerPool(options)
new WorkerPool({})
new WorkerPool({ name: 'images', threads: 2, capacity: 100, timeout: 1000, timeoutFrom: 'start', nice: 5 })
new WorkerPool({ pin: [0, 1], schedule: 'longest-first', threads: undefined })
new WorkerPool({ pin: 'spread' })
new WorkerPool({ workerConcurrency: 2 })
// @ts-expect-error a number in that spelling too
new WorkerPool({ workerConcurency: '2' })
// @ts-expect-error there are no JS workers
new WorkerPool({ maxWorkers: 2 })
// @ts-expect-error threads is a number
new WorkerPool({ threads: '2' })
// @ts-expect-error not a schedule
new WorkerPool({ schedule: 'lifo' })
// @ts-expect-error a typing mistake
new WorkerPool({ thread: 2 })
// @ts-expect-error a class, not a function
WorkerPool({})
// @ts-expect-error options are read only
options.threads = 2

// Classes that extend it
class Untyped extends WorkerPool {}
class Typed extends WorkerPool<string, number> {
  constructor(module: string) {
    super(module, { maxWorkers: 2 })
  }
}
// biome-ignore lint/suspicious/noExplicitAny: that is the type
exactly<Promise<any>>()(new Untyped('module', 2).run('text'))
exactly<Promise<number>>()(new Typed('module').run('text'))
exactly<Promise<string>>()(new Untyped().kernels.sha256('text'))
new Untyped({ threads: 2 })
new Untyped('module', { maxWorkers: 2 })
new Untyped(Object.assign((input: string) => input.length, { modulePath: '/module.js', moduleSymbol: undefined }))
new Untyped('module', { entryPoint: (input: string) => input.length })
// @ts-expect-error not an option of a pool
new Untyped({ maxWorkers: 2 })
// @ts-expect-error the entry function takes a string
new Typed('module').run(1)
exactly<WorkerPool<never, never>>()(new WorkerPool({ threads: 2 }))

// Names and kernels
exactly<string>()(pool.name)
exactly<boolean>()(pool.isIdle)
// @ts-expect-error read only
pool.name = 'other'

// Tasks
type _task = Assert<Same<Awaited<Task<string, number>>, number>>
declare const task: Task<string, number>
exactly<string>()(task.argument)
exactly<string>()(task.arg)
exactly<boolean>()(task.cancel())
exactly<boolean>()(task.cancel(new Error('no longer needed')))
exactly<IWorker | undefined>()(task.worker)
exactly<number>()(task.id)
exactly<Promise<string>>()(task.then((value) => value.toFixed()))
exactly<Promise<number | null>>()(task.catch(() => null))
task.on('progress', (progress) => exactly<number>()(progress.fraction))
task.on('message', (type, contents) => {
  exactly<string>()(type)
  exactly<unknown>()(contents)
})
// @ts-expect-error not an event
task.on('done', () => {})
// @ts-expect-error read only
task.id = 1

// State
exactly<Promise<void>>()(pool.whenIdle())
exactly<Promise<void>>()(pool.close())
exactly<Promise<void>>()(pool.dispose())
exactly<Promise<void>>()(pool.dispose({ force: true }))
exactly<Promise<void>>()(pool.destroy())
exactly<Promise<void>>()(pool.close({ timeout: 1000 }))
exactly<Promise<void>>()(pool.ready())
exactly<Promise<void>>()(pool.ready({ signal: AbortSignal.abort() }))
// @ts-expect-error a signal is asked for
pool.ready({ signal: 1 })
exactly<WorkerPool<never, never>>()(pool.onShutdown(async () => {}))
exactly<WorkerPool<never, never>>()(pool.installSignalHandlers(['SIGTERM']).installSignalHandlers())
exactly<WorkerPool<never, never>>()(pool.startHealthMonitoring(100).startHealthMonitoring({ log: true, alert: 3 }))
exactly<WorkerPool<never, never>>()(pool.stopHealthMonitoring())
new WorkerPool({ capacityBytes: 2 ** 20, handleSignals: true, disposeTimeout: 100 })
new WorkerPool({ maxMemoryUsage: 2 ** 30, checkInterval: 1000, memoryStrategy: ({ heapUsed }) => heapUsed })
pool.on('drain', () => {})
pool.on('health', (stats) => exactly<PoolStats>()(stats))
pool.on('health-alert', ({ type, stats }) => {
  exactly<'queue-backlog'>()(type)
  exactly<PoolStats>()(stats)
})
// Tasks of kernels are told of as well
pool.on('task-complete', (_error, result, { argument }) => {
  exactly<unknown>()(result)
  // biome-ignore lint/suspicious/noExplicitAny: that is the type
  exactly<any>()(argument)
})
// @ts-expect-error the code is a number
pool.on('worker-exit', (_worker, code: string) => code)
pool.on('worker-exit', (_worker, code, _error, reason) => (reason === 'crashed' ? code : 0))
// @ts-expect-error not a reason
pool.on('worker-exit', (_worker, _code, _error, reason) => reason === 'died')
// @ts-expect-error no code
pool.on('worker-online', (_worker, code) => code)
pool.on('worker-online', ({ id, threadId }) => [exactly<number>()(id), exactly<number | undefined>()(threadId)])
pool.once('high-memory', ({ worker }) => exactly<IWorker | undefined>()(worker))
// @ts-expect-error no signal
pool.installSignalHandlers(['SIGNOTHING'])
// @ts-expect-error a number of ms
pool.close(1000)
// @ts-expect-error not a strategy
new WorkerPool({ memoryStrategy: 'panic' })
exactly<PoolStats>()(pool.stats())
exactly<number | null>()(pool.stats().sizing.quota)
// @ts-expect-error figures are read only
pool.stats().queueLength = 0

// Messages
exactly<WorkerPool<never, never>>()(pool.onMessage('line', (_contents, origin) => exactly<number>()(origin.id)))
// @ts-expect-error types are strings
pool.onMessage(1, () => {})

// Errors
const error = new ThreadmillError('ERR_THREADMILL_TIMEOUT', 'too slow', { cause: new Error('why') })
if (error.code === 'ERR_THREADMILL_TIMEOUT') exactly<'ERR_THREADMILL_TIMEOUT'>()(error.code)
// @ts-expect-error read only
error.exitCode = 1
// @ts-expect-error not in the closed set of codes
new ThreadmillError('ERR_SOMETHING', 'message')

// Names of the contract, and views whose memory may be of any kind
exactly<boolean>()(isMainThread)
const oldSpelling: WorkerPoolOptions = { workerConcurency: 2 }
new WorkerPool('module', oldSpelling)
export async function moved(values: Float64Array): Promise<Float64Array> {
  const packed = await new WorkerPool().kernels.gzip(values)
  await new WorkerPool().kernels.gunzip(packed, { transfer: [packed.buffer] })
  return new WorkerPool().kernels.sort(values, { transfer: [values.buffer] })
}
export function ended(error: ThreadmillError, task: Task<number>): unknown {
  exactly<number | undefined>()(error.exitCode)
  return task.arg
}
