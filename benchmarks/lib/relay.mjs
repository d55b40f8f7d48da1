// Sub-tasks from inside a worker without a pool that workers can submit to: batched messages go to the main thread and from
// there to the workers, and the outputs back the same way.
import { Worker } from 'node:worker_threads'

const FILE = new URL('../tasks/relay.mjs', import.meta.url)

/**
 * @param {number} count workers. The first one asks; all of them run sub-tasks
 * @param {'task by task' | 'lists'} how whether the main thread looks at each sub-task, as a pool does that gives it to whom
 * has room, or splits the list that has come into as many as there are workers, and sends these on
 */
export function openRelay(count, how) {
  const lines = Array.from({ length: count }, () => {
    const worker = new Worker(FILE)
    const line = { worker, inputs: [], resolvers: [], posted: [] }
    worker.on('message', (message) => heard(line, message))
    worker.on('error', (error) => {
      throw error
    })
    return line
  })
  let answer
  let turn = 0

  function heard(line, message) {
    if (Array.isArray(message)) line.posted.shift()(message)
    else if (message.asked === undefined) answer(message.done)
    else if (how === 'lists') relayLists(line, message)
    else relayTasks(line, message)
  }

  function send(line, inputs, settled) {
    line.posted.push(settled)
    line.worker.postMessage(inputs)
  }

  function relayLists({ worker }, { first, asked }) {
    const each = Math.ceil(asked.length / count)
    for (const [index, line] of lines.entries()) {
      const inputs = asked.slice(index * each, (index + 1) * each)
      const from = first + index * each
      send(line, inputs, (outputs) => worker.postMessage({ ids: inputs.map((_, at) => from + at), outputs }))
    }
  }

  function relayTasks({ worker }, { first, asked }) {
    let ids = []
    let outputs = []
    const reply = () => {
      worker.postMessage({ ids, outputs })
      ids = []
      outputs = []
    }
    asked.forEach((input, index) => {
      submit(input).then((output) => {
        if (ids.length === 0) queueMicrotask(reply)
        ids.push(first + index)
        outputs.push(output)
      })
    })
  }

  function submit(input) {
    return new Promise((resolve) => {
      const line = lines[turn++ % count]
      if (line.inputs.length === 0) queueMicrotask(() => flush(line))
      line.inputs.push(input)
      line.resolvers.push(resolve)
    })
  }

  function flush(line) {
    const { inputs, resolvers } = line
    line.inputs = []
    line.resolvers = []
    send(line, inputs, (outputs) => {
      for (let i = 0; i < outputs.length; i++) resolvers[i](outputs[i])
    })
  }

  return {
    /** Has the first worker submit so many sub-tasks, and gives the sum of their outputs. */
    fanOut: (total) =>
      new Promise((resolve) => {
        answer = resolve
        lines[0].worker.postMessage({ fanOut: total })
      }),
    close: () => Promise.all(lines.map(({ worker }) => worker.terminate())),
  }
}
