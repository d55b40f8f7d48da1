// What the entry modules of the pools do, in a worker without a pool.
import { parentPort } from 'node:worker_threads'

parentPort.on('message', ({ id, bytes }) => {
  bytes[0]++
  parentPort.postMessage({ id, bytes }, [bytes.buffer])
})
