// threadmill/function. Checked by tsc, never run.
import { EventEmitter } from 'node:events'
import * as root from 'threadmill'
import {
  asyncEventEmitter,
  type CountStatusResponse,
  type DeferredPromisifyModule,
  exitEventSupported,
  FunctionPool,
  type FunctionPoolOptions,
  FunctionThread,
  importPersistentWorker,
  importTaskWorker,
  importWorker,
  type MessageOptions,
  type PoolStatus,
  type PromisifyModule,
  type RawStatus,
  round,
  Status,
  StatusType,
  TaskPool,
  type Terminable,
  ThreadStatus,
} from 'threadmill/function'
import * as plural from 'threadmill/functions'
import * as utilities from 'threadmill/utils'
import { exactly } from './assert'

/** The module of the examples, as far as its types matter. */
interface Math {
  state: number
  fib(n: number): number
  findPrimesUpTo(n: number): number[]
  later(text: string): Promise<string>
}

// Entry points
exactly<FunctionPool>()(new plural.FunctionPool())
exactly<FunctionPool>()(new root.FunctionPool())
exactly<typeof plural.asyncEventEmitter>()(utilities.asyncEventEmitter)
// @ts-expect-error the utilities alone
utilities.FunctionPool
// @ts-expect-error the root's pool is another one
new FunctionPool().run(5)

// Options
const options: FunctionPoolOptions = {
  poolSize: 2,
  pingInterval: 5,
  maxThreadThreshold: 50,
  autoStart: false,
  label: 'x',
}
const pool = new FunctionPool(options)
// @ts-expect-error a number is needed
new FunctionPool({ poolSize: '2' })
// @ts-expect-error read-only
pool.system = { cores: 1, threads: 1, memory: 1 }
exactly<number>()(pool.system.memory)

// Tasks
const thread = pool.addTask(async () => 5, 'meta')
exactly<FunctionThread<number, string>>()(thread)
exactly<FunctionThread<number, undefined>>()(pool.addTask(() => 5))
exactly<number | undefined>()(thread.message)
exactly<string>()(thread.meta)
exactly<boolean>()(thread.start())
exactly<ThreadStatus>()(thread.status)
thread
  .then((result) => exactly<number>()(result))
  .catch((_reason, kind) => exactly<'error' | 'messageerror'>()(kind))
  .finally((code) => exactly<number>()(code))
  .on('message', (result) => exactly<number>()(result))
  .on('exit', (code) => exactly<number>()(code))
const awaited = async () => exactly<number>()(await thread)
exactly<() => Promise<void>>()(awaited)
// @ts-expect-error not a function
pool.addTask(Promise.resolve(5))
// @ts-expect-error it takes arguments
pool.addTask((n: number) => n)
// @ts-expect-error read-only
thread.message = 5
// @ts-expect-error a function is needed
new FunctionThread({ meta: 1 })
new FunctionThread({ workerFn: async () => 5, meta: 'x' }).meta.toUpperCase()

// Registration
exactly<FunctionPool>()(
  pool
    .then((_result, finished) => exactly<FunctionThread>()(finished))
    .catch((_reason, kind) => exactly<'error' | 'messageerror'>()(kind))
    .finally((code) => exactly<number>()(code))
    .allSettled((threads) => exactly<FunctionThread[]>()(threads))
    .all(() => {})
    .any((_result, first) => exactly<FunctionThread | undefined>()(first))
    .race((_result, first) => exactly<FunctionThread>()(first)),
)
pool.on('worker.exit', (code, finished) => {
  exactly<number>()(code)
  exactly<FunctionThread>()(finished)
})
// @ts-expect-error the code is a number
pool.on('worker.exit', (code: string) => code)
// @ts-expect-error the code is a number
pool.once('worker.exit', (code: string) => code)
// @ts-expect-error the code is a number
thread.on('exit', (code: string) => code)
pool.on('own', (first: string, second: number) => [first, second])
thread.once(Symbol('own'), (first: string) => first)
// @ts-expect-error a callback is needed
pool.allSettled()
const cached = new Map<string, number>()
const load = async () => 'loaded'
exactly<FunctionThread<number | string, undefined>>()(pool.addTask(() => cached.get('a') ?? load()))
exactly<FunctionThread<number | string, 5>>()(pool.addTask(() => cached.get('a') ?? load(), 5 as const))

// Status
exactly<CountStatusResponse>()(pool.status())
exactly<PoolStatus>()(pool.status('*'))
exactly<PoolStatus>()(pool.status('*', StatusType.PERCENT))
exactly<RawStatus<FunctionThread>>()(pool.status('*', StatusType.RAW))
exactly<number>()(pool.status('completed'))
exactly<number>()(pool.status('completed', 2))
exactly<FunctionThread[]>()(pool.status('completed', StatusType.RAW))
for (const { message, meta } of pool.status('completed', StatusType.RAW)) console.log(message, meta)
exactly<Pick<CountStatusResponse, 'active' | 'total'>>()(pool.status(['active', 'total']))
exactly<string[]>()(new TaskPool<string>().status(['active'], 'raw').active)
exactly<string | false>()(new TaskPool<string>().next())
// @ts-expect-error no such field
pool.status('finished')
// @ts-expect-error the fields of an array are names
pool.status(['*'])
// @ts-expect-error no such type
pool.status('*', 'percent')
// @ts-expect-error not asked for
pool.status(['active']).total

// Flags
exactly<24>()(Status.COMPLETED)
exactly<boolean>()(new ThreadStatus().COMPLETED)
// @ts-expect-error frozen
Status.INIT = 2
// @ts-expect-error read-only
new ThreadStatus().READY = true

// Imported modules
const modules = async () => {
  const math = await importWorker<Math>('./math.js')
  exactly<PromisifyModule<Math>>()(math)
  exactly<number[]>()(await math.findPrimesUpTo(10))
  exactly<number>()(await math.state())
  exactly<string>()(await math.later('x'))
  await math.fib(42)
  // @ts-expect-error a number is needed
  math.fib('42')
  // @ts-expect-error nothing ends it
  math.terminate()

  const deferred = await importTaskWorker<Math>(new URL('file:///math.js'), { name: 'x' }, { timeout: 0 })
  exactly<DeferredPromisifyModule<Math>>()(deferred)
  exactly<() => Promise<number>>()(deferred.fib(42))
  exactly<() => Promise<number>>()(deferred.state())
  exactly<FunctionThread<number, string>>()(pool.addTask(deferred.fib(42), 'fib(42)'))
  // @ts-expect-error a number is needed
  deferred.fib('42')

  const persistent = await importPersistentWorker<Math>('./math.js')
  const same: PromisifyModule<Math & Terminable> = persistent
  await same.terminate()
  exactly<number>()(await persistent.terminate())
  exactly<number>()(await persistent.fib(6))
  // @ts-expect-error another key
  persistent.close()
  const closable = await importPersistentWorker<Math, 'close'>('./math.js', {}, { terminateKey: 'close' })
  exactly<number>()(await closable.close())
  // @ts-expect-error another key
  closable.terminate()
  const unnamed = await importPersistentWorker<Math>('./math.js', {}, { terminateKey: 'close' })
  exactly<PromisifyModule<Math>>()(unnamed)
  // @ts-expect-error another key
  unnamed.terminate()
  exactly<number>()(await (await importPersistentWorker('./math.js', {}, { terminateKey: 'close' })).close())

  const { fib } = await importWorker<Math & { then: number }>('./math.js')
  exactly<number>()(await fib(42))
  exactly<() => Promise<number>>()((await importTaskWorker<Math & { then: number }>('./math.js')).fib(42))
  type Odd = { promised: Promise<number>; Point: typeof URL; Base: abstract new () => object }
  const odd = await importWorker<Odd>('./odd.js')
  exactly<number>()(await odd.promised())
  exactly<never>()(await odd.Point())
  exactly<() => () => Promise<number>>()((await importTaskWorker<Odd>('./odd.js')).promised)
  exactly<() => () => Promise<never>>()((await importTaskWorker<Odd>('./odd.js')).Base)

  // @ts-expect-error it would make a promise of the module
  ;({}) as PromisifyModule<{ then: number }>['then']
}
modules()
const message: MessageOptions = { timeout: 5, terminateKey: 'close', unref: true }
importWorker('./math.js', undefined, message)

// Utilities
exactly<number>()(round(1.235, 2))
exactly<Promise<boolean>>()(exitEventSupported(5))
const emit = asyncEventEmitter(new EventEmitter())
exactly<Promise<string>>()(emit('event', 'value', 1, 2))
exactly<Promise<string>>()(emit.waitFor(5, 'event', 'value'))
// @ts-expect-error not an emitter
asyncEventEmitter({})
