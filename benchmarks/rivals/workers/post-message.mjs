// Answers each message with one.
import { parentPort, workerData } from 'node:worker_threads'

const { run } = await import(workerData.module)

parentPort.on('message', ({ id, input }) => {
  const output = run(input)
  parentPort.postMessage({ id, output }, workerData.moves ? [output.buffer] : undefined)
})
