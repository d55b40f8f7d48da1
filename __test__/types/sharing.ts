// What is beside the pool. Checked by tsc, never run.
import { type RunWorkerOptions, recommendedPoolSize, runWorker, waitAsync } from 'threadmill'
import { exactly } from './assert'

// biome-ignore lint/suspicious/noExplicitAny: that is the type
exactly<Promise<any>>()(runWorker('./script.js'))
exactly<Promise<number>>()(runWorker<number>(new URL('file:///script.js'), { n: 1 }, { timeout: 1000 }))
const options: RunWorkerOptions = {
  signal: AbortSignal.timeout(5),
  transferList: [new ArrayBuffer(8)],
  env: { A: 'b' },
  eval: true,
  resourceLimits: { stackSizeMb: 8 },
}
runWorker('postMessage(1)', undefined, options)
// @ts-expect-error the data is an argument
runWorker('./script.js', undefined, { workerData: 5 })
// @ts-expect-error a script is missing
runWorker()

const shared = new SharedArrayBuffer(8)
exactly<Promise<'ok' | 'not-equal' | 'timed-out'>>()(waitAsync(new Int32Array(shared), 0, 0, 10))
exactly<Promise<'ok' | 'not-equal' | 'timed-out'>>()(waitAsync(new BigInt64Array(shared), 0, 0n))
// @ts-expect-error a bigint for bigints
waitAsync(new BigInt64Array(shared), 0, 0)
// @ts-expect-error no such array
waitAsync(new Uint8Array(shared), 0, 0)

exactly<number>()(recommendedPoolSize())
exactly<number>()(recommendedPoolSize('mixed', 8))
// @ts-expect-error no such kind
recommendedPoolSize('gpu')
