// A worker that is woken by a threadsafe function, and wakes whom it is told to by another one.
import process from 'node:process'
import { parentPort, workerData } from 'node:worker_threads'

const { file, listen, ring } = workerData
const module = { exports: {} }
process.dlopen(module, file)
module.exports.listen(listen, (value) => module.exports.ring(ring, value))
parentPort.postMessage('listening')
