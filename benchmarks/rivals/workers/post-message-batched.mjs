// Answers each list of inputs with the list of their outputs.
import { parentPort, workerData } from 'node:worker_threads'

const { run } = await import(workerData.module)

parentPort.on('message', (inputs) => {
  const outputs = inputs.map((input) => run(input))
  parentPort.postMessage(outputs, workerData.moves ? outputs.map(({ buffer }) => buffer) : undefined)
})
