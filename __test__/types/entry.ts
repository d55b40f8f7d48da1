// Pools with an entry module. Checked by tsc, never run.
import type { Duplex, Readable } from 'node:stream'
import { SHARE_ENV } from 'node:worker_threads'
import {
  type ITaskPool,
  type IWorker,
  type IWorkerClient,
  type ProcessFunc,
  type Task,
  type TaskOptions,
  type WorkerEntryPoint,
  WorkerPool,
  type WorkerPoolOptions,
} from 'threadmill'
import { type Assert, exactly, type Same } from './assert'

const greet = (name: string, _client: IWorkerClient): Promise<number> => Promise.resolve(name.length)

// The function gives the types
const typed = new WorkerPool('./worker.js', { entryPoint: greet, maxWorkers: 2 })
exactly<Promise<number>>()(typed.run('text'))
exactly<Task<string, number>>()(typed.addTask('text', { priority: 'high' }))
exactly<AsyncIterableIterator<number>>()(typed.map(['a', 'b'], { concurrency: 2 }))
// @ts-expect-error the entry function takes a string
typed.run(5)

// Another export of its module takes and gives what only the caller knows
exactly<Promise<string>>()(typed.run<string>({ words: 3 }, { name: 'other', timeout: 100 }))
exactly<Task<unknown, string>>()(typed.addTask<string>(5, { name: 'other', priority: 'high' }))
exactly<AsyncIterableIterator<string>>()(typed.map<string>([1, 2], { name: 'other', concurrency: 2 }))
// biome-ignore lint/suspicious/noExplicitAny: that is the type
exactly<Promise<any>>()(typed.run(5, { name: 'other' }))
// @ts-expect-error names are strings
typed.run(5, { name: 5 })
// @ts-expect-error nothing says that it is another one
typed.run(5, { name: undefined })
// @ts-expect-error not a strength
typed.run('a', { affinityStrength: 'weak' })

// Kernels as in any pool
exactly<Promise<number>>()(typed.run(10, { kernel: 'fib' }))

// A function that carries its place
const located = Object.assign((input: { n: number }) => input.n, { modulePath: '/tmp/module.js' })
const carried = new WorkerPool(located)
exactly<Promise<number>>()(carried.run({ n: 1 }))
// @ts-expect-error it does not say where it is
new WorkerPool(greet)

// What it gives is what its promises give, whatever they are
const eventually = (input: number): PromiseLike<string> => Promise.resolve(String(input))
exactly<Promise<string>>()(new WorkerPool('./worker.js', { entryPoint: eventually }).run(1))
const mixed = (input: number): Promise<number> | string => (input > 1 ? 'text' : Promise.resolve(input))
exactly<Promise<string | number>>()(new WorkerPool('./worker.js', { entryPoint: mixed }).run(1))
exactly<Promise<string | number>>()(new WorkerPool(Object.assign(mixed, { modulePath: '/tmp/module.js' })).run(1))
declare const thenable: (input: number) => { then(take: (value: boolean) => void): void }
exactly<Promise<boolean>>()(new WorkerPool('./worker.js', { entryPoint: thenable }).run(1))
const made = <I, O>(entryPoint: WorkerEntryPoint<I, O>): WorkerPool<I, O> =>
  new WorkerPool('./worker.js', { entryPoint })
exactly<WorkerPool<string, number>>()(made(greet))
// @ts-expect-error it gives a number
new WorkerPool<string, string>('./worker.js', { entryPoint: greet })

// Options that were written down before
const written: WorkerPoolOptions<string, number> = { maxWorkers: 1, entryPoint: greet }
exactly<WorkerPool<string, number>>()(new WorkerPool('./worker.js', written))
exactly<WorkerPool<string, number>>()(new WorkerPool<string, number>('./worker.js', written))
const taskOptions: TaskOptions = { workerAffinity: 'main', affinityStrength: 'strong', mainThread: true, key: 'k' }
exactly<Task<string, number>>()(typed.addTask('text', taskOptions))
// @ts-expect-error not an option of a pool
const _mistaken: WorkerPoolOptions<string, number> = { maxWorker: 1 }
// @ts-expect-error no such worker
const _nowhere: TaskOptions = { workerAffinity: 'Main' }

// Workers are made with what `new Worker` takes
new WorkerPool('./worker.js', { env: SHARE_ENV, resourceLimits: { maxOldGenerationSizeMb: 64 } })
new WorkerPool('./worker.js', { env: { ...process.env, MODE: 'test' } })
// @ts-expect-error a typing mistake
new WorkerPool('./worker.js', { resourceLimits: { maxOldGenSizeMb: 64 } })
// @ts-expect-error variables are strings
new WorkerPool('./worker.js', { env: { MODE: {} } })

// No input is one where `undefined` is
exactly<Promise<number>>()(new WorkerPool('./worker.js', { entryPoint: () => 5 }).run())
const optional = new WorkerPool('./worker.js', { entryPoint: (input?: string) => input?.length ?? 0 })
exactly<Promise<number>>()(optional.run())
exactly<Task<string | undefined, number>>()(optional.addTask())
const pass = <I, O>(pool: WorkerPool<I, O>, input: I): Promise<O> => pool.run(input)
exactly<Promise<number>>()(pass(optional, undefined))
// @ts-expect-error the entry function takes a string
typed.run()
// @ts-expect-error the entry function takes a string
typed.addTask()
// @ts-expect-error a kernel is missing
new WorkerPool().run()

// Nothing is known
const untyped = new WorkerPool(new URL('file:///worker.js'), 2)
// biome-ignore lint/suspicious/noExplicitAny: that is the type
exactly<Promise<any>>()(untyped.run(5))
new WorkerPool<string, boolean>('./worker.js').run('a').then((value) => exactly<boolean>()(value))

// Without a module there is no entry function
// @ts-expect-error a kernel is missing
new WorkerPool().run(5)
// @ts-expect-error nor any other export
new WorkerPool().run(5, { name: 'other' })
// @ts-expect-error nor any other export
new WorkerPool().map([5], { name: 'other' })

// A function for this thread, in a pool without a module
exactly<Promise<number>>()(new WorkerPool().run((client) => client.id, { mainThread: true }))
exactly<Task<(client: IWorkerClient) => Promise<string>, string>>()(
  new WorkerPool().addTask(async () => 'text', { workerAffinity: 'main' }),
)
// @ts-expect-error nothing says where
new WorkerPool().run(() => 5, {})

// Streams, estimators, placement
exactly<Duplex>()(typed.stream({ concurrency: 2, ordered: false }))
exactly<Duplex>()(typed.stream({ kernel: 'gzip', level: 9 }))
new WorkerPool('./worker.js', {
  entryPoint: greet,
  eager: false,
  inherentCostEstimator: (task) => {
    // biome-ignore lint/suspicious/noExplicitAny: tasks of kernels are asked about as well
    exactly<Task<any, any>>()(task)
    return 1
  },
  workerCostEstimator: (_task: Task<string, number>, worker) => {
    exactly<IWorker>()(worker)
    return 1
  },
})
typed.run('text', { mainThread: true })
typed.run('text', { workerAffinity: 'main' })
// @ts-expect-error no such worker
typed.run('text', { workerAffinity: 'Main' })

const busy = async (_input: number, client: IWorkerClient) => {
  exactly<number>()(client.attempt)
  client.progress(1, 2).postMessageToPool('note', new ArrayBuffer(1), [])
  exactly<Promise<string>>()(client.kernels.sha256('text'))
  exactly<Promise<number>>()(client.run(10, { kernel: 'fib' }))
  exactly<Promise<string>>()(client.run<number, string>(10))
  exactly<Promise<string>>()(client.run<string>(10, { name: 'other' }))
  return exactly<Task<number, number>>()(client.addTask(10, { kernel: 'fib' }))
}
new WorkerPool('./worker.js', { entryPoint: busy as never })

// No input is one where `undefined` is, for a client too
const ping = async (_input: number | undefined, client: IWorkerClient<number | undefined>) => {
  // biome-ignore lint/suspicious/noExplicitAny: that is the type
  exactly<Promise<any>>()(client.run())
  exactly<Promise<number>>()(client.run<number>())
  exactly<Task<number | undefined, number>>()(client.addTask<number>())
}
const pong = async (_input: number, client: IWorkerClient<number>, any: IWorkerClient) => {
  any.run()
  any.addTask()
  // @ts-expect-error the entry function takes a number
  client.run()
  // @ts-expect-error the entry function takes a number
  client.addTask()
}
new WorkerPool('module', { entryPoint: ping })
exactly<(input: number, client: IWorkerClient<number>, any: IWorkerClient) => Promise<void>>()(pong)

// A client that knows what its entry function takes; names of other packages
const split = (input: string, client: IWorkerClient<string>): Promise<number> => {
  client.run(input)
  exactly<Task<unknown, number>>()(client.addTask<number>(5, { name: 'other' }))
  exactly<Task<string, boolean>>()(client.addTask<string, boolean>(input))
  // @ts-expect-error the entry function takes a string
  client.run(5)
  // @ts-expect-error the entry function takes a string
  client.addTask(5)
  const tasks: ITaskPool<string> = client
  tasks.addTask(input)
  // @ts-expect-error that part has no run
  tasks.run(input)
  return Promise.resolve(1)
}
exactly<Promise<number>>()(new WorkerPool('./worker.js', { entryPoint: split }).run('text'))
type _function = Assert<Same<ProcessFunc<string, number>, WorkerEntryPoint<string, number>>>
exactly<Readable | null>()(typed.workers[0]?.stdout ?? null)

const anyPool: WorkerPool = new WorkerPool()
anyPool.close()

typed.onMessage('x', (contents, origin) => {
  exactly<IWorker>()(origin)
  origin.postMessageToWorker('y', contents)
})
exactly<readonly IWorker[]>()(typed.workers)
// What ends may be the task of a kernel. A listener may know better
typed.on('task-added', (task) => exactly<Task>()(task))
typed.on('retry', (task) => exactly<Task>()(task))
typed.on('task-complete', (_error, result, task) => {
  exactly<unknown>()(result)
  exactly<Task>()(task)
  // @ts-expect-error that of a kernel is no number
  result?.toFixed()
})
typed.on('task-complete', (_error: unknown, result: number | undefined, task: Task<string, number>) => [result, task])
// @ts-expect-error there is no such argument
typed.on('task-added', (task: Task, more: string) => [task, more])
// @ts-expect-error no such event
typed.on('finished', () => {})

// Hooks are properties of entry functions.
declare const hooked: WorkerEntryPoint<number, string>
hooked.onWorkerStart = async (client) => exactly<number>()(client.id)
hooked.onWorkerExit = (client) => exactly<number>()(client.id)
hooked.preTask = (n) => exactly<number>()(n)
// @ts-expect-error it gets the input
hooked.preTask = (n: string) => n
// @ts-expect-error there is no such hook
hooked.onWorkerStop = () => {}
// The options are what is wrong
// @ts-expect-error there is no such option
new WorkerPool('./worker.js', { maxThreads: 3 })
exactly<string>()(String(new WorkerPool('./worker.js', 2).workers[0]))
