// Workers without a pool, with only what it takes to know whose answer has come: one message each way per task, or one for
// all tasks that are submitted in a turn. Neither minds errors, cancelling, or which worker has less to do.
import { Worker } from 'node:worker_threads'
import { workerDataOf, workerFile } from './task-file.mjs'

/** One message each way per task; the workers take turns. */
export async function postMessage() {
  return (settings) => {
    const waiting = new Map()
    let next = 0
    const answered = ({ id, output }) => {
      waiting.get(id)(output)
      waiting.delete(id)
    }
    const workers = launch('post-message', settings, () => answered)
    const post = (input, transfer) =>
      new Promise((resolve) => {
        const id = next++
        waiting.set(id, resolve)
        workers[id % workers.length].postMessage({ id, input }, transfer)
      })
    return { run: (input) => post(input), move: (bytes) => post(bytes, [bytes.buffer]), ...end(workers) }
  }
}

/** One message for what is submitted in one turn, and one for all its outputs, which are in the same order. */
export async function batchedPostMessage() {
  return (settings) => {
    let turn = 0
    const lines = launch('post-message-batched', settings, (index) => (outputs) => {
      const resolvers = lines[index].posted.shift()
      for (let i = 0; i < outputs.length; i++) resolvers[i](outputs[i])
    }).map((worker) => ({ worker, inputs: [], resolvers: [], transfer: [], posted: [] }))
    const flush = (line) => {
      line.posted.push(line.resolvers)
      line.worker.postMessage(line.inputs, line.transfer)
      line.inputs = []
      line.resolvers = []
      line.transfer = []
    }
    const submit = (input, buffer) =>
      new Promise((resolve) => {
        const line = lines[turn++ % lines.length]
        if (line.inputs.length === 0) queueMicrotask(() => flush(line))
        line.inputs.push(input)
        line.resolvers.push(resolve)
        if (buffer !== undefined) line.transfer.push(buffer)
      })
    const workers = lines.map(({ worker }) => worker)
    return { run: (input) => submit(input), move: (bytes) => submit(bytes, bytes.buffer), ...end(workers) }
  }
}

function launch(file, settings, listener) {
  return Array.from({ length: settings.workers }, (_, index) => {
    const worker = new Worker(workerFile(file), { workerData: workerDataOf(settings) })
    worker.on('message', listener(index))
    return worker.on('error', (error) => {
      throw error
    })
  })
}

function end(workers) {
  const terminate = () => Promise.all(workers.map((worker) => worker.terminate()))
  return { close: terminate, destroy: terminate }
}
