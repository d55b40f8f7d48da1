// Entry module: finds spec files and runs them.

import { readdir } from 'node:fs/promises'
import path from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { workerData } from 'node:worker_threads'
import { describe } from './describe.mjs'

const { root } = workerData
const SPEC = /\.spec\.[cm]?js$/
const SKIPPED = new Set(['.git', 'node_modules'])

/** The file that this worker runs or ran last. */
let current = ''
let tests = []

globalThis.test = (name, fn) => {
  tests.push({ name, fn })
}

/** Runs one file. Rejects when it cannot be loaded; a test that fails is told of and no more. */
export async function workerEntrypoint(spec, client) {
  current = spec
  tests = []
  await import(pathToFileURL(path.join(root, spec)).href)
  if (tests.length === 0) throw new Error('the file has no tests')
  for (const { name, fn } of tests) {
    client.postMessageToPool('test', { spec, name, failure: await failureOf(fn, spec) })
  }
}

workerEntrypoint.onWorkerStart = (client) => {
  // Messages, unlike what is written to a stream of a worker, come in order with the results and survive a crash.
  for (const stream of [process.stdout, process.stderr]) {
    stream.write = (chunk, encoding, callback) => {
      const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
      client.postMessageToPool('output', { spec: current, text })
      const done = typeof encoding === 'function' ? encoding : callback
      if (done !== undefined) queueMicrotask(done)
      return true
    }
  }
}

/** Why a test failed, as text: not every error can be cloned. `undefined` when it passed. */
async function failureOf(fn, spec) {
  try {
    await fn()
    return undefined
  } catch (error) {
    return describe(error, spec)
  }
}

/** The spec files in a folder and below it, relative to the root. Each folder is a task of its own. */
export async function discover(folder, client) {
  const specs = []
  const below = []
  for (const entry of await readdir(path.join(root, folder), { withFileTypes: true })) {
    const place = path.posix.join(folder, entry.name)
    if (entry.isFile() && SPEC.test(entry.name)) specs.push(place)
    else if (entry.isDirectory() && !SKIPPED.has(entry.name)) below.push(client.addTask(place, { name: 'discover' }))
  }
  return specs.concat(...(await Promise.all(below)))
}
