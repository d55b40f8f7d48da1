// The other side of scenarios/modules.mjs without threadmill: one message for each call, or the one of `workerData`.
import { parentPort, workerData } from 'node:worker_threads'

const module = await import('./module.mjs')
if (workerData) parentPort.postMessage({ value: module[workerData.name](...workerData.args) })
else parentPort.on('message', ({ id, name, args }) => parentPort.postMessage({ id, value: module[name](...args) }))
