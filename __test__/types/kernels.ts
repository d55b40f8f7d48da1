// The kernels: inputs, options and outputs. Checked by tsc, never run.
import {
  type CsvTable,
  type FftResult,
  type HashOptions,
  type HistogramResult,
  type IWorkerClient,
  type KernelInfo,
  type KernelInput,
  type KernelName,
  type KernelOptions,
  type KernelOutput,
  kernelInfo,
  type MatmulInput,
  type RunOptions,
  type Task,
  type TopKResult,
  WorkerPool,
} from 'threadmill'
import { type Assert, exactly, type Same } from './assert'

const pool = new WorkerPool()
const { kernels } = pool
const bytes = new Uint8Array(8)

// Outputs follow the options
exactly<Promise<string>>()(kernels.sha256('text'))
exactly<Promise<string>>()(kernels.sha256(bytes, { encoding: 'hex', priority: 1, timeout: 100 }))
exactly<Promise<Uint8Array<ArrayBuffer>>>()(kernels.sha256(bytes, { encoding: 'buffer' }))
exactly<Promise<bigint>>()(kernels.xxh3('text'))
exactly<Promise<bigint>>()(kernels.hashFile({ path: 'a', algorithm: 'xxh3' }))
exactly<Promise<string>>()(kernels.hashFile({ path: 'a', algorithm: 'sha256' }))
exactly<Promise<string>>()(kernels.sha256('text', { encoding: undefined }))
exactly<Promise<string>>()(kernels.hashFile({ path: 'a', algorithm: 'sha256' }, { encoding: undefined }))
exactly<Promise<string>>()(pool.run('text', { kernel: 'blake3', encoding: undefined }))
type Digest = string | Uint8Array<ArrayBuffer>
declare const anyEncoding: HashOptions
declare const either: 'hex' | 'buffer' | undefined
exactly<Promise<Digest>>()(kernels.sha256('text', anyEncoding))
exactly<Promise<Digest>>()(kernels.sha512('text', { encoding: either }))
exactly<Promise<Uint8Array<ArrayBuffer>>>()(
  kernels.hashFile({ path: 'a', algorithm: 'blake3' }, { encoding: 'buffer' }),
)
exactly<Promise<Digest>>()(kernels.hashFile({ path: 'a', algorithm: 'sha256' }, { encoding: either }))
// @ts-expect-error not an encoding
kernels.sha256('text', { encoding: 'utf8' })
// @ts-expect-error neither text nor bytes
kernels.sha256(42)
// @ts-expect-error the input is missing
kernels.sha256()

// Outputs follow the input
exactly<Promise<Float32Array<ArrayBuffer>>>()(kernels.sort(new Float32Array(4)))
exactly<Promise<BigInt64Array<ArrayBuffer>>>()(kernels.sort(new BigInt64Array(4), { transfer: [] }))
exactly<Promise<Float64Array<ArrayBuffer>>>()(
  kernels.matmul({ a: new Float64Array(4), b: new Float64Array(4), m: 2, k: 2, n: 2 }),
)
// @ts-expect-error both factors are of one kind
kernels.matmul({ a: new Float64Array(4), b: new Float32Array(4), m: 2, k: 2, n: 2 })
// @ts-expect-error numbers come in typed arrays
kernels.sort([3, 1, 2])

// Outputs have memory of their own, so they can be transferred; of an input that is told when it runs
const moved = async (values: Float64Array) => {
  const packed = await kernels.zstd('text')
  exactly<ArrayBuffer>()(packed.buffer)
  await kernels.unzstd(packed, { transfer: [packed.buffer] })
  const { re, im } = await kernels.fft({ re: new Float32Array(4) })
  await pool.run({ re, im }, { kernel: 'ifft', transfer: [re.buffer, im.buffer] })
  exactly<ArrayBuffer>()((await kernels.matmul({ a: values, b: values, m: 1, k: 1, n: 1 })).buffer)
  exactly<ArrayBuffer>()((await kernels.primesUpTo(10)).buffer)
  return kernels.sort(values, { transfer: [values.buffer] })
}
exactly<(values: Float64Array) => Promise<Float64Array<ArrayBuffer>>>()(moved)
exactly<Float32Array<ArrayBuffer>>()(({} as TopKResult).scores)
exactly<Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>()(({} as HistogramResult).counts)
exactly<Float64Array<ArrayBuffer> | string[] | undefined>()(({} as CsvTable).columns.name)
// @ts-expect-error a view is not its buffer
kernels.sort(bytes, { transfer: [bytes] })

// Compression takes text, decompression only bytes
exactly<Promise<Uint8Array<ArrayBuffer>>>()(kernels.gzip('text', { level: 6 }))
// @ts-expect-error text is not compressed data
kernels.gunzip('text')

// By name
exactly<Promise<number>>()(pool.run(10, { kernel: 'fib' }))
exactly<AsyncIterableIterator<number>>()(pool.map([1, 2, 3], { kernel: 'fib', concurrency: 4 }))
exactly<AsyncIterableIterator<number>>()(pool.map([Promise.resolve(1), 2], { kernel: 'fib' }))
exactly<AsyncIterableIterator<Float64Array<ArrayBuffer>>>()(
  pool.map([Promise.resolve(new Float64Array(1))], { kernel: 'sort' }),
)
exactly<Task<number, number>>()(pool.addTask(10, { kernel: 'fib', key: 'small' }))
// @ts-expect-error no such kernel
pool.run(10, { kernel: 'fibonacci' })
// @ts-expect-error a kernel has to be named
pool.run(10, {})

// By name, outputs follow options and input as well, in a worker, too
declare const client: IWorkerClient
const single: Float32Array = new Float32Array(4)
const double: Float64Array = new Float64Array(4)
const factors: MatmulInput<Float32Array> = { a: single, b: single, m: 2, k: 2, n: 2 }
exactly<Promise<string>>()(pool.run('text', { kernel: 'sha256', encoding: 'base64' }))
exactly<Promise<Uint8Array<ArrayBuffer>>>()(pool.run('text', { kernel: 'blake3', encoding: 'buffer' }))
exactly<Promise<Float32Array<ArrayBuffer>>>()(
  pool.run({ a: single, b: single, m: 2, k: 2, n: 2 }, { kernel: 'matmul' }),
)
exactly<Promise<FftResult<Float64Array>>>()(pool.run({ re: double }, { kernel: 'fft' }))
exactly<Promise<Uint8Array<ArrayBuffer>>>()(pool.run(bytes, { kernel: 'sort', descending: true }))
exactly<Task<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>>()(pool.addTask(bytes, { kernel: 'sort' }))
exactly<Task<MatmulInput<Float32Array>, Float32Array<ArrayBuffer>>>()(pool.addTask(factors, { kernel: 'matmul' }))
declare const digestOptions: RunOptions<'sha256'>
exactly<Promise<string>>()(pool.run('text', { kernel: 'sha256', priority: 1 }))
exactly<Promise<Digest>>()(pool.run('text', { kernel: 'sha512', encoding: either }))
exactly<Promise<Digest>>()(pool.run('text', digestOptions))
exactly<Promise<Digest>>()(client.run('text', digestOptions))
pool.stream({ kernel: 'sha256', encoding: 'buffer' })
// @ts-expect-error not an encoding
pool.stream({ kernel: 'sha256', encoding: 'utf8' })
// @ts-expect-error not an encoding
pool.run('text', { kernel: 'sha256', encoding: 'utf8' })
// @ts-expect-error numbers come in typed arrays
pool.run([3, 1, 2], { kernel: 'sort' })
exactly<Promise<string>>()(client.run('text', { kernel: 'sha256', encoding: 'base64' }))
exactly<Promise<Uint8Array<ArrayBuffer>>>()(client.run('text', { kernel: 'blake3', encoding: 'buffer' }))
exactly<Promise<Float32Array<ArrayBuffer>>>()(
  client.run({ a: single, b: single, m: 2, k: 2, n: 2 }, { kernel: 'matmul' }),
)
exactly<Promise<FftResult<Float64Array>>>()(client.run({ re: double }, { kernel: 'fft' }))
exactly<Promise<Uint8Array<ArrayBuffer>>>()(client.run(bytes, { kernel: 'sort', descending: true }))
exactly<Task<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>>()(client.addTask(bytes, { kernel: 'sort' }))
exactly<Task<MatmulInput<Float32Array>, Float32Array<ArrayBuffer>>>()(client.addTask(factors, { kernel: 'matmul' }))
// @ts-expect-error not an encoding
client.run('text', { kernel: 'sha256', encoding: 'utf8' })
// @ts-expect-error numbers come in typed arrays
client.run([3, 1, 2], { kernel: 'sort' })

// Native workers alone run kernels
// @ts-expect-error not that thread
pool.run(10, { kernel: 'fib', workerAffinity: 'main' })
// @ts-expect-error not that thread
kernels.fib(10, { mainThread: true })

// The table
type _options = Assert<{ encoding: 'buffer' } extends KernelOptions<'sha256'> ? true : false>
type _digest = Assert<Same<KernelOutput<'sha256'>, string>>
type _input = Assert<Same<KernelInput<'fib'>, number>>
type _output = Assert<Same<KernelOutput<'fib'>, number>>
type _name = Assert<'sha256' extends KernelName ? true : false>
exactly<KernelInfo | undefined>()(kernelInfo('any name'))
