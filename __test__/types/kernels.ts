// The kernels: inputs, options and outputs. Checked by tsc, never run.
import {
  type FftResult,
  type IWorkerClient,
  type KernelInfo,
  type KernelInput,
  type KernelName,
  type KernelOutput,
  kernelInfo,
  type Task,
  WorkerPool,
} from 'threadmill'
import { type Assert, exactly, type Same } from './assert'

const pool = new WorkerPool()
const { kernels } = pool
const bytes = new Uint8Array(8)

// Outputs follow the options
exactly<Promise<string>>()(kernels.sha256('text'))
exactly<Promise<string>>()(kernels.sha256(bytes, { encoding: 'hex', priority: 1, timeout: 100 }))
exactly<Promise<Uint8Array>>()(kernels.sha256(bytes, { encoding: 'buffer' }))
exactly<Promise<bigint>>()(kernels.xxh3('text'))
exactly<Promise<bigint>>()(kernels.hashFile({ path: 'a', algorithm: 'xxh3' }))
exactly<Promise<string>>()(kernels.hashFile({ path: 'a', algorithm: 'sha256' }))
// @ts-expect-error not an encoding
kernels.sha256('text', { encoding: 'utf8' })
// @ts-expect-error neither text nor bytes
kernels.sha256(42)
// @ts-expect-error the input is missing
kernels.sha256()

// Outputs follow the input
exactly<Promise<Float32Array>>()(kernels.sort(new Float32Array(4)))
exactly<Promise<BigInt64Array>>()(kernels.sort(new BigInt64Array(4), { transfer: [] }))
exactly<Promise<Float64Array>>()(kernels.matmul({ a: new Float64Array(4), b: new Float64Array(4), m: 2, k: 2, n: 2 }))
// @ts-expect-error both factors are of one kind
kernels.matmul({ a: new Float64Array(4), b: new Float32Array(4), m: 2, k: 2, n: 2 })
// @ts-expect-error numbers come in typed arrays
kernels.sort([3, 1, 2])

// Compression takes text, decompression only bytes
exactly<Promise<Uint8Array>>()(kernels.gzip('text', { level: 6 }))
// @ts-expect-error text is not compressed data
kernels.gunzip('text')

// By name
exactly<Promise<number>>()(pool.run(10, { kernel: 'fib' }))
exactly<AsyncIterableIterator<number>>()(pool.map([1, 2, 3], { kernel: 'fib', concurrency: 4 }))
exactly<AsyncIterableIterator<number>>()(pool.map([Promise.resolve(1), 2], { kernel: 'fib' }))
exactly<AsyncIterableIterator<Float64Array>>()(pool.map([Promise.resolve(new Float64Array(1))], { kernel: 'sort' }))
exactly<Task<number>>()(pool.addTask(10, { kernel: 'fib', key: 'small' }))
// @ts-expect-error no such kernel
pool.run(10, { kernel: 'fibonacci' })
// @ts-expect-error a kernel has to be named
pool.run(10, {})

// By name, outputs follow options and input as well, in a worker, too
declare const client: IWorkerClient
const single: Float32Array = new Float32Array(4)
const double: Float64Array = new Float64Array(4)
exactly<Promise<string>>()(pool.run('text', { kernel: 'sha256', encoding: 'base64' }))
exactly<Promise<Uint8Array>>()(pool.run('text', { kernel: 'blake3', encoding: 'buffer' }))
exactly<Promise<Float32Array>>()(pool.run({ a: single, b: single, m: 2, k: 2, n: 2 }, { kernel: 'matmul' }))
exactly<Promise<FftResult<Float64Array>>>()(pool.run({ re: double }, { kernel: 'fft' }))
exactly<Promise<Uint8Array>>()(pool.run(bytes, { kernel: 'sort', descending: true }))
exactly<Task<Uint8Array>>()(pool.addTask(bytes, { kernel: 'sort' }))
exactly<Task<Float32Array>>()(pool.addTask({ a: single, b: single, m: 2, k: 2, n: 2 }, { kernel: 'matmul' }))
// @ts-expect-error not an encoding
pool.run('text', { kernel: 'sha256', encoding: 'utf8' })
// @ts-expect-error numbers come in typed arrays
pool.run([3, 1, 2], { kernel: 'sort' })
exactly<Promise<string>>()(client.run('text', { kernel: 'sha256', encoding: 'base64' }))
exactly<Promise<Uint8Array>>()(client.run('text', { kernel: 'blake3', encoding: 'buffer' }))
exactly<Promise<Float32Array>>()(client.run({ a: single, b: single, m: 2, k: 2, n: 2 }, { kernel: 'matmul' }))
exactly<Promise<FftResult<Float64Array>>>()(client.run({ re: double }, { kernel: 'fft' }))
exactly<Promise<Uint8Array>>()(client.run(bytes, { kernel: 'sort', descending: true }))
exactly<Task<Uint8Array>>()(client.addTask(bytes, { kernel: 'sort' }))
exactly<Task<Float32Array>>()(client.addTask({ a: single, b: single, m: 2, k: 2, n: 2 }, { kernel: 'matmul' }))
// @ts-expect-error not an encoding
client.run('text', { kernel: 'sha256', encoding: 'utf8' })
// @ts-expect-error numbers come in typed arrays
client.run([3, 1, 2], { kernel: 'sort' })

// The table
type _input = Assert<Same<KernelInput<'fib'>, number>>
type _output = Assert<Same<KernelOutput<'fib'>, number>>
type _name = Assert<'sha256' extends KernelName ? true : false>
exactly<KernelInfo | undefined>()(kernelInfo('any name'))
