// A worker as workerpool's documentation shows it.
import { workerData } from 'node:worker_threads'
import workerpool from 'workerpool'

const { run } = await import(workerData.module)

function move(input) {
  const bytes = run(input)
  return new workerpool.Transfer(bytes, [bytes.buffer])
}

workerpool.worker({ run: workerData.moves ? move : run })
