// A worker of lib/relay.mjs: runs lists of inputs, and asks for sub-tasks.
import { parentPort } from 'node:worker_threads'
import { run } from './echo.mjs'

const waiting = new Map()
let next = 0
let asked = []

parentPort.on('message', async (message) => {
  if (Array.isArray(message)) parentPort.postMessage(message.map((input) => run(input)))
  else if (message.ids !== undefined) answered(message)
  else parentPort.postMessage({ done: await fanOut(message.fanOut) })
})

function answered({ ids, outputs }) {
  ids.forEach((id, index) => {
    waiting.get(id)(outputs[index])
    waiting.delete(id)
  })
}

function ask(input) {
  return new Promise((resolve) => {
    if (asked.length === 0) queueMicrotask(flush)
    asked.push(input)
    waiting.set(next++, resolve)
  })
}

function flush() {
  parentPort.postMessage({ first: next - asked.length, asked })
  asked = []
}

async function fanOut(total) {
  const outputs = await Promise.all(Array.from({ length: total }, (_, index) => ask(index)))
  return outputs.reduce((sum, output) => sum + output, 0)
}
